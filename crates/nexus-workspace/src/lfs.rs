//! Objects of git-lfs that an agent's git has stored in its own repository: a commit that names one is whole only with it.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use nexus_process::{open_file, read_file};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::error::WorkspaceError;
use crate::filters::has_lfs;
use crate::git::Git;
use crate::paths::lines;
use crate::plain;
use crate::settings::Settings;

/// A pointer is smaller.
const POINTER: u64 = 1024;

/// True if files of a commit may be pointers of git-lfs, which the user has set up.
async fn is_used(git: &Git, settings: &Settings, commit: &str) -> bool {
    let args = ["grep", "--quiet", "--fixed-strings", "filter=lfs", commit, "--", ":(top,glob)**/.gitattributes"];
    has_lfs(settings) && git.run("look for files of git-lfs", args).await.is_ok_and(|found| found.success())
}

/// Puts what the repository has into the files at `root`, which were checked out from `commit` as pointers. No server is
/// asked; what is nowhere stays a pointer.
pub(crate) async fn fill(
    git: &Git,
    settings: &Settings,
    common: &Path,
    root: &Path,
    commit: &str,
) -> Result<(), WorkspaceError> {
    if !is_used(git, settings, commit).await {
        return Ok(());
    }
    let listed = git.text("list files of git-lfs", ["lfs", "ls-files", "--long", commit]).await;
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(%error, "files of git-lfs stay pointers");
            return Ok(());
        }
    };
    let (common, root) = (common.to_owned(), root.to_owned());
    let filled = spawn_blocking(move || {
        let mut filled = Vec::new();
        for line in listed.lines() {
            // An id, a letter between spaces, and the path.
            let (Some(id), Some(path)) = (line.get(..64), line.get(67..)) else { continue };
            if id.bytes().all(|byte| byte.is_ascii_hexdigit()) && fill_one(&common, id, &root.join(path))? {
                filled.push(path.to_owned());
            }
        }
        Ok(filled)
    });
    let filled = filled.await.map_err(|_| WorkspaceError::ShutDown)?;
    let filled: Vec<String> = filled.map_err(WorkspaceError::io("fill in files at", git.place()))?;
    if filled.is_empty() {
        return Ok(());
    }
    // The index knows the pointers' sizes.
    git.fed("look at the files", ["update-index", "-z", "--stdin"], lines(filled)).await.map(drop)
}

/// The same for a checkout that is at `commit` by its own HEAD.
pub(crate) async fn fill_checkout(git: &Git, settings: &Settings, commit: &str) {
    if is_used(git, settings, commit).await
        && let Err(error) = git.text("fill in files of git-lfs", ["lfs", "checkout"]).await
    {
        tracing::warn!(%error, "files of git-lfs stay pointers");
    }
}

/// True if it was filled.
fn fill_one(common: &Path, id: &str, file: &Path) -> io::Result<bool> {
    let object = common.join("lfs/objects").join(&id[..2]).join(&id[2..4]).join(id);
    let is_pointer = file.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() <= POINTER)
        && read_file(file, POINTER)?.windows(id.len()).any(|part| part == id.as_bytes());
    if !is_pointer || !object.is_file() {
        return Ok(false);
    }
    let permissions = fs::metadata(file)?.permissions();
    fs::copy(object, file)?;
    fs::set_permissions(file, permissions)?;
    Ok(true)
}

/// Copies those that the project doesn't have. Each is checked: its name is the hash of its content.
pub(crate) async fn bring(git_dir: &Path, common: &Path) -> Result<(), WorkspaceError> {
    let (from, to) = (git_dir.to_owned(), common.to_owned());
    let brought = spawn_blocking(move || copy_objects(&from, &to)).await.map_err(|_| WorkspaceError::ShutDown)?;
    brought.map_err(WorkspaceError::io("copy objects of git-lfs from", git_dir))
}

fn copy_objects(git_dir: &Path, common: &Path) -> io::Result<()> {
    let from = git_dir.join("lfs/objects");
    if !plain::is_directory(&git_dir.join("lfs")) || !plain::is_directory(&from) {
        return Ok(());
    }
    for first in directories(&from)? {
        for second in directories(&first)? {
            for object in fs::read_dir(&second)? {
                let object = object?;
                let name = object.file_name().to_string_lossy().into_owned();
                let Some((one, two)) = name.get(..2).zip(name.get(2..4)) else { continue };
                let target = common.join("lfs/objects").join(one).join(two);
                if object.file_type()?.is_file() && !target.join(&name).exists() && hash(&object.path())? == name {
                    fs::create_dir_all(&target)?;
                    let partial = target.join(format!("{name}.nexus"));
                    let copied = fs::copy(object.path(), &partial);
                    let stored = copied.and_then(|_| fs::rename(&partial, target.join(&name)));
                    stored.inspect_err(|_| drop(fs::remove_file(&partial)))?;
                }
            }
        }
    }
    Ok(())
}

fn directories(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| plain::is_directory(path)).collect())
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = open_file(path)?;
    let mut bytes = vec![0; 1 << 16];
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            read => hash.update(&bytes[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_pointers_are_filled() {
        let directory = tempfile::tempdir().unwrap();
        let (common, id) = (directory.path(), "a".repeat(64));
        let object = common.join("lfs/objects/aa/aa");
        fs::create_dir_all(&object).unwrap();
        fs::write(object.join(&id), "contents").unwrap();
        let file = common.join("file");
        let filled = |text: String, id: &str| {
            fs::write(&file, text).unwrap();
            fill_one(common, id, &file).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        assert_eq!(filled(format!("oid sha256:{id}\n"), &id), "contents");
        assert_eq!(filled("own".to_owned(), &id), "own");
        let other = "b".repeat(64);
        assert_eq!(filled(format!("oid sha256:{other}\n"), &other), format!("oid sha256:{other}\n"));
        fs::remove_file(&file).unwrap();
        fill_one(common, &id, &file).unwrap();
        std::os::unix::fs::symlink(common.join("elsewhere"), &file).unwrap();
        fill_one(common, &id, &file).unwrap();
        assert!(!common.join("elsewhere").exists());
    }
}
