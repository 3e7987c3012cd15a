//! The way from a workspace's root to the project within it, which an agent may have replaced by a link.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nexus_process::Overlay;

use crate::error::WorkspaceError;

/// Makes the directories of `below` in `root` that an agent has removed, and follows no link that it has put there.
pub(crate) fn make_below(root: &Path, below: &Path) -> Result<(), WorkspaceError> {
    let mut path = root.to_owned();
    for part in below {
        path.push(part);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(WorkspaceError::io("enter", &path)(io::ErrorKind::NotADirectory.into())),
            Err(_) => fs::create_dir(&path).map_err(WorkspaceError::io("create", &path))?,
        }
    }
    Ok(())
}

/// The same of layers, where missing directories are made by whoever mounts them.
pub(crate) fn nothing_leads_elsewhere(overlay: &Overlay, below: &Path) -> Result<(), WorkspaceError> {
    let mut path = PathBuf::new();
    for part in below {
        path.push(part);
        let layers = std::iter::once(&overlay.upper).chain(&overlay.lower);
        let uppermost = layers.map(|layer| layer.join(&path)).find_map(|path| path.symlink_metadata().ok());
        if uppermost.is_some_and(|found| found.is_symlink() || found.is_file()) {
            let path = overlay.target.join(&path);
            return Err(WorkspaceError::io("enter", &path)(io::ErrorKind::NotADirectory.into()));
        }
    }
    Ok(())
}
