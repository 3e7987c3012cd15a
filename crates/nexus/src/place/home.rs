//! Which directory a node's name was made for, so that a copy of a data directory gets a name of its own: two companies of
//! one name would end each other's agents, and put back what the other one has in hand.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A directory, as far as that can be told later. One that is put back from a copy has the same path, and one that is
/// moved is still the same file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Home {
    path: PathBuf,
    file: u64,
}

/// True when `data_dir` is a copy of the one that was last known as its node's; from now on it is itself that one.
pub(super) fn is_copy(data_dir: &Path) -> io::Result<bool> {
    let path = data_dir.join("home.json");
    let here = Home { path: fs::canonicalize(data_dir)?, file: file(&fs::metadata(data_dir)?) };
    // One that can't be read tells nothing, and is made anew: the name stays as it is.
    let known = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Home>(&text).ok());
    if known.as_ref() != Some(&here) {
        super::write_private(&path, &serde_json::to_vec(&here).map_err(io::Error::other)?)?;
    }
    Ok(known.is_some_and(|known| known.path != here.path && known.file != here.file))
}

#[cfg(unix)]
fn file(of: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(of)
}

/// Nothing stable can be had there: a copy is taken for the directory itself.
#[cfg(not(unix))]
const fn file(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_told_from_what_was_moved_or_put_back() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let copy = |from: &str, to: &str| {
            fs::create_dir(at(to)).unwrap();
            fs::copy(at(from).join("home.json"), at(to).join("home.json")).unwrap();
        };
        fs::create_dir(at("first")).unwrap();
        assert!(!is_copy(&at("first")).unwrap());
        assert!(!is_copy(&at("first")).unwrap());
        copy("first", "second");
        assert!(is_copy(&at("second")).unwrap());
        assert!(!is_copy(&at("second")).unwrap());
        fs::rename(at("first"), at("moved")).unwrap();
        assert!(!is_copy(&at("moved")).unwrap());
        copy("moved", "backup");
        fs::remove_dir_all(at("moved")).unwrap();
        copy("backup", "moved");
        assert!(!is_copy(&at("moved")).unwrap());
    }
}
