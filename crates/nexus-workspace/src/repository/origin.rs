//! The check that a repository belongs to the checkout that leads to it. Anybody who can write a directory can put a `.git`
//! file or a link there that names somebody else's repository.

use std::path::{Path, PathBuf};

use crate::alternates::are_objects;
use crate::git::{Git, path_of};
use crate::plain;

use super::place::Place;

/// Files of an index that are compared with the checkout.
const COMPARED: usize = 200;
/// An index of a million files, printed.
const MAX_INDEX: usize = 512 << 20;

/// Why what was found isn't taken to be the project's repository.
pub(super) async fn objection(place: &Place, project: &Path) -> Option<String> {
    let Ok(project) = project.canonicalize() else { return Some("its path can't be read".to_owned()) };
    let Ok(top) = place.top.canonicalize() else { return Some("its repository's checkout can't be read".to_owned()) };
    if !project.starts_with(&top) {
        return Some(format!(
            "its repository says that its files are in {} (core.worktree), which doesn't hold the project",
            top.display()
        ));
    }
    let leading = top.join(".git");
    let Ok(kind) = leading.symlink_metadata() else {
        return Some(format!("its repository {} says that its files are in {}", place.own.display(), top.display()));
    };
    let (own, common) = (real(&place.own), real(&place.common));
    if !are_objects(&common.join("objects")) {
        return Some(format!("{} is no object store", common.join("objects").display()));
    }
    if kind.is_dir() {
        let is_plain = own == real(&leading) && common == own;
        return (!is_plain).then(|| format!("{} leads to the repository {}", leading.display(), common.display()));
    }
    // What stands in a directory that only leads on to another one says nothing of that.
    if points_back(&own, &common, &leading) || own == common && checkout_is_its_own(place).await {
        return None;
    }
    Some(format!(
        "{} leads to the repository {}, which knows nothing of this checkout. If they do belong together, run `git status` \
         there once, and try again",
        leading.display(),
        own.display()
    ))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// True if the repository names the checkout: one of its worktrees, or the submodule of another one.
fn points_back(own: &Path, common: &Path, leading: &Path) -> bool {
    if own != common && own.parent() == Some(&common.join("worktrees")) {
        let named = plain::content(&own.join("gitdir"));
        let named = own.join(path_of(named.strip_suffix(b"\n").unwrap_or(&named)));
        return real(&named) == real(leading);
    }
    false
}

/// True if the repository's index knows files of this checkout by their inodes, which can't be forged.
async fn checkout_is_its_own(place: &Place) -> bool {
    let git = Git::between(&place.own, &place.top).limit(MAX_INDEX);
    // A submodule's repository names its checkout. git has followed that, or has found none.
    let named = git.path("read where its files are", ["config", "--local", "--get", "core.worktree"]).await;
    if named.is_ok_and(|named| real(&place.own.join(named)) == real(&place.top)) {
        return true;
    }
    let Ok(listed) = git.run("read the index", ["ls-files", "-z", "--debug"]).await else { return false };
    let entries = listed.stdout.split(|byte| *byte == 0);
    let (mut names, mut known) = (Vec::new(), Vec::new());
    for part in entries.take(COMPARED) {
        // Behind each name stand five lines of what is known of it, then the next name.
        let lines: Vec<&[u8]> = part.splitn(6, |byte| *byte == b'\n').collect();
        match lines.as_slice() {
            [name] => names.push(path_of(name)),
            [_, _, numbers, ..] if known.len() < names.len() => {
                known.push(inode(numbers));
                names.extend(lines.get(5).map(|name| path_of(name)));
            }
            _ => {}
        }
    }
    names.iter().zip(known).any(|(name, known)| known.is_some() && known == inode_of(&place.top.join(name)))
}

/// The number behind `ino:`.
fn inode(line: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(line);
    text.split_once("ino: ").and_then(|(_, ino)| ino.trim().parse().ok()).filter(|ino| *ino != 0)
}

/// As an index has it, which keeps 32 bits.
#[cfg(unix)]
fn inode_of(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.symlink_metadata().ok().filter(|metadata| metadata.is_file())?;
    Some(metadata.ino() & u64::from(u32::MAX))
}

#[cfg(not(unix))]
fn inode_of(_: &Path) -> Option<u64> {
    None
}
