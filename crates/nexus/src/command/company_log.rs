//! `nexus logs --company`: the company's own log.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use super::up::Signals;
use crate::cli::PlaceArgs;
use crate::exit::{Code, Exit};
use crate::{detached, place, show};

/// The pause between two looks for more.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Bytes that are shown at a time.
const PART: u64 = 64 * 1024;

pub(super) async fn logs(place: &PlaceArgs, follow: bool) -> Result<Code, Exit> {
    let mut signals = Signals::new()?;
    let dir = place::data_dir(place)?;
    let path = file(place, &dir)?;
    let mut log = File::open(&path)
        .map_err(|error| Exit::failure(format!("the company's log {} can't be read: {error}", path.display())))?;
    let failed = |error: std::io::Error| Exit::failure(format!("{}: {error}", path.display()));
    loop {
        // Looked at first: what it has said until it ended is shown.
        let is_up = place::holder(&dir).is_some();
        while show_part(&mut log).map_err(failed)? {}
        if !follow || !is_up {
            return Ok(Code::Done);
        }
        tokio::select! {
            () = sleep(LOOK_AGAIN) => {}
            () = signals.next() => return Ok(Code::Interrupted),
        }
    }
}

/// The file of the running company's log, or of the last one that ran in the background.
fn file(place: &PlaceArgs, dir: &Path) -> Result<PathBuf, Exit> {
    let own = detached::log_file(dir);
    let Some(process) = place::process(place) else {
        if own.is_file() {
            show::note("note", "no company is up; this is the log of the last one that ran in the background");
            return Ok(own);
        }
        return Err(place::not_running(dir));
    };
    match process.log {
        Some(log) => Ok(log.into()),
        None => Err(Exit::new(
            Code::NotFound,
            format!(
                "the log of the company (pid {}) goes to the terminal or the service manager that started it",
                process.pid
            ),
        )
        .with_help("`nexus up --detach` keeps it in a file; `journalctl --user -u nexus` shows a systemd service's")),
    }
}

/// Shows what comes next, if anything has come.
fn show_part(log: &mut File) -> std::io::Result<bool> {
    let mut part = Vec::new();
    let read = log.by_ref().take(PART).read_to_end(&mut part)?;
    if read == 0 {
        return Ok(false);
    }
    // What is cut in the midst of a line comes with the rest of it.
    let whole = part.iter().rposition(|byte| *byte == b'\n').map_or(part.len(), |end| end + 1);
    let rest = i64::try_from(part.len() - whole).unwrap_or_default();
    log.seek(SeekFrom::Current(-rest))?;
    show::text(&String::from_utf8_lossy(&part[..whole]));
    Ok(true)
}
