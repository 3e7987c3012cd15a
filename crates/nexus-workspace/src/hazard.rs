//! Hazards that would make git stand still, or read without end, on an agent's files: pipes and devices under names that git itself
//! opens. Looked for before git is let at them.

use std::fs::{self, FileType};
use std::path::Path;

use tokio::task::spawn_blocking;

use crate::entry::{self, Kind};

/// The files that git opens in any directory of a checkout.
const OPENED: [&str; 3] = [".gitignore", ".gitattributes", ".gitmodules"];
/// Beyond this it is not looked further: git would take minutes too.
const MANY: usize = 2_000_000;

/// Why git is not to be run on a directory of files, or a directory of git's. None when it may be.
pub(crate) async fn in_files(root: &Path) -> Option<String> {
    find(root, false).await
}

/// The same of a directory of git's own, in which it may open anything.
pub(crate) async fn in_git(directory: &Path) -> Option<String> {
    find(directory, true).await
}

/// The same of a worktree: its files, and what the repository keeps for it.
pub(crate) async fn in_worktree(root: &Path, own: &Path) -> Option<String> {
    match in_files(root).await {
        None => in_git(own).await,
        found => found,
    }
}

async fn find(root: &Path, is_git: bool) -> Option<String> {
    let root = root.to_owned();
    let found = spawn_blocking(move || look(&root, is_git, MANY)).await;
    found.unwrap_or_else(|_| Some("it could not be looked through".to_owned()))
}

/// No link is followed but for its kind, and what can't be read git can't read either. Repositories within are not looked
/// into: git isn't let into them.
fn look(root: &Path, is_git: bool, most: usize) -> Option<String> {
    let mut pending = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(directory) = pending.pop() {
        let is_root = directory == root;
        if !is_git && !is_root && directory.join(".git").symlink_metadata().is_ok() {
            continue;
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            seen += 1;
            if seen > most {
                return Some(format!("it has more than {most} files, which are not looked through"));
            }
            let (name, path) = (entry.file_name(), entry.path());
            let Ok(kind) = entry.file_type() else { continue };
            // git can't open it.
            if entry::kind(&entry) == Some(Kind::Gone) {
                continue;
            }
            let is_opened = is_git || OPENED.iter().any(|opened| name == *opened);
            let shown = || path.strip_prefix(root).map_or(path.clone(), Path::to_owned);
            if is_opened && let Some(what) = oddity(&path, kind) {
                return Some(format!("{} is {what}: git is not run on it", shown().display()));
            }
            if is_git && kind.is_symlink() && path.is_dir() {
                return Some(format!("{} leads to a directory elsewhere: git is not run on it", shown().display()));
            }
            if kind.is_dir() && !(is_root && name == ".git") {
                pending.push(path);
            }
        }
    }
    None
}

/// A socket can't be opened, and so is in nobody's way: git's own fsmonitor has one.
fn oddity(path: &Path, kind: FileType) -> Option<&'static str> {
    if !kind.is_symlink() {
        return special(kind);
    }
    // One that leads nowhere is not opened.
    let aim = fs::metadata(path).ok()?.file_type();
    special(aim).map(|_| "a link to a pipe or a device")
}

#[cfg(unix)]
fn special(kind: FileType) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        None
    }
}

#[cfg(not(unix))]
const fn special(_: FileType) -> Option<&'static str> {
    None
}
