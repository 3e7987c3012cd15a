//! Private clones: a repository of an agent's own, which borrows the objects of the project's, and whose branch is fetched
//! back when the agent is gone.
//!
//! The agent may have written anything into it, its `.git` too. So git is never run *in* it: `upload-pack`, which git
//! documents to be safe on repositories that aren't trusted, hands over its commits, and its files are compared by the
//! project's own repository.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::branch::Branch;
use crate::copy;
use crate::error::WorkspaceError;
use crate::files::{Changes, Files, without_filters};
use crate::finish::{Fate, Finish, commit_rest, is_half_done};
use crate::git::Git;
use crate::hazard;
use crate::lock::Locks;

/// A task's clone.
#[derive(Clone, Debug)]
pub(crate) struct PrivateClone {
    /// The branch as it is in the project's repository.
    pub(crate) branch: Branch,
    /// Where the clone is.
    pub(crate) root: PathBuf,
    /// Where objects are borrowed from: the project's, and where that borrows from itself.
    pub(crate) objects: Vec<PathBuf>,
}

/// What is where a task's clone would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Nothing,
    Clone,
    Other,
}

/// What is fetched from one repository into another: only that, by no other way than files, with nothing run on the way.
const FETCH: [&str; 17] = [
    "-c",
    "protocol.allow=never",
    "-c",
    "protocol.file.allow=always",
    "-c",
    "fetch.fsckObjects=true",
    "-c",
    "fetch.writeCommitGraph=false",
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--refmap=",
    "--update-head-ok",
    "--update-shallow",
];

/// Refs of a clone beyond which it is kept unseen.
const MANY: usize = 100;

impl PrivateClone {
    /// What is there from an attempt before. An empty directory, which an agent has emptied, is removed: the branch has the
    /// rest.
    pub(crate) fn look(&self) -> Look {
        if fs::remove_dir(&self.root).is_ok() || self.root.symlink_metadata().is_err() {
            Look::Nothing
        } else if is_directory(&self.root.join(".git")) {
            Look::Clone
        } else {
            Look::Other
        }
    }

    /// The one that is there.
    pub(crate) fn at(branch: Branch, root: &Path) -> Self {
        let objects = borrowed(&branch.repository.common);
        Self { branch, root: root.to_owned(), objects }
    }

    fn source(&self) -> Git {
        self.branch.repository.git().brief()
    }

    /// Makes it, whole or not at all.
    pub(crate) async fn make(&self) -> Result<(), WorkspaceError> {
        let partial = self.root.with_extension("partial");
        // From a making that was cut off: nobody has worked in it yet.
        copy::remove(&partial).map_err(WorkspaceError::io("remove", &partial))?;
        fs::create_dir_all(&partial).map_err(WorkspaceError::io("create", &partial))?;
        let made = self.fill(&partial).await;
        let made =
            made.and_then(|()| fs::rename(&partial, &self.root).map_err(WorkspaceError::io("create", &self.root)));
        if made.is_err() {
            let _ = copy::remove(&partial);
        }
        made
    }

    async fn fill(&self, partial: &Path) -> Result<(), WorkspaceError> {
        let branch = &self.branch.name;
        let mut here = Git::at(partial);
        let initial = format!("--initial-branch={branch}");
        here.text("make a clone", ["init", "--quiet", "--template=", &initial]).await?;
        self.borrow_objects(partial)?;
        let mut fetch: Vec<OsString> = FETCH.iter().map(OsString::from).collect();
        fetch.push(self.branch.repository.top.clone().into_os_string());
        let own = format!("+HEAD:refs/heads/{branch}");
        // Other tasks' branches are none of its business.
        fetch.extend([own.as_str(), "+refs/heads/*:refs/remotes/origin/*", "^refs/heads/nexus/*"].map(OsString::from));
        here.text("fetch into the clone", fetch).await?;
        // It goes on where an attempt before has ended, if there was one.
        if let Some(tip) = self.branch.tip().await? {
            here.text("go on with the branch", ["update-ref", &format!("refs/heads/{branch}"), &tip]).await?;
            // These are files that an agent has had in hand.
            here = here.settings(&without_filters(&self.branch.repository).await?);
        }
        let [name, email] = self.branch.repository.identity().await?;
        for (key, value) in [("user.name", name), ("user.email", email)] {
            here.text("set the name of its commits", ["config", key, &value]).await?;
        }
        here.text("check out the clone", ["reset", "--quiet", "--hard"]).await.map(drop)
    }

