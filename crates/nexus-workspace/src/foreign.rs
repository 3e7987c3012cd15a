//! A git directory that an agent may have written, read without git: which commits it names, and which objects it holds.
//!
//! git follows links in it, and says lines of what these lead to in its complaints. So git never sees the directory: it is
//! given a repository of ours, with the objects in it and nothing else of the agent's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::is_commit;
use crate::plain;

/// A ref is one line.
const REF: u64 = 4096;
/// The packed refs of a million branches.
const PACKED: u64 = 128 << 20;
/// Files below `refs`, and objects that are not packed. More is nothing that an agent's commits need.
const MANY: usize = 500_000;

/// The statements of an agent's git directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foreign {
    directory: PathBuf,
    head: Head,
    /// Full names of refs and the commits that they name; `worktrees/<name>/HEAD` too.
    refs: BTreeMap<String, String>,
    /// The parts that were not read, and why.
    pub(crate) odd: Vec<String>,
}

/// Where its HEAD is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Head {
    Branch(String),
    Commit(String),
    #[default]
    Unknown,
}

/// The marks that git leaves in its directory while something is half done, whose files are no result.
const HALF_DONE: [&str; 5] = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"];

/// True if a merge, a rebase or the like is not finished there.
pub(crate) fn is_half_done(git_dir: &Path) -> bool {
    HALF_DONE.iter().any(|name| git_dir.join(name).symlink_metadata().is_ok())
}

impl Foreign {
    /// Reads `directory`, which is said to be a git directory.
    ///
    /// # Errors
    /// Why nothing of it can be used.
    pub(crate) fn read(directory: &Path) -> Result<Self, String> {
        if !plain::is_directory(directory) || !plain::is_directory(&directory.join("objects")) {
            return Err("its .git is not a plain repository".to_owned());
        }
        if directory.join("commondir").symlink_metadata().is_ok() {
            return Err("its .git/commondir leads elsewhere".to_owned());
        }
        if directory.join("reftable").symlink_metadata().is_ok() {
            return Err("its refs are kept as a reftable, which is not read: convert them to files".to_owned());
        }
        let mut foreign = Self { directory: directory.to_owned(), ..Self::default() };
        foreign.read_packed();
        foreign.read_loose();
        foreign.head = foreign.head_of("HEAD").unwrap_or_default();
        foreign.read_worktrees();
        Ok(foreign)
    }

    /// The commit that a ref names.
    pub(crate) fn get(&self, reference: &str) -> Option<&str> {
        self.refs.get(reference).map(String::as_str)
    }

    /// The commit that is checked out; none on a branch without commits.
    pub(crate) fn head(&self) -> Option<&str> {
        match &self.head {
            Head::Branch(name) => self.get(name),
            Head::Commit(id) => Some(id),
            Head::Unknown => None,
        }
    }

    /// All that names a commit: HEAD and the refs.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let detached = match &self.head {
            Head::Commit(id) => Some(("HEAD", id.as_str())),
            Head::Branch(_) | Head::Unknown => None,
        };
        // What `git filter-branch` keeps of a history that it has rewritten is nobody's result.
        let refs = self.refs.iter().filter(|(name, _)| !name.starts_with("refs/original/"));
        detached.into_iter().chain(refs.map(|(name, id)| (name.as_str(), id.as_str())))
    }

    pub(crate) fn is_half_done(&self) -> bool {
        is_half_done(&self.directory)
    }

    /// Puts the objects into the object directory `into`, which is on the same file system: each file under a second name,
    /// or as a copy. Links and odd names are left out.
    pub(crate) fn lend_objects(&self, into: &Path) -> io::Result<()> {
        let objects = self.directory.join("objects");
        let mut seen = 0;
        for directory in fs::read_dir(&objects)? {
            let directory = directory?;
            let name = directory.file_name();
            let name = name.to_string_lossy();
            let is_loose = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !(is_loose || name == "pack") || !directory.file_type()?.is_dir() {
                continue;
            }
            let target = into.join(name.as_ref());
            fs::create_dir_all(&target)?;
            for file in fs::read_dir(directory.path())? {
                let file = file?;
                seen += 1;
                if seen > MANY {
                    return Err(io::Error::other(format!("it has more than {MANY} files of objects")));
                }
                if file.file_type()?.is_file() && (is_loose || is_of_a_pack(&file.file_name().to_string_lossy())) {
                    lend(&file.path(), &target.join(file.file_name()))?;
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, name: impl AsRef<Path>, limit: u64) -> Option<String> {
        let name = name.as_ref();
        match plain::read(&self.directory, name, limit) {
            Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.odd.push(format!(".git/{} is not read: {error}", name.display()));
                None
            }
        }
    }

    fn read_packed(&mut self) {
        let Some(text) = self.text("packed-refs", PACKED) else { return };
        for line in text.lines() {
            if let Some((id, name)) = line.split_once(' ')
                && is_commit(id)
                && name.starts_with("refs/")
            {
                self.refs.insert(name.to_owned(), id.to_owned());
            }
        }
    }

    fn read_loose(&mut self) {
        let mut symbolic = Vec::new();
        let mut pending = vec![PathBuf::from("refs")];
        let mut seen = 0;
        while let Some(directory) = pending.pop() {
            if self.directory.join(&directory).is_symlink() {
                self.odd.push(format!(".git/{} is a link: what it leads to is not read", directory.display()));
                continue;
            }
            let entries = match fs::read_dir(self.directory.join(&directory)) {
                Ok(entries) => entries,
                Err(error) => {
                    self.odd.push(format!(".git/{} is not read: {error}", directory.display()));
                    continue;
                }
            };
            for entry in entries.flatten() {
                let name = directory.join(entry.file_name());
                seen += 1;
                if seen > MANY {
                    self.odd.push(format!("it has more than {MANY} refs, which are not all read"));
                    return;
                }
                // HEAD and packed refs are read so too.
                let text = name.to_string_lossy().into_owned();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => pending.push(name),
                    Ok(_) if is_temporary(&text) => {}
                    Ok(_) => match self.text(&name, REF).as_deref().map(str::trim) {
                        Some(id) if is_commit(id) => drop(self.refs.insert(text, id.to_owned())),
                        Some(line) => {
                            let aim = line.strip_prefix("ref:").map(|aim| aim.trim().to_owned());
                            symbolic.extend(aim.map(|aim| (text, aim)));
                        }
                        None => {}
                    },
                    Err(_) => {}
                }
            }
        }
        for (name, aim) in symbolic {
            if let Some(id) = self.refs.get(&aim).cloned() {
                self.refs.insert(name, id);
            }
        }
    }

    fn head_of(&mut self, name: &str) -> Option<Head> {
        let text = self.text(name, REF)?;
        let text = text.trim();
        match text.strip_prefix("ref:") {
            Some(branch) => Some(Head::Branch(branch.trim().to_owned())),
            None => is_commit(text).then(|| Head::Commit(text.to_owned())),
        }
    }

    /// An agent may have made worktrees of its own; those on a branch are known by that.
    fn read_worktrees(&mut self) {
        let worktrees = self.directory.join("worktrees");
        if !plain::is_directory(&worktrees) {
            return;
        }
        for entry in fs::read_dir(worktrees).into_iter().flatten().flatten() {
            let name = format!("worktrees/{}/HEAD", entry.file_name().to_string_lossy());
            if let Some(Head::Commit(id)) = self.head_of(&name) {
                self.refs.insert(name, id);
            }
        }
    }
}

