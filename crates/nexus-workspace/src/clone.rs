//! Private clones: a repository of an agent's own, which borrows the objects of the project's, and whose branch is fetched
//! back when the agent is gone.
//!
//! The agent may have written anything into it, its `.git` too. So git is never run *in* it: `upload-pack`, which git
//! documents to be safe on repositories that aren't trusted, hands over its commits, and its files are compared by the
//! project's own repository.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;

use crate::copy;
use crate::error::WorkspaceError;
use crate::git::Git;
use crate::worktree::{Fate, Repository, Worktree};

/// A task's clone.
#[derive(Clone, Debug)]
pub(crate) struct PrivateClone {
    /// The branch as it is in the project's repository, and where the clone is.
    pub(crate) branch: Worktree,
    /// Where objects are borrowed from: the project's, and where that borrows from itself.
    pub(crate) objects: Vec<PathBuf>,
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

impl Repository {
    /// The task's clone: the one that is there from an attempt before, or a new one. None when something else is there.
    pub(crate) async fn private_clone(self, root: &Path, task: TaskId) -> Result<Option<PrivateClone>, WorkspaceError> {
        let objects = borrowed(&self.common);
        let branch = Worktree { root: root.to_owned(), branch: format!("nexus/{task}"), repository: self };
        let clone = PrivateClone { branch, objects };
        // An empty one is what an agent has emptied: the branch has the rest.
        if fs::remove_dir(root).is_err() && root.symlink_metadata().is_ok() {
            return Ok(is_directory(&root.join(".git")).then_some(clone));
        }
        clone.make().await?;
        Ok(Some(clone))
    }
}

impl PrivateClone {
    fn root(&self) -> &Path {
        &self.branch.root
    }

    fn source(&self) -> Git {
        Git::at(&self.branch.repository.top)
    }

    /// Whole or not at all.
    async fn make(&self) -> Result<(), WorkspaceError> {
        let partial = self.root().with_extension("partial");
        // From a making that was cut off: nobody has worked in it yet.
        copy::remove(&partial).map_err(WorkspaceError::io("remove", &partial))?;
        fs::create_dir_all(&partial).map_err(WorkspaceError::io("create", &partial))?;
        let made = self.fill(&partial).await;
        let made =
            made.and_then(|()| fs::rename(&partial, self.root()).map_err(WorkspaceError::io("create", self.root())));
        if made.is_err() {
            let _ = copy::remove(&partial);
        }
        made
    }

    async fn fill(&self, partial: &Path) -> Result<(), WorkspaceError> {
        let branch = &self.branch.branch;
        let here = Git::at(partial);
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
        }
        for (key, otherwise) in [("user.name", "Nexus agent"), ("user.email", "agent@nexus.invalid")] {
            let own = self.source().run("read the user's name", ["config", "--get", key]).await?;
            let own = String::from_utf8_lossy(&own.stdout).trim().to_owned();
            let value = if own.is_empty() { otherwise } else { &own };
            here.text("set the name of its commits", ["config", key, value]).await?;
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

    /// Fetches the branch back, and removes the clone if nothing would be lost with it. The caller serialises this per
    /// repository.
    pub(crate) async fn finish(&self) -> Result<Fate, WorkspaceError> {
        let unknown = Fate { kept: true, branch_kept: false, changed_files: None };
        if self.root().symlink_metadata().is_err() {
            return Ok(Fate { kept: false, branch_kept: self.branch.tip().await?.is_some(), ..unknown });
        }
        if let Some(odd) = self.oddity() {
            tracing::warn!(path = %self.root().display(), "the clone is kept, and nothing fetched from it: {odd}");
            return Ok(unknown);
        }
        self.borrow_objects(self.root())?;
        let fetched = self.fetch_back().await?;
        let changed = self.changed_files().await?;
        if changed > 0 || !fetched || !self.has_all().await? {
            return Ok(Fate {
                kept: true,
                branch_kept: self.branch.finish_branch().await?,
                changed_files: Some(changed),
            });
        }
        let branch_kept = self.branch.finish_branch().await?;
        let root = self.root().to_owned();
        let removed = tokio::task::spawn_blocking(move || copy::remove(&root)).await;
        let kept = !matches!(removed, Ok(Ok(())));
        Ok(Fate { kept, branch_kept, changed_files: Some(changed) })
    }

    /// What would lead git elsewhere than into this clone.
    fn oddity(&self) -> Option<&'static str> {
        let git = self.root().join(".git");
        let is_plain = [".git", ".git/objects", ".git/refs"].iter().all(|part| is_directory(&self.root().join(part)));
        let info = git.join("objects/info");
        if !is_directory(self.root()) || !is_plain {
            Some("its .git is not a plain repository")
        } else if info.symlink_metadata().is_ok() && !is_directory(&info) {
            Some("its .git/objects/info is not a directory")
        } else if git.join("commondir").symlink_metadata().is_ok() {
            Some("its .git/commondir leads elsewhere")
        } else {
            None
        }
    }

