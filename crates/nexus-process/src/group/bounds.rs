//! Limits on systems without wardens, as far as they go: what a job object is told, and what a shell sets for one process.
//! Pure, so that every system's part is tested on all.

#[cfg(any(not(warden), test))]
use std::ffi::{OsStr, OsString};

#[cfg(any(not(warden), windows, test))]
use nexus_warden::protocol::Limits;

/// The bounds that a Windows job holds, for all its processes together.
#[cfg(any(windows, test))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobBounds {
    /// Bytes of committed memory.
    pub(crate) memory: Option<usize>,
    pub(crate) processes: Option<u32>,
    /// Hundredths of a percent of all processors.
    pub(crate) cpu_rate: Option<u32>,
}

#[cfg(any(windows, test))]
impl JobBounds {
    pub(crate) fn new(limits: &Limits, processors: u32) -> Self {
        let all = u64::from(processors.max(1)) * 1000;
        let rate = |milli: u32| u32::try_from((u64::from(milli) * 10_000 / all).clamp(1, 10_000)).unwrap_or(10_000);
        Self {
            memory: limits.memory.map(|memory| usize::try_from(memory).unwrap_or(usize::MAX)),
            processes: limits.processes,
            cpu_rate: limits.cpu_milli.map(rate),
        }
    }
}

/// The program and arguments that set the limits of each process first, by a shell, which nothing but `pre_exec` could do else.
/// None: there are none to set.
#[cfg(any(not(warden), test))]
pub(crate) fn by_shell(program: &OsStr, args: &[OsString], limits: &Limits) -> Option<(OsString, Vec<OsString>)> {
    let files = limits.open_files.map(|files| format!("ulimit -n {files}"));
    // In blocks of 512 bytes, by POSIX; no less than was allowed.
    let size = limits.file_size.map(|size| format!("ulimit -f {}", size.div_ceil(512)));
    let set: Vec<String> = files.into_iter().chain(size).collect();
    if set.is_empty() {
        return None;
    }
    let script = format!("{} && exec \"$0\" \"$@\"", set.join(" && "));
    let shell = ["-c".into(), script.into(), program.to_owned()];
    Some(("/bin/sh".into(), shell.into_iter().chain(args.iter().cloned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_of_all_processors_together() {
        let limits = Limits { memory: Some(1 << 30), processes: Some(9), cpu_milli: Some(1500), ..Limits::default() };
        let bounds = |processors| JobBounds::new(&limits, processors);
        assert_eq!(bounds(2), JobBounds { memory: Some(1 << 30), processes: Some(9), cpu_rate: Some(7500) });
        assert_eq!(bounds(1).cpu_rate, Some(10_000), "more than there are is all");
        assert_eq!(bounds(100_000).cpu_rate, Some(1), "never none");
        assert_eq!(JobBounds::new(&Limits::default(), 4), JobBounds::default());
    }

    #[test]
    #[cfg(unix)]
    fn a_shell_sets_limits_and_becomes_the_program() {
        let limits = Limits { open_files: Some(33), file_size: Some(1024), ..Limits::default() };
        let args = ["-c", "ulimit -n; head -c 4096 /dev/zero > \"$1\"; echo $?", "x"].map(OsString::from);
        let file = tempfile::NamedTempFile::new().unwrap();
        let args: Vec<OsString> = args.into_iter().chain([file.path().into()]).collect();
        let (program, args) = by_shell(OsStr::new("/bin/sh"), &args, &limits).unwrap();
        let ran = std::process::Command::new(program).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(said.starts_with("33\n") && !said.ends_with("\n0\n"), "{said}");
        assert!(std::fs::metadata(file.path()).unwrap().len() <= 1024);
        assert_eq!(by_shell(OsStr::new("x"), &[], &Limits::default()), None);
    }
}
