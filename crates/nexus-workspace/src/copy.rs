//! Copies of a project: whole or not at all, and recognised when nothing in them has changed.

use std::fs::{self, File, FileTimes, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::WorkspaceError;

/// Beyond this a copy takes minutes and is hardly what was meant.
pub(crate) const MAX_FILES: usize = 100_000;
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// What is to be copied: paths from the project's root, each directory before what is in it.
struct Plan {
    entries: Vec<(PathBuf, Metadata)>,
}

/// Copies `project` to `target` without the directory `skip`, and returns the copy's fingerprint. Symbolic links, permissions
/// and times are kept; sockets, pipes and devices are left out. Blocks.
pub(crate) fn copy(project: &Path, target: &Path, skip: &Path) -> Result<u64, WorkspaceError> {
    let plan = plan(project, skip)?;
    let partial = target.with_extension("partial");
    // From a copy that was cut off: nobody has worked in it yet.
    remove(&partial).map_err(WorkspaceError::io("remove", &partial))?;
    let copied = plan.perform(project, &partial).and_then(|()| {
        fs::rename(&partial, target).map_err(WorkspaceError::io("create", target))?;
        fingerprint(target).map_err(WorkspaceError::io("read", target))
    });
    if copied.is_err() {
        let _ = remove(&partial);
    }
    copied
}

/// Removes a directory with all that is in it, without following symbolic links; one that is not there is no error.
pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        #[cfg(unix)]
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(directory)?;
            fs::remove_dir_all(directory)
        }
        result => result,
    }
}

/// Makes every directory below one that its owner can change: an agent may have closed them.
#[cfg(unix)]
fn open_up(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        if !directory.symlink_metadata()?.is_dir() {
            continue;
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            pending.push(entry?.path());
        }
    }
    Ok(())
}

/// Sums up names, kinds, sizes and times of all that is in a directory: equal as long as nothing was changed.
pub(crate) fn fingerprint(directory: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for path in sorted(&directory)? {
            let metadata = path.symlink_metadata()?;
            path.hash(&mut hasher);
            (metadata.len(), metadata.is_dir(), metadata.modified()?).hash(&mut hasher);
            changed_at(&metadata).hash(&mut hasher);
            if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(hasher.finish())
}

/// The bytes of all files in a directory.
pub(crate) fn size(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

fn plan(project: &Path, skip: &Path) -> Result<Plan, WorkspaceError> {
    let mut plan = Plan { entries: Vec::new() };
    let mut bytes = 0;
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let from = project.join(&directory);
        for path in sorted(&from).map_err(WorkspaceError::io("read", &from))? {
            if path == skip {
                continue;
            }
            let metadata = path.symlink_metadata().map_err(WorkspaceError::io("read", &path))?;
            let name = directory.join(path.file_name().unwrap_or_default());
            if metadata.is_dir() {
                pending.push(name.clone());
            } else if metadata.is_file() {
                bytes += metadata.len();
            } else if !metadata.is_symlink() {
                continue;
            }
            plan.entries.push((name, metadata));
            if plan.entries.len() > MAX_FILES || bytes > MAX_BYTES {
                let mib = MAX_BYTES >> 20;
                return Err(WorkspaceError::TooBig { project: project.to_owned(), files: MAX_FILES, mib });
            }
        }
    }
    Ok(plan)
}

impl Plan {
    fn perform(&self, project: &Path, target: &Path) -> Result<(), WorkspaceError> {
        fs::create_dir_all(target).map_err(WorkspaceError::io("create", target))?;
        for (name, metadata) in &self.entries {
            let (from, to) = (project.join(name), target.join(name));
            if metadata.is_dir() {
                fs::create_dir(&to).map_err(WorkspaceError::io("create", &to))?;
            } else if metadata.is_symlink() {
                link(&from, &to).map_err(WorkspaceError::io("copy the link", &from))?;
            } else {
                copy_file(&from, &to, metadata).map_err(WorkspaceError::io("copy", &from))?;
            }
        }
        // Directories at last, the inner ones first: nothing can be put into a read-only one.
        for (name, metadata) in self.entries.iter().rev().filter(|(_, metadata)| metadata.is_dir()) {
            let to = target.join(name);
            fs::set_permissions(&to, metadata.permissions())
                .map_err(WorkspaceError::io("set the permissions of", &to))?;
        }
        Ok(())
    }
}

/// Copies a file or a link, with its permissions and its time.
pub(crate) fn one(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = from.symlink_metadata()?;
    if metadata.is_symlink() { link(from, to) } else { copy_file(from, to, &metadata) }
}

fn copy_file(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    match fs::copy(from, to) {
        // A temporary file of somebody at work in the project.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    // Old times let build tools see what is up to date. A read-only file can't be opened for that; it does without.
    if let (Ok(modified), Ok(file)) = (metadata.modified(), File::options().write(true).open(to)) {
        file.set_times(FileTimes::new().set_modified(modified))?;
    }
    Ok(())
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(from)?, to)
}

#[cfg(windows)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let aim = fs::read_link(from)?;
    if from.is_dir() { std::os::windows::fs::symlink_dir(aim, to) } else { std::os::windows::fs::symlink_file(aim, to) }
}

/// When contents, name or permissions were changed last, which nobody can set back.
#[cfg(unix)]
fn changed_at(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let nanos = u32::try_from(metadata.ctime_nsec()).ok()?;
    let since = std::time::Duration::new(u64::try_from(metadata.ctime()).ok()?, nanos);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

#[cfg(not(unix))]
fn changed_at(metadata: &Metadata) -> Option<SystemTime> {
    metadata.created().ok()
}
