//! Layers made into one directory, for an attempt that can't have them mounted.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use crate::copy;
use crate::entry::{self, Kind, Over};

/// Copies what the layers show together, the uppermost first, into `target`, which is an empty directory. Layers whose
/// directories were renamed can't be told apart so, and are refused.
pub(crate) fn flatten(layers: &[PathBuf], target: &Path) -> io::Result<()> {
    for layer in layers.iter().rev() {
        lay_over(layer, target)?;
    }
    Ok(())
}

fn lay_over(layer: &Path, target: &Path) -> io::Result<()> {
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let (from, to) = (layer.join(&directory), target.join(&directory));
        match entry::over(&from) {
            Over::Merged => {}
            Over::Opaque => copy::remove(&to)?,
            Over::Moved(_) => {
                let why = format!("{} was renamed, and comes from a layer below", from.display());
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
        }
        if !to.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            gone(&to)?;
            fs::create_dir_all(&to)?;
        }
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            let (from, to) = (entry.path(), target.join(&name));
            match entry::kind(&entry) {
                Some(Kind::Directory) => pending.push(name),
                Some(Kind::File | Kind::Link) => {
                    gone(&to)?;
                    copied(&from, &to)?;
                }
                Some(Kind::Gone) => gone(&to)?,
                Some(Kind::Special) | None => {}
            }
        }
    }
    Ok(())
}

/// Copies a file or a link, with its permissions and its time, by which git knows it.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = from.symlink_metadata()?;
    if metadata.is_symlink() {
        return link(&fs::read_link(from)?, to);
    }
    fs::copy(from, to)?;
    // A read-only file can't be opened for that. git reads it anew then.
    match (metadata.modified(), File::options().write(true).open(to)) {
        (Ok(modified), Ok(file)) => file.set_times(FileTimes::new().set_modified(modified)),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn link(aim: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(aim, to)
}

/// There are no layers elsewhere.
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn gone(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => copy::remove(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
