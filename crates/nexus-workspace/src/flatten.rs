//! Layers made into one directory, for an attempt that can't have them mounted.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use crate::entry::{self, Kind, Over};

/// Copies what the layers show together, the uppermost first, into `target`, which is an empty directory.
pub(crate) fn flatten(layers: &[PathBuf], target: &Path) -> io::Result<()> {
    let root = layers.iter().enumerate().map(|(layer, _)| Part { layer, path: PathBuf::new() }).collect();
    let mut pending = vec![(root, target.to_owned())];
    while let Some((parts, to)) = pending.pop() {
        pending.extend(merge(layers, parts, &to)?);
    }
    Ok(())
}

/// A directory of one layer that is seen as a part of a directory.
struct Part {
    layer: usize,
    /// From the top of the layer.
    path: PathBuf,
}

/// Copies files into the directory `to`. Returns the directories within, with the parts that they are made of.
fn merge(layers: &[PathBuf], parts: Vec<Part>, to: &Path) -> io::Result<Vec<(Vec<Part>, PathBuf)>> {
    let mut within = Vec::new();
    let mut known = HashSet::new();
    for (at, part) in parts.iter().enumerate() {
        for entry in fs::read_dir(layers[part.layer].join(&part.path))? {
            let entry = entry?;
            let name = entry.file_name();
            // What is above hides it, or has been made one with it already.
            if !known.insert(name.clone()) {
                continue;
            }
            let target = to.join(&name);
            match entry::kind(&entry) {
                Some(Kind::Directory) => {
                    fs::create_dir(&target)?;
                    within.push((directory(layers, &parts[at..], &name), target));
                }
                Some(Kind::File | Kind::Link) => copied(&entry.path(), &target)?,
                Some(Kind::Gone | Kind::Special) | None => {}
            }
        }
    }
    Ok(within)
}

/// The parts of a directory that the first of `parents` has under this name.
fn directory(layers: &[PathBuf], parents: &[Part], name: &OsStr) -> Vec<Part> {
    let mut found = Vec::new();
    // Below a renamed directory the other layers have it elsewhere, so it is changed on the way.
    let mut below: Vec<(usize, PathBuf)> =
        parents.iter().rev().map(|parent| (parent.layer, parent.path.join(name))).collect();
    while let Some((layer, path)) = below.pop() {
        let place = layers[layer].join(&path);
        let Ok(metadata) = place.symlink_metadata() else { continue };
        // A file, or what says that it is gone.
        if !metadata.is_dir() {
            break;
        }
        match entry::over(&place) {
            Over::Merged => {}
            Over::Opaque => below.clear(),
            Over::Moved(from) => match from.strip_prefix("/") {
                Ok(from) => below = (layer + 1..layers.len()).rev().map(|layer| (layer, from.to_owned())).collect(),
                Err(_) => below.iter_mut().for_each(|(_, path)| path.set_file_name(&from)),
            },
        }
        found.push(Part { layer, path });
    }
    found
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
