//! Overlays, as the warden's program is told about them.

use std::ffi::{NulError, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nexus_warden::protocol::{self, Start};
use nexus_warden::within::Errand;

use super::Overlay;
use crate::command::Command;
use crate::error::SpawnError;
use crate::wardens::Limits;
use crate::wardens::order::{argv, c_string};

impl Overlay {
    /// In the warden's words; without `is_writable` nothing can be changed.
    pub(crate) fn told(&self, is_writable: bool) -> Result<protocol::Overlay, NulError> {
        let path = |path: &Path| c_string(path.as_os_str());
        Ok(protocol::Overlay {
            lower: self.lower.iter().map(|layer| path(layer)).collect::<Result<_, _>>()?,
            upper: path(&self.upper)?,
            work: if is_writable { Some(path(&self.work)?) } else { None },
            target: path(&self.target)?,
        })
    }
}

pub(super) fn within(
    overlay: &Overlay,
    command: &Command,
    read_only: bool,
    claim: Option<&File>,
) -> Result<Command, SpawnError> {
    let program = crate::program::find(command, std::slice::from_ref(overlay))?;
    let lost = |source| SpawnError::Warden { doing: "be started".to_owned(), source };
    let zero = |source: NulError| SpawnError::of_program(&program, source.into());
    let start = Start {
        id: 0,
        program: c_string(program.as_os_str()).map_err(zero)?,
        argv: argv(command).map_err(zero)?,
        // It comes as the environment of the command: arguments are there for everybody to read.
        env: Vec::new(),
        cwd: c_string(command.cwd.as_os_str()).map_err(zero)?,
        stdin: true,
        limits: Limits::default(),
        kill_after_ms: None,
        confinement: None,
        overlays: vec![overlay.told(!read_only).map_err(zero)?],
        own_session: false,
    };
    let claim = claim.map(AsRawFd::as_raw_fd);
    let errand = Errand::Run { start: Box::new(start), caller: std::process::id(), claim };
    // The descriptor that the path names is open for as long as this process lives.
    let (warden, _held) = crate::wardens::program().map_err(lost)?;
    let word = protocol::word(&errand).map_err(|error| lost(std::io::Error::other(error)))?;
    let args = [OsString::from("within"), OsString::from_vec(word.into_bytes())];
    Ok(Command { program: warden.into(), args: args.into(), cwd: "/".into(), ..command.clone() })
}

/// The file that the trial changes.
const FILE: &str = "file";

pub(super) fn probe(directory: &Path) -> Result<(), String> {
    take_away_old_trials(directory);
    let name = format!("{TRIAL}{}-{:?}", std::process::id(), std::thread::current().id());
    let place = directory.join(name.replace(['(', ')'], ""));
    let said = |error: std::io::Error| format!("an overlay can't be tried in {}: {error}", directory.display());
    let _ = std::fs::remove_dir_all(&place);
    let overlay = Overlay {
        lower: vec![place.join("lower")],
        upper: place.join("upper"),
        work: place.join("work"),
        target: place.join("target"),
    };
    let tried = (|| {
        for path in [&overlay.lower[0], &overlay.upper, &overlay.work, &overlay.target] {
            std::fs::create_dir_all(path).map_err(said)?;
        }
        std::fs::write(overlay.lower[0].join(FILE), "as it was\n").map_err(said)?;
        attempt(&overlay)?;
        let left = std::fs::read_to_string(overlay.lower[0].join(FILE)).map_err(said)?;
        if left == "as it was\n" { Ok(()) } else { Err("an overlay here changes its lower layer".to_owned()) }
    })();
    super::make_removable(&overlay.work);
    let _ = std::fs::remove_dir_all(&place);
    tried
}

/// Begins the name of a trial's directory.
const TRIAL: &str = "overlay-trial-";
/// Longer than a trial takes.
const OLD: Duration = Duration::from_secs(3600);

/// Removes what a process that was killed during its trial has left.
fn take_away_old_trials(directory: &Path) {
    let is_trial = |entry: &std::fs::DirEntry| entry.file_name().as_bytes().starts_with(TRIAL.as_bytes());
    let is_old = |entry: &std::fs::DirEntry| {
        let age = entry.metadata().and_then(|found| found.modified()).map(|time| time.elapsed().unwrap_or_default());
        age.is_ok_and(|age| age > OLD)
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for trial in entries.filter(|entry| is_trial(entry) && is_old(entry)).map(|entry| entry.path()) {
        super::make_removable(&trial.join("work"));
        if let Err(error) = std::fs::remove_dir_all(&trial) {
            tracing::debug!(path = %trial.display(), %error, "a trial of an overlay is left");
        }
    }
}

fn attempt(overlay: &Overlay) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("an overlay can't be tried: {error}");
    let told = overlay.told(true).map_err(|error| failed(error.into()))?;
    let errand = Errand::Try { overlay: told, file: c_string(FILE.as_ref()).map_err(|error| failed(error.into()))? };
    let word = protocol::word(&errand).map_err(|error| failed(std::io::Error::other(error)))?;
    let (warden, _held) = crate::wardens::program().map_err(failed)?;
    let mut command = std::process::Command::new(warden);
    command.arg("within").arg(OsString::from_vec(word.into_bytes())).env_clear().stdin(Stdio::null());
    let output = command.output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let why = why.trim().trim_start_matches("nexus: ");
    let filesystem = overlay.upper.ancestors().nth(2).unwrap_or(Path::new("/")).display();
    Err(format!("there can be no overlay in {filesystem}: {why}"))
}
