//! Files that an agent's sparse checkout leaves out. They are not there, and yet nobody has deleted them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::git::{Git, entries};
use crate::paths::{bytes, from_bytes, lines};

/// Takes out of `gone` what the patterns in the git directory `own` leave out. The agent may have written them: then some of
/// its deletions aren't seen, and nothing else.
pub(crate) async fn pass_over(git: &Git, own: &Path, gone: &mut Vec<PathBuf>) -> Result<(), WorkspaceError> {
    let rules = own.join("info/sparse-checkout");
    if gone.is_empty() || !is_file(&rules) || !is_set(git, own, "core.sparseCheckout").await? {
        return Ok(());
    }
    let cone = if is_set(git, own, "core.sparseCheckoutCone").await? { "--cone" } else { "--no-cone" };
    let doing = "read the sparse patterns (which needs git 2.41 or newer)";
    let args = ["sparse-checkout", "check-rules", "-z", cone, "--rules-file"].map(OsString::from);
    let input = lines(gone.iter().map(|path| bytes(path)));
    let checked = git.feed(doing, args.into_iter().chain([rules.into()]), input).await?;
    if !checked.success() {
        return Err(git.refused(doing, &checked));
    }
    let wanted: BTreeSet<PathBuf> = entries(&checked.stdout).iter().map(|path| from_bytes(path)).collect();
    gone.retain(|path| wanted.contains(path));
    Ok(())
}

/// Read from the clone's files alone, whatever they include.
async fn is_set(git: &Git, own: &Path, key: &str) -> Result<bool, WorkspaceError> {
    let files: [PathBuf; 2] = ["config", "config.worktree"].map(|name| own.join(name));
    for file in files.into_iter().filter(|file| is_file(file)) {
        let args = ["config", "--no-includes", "--type=bool", "--get"].map(OsString::from);
        let args = args.into_iter().chain(["--file".into(), file.into(), key.into()]);
        if git.run("read the clone's settings", args).await?.stdout.starts_with(b"true") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
}