    /// False: the project's repository has other commits on the branch, or what is offered is damaged.
    async fn fetch_back(&self) -> Result<bool, WorkspaceError> {
        let mut fetch: Vec<OsString> =
            FETCH.iter().filter(|arg| **arg != "--update-head-ok").map(OsString::from).collect();
        fetch.push(self.root().as_os_str().to_owned());
        let branch = &self.branch.branch;
        fetch.push(format!("refs/heads/{branch}:refs/heads/{branch}").into());
        let fetched = self.source().run("fetch the branch back", fetch).await?;
        if !fetched.success() {
            let said = String::from_utf8_lossy(&fetched.stderr);
            tracing::warn!(path = %self.root().display(), "the branch could not be fetched back: {}", said.trim());
        }
        Ok(fetched.success())
    }

    /// Compares the files with the branch, by an index of our own in the project's repository.
    async fn changed_files(&self) -> Result<u64, WorkspaceError> {
        let index = self.root().with_extension("index");
        let changed = self.compare(&index).await;
        let _ = fs::remove_file(&index);
        changed
    }

    async fn compare(&self, index: &Path) -> Result<u64, WorkspaceError> {
        let Some(tip) = self.branch.tip().await? else { return Ok(1) };
        let git = Git::between(&self.branch.repository.common, self.root(), index);
        git.text("read the branch", ["read-tree", &tip]).await?;
        git.run("look at the files", ["update-index", "-q", "--refresh"]).await?;
        let changed = ["diff-files", "--name-only", "-z", "--ignore-submodules=all"];
        let changed = git.text("compare the files", changed).await?;
        let new = git.text("look for new files", ["ls-files", "--others", "--exclude-standard", "-z"]).await?;
        let links = git.text("look for submodules", ["ls-files", "--stage", "-z"]).await?;
        let entries = |text: &str| text.split('\0').filter(|entry| !entry.is_empty()).count() as u64;
        // What lies in a submodule is not looked into, and so not thrown away.
        let filled = |entry: &&str| {
            let path = entry.split_once('\t').map_or("", |(_, path)| path);
            entry.starts_with("160000 ")
                && fs::read_dir(self.root().join(path)).is_ok_and(|mut dir| dir.next().is_some())
        };
        Ok(entries(&changed) + entries(&new) + links.split('\0').filter(filled).count() as u64)
    }

    /// Whether the project's repository has every commit that a ref of the clone names.
    async fn has_all(&self) -> Result<bool, WorkspaceError> {
        let args = FETCH[..4].iter().map(OsString::from);
        let args = args.chain(["ls-remote".into(), "--quiet".into(), self.root().as_os_str().to_owned()]);
        let refs = self.source().text("list the clone's branches", args).await?;
        let ids: std::collections::BTreeSet<&str> =
            refs.lines().filter_map(|line| line.split_whitespace().next()).collect();
        if ids.len() > MANY {
            return Ok(false);
        }
        for id in ids {
            if !self.source().run("look for a commit", ["cat-file", "-e", id]).await?.success() {
                return Ok(false);
            }
        }
        Ok(true)
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