    fn borrow_objects(&self, root: &Path) -> Result<(), WorkspaceError> {
        let file = root.join(".git/objects/info/alternates");
        let mut text =
            self.objects.first().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default();
        text.push(b'\n');
        let write = || {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::create_dir_all(root.join(".git/objects/info"))?;
            fs::write(&file, text)
        };
        write().map_err(WorkspaceError::io("write", &file))
    }

    /// Fetches the branch back, commits what is to be committed, and removes the clone if nothing would be lost with it.
    /// Nobody is kept waiting while its files are compared.
    pub(crate) async fn finish(&self, finish: &Finish, locks: &Locks) -> Result<Fate, WorkspaceError> {
        if self.root.symlink_metadata().is_err() {
            return Ok(Fate { branch_kept: self.branch.tip().await?.is_some(), ..Fate::default() });
        }
        if let Some(odd) = self.objection().await {
            tracing::warn!(path = %self.root.display(), "the clone is kept, and nothing fetched from it: {odd}");
            return Ok(Fate { branch_kept: false, ..Fate::unknown(odd) });
        }
        self.borrow_objects(&self.root)?;
        let common = &self.branch.repository.common;
        let lock = locks.lock(common).await;
        let fetched = self.fetch_back(&self.branch.reference()).await?;
        let mut reason = None;
        if let Err(said) = &fetched {
            tracing::warn!(path = %self.root.display(), "the branch could not be fetched back: {said}");
            reason = Some(format!("its branch could not be fetched back: {said}"));
        } else if matches!(finish, Finish::Completed { .. }) {
            // What the agent has committed on a branch of its own belongs on the task's too, if it goes on from there.
            let _elsewhere = self.fetch_back("HEAD").await?;
        }
        drop(lock);
        let changes = self.changes(finish, &mut reason).await?;
        let lost = fetched.is_err() || self.lost().await?.is_some();
        if changes.repositories > 0 {
            reason.get_or_insert_with(|| "there is a repository within it, which is not looked into".to_owned());
        } else if lost {
            reason.get_or_insert_with(|| "it has commits that are on no branch of the project's".to_owned());
        }
        reason = reason.or_else(|| changes.ignored());
        let kept = lost || changes.is_any();
        let _lock = locks.lock(common).await;
        let branch_kept = self.branch.settle().await?;
        let kept = kept || !self.remove().await;
        Ok(Fate { kept, branch_kept, changed_files: Some(changes.count()), reason: reason.filter(|_| kept) })
    }

    /// Whether nothing is left of it.
    pub(crate) async fn remove(&self) -> bool {
        let root = self.root.clone();
        let removed = tokio::task::spawn_blocking(move || copy::remove(&root)).await;
        matches!(removed, Ok(Ok(())))
    }

    /// What is not committed, once that is committed which is to be.
    pub(crate) async fn changes(
        &self,
        finish: &Finish,
        reason: &mut Option<String>,
    ) -> Result<Changes, WorkspaceError> {
        let tip = self.branch.tip().await?.unwrap_or_else(|| self.branch.base.clone());
        let index = self.root.with_extension("index");
        let files = Files::untrusted(&self.branch.repository, &self.root, &index, &tip).await;
        let compared = async {
            let files = files?;
            let changes = files.changes(&tip).await?;
            let Finish::Completed { commit: Some(message) } = finish else { return Ok(changes) };
            if changes.paths.is_empty() {
                return Ok(changes);
            }
            if is_half_done(&self.root.join(".git")) {
                *reason = Some("not committed: a merge or a rebase is not finished".to_owned());
                return Ok(changes);
            }
            let head = self.refs().await?.into_iter().find(|(_, name)| name == "HEAD").map(|(id, _)| id);
            let refused = commit_rest(&self.branch, &files, &changes, head.as_deref(), message).await?;
            if refused.is_some() {
                *reason = refused;
                return Ok(changes);
            }
            files.changes(&self.branch.tip().await?.unwrap_or(tip)).await
        };
        let compared = compared.await;
        let _ = fs::remove_file(&index);
        compared
    }

