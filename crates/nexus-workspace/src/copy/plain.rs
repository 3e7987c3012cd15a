//! The same by paths, for systems without directories that can be opened.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use super::{Cut, Size};

pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

pub(crate) fn fingerprint(directory: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for path in sorted(&directory)? {
            let metadata = path.symlink_metadata()?;
            path.hash(&mut hasher);
            (metadata.len(), metadata.is_dir(), metadata.modified()?, metadata.created().ok()).hash(&mut hasher);
            if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(hasher.finish())
}

pub(super) fn measure(project: &Path, skip: &Path) -> Result<(), Cut> {
    each(project, skip, &mut |_, _| Ok(()))
}

pub(super) fn perform(project: &Path, target: &Path, skip: &Path) -> Result<(), Cut> {
    fs::create_dir_all(target).map_err(Cut::io("create", target))?;
    each(project, skip, &mut |name, metadata| {
        let (from, to) = (project.join(name), target.join(name));
        if metadata.is_dir() {
            fs::create_dir(&to)
        } else if metadata.is_symlink() {
            let aim = fs::read_link(&from)?;
            #[cfg(windows)]
            return if from.is_dir() {
                std::os::windows::fs::symlink_dir(aim, to)
            } else {
                std::os::windows::fs::symlink_file(aim, to)
            };
            #[cfg(not(windows))]
            return Err(io::Error::other(format!("a link to {} can't be made here", aim.display())));
        } else {
            fs::copy(&from, &to).map(drop)
        }
    })
}

type Visit<'a> = &'a mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>;

fn each(project: &Path, skip: &Path, visit: Visit<'_>) -> Result<(), Cut> {
    let (mut size, mut pending) = (Size::default(), vec![PathBuf::new()]);
    while let Some(directory) = pending.pop() {
        let from = project.join(&directory);
        for path in sorted(&from).map_err(Cut::io("read", &from))? {
            if path == skip {
                continue;
            }
            let metadata = path.symlink_metadata().map_err(Cut::io("read", &path))?;
            let name = directory.join(path.file_name().unwrap_or_default());
            size.add(if metadata.is_file() { metadata.len() } else { 0 })?;
            visit(&name, &metadata).map_err(Cut::io("copy", &path))?;
            if metadata.is_dir() {
                pending.push(name);
            }
        }
    }
    Ok(())
}
