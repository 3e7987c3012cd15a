//! Overlays: layers of directories that one tree of processes sees as one directory.
//!
//! The mount exists for the processes that use it and for nobody else: when they have ended, however that happened, there
//! is nothing to unmount. [`crate::Launch::overlay`] gives one to an agent, [`Overlay::within`] to a tool.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::error::SpawnError;

#[cfg(warden)]
mod told;

/// Layers that are seen as one directory. All of these are directories that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Layers that are only read, the topmost first. Nothing may change them while they are mounted.
    pub lower: Vec<PathBuf>,
    /// The layer that takes all changes. It belongs to one mount at a time.
    pub upper: PathBuf,
    /// The kernel's own directory, empty at first, on the file system of `upper`.
    pub work: PathBuf,
    /// Where the layers are seen. Others see what lies there itself.
    pub target: PathBuf,
}

impl Overlay {
    /// A command that runs `command` where the overlay is mounted, for [`crate::capture`]. It may run in the overlay
    /// ([`Command::cwd`]). Its input, output and exit code are kept, it can't gain privileges, and all that it starts ends with
    /// it or with this process. When it can't be started the exit code is 125, and standard error says why.
    ///
    /// With `read_only` nothing can be changed in the overlay, which may then be mounted any number of times at once.
    ///
    /// # Errors
    /// When the command's program is not found, or this system has no overlays.
    pub fn within(&self, command: &Command, read_only: bool) -> Result<Command, SpawnError> {
        self.command(command, read_only, None)
    }

    /// Runs `command` where the overlay is mounted, as [`crate::attend`] does. `claim` is an open file with a lock that whoever
    /// changes the layers holds: it is held until the last process that sees the mount has ended, also when this process is
    /// killed.
    ///
    /// # Errors
    /// When the command can't be started, or this system has no overlays.
    pub async fn attend(&self, command: &Command, read_only: bool, claim: Option<&File>) -> Result<i32, SpawnError> {
        let command = self.command(command, read_only, claim)?;
        crate::attended::attend_with(&command, claim).await
    }

    fn command(&self, command: &Command, read_only: bool, claim: Option<&File>) -> Result<Command, SpawnError> {
        #[cfg(warden)]
        return told::within(self, command, read_only, claim);
        #[cfg(not(warden))]
        {
            let _ = (command, read_only, claim);
            let source = std::io::ErrorKind::Unsupported.into();
            Err(SpawnError::Warden { doing: "mount an overlay on this system".to_owned(), source })
        }
    }
}

/// Tries an overlay whose layers lie in `directory`, as the current user, which takes a few milliseconds.
///
/// # Errors
/// Why there can be none, as a sentence.
pub fn probe(directory: &Path) -> Result<(), String> {
    #[cfg(warden)]
    return told::probe(directory);
    #[cfg(not(warden))]
    {
        let _ = directory;
        Err("only Linux has overlays".to_owned())
    }
}

/// Lets the owner of a work directory remove it: the kernel makes directories in it that nobody has any rights to.
#[cfg(unix)]
pub fn make_removable(work: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let entries = std::fs::read_dir(work).into_iter().flatten().flatten();
    for entry in entries {
        for part in ["", "incompat", "incompat/volatile"] {
            let part = entry.path().join(part);
            if part.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                // What can't be changed is said when it can't be removed.
                let _ = std::fs::set_permissions(part, std::fs::Permissions::from_mode(0o700));
            }
        }
    }
}

/// Directories of lower layers can be renamed in an overlay of the current user. Elsewhere `rename` answers `EXDEV` for these,
/// after which programs copy the files one by one.
#[must_use]
pub fn renames_directories() -> bool {
    #[cfg(target_os = "linux")]
    return nexus_warden::overlay::trusts_attributes();
    #[cfg(not(target_os = "linux"))]
    false
}