/// git's own temporary files beside refs.
fn is_temporary(name: &str) -> bool {
    name.ends_with(".lock")
}

fn is_of_a_pack(name: &str) -> bool {
    name.starts_with("pack-") && [".pack", ".idx"].iter().any(|end| name.ends_with(end))
}

fn lend(file: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(file, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::copy(file, to).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn repository(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let git = directory.path().join(".git");
        fs::create_dir_all(git.join("objects")).unwrap();
        for (name, text) in files {
            fs::create_dir_all(git.join(name).parent().unwrap()).unwrap();
            fs::write(git.join(name), text).unwrap();
        }
        (directory, git)
    }

    #[test]
    fn loose_refs_hide_packed_ones() {
        let packed = format!("# pack-refs with: peeled\n{ONE} refs/heads/a\n{ONE} refs/tags/v1\n^{TWO}\n");
        let (_directory, git) = repository(&[
            ("HEAD", "ref: refs/heads/a\n"),
            ("packed-refs", &packed),
            ("refs/heads/a", TWO),
            ("refs/heads/b.lock", "x"),
            ("refs/remotes/origin/HEAD", "ref: refs/heads/a\n"),
            ("worktrees/one/HEAD", ONE),
            ("worktrees/two/HEAD", "ref: refs/heads/a"),
        ]);
        let foreign = Foreign::read(&git).unwrap();
        assert_eq!(foreign.head(), Some(TWO));
        let all: Vec<_> = foreign.all().collect();
        let wanted = [
            ("refs/heads/a", TWO),
            ("refs/remotes/origin/HEAD", TWO),
            ("refs/tags/v1", ONE),
            ("worktrees/one/HEAD", ONE),
        ];
        assert_eq!(all, wanted);
        assert!(foreign.odd.is_empty(), "{:?}", foreign.odd);
    }

    #[test]
    fn a_head_may_be_a_commit_or_nothing() {
        let (_directory, git) = repository(&[("HEAD", ONE)]);
        assert_eq!(Foreign::read(&git).unwrap().head(), Some(ONE));
        let (_directory, git) = repository(&[("HEAD", "ref: refs/heads/unborn")]);
        assert_eq!(Foreign::read(&git).unwrap().head(), None);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_behind_a_link_is_read() {
        use std::os::unix::fs::symlink;
        let (directory, git) = repository(&[("refs/heads/a", ONE)]);
        fs::write(directory.path().join("secret"), "secret").unwrap();
        symlink("../secret", git.join("packed-refs")).unwrap();
        symlink("../../..", git.join("refs/heads/dir")).unwrap();
        symlink("../secret", git.join("HEAD")).unwrap();
        let foreign = Foreign::read(&git).unwrap();
        assert_eq!(foreign.all().collect::<Vec<_>>(), [("refs/heads/a", ONE)]);
        assert_eq!(foreign.odd.len(), 3, "{:?}", foreign.odd);
        assert!(!foreign.odd.iter().any(|said| said.contains("secret")), "{:?}", foreign.odd);
        fs::remove_dir(git.join("objects")).unwrap();
        symlink("..", git.join("objects")).unwrap();
        assert!(Foreign::read(&git).is_err());
    }
}
