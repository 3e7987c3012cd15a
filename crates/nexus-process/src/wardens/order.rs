//! The order of a start, as a warden is told it, and the meaning of its refusal.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nexus_warden::protocol::{Fault, Stage, Start, Tier};

use super::Launch;
use crate::command::{Command, Stdin};
use crate::error::SpawnError;

/// The order to start `program`, which was found to be the launch's.
pub(super) fn start(id: u64, program: &Path, launch: &Launch) -> Result<Start, NulError> {
    let command = &launch.command;
    Ok(Start {
        id,
        program: c_string(seen(program, launch).as_os_str())?,
        argv: argv(command)?,
        env: environment(command)?,
        cwd: c_string(command.cwd.as_os_str())?,
        stdin: !matches!(command.stdin, Stdin::Closed),
        limits: launch.limits,
        kill_after_ms: launch.kill_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        confinement: launch.confinement.clone().map(Box::new),
        overlays: launch.overlays.iter().map(|overlay| overlay.told(true)).collect::<Result<_, _>>()?,
        own_session: true,
    })
}

/// The meaning of a start's fault to whoever has to mend it.
pub(super) fn meaning(command: &Command, program: &Path, launch: &Launch, fault: Fault) -> SpawnError {
    let Fault { stage, errno, detail } = fault;
    let source = match (errno, detail.as_str()) {
        (0, detail) => io::Error::other(detail.to_owned()),
        (errno, _) => io::Error::from_raw_os_error(errno),
    };
    use io::ErrorKind::{NotFound, PermissionDenied};
    let doing = match stage {
        // Only there can be said what it is.
        Stage::Exec if is_in_overlay(program, launch) => return SpawnError::of_program(program, source),
        // It was found and may be executed, out here.
        Stage::Exec if launch.confinement.is_some() && matches!(source.kind(), NotFound | PermissionDenied) => {
            return SpawnError::OutOfReach(program.to_owned());
        }
        Stage::Exec if is_in_overlay(&command.cwd, launch) => return SpawnError::of_program(program, source),
        Stage::Exec => return SpawnError::from_system(command, program, source),
        Stage::Directory => return SpawnError::directory(command),
        Stage::Fork => "start a process",
        Stage::Cgroup => "use its control groups",
        Stage::Limits => "set the limits",
        // The detail says it.
        Stage::Overlay if errno != 0 && !detail.is_empty() => return SpawnError::Warden { doing: detail, source },
        Stage::Overlay => "mount the workspace",
        Stage::Confine => "confine the agent",
    };
    let doing = if errno != 0 && !detail.is_empty() { format!("{doing} ({detail})") } else { doing.to_owned() };
    SpawnError::Warden { doing, source }
}

fn is_in_overlay(path: &Path, launch: &Launch) -> bool {
    launch.overlays.iter().any(|overlay| path.starts_with(&overlay.target))
}

/// The path of the program where it runs: of a link that leads to it only the other end may be there.
fn seen(program: &Path, launch: &Launch) -> PathBuf {
    let tier = launch.confinement.as_ref().map(|confinement| &confinement.tier);
    let real = matches!(tier, Some(Tier::Namespaces { .. })).then(|| program.canonicalize().ok()).flatten();
    real.unwrap_or_else(|| program.to_owned())
}

/// The program under the name it was asked for by, and its arguments.
pub(crate) fn argv(command: &Command) -> Result<Vec<CString>, NulError> {
    std::iter::once(&command.program).chain(&command.args).map(|text| c_string(text)).collect()
}

/// Of two variables with one name the later wins.
fn environment(command: &Command) -> Result<Vec<CString>, NulError> {
    let last: BTreeMap<_, _> = command.env.iter().map(|(name, value)| (name, value)).collect();
    let pairs = last.into_iter().map(|(name, value)| {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        c_string(&pair)
    });
    pairs.collect()
}

pub(crate) fn c_string(text: &OsStr) -> Result<CString, NulError> {
    CString::new(text.as_bytes())
}