    /// Why git is not to be run on it.
    pub(crate) async fn objection(&self) -> Option<String> {
        match self.oddity() {
            Some(odd) => Some(odd.to_owned()),
            None => hazard::in_files(&self.root).await,
        }
    }

    /// What would lead git elsewhere than into this clone.
    fn oddity(&self) -> Option<&'static str> {
        let git = self.root.join(".git");
        let is_plain = [".git", ".git/objects", ".git/refs"].iter().all(|part| is_directory(&self.root.join(part)));
        let info = git.join("objects/info");
        if !is_directory(&self.root) || !is_plain {
            Some("its .git is not a plain repository")
        } else if info.symlink_metadata().is_ok() && !is_directory(&info) {
            Some("its .git/objects/info is not a directory")
        } else if git.join("commondir").symlink_metadata().is_ok() {
            Some("its .git/commondir leads elsewhere")
        } else {
            None
        }
    }

    /// Fetches a ref onto the branch. Refused, with what git says, when the project's repository has other commits on the
    /// branch, or what is offered is damaged.
    async fn fetch_back(&self, from: &str) -> Result<Result<(), String>, WorkspaceError> {
        let mut fetch: Vec<OsString> =
            FETCH.iter().filter(|arg| **arg != "--update-head-ok").map(OsString::from).collect();
        fetch.push(self.root.as_os_str().to_owned());
        fetch.push(format!("{from}:{}", self.branch.reference()).into());
        let fetched = self.source().run("fetch the branch back", fetch).await?;
        if fetched.success() {
            return Ok(Ok(()));
        }
        let said = String::from_utf8_lossy(&fetched.stderr);
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("hint:"));
        Ok(Err(lines.collect::<Vec<_>>().join("; ")))
    }

    /// The refs of the clone, as it hands them over: ids and names.
    async fn refs(&self) -> Result<Vec<(String, String)>, WorkspaceError> {
        let args = FETCH[..4].iter().map(OsString::from);
        let args = args.chain(["ls-remote".into(), "--quiet".into(), self.root.as_os_str().to_owned()]);
        let refs = self.source().text("list the clone's branches", args).await?;
        let parts = |line: &str| line.split_once('\t').map(|(id, name)| (id.to_owned(), name.to_owned()));
        Ok(refs.lines().filter_map(parts).collect())
    }

    /// A ref of the clone that names what no ref of the project's repository has.
    pub(crate) async fn lost(&self) -> Result<Option<String>, WorkspaceError> {
        let refs: BTreeMap<String, String> = self.refs().await?.into_iter().collect();
        if refs.len() > MANY {
            return Ok(Some(format!("{} refs", refs.len())));
        }
        for (id, name) in refs {
            if !self.source().run("look for a commit", ["cat-file", "-e", &id]).await?.success() {
                return Ok(Some(name));
            }
            // These are the project's own, as they were when it was made.
            if name.starts_with("refs/remotes/origin/") {
                continue;
            }
            // There it may be by a fetch that was refused, and on nothing that keeps it.
            let args = ["rev-list", "--count", "-n", "1", &id, "--not", "--all", &self.branch.base];
            let beyond = self.source().run("look for a commit", args).await?;
            if !beyond.success() || String::from_utf8_lossy(&beyond.stdout).trim() != "0" {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// The repository's objects, and those that it borrows itself.
fn borrowed(common: &Path) -> Vec<PathBuf> {
    let mut found = vec![common.join("objects")];
    let mut next = 0;
    while let Some(objects) = found.get(next).cloned() {
        next += 1;
        let text = fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let path = objects.join(line);
            if !found.contains(&path) && found.len() < 16 {
                found.push(path);
            }
        }
    }
    found
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}
