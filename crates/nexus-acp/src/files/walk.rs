//! Paths that are looked at before they are followed, where the system can't follow them beneath a directory. What an agent
//! changes between the look and the opening isn't seen: on such a system no agent is confined, and each can do by itself what
//! that would get it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::root::Root;
use super::{May, Refusal, plain};

pub(super) fn open(root: &Root, below: &Path) -> io::Result<File> {
    let real = root.way().join(below).canonicalize()?;
    within(root, &real)?;
    // A pipe would be waited for.
    if !real.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    plain(File::open(real)?)
}

pub(super) fn create(root: &Root, below: &Path, may: &May<'_>) -> Result<File, Refusal> {
    let mut dir = root.way().canonicalize()?;
    for part in below.parent().into_iter().flat_map(Path::components) {
        let next = dir.join(part);
        match next.canonicalize() {
            Ok(real) => {
                within(root, &real)?;
                dir = real;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                may(&within(root, &next)?).map_err(Refusal::Not)?;
                std::fs::create_dir(&next)?;
                dir = next;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let path = dir.join(below.file_name().unwrap_or_default());
    may(&within(root, &path)?).map_err(Refusal::Not)?;
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file").into());
    }
    Ok(plain(OpenOptions::new().write(true).create(true).truncate(false).open(path)?)?)
}

/// Where it is below the workspace.
fn within(root: &Root, path: &Path) -> io::Result<PathBuf> {
    let root = root.way().canonicalize()?;
    path.strip_prefix(&root).map(Path::to_owned).map_err(|_| ErrorKind::CrossesDevices.into())
}
