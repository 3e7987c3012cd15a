//! A process that this one has not started, and that is to be asked to end.

use std::io;
use std::path::Path;

/// Another process, held so that its pid can't come to mean a third one. (On Linux; elsewhere the pid is all there is.)
#[derive(Debug)]
pub struct OtherProcess(sys::Handle);

impl OtherProcess {
    /// The process `pid`; `None` when there is none.
    ///
    /// Whoever was meant may have ended before: look again, after this, whether it is the right one.
    ///
    /// # Errors
    /// When this system has no way to ask a process to end.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        Ok(sys::open(pid)?.map(Self))
    }

    /// Asks it to end (TERM). One that has ended already is no error.
    ///
    /// # Errors
    /// When it is another user's.
    pub fn ask_to_end(&self) -> io::Result<()> {
        self.0.ask_to_end()
    }

    /// True if it has this file open; `None` where this system doesn't tell.
    ///
    /// A pid that another process has written may be one of another container, and mean a stranger here.
    #[must_use]
    pub fn has_open(&self, file: &Path) -> Option<bool> {
        self.0.has_open(file)
    }

    /// True once it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::{Path, io};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fd::OwnedFd;
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    #[derive(Debug)]
    pub(super) struct Handle {
        process: OwnedFd,
        pid: u32,
    }

    pub(super) fn open(pid: u32) -> io::Result<Option<Handle>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(Handle { process, pid })),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    impl Handle {
        pub(super) fn ask_to_end(&self) -> io::Result<()> {
            match pidfd_send_signal(&self.process, Signal::TERM) {
                Ok(()) | Err(Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        /// The pid is its own as long as it lives, which is looked at last.
        pub(super) fn has_open(&self, file: &Path) -> Option<bool> {
            let file = fs::metadata(file).ok()?;
            let opened = fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
            let is_it = |entry: io::Result<fs::DirEntry>| {
                let known = entry.and_then(|entry| fs::metadata(entry.path()));
                known.is_ok_and(|known| (known.dev(), known.ino()) == (file.dev(), file.ino()))
            };
            Some(opened.into_iter().any(is_it) && !self.has_ended())
        }

        /// A pidfd becomes readable when its process ends.
        pub(super) fn has_ended(&self) -> bool {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
mod sys {
    use super::{Path, io};
    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    #[derive(Debug)]
    pub(super) struct Handle(Pid);

    pub(super) fn open(pid: u32) -> io::Result<Option<Handle>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        Ok(test_kill_process(pid).is_ok().then_some(Handle(pid)))
    }

    impl Handle {
        pub(super) fn ask_to_end(&self) -> io::Result<()> {
            match kill_process(self.0, Signal::TERM) {
                Ok(()) | Err(Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        pub(super) fn has_open(&self, _: &Path) -> Option<bool> {
            None
        }

        pub(super) fn has_ended(&self) -> bool {
            test_kill_process(self.0).is_err()
        }
    }
}

#[cfg(not(unix))]
mod sys {
    use super::{Path, io};

    #[derive(Debug)]
    pub(super) enum Handle {}

    pub(super) fn open(_: u32) -> io::Result<Option<Handle>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no signal that asks a process to end"))
    }

    impl Handle {
        pub(super) fn ask_to_end(&self) -> io::Result<()> {
            match *self {}
        }

        pub(super) fn has_open(&self, _: &Path) -> Option<bool> {
            match *self {}
        }

        pub(super) fn has_ended(&self) -> bool {
            match *self {}
        }
    }
}
