//! Directories in which agents have worked in place. A repository that is found there later may be one that an agent has
//! made: what it names elsewhere is not believed.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::paths::{bytes, from_bytes};

/// The directory had a repository of its own when it was noted.
const OWN: &[u8] = b"+";
const NONE: &[u8] = b"-";

/// A small file for each.
#[derive(Clone, Debug)]
pub(crate) struct InPlace {
    directory: PathBuf,
}

impl InPlace {
    /// Beside the directory of the workspaces.
    pub(crate) fn beside(workspaces: &Path) -> Self {
        Self { directory: workspaces.with_file_name("in-place") }
    }

    /// Remembers a directory.
    pub(crate) fn note(&self, project: &Path) -> std::io::Result<()> {
        let name: String = Sha256::digest(bytes(project)).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = self.directory.join(name);
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        // One that was there before is kept from agents.
        let mark: &[u8] = if project.join(".git").symlink_metadata().is_ok() { OWN } else { NONE };
        fs::write(path, [mark, bytes(project).as_ref()].concat())
    }

    /// True if agents could have made the repository whose checkout is at `top`.
    pub(crate) fn holds(&self, top: &Path) -> bool {
        let noted = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let noted = noted.filter_map(|entry| fs::read(entry.path()).ok());
        noted.into_iter().any(|noted| {
            let (mark, path) = noted.split_at(noted.len().min(1));
            let project = from_bytes(path);
            top.starts_with(&project) && (mark != OWN || top != project)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_is_held_too() {
        let directory = tempfile::tempdir().unwrap();
        let in_place = InPlace::beside(&directory.path().join("workspaces"));
        assert!(!in_place.holds(Path::new("/a/b")));
        in_place.note(Path::new("/a/b")).unwrap();
        in_place.note(Path::new("/a/b")).unwrap();
        assert!(in_place.holds(Path::new("/a/b")) && in_place.holds(Path::new("/a/b/c")));
        assert!(!in_place.holds(Path::new("/a")) && !in_place.holds(Path::new("/a/bc")));
        let own = directory.path().join("own");
        fs::create_dir_all(own.join(".git")).unwrap();
        in_place.note(&own).unwrap();
        assert!(!in_place.holds(&own) && in_place.holds(&own.join("sub")));
    }
}
