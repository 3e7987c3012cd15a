//! `nexus service`: the company as a service of its user.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cli::{Output, PlaceArgs, ServiceCommand};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::service::{Manager, Service};
use crate::{detached, place, show};

pub(super) fn service(place: &PlaceArgs, output: Output, what: ServiceCommand) -> Result<Code, Exit> {
    let manager = Manager::here().ok_or_else(|| {
        Exit::failure("services can be installed for systemd (Linux) and launchd (macOS) only")
            .with_help("have this system's own service manager run `nexus up`")
    })?;
    let home = std::env::home_dir().ok_or_else(|| Exit::usage("there is no home directory to install a service in"))?;
    let config = place::config_home().unwrap_or_else(|| home.join(".config"));
    let file = manager.file(&home, &config);
    match what {
        ServiceCommand::Install => install(place, output, manager, &file),
        ServiceCommand::Uninstall => uninstall(output, manager, &file),
        ServiceCommand::Status => status(place, output, manager, &file),
    }
}

fn install(place: &PlaceArgs, output: Output, manager: Manager, file: &Path) -> Result<Code, Exit> {
    let service = described(place, manager)?;
    let dir = file.parent().unwrap_or(file);
    // A NATS server's URL may hold a password.
    let written = fs::create_dir_all(dir).and_then(|()| place::write_private(file, manager.text(&service).as_bytes()));
    written.map_err(|error| Exit::failure(format!("{} can't be written: {error}", file.display())))?;
    let next = manager.start(file);
    if output.is_json() {
        show::json(&serde_json::json!({ "file": file, "command": service.command, "next": next }), output);
        return Ok(Code::Done);
    }
    show::line(&format!("written  {}", file.display()));
    next.iter().for_each(|command| show::note("next", command));
    Ok(Code::Done)
}

/// The service that runs this program on the data directory and the configuration that are meant here.
fn described(place: &PlaceArgs, manager: Manager) -> Result<Service, Exit> {
    let text = |path: PathBuf| {
        path.into_os_string()
            .into_string()
            .map_err(|path| Exit::usage(format!("{} is no text, which a service needs", path.to_string_lossy())))
    };
    let program = std::env::current_exe().map_err(|error| Exit::failure(format!("this program: {error}")))?;
    let data_dir = place::data_dir(place)?;
    let log = detached::log_file(&data_dir);
    let mut command = vec![text(program)?, "up".to_owned(), "--data-dir".to_owned(), text(data_dir)?];
    let mut add = |flag: &str, value: String| command.extend([flag.to_owned(), value]);
    // A service has no current directory that could mean anything: it is told.
    let loaded = nexus_config::load(&source(place, None)).map_err(Exit::config)?;
    show::untrusted(&loaded);
    if let Some(dir) = loaded.dir {
        let dir = std::path::absolute(&dir).map_err(|error| Exit::usage(format!("{}: {error}", dir.display())))?;
        add("--config", text(dir)?);
    }
    if let Some(nats) = &place.nats {
        add("--nats", nats.clone());
    }
    if let Some(creds) = &place.creds {
        let creds = std::path::absolute(creds).map_err(|error| Exit::usage(format!("--creds: {error}")))?;
        add("--creds", text(creds)?);
    }
    if manager == Manager::Launchd {
        add("--log-file", text(log.clone())?);
    }
    Ok(Service { command, path: std::env::var("PATH").unwrap_or_default(), log })
}

fn uninstall(output: Output, manager: Manager, file: &Path) -> Result<Code, Exit> {
    let failed = |error: std::io::Error| Exit::failure(format!("{} can't be removed: {error}", file.display()));
    let was_there = match fs::remove_file(file) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error)),
    };
    if let (Manager::Systemd, Some(dir), Some(name)) = (manager, file.parent(), file.file_name()) {
        // What `systemctl enable` has made.
        let _ = fs::remove_file(dir.join("default.target.wants").join(name));
    }
    if output.is_json() {
        show::json(&serde_json::json!({ "file": file, "removed": was_there, "next": [manager.stop()] }), output);
    } else if was_there {
        show::line(&format!("removed  {}", file.display()));
        show::note("next", &manager.stop());
    } else {
        show::line(&format!("no service is installed: there is no {}", file.display()));
    }
    Ok(Code::Done)
}

fn status(place: &PlaceArgs, output: Output, manager: Manager, file: &Path) -> Result<Code, Exit> {
    let is_installed = file.is_file();
    let pid = place::holder(&place::data_dir(place)?).map(|(pid, _)| pid);
    if output.is_json() {
        show::json(&serde_json::json!({ "file": file, "installed": is_installed, "pid": pid }), output);
        return Ok(Code::Done);
    }
    let installed = if is_installed { "installed" } else { "not installed" };
    let company = pid.map_or_else(|| "no company is up".to_owned(), |pid| format!("a company is up (pid {pid})"));
    show::line(&format!("{installed}  {}; {company}", file.display()));
    show::note("next", &if is_installed { manager.look() } else { "nexus service install".to_owned() });
    Ok(Code::Done)
}
