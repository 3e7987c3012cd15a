//! The abilities of the workspaces' file system, found out by trying: the project's may differ, and git remembers that
//! one's ways in the project's settings.

use std::fs;
use std::path::Path;

/// Settings of git that follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    /// Names that differ in case alone are one.
    folds_case: bool,
    /// Files keep whether they can be executed.
    pub(crate) has_modes: bool,
    has_links: bool,
}

impl Medium {
    /// Tries it in `directory`, which is there.
    pub(crate) fn of(directory: &Path) -> Self {
        let Ok(trial) = Trial::new(directory) else { return Self::usual() };
        Self {
            folds_case: trial.0.join("NAME").symlink_metadata().is_ok(),
            has_modes: has_modes(&trial.0.join("name")),
            has_links: has_links(&trial.0),
        }
    }

    const fn usual() -> Self {
        Self { folds_case: cfg!(any(windows, target_os = "macos")), has_modes: cfg!(unix), has_links: cfg!(unix) }
    }

    pub(crate) fn settings(self) -> [(String, String); 4] {
        let setting = |key: &str, value: bool| (key.to_owned(), value.to_string());
        [
            setting("core.ignoreCase", self.folds_case),
            setting("core.fileMode", self.has_modes),
            setting("core.symlinks", self.has_links),
            // Line ends are as the user's git has them; that they may not survive a way back stops nothing.
            setting("core.safecrlf", false),
        ]
    }
}

/// A directory with a file in it, gone when this is dropped.
struct Trial(std::path::PathBuf);

impl Trial {
    fn new(directory: &Path) -> std::io::Result<Self> {
        let trial = Self(directory.join(format!(".trial-{}-{:x}", std::process::id(), serial())));
        fs::create_dir(&trial.0)?;
        fs::write(trial.0.join("name"), "")?;
        Ok(trial)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Two of one process try at once.
fn serial() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(unix)]
fn has_modes(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = || file.symlink_metadata().map_or(0, |metadata| metadata.permissions().mode());
    let set = |mode| fs::set_permissions(file, fs::Permissions::from_mode(mode));
    set(0o755).is_ok() && mode() & 0o111 == 0o111 && set(0o644).is_ok() && mode() & 0o111 == 0
}

#[cfg(not(unix))]
const fn has_modes(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn has_links(directory: &Path) -> bool {
    std::os::unix::fs::symlink("name", directory.join("link")).is_ok()
}

#[cfg(not(unix))]
const fn has_links(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_usual_directory_keeps_all_and_is_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Medium::of(directory.path()), Medium { folds_case: false, has_modes: true, has_links: true });
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
