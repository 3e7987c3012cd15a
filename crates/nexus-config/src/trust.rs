//! Trust in a configuration that nobody named: by its directory, and by what its files say.
//!
//! A repository that was cloned may bring `departments/`, which names programs to run. It is in force where its user has
//! looked at it and said so, for as long as it stays as it was.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::source::{Found, name_in, read_dir};

/// The configurations that a user has trusted, noted in a directory of that user's own: a file for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust(PathBuf);

/// Where one stands with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Trusted,
    /// It was trusted, and says something else now.
    Changed,
    Unknown,
}

/// Deeper directories of `departments` have nothing to do with a configuration.
const DEPTH: usize = 8;
/// Larger ones neither, in bytes and in files.
const BYTES: u64 = 16 << 20;
const FILES: usize = 1000;

impl Trust {
    /// Notes are kept in this directory, which is made for the first.
    #[must_use]
    pub const fn in_dir(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Trusts the configuration in `dir` as it is now.
    ///
    /// # Errors
    /// When it can't be read, or the note can't be kept.
    pub fn give(&self, dir: &Path) -> io::Result<()> {
        let dir = dir.canonicalize()?;
        let (found, errors) = read_dir(&dir);
        if let Some(error) = errors.first() {
            return Err(io::Error::other(error.to_string()));
        }
        let note = format!("{}\n{}\n", fingerprint(&dir, &found)?, dir.display());
        fs::create_dir_all(&self.0)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(note.as_bytes())?;
        file.persist(self.note(&dir)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Takes it back; false: there was none.
    ///
    /// # Errors
    /// When the note can't be removed.
    pub fn take_back(&self, dir: &Path) -> io::Result<bool> {
        match fs::remove_file(self.note(&dir.canonicalize()?)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The standing of the configuration in `dir`, as it is now. One that can't be read isn't trusted.
    #[must_use]
    pub fn of(&self, dir: &Path) -> Standing {
        self.of_read(dir, &read_dir(dir).0)
    }

    /// The same, of files as they were read: what is judged is what is used.
    pub(crate) fn of_read(&self, dir: &Path, found: &[Found]) -> Standing {
        let Ok(dir) = dir.canonicalize() else { return Standing::Unknown };
        let Ok(note) = fs::read_to_string(self.note(&dir)) else { return Standing::Unknown };
        match fingerprint(&dir, found) {
            Ok(now) if note.lines().next() == Some(&now) => Standing::Trusted,
            _ => Standing::Changed,
        }
    }

    fn note(&self, dir: &Path) -> PathBuf {
        self.0.join(hex(Sha256::digest(dir.as_os_str().as_encoded_bytes())))
    }

    pub(crate) fn notes(&self) -> &Path {
        &self.0
    }
}

/// A digest of the names and texts of a configuration's files: those that name programs as they were read, then the others in
/// `departments`.
fn fingerprint(dir: &Path, found: &[Found]) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(part);
    };
    for file in found {
        add(file.name.as_bytes());
        add(file.text.as_bytes());
    }
    let mut others = Vec::new();
    list(&dir.join("departments"), DEPTH, &mut others)?;
    others.sort();
    let mut left = BYTES;
    for file in others {
        let name = name_in(dir, &file);
        if found.iter().any(|found| found.name == name) {
            continue;
        }
        left = left.checked_sub(fs::metadata(&file)?.len()).ok_or_else(|| too_large(dir))?;
        add(name.as_bytes());
        add(&fs::read(&file)?);
    }
    Ok(hex(digest.finalize()))
}

fn list(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.is_symlink() {
                let message = format!("{} is a link to a directory, which can't be trusted", path.display());
                return Err(io::Error::other(message));
            }
            let deeper = depth.checked_sub(1).ok_or_else(|| too_large(dir))?;
            list(&path, deeper, files)?;
        } else if path.is_file() {
            files.push(path);
        }
        if files.len() > FILES {
            return Err(too_large(dir));
        }
    }
    Ok(())
}

fn too_large(dir: &Path) -> io::Error {
    io::Error::other(format!("{} is too large for a configuration", dir.display()))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> (tempfile::TempDir, PathBuf, Trust) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("project");
        fs::create_dir_all(dir.join("departments/roles")).unwrap();
        fs::write(dir.join("departments/work.toml"), "agents = [\"shell\"]").unwrap();
        let trust = Trust::in_dir(root.path().join("trusted"));
        (root, dir, trust)
    }

    #[test]
    fn it_holds_until_a_file_changes_comes_or_goes() {
        let changes: [fn(&Path); 5] = [
            |dir| fs::write(dir.join("departments/work.toml"), "agents = [\"other\"]").unwrap(),
            |dir| fs::write(dir.join("departments/more.toml"), "").unwrap(),
            |dir| fs::write(dir.join("departments/roles/work.md"), "Be evil.").unwrap(),
            |dir| fs::write(dir.join("nexus.toml"), "").unwrap(),
            |dir| fs::rename(dir.join("departments/work.toml"), dir.join("departments/play.toml")).unwrap(),
        ];
        for change in changes {
            let (_root, dir, trust) = config();
            assert_eq!(trust.of(&dir), Standing::Unknown);
            trust.give(&dir).unwrap();
            assert_eq!(trust.of(&dir), Standing::Trusted);
            change(&dir);
            assert_eq!(trust.of(&dir), Standing::Changed);
        }
    }

    #[test]
    fn the_same_files_elsewhere_are_not_trusted() {
        let (_root, dir, trust) = config();
        trust.give(&dir).unwrap();
        let other = dir.with_file_name("other");
        fs::rename(&dir, &other).unwrap();
        assert_eq!(trust.of(&other), Standing::Unknown);
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_behind_a_link_is_not_trusted() {
        let (root, dir, trust) = config();
        fs::create_dir(root.path().join("prompts")).unwrap();
        std::os::unix::fs::symlink(root.path().join("prompts"), dir.join("departments/more")).unwrap();
        assert!(trust.give(&dir).unwrap_err().to_string().contains("is a link to a directory"));
    }

    #[test]
    fn what_was_read_is_judged_and_not_what_lies_there_by_then() {
        let (_root, dir, trust) = config();
        trust.give(&dir).unwrap();
        let file = dir.join("departments/work.toml");
        let good = fs::read(&file).unwrap();
        fs::write(&file, "agents = [\"other\"]").unwrap();
        let read = read_dir(&dir).0;
        fs::write(&file, good).unwrap();
        assert_eq!((trust.of_read(&dir, &read), trust.of(&dir)), (Standing::Changed, Standing::Trusted));
    }

    #[test]
    fn it_is_taken_back_once() {
        let (_root, dir, trust) = config();
        trust.give(&dir).unwrap();
        assert!(trust.take_back(&dir).unwrap() && !trust.take_back(&dir).unwrap());
        assert_eq!(trust.of(&dir), Standing::Unknown);
    }
}
