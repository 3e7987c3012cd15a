//! Errors that say that the machine has run out of something, which passes by itself: nobody's program is at fault.

use std::io;

/// True if an error means that the system has no room, memory, processes or open files to spare, or lets nothing be
/// written at the moment.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock};
    matches!(error.kind(), OutOfMemory | QuotaExceeded | ReadOnlyFilesystem | StorageFull | WouldBlock)
        || is_out_of_files(error)
}

/// The same of what a tool printed: it has no other way to say so.
#[must_use]
pub fn tells_of_shortage(said: &str) -> bool {
    // The texts of ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, EAGAIN and ENOMEM, as strerror has them.
    const TEXTS: [&str; 7] = [
        "No space left on device",
        "quota exceeded",
        "Read-only file system",
        "Too many open files",
        "Resource temporarily unavailable",
        "Cannot allocate memory",
        "Out of memory",
    ];
    TEXTS.iter().any(|text| said.contains(text))
}

#[cfg(unix)]
fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // The process's own limit, and the system's.
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
fn is_out_of_files(error: &io::Error) -> bool {
    /// `ERROR_TOO_MANY_OPEN_FILES`.
    const TOO_MANY_OPEN_FILES: i32 = 4;
    error.raw_os_error() == Some(TOO_MANY_OPEN_FILES)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let is = |errno: Errno| is_shortage(&errno.into());
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM] {
            assert!(is(errno), "{errno:?}");
            assert!(tells_of_shortage(&format!("fatal: x: {}", io::Error::from(errno))), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::TOOBIG, Errno::NOTDIR, Errno::IO] {
            assert!(!is(errno), "{errno:?}");
        }
    }
}
