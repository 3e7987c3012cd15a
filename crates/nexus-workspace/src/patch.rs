//! The changes of a task, as a patch: its branch, and what its workspace has beyond that.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::event::DiffStat;
use nexus_core::id::TaskId;

use crate::branch::{Branch, stat};
use crate::copy;
use crate::error::WorkspaceError;
use crate::files::Files;
use crate::git::Git;
use crate::hazard;
use crate::layers::Layers;
use crate::repository::Repository;
use crate::workspaces::Workspaces;

/// A patch is held as a whole.
const MAX_PATCH: usize = 256 << 20;

/// The differences from the commit that the task's branch started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The patch, or the sums by file, as git prints them.
    pub text: Vec<u8>,
    pub base: String,
    /// The newest commit of the branch, if it has one.
    pub head: Option<String>,
    pub diff: DiffStat,
    /// Files of the workspace in it that are not committed.
    pub uncommitted: u64,
    /// Why files of the workspace are not in it.
    pub left_out: Option<String>,
}

/// Objects and an index that are gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(root: &Path) -> Result<Self, WorkspaceError> {
        let path = root.with_extension(format!("diff-{}", std::process::id()));
        fs::create_dir_all(path.join("objects")).map_err(WorkspaceError::io("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = copy::remove(&self.0);
    }
}

impl Workspaces {
    /// The changes of the task so far. `base` and `head` are the ends of its branch, as its result says. None when its project
    /// is in no repository, or there is neither branch nor workspace. Changes nothing.
    pub async fn diff(
        &self,
        task: TaskId,
        project: &Path,
        base: Option<&str>,
        head: Option<&str>,
        summary: bool,
    ) -> Result<Option<Patch>, WorkspaceError> {
        if !project.is_dir() {
            return Err(WorkspaceError::NoProject(project.to_owned()));
        }
        let Some(repository) = Repository::find_for(project, task).await? else { return Ok(None) };
        let base = base.map(str::to_owned).or_else(|| self.bases.get(task));
        let mut branch = Branch::of(repository, task, String::new()).await?;
        let mut tip = branch.tip().await?;
        if let (None, Some(head)) = (&tip, head) {
            // Of a branch that has been removed since the commits may be there, on another one.
            tip = branch.repository.resolve(&format!("{head}^{{commit}}")).await?;
        }
        branch.base = match (base, &tip) {
            (Some(base), _) => base,
            (None, Some(tip)) => branch.repository.merge_base(&branch.repository.head, tip).await?.unwrap_or_default(),
            (None, None) => branch.repository.head.clone(),
        };
        let root = self.place_of(task);
        let own = branch.repository.own_of(&root);
        let is_there = own.is_some()
            || Layers::of(&self.root, task).is_layered()
            || root.join(".git").symlink_metadata().is_ok_and(|git| git.is_dir());
        if tip.is_none() && !is_there {
            return Ok(None);
        }
        let start = match &tip {
            Some(tip) => branch.start(tip).await?,
            None => branch.base.clone(),
        };
        let committed = tip.clone().unwrap_or_else(|| start.clone());
        let mut patch = Patch {
            text: Vec::new(),
            base: start.clone(),
            head: tip,
            diff: DiffStat::default(),
            uncommitted: 0,
            left_out: None,
        };
        if !is_there {
            patch.read(&branch.repository.git(), &committed, summary).await?;
            return Ok(Some(patch));
        }
        let repository = branch.repository.clone();
        let scratch = Scratch::new(&root)?;
        let files = match self.opened(task, branch, &root, own.as_deref(), &scratch.0.join("index"), &committed).await?
        {
            Ok(files) => files,
            Err(why) => {
                patch.left_out = Some(why);
                patch.read(&repository.git(), &committed, summary).await?;
                return Ok(Some(patch));
            }
        };
        let files = files.objects_in(&scratch.0.join("objects"), &repository);
        let changes = files.changes(&committed).await?;
        let objection = files.objection(&changes).await?;
        patch.left_out = changes.reason();
        let tree = match objection {
            Some(objection) => {
                patch.left_out = Some(objection.replace("not committed: ", ""));
                committed
            }
            None => {
                patch.uncommitted = (changes.there.len() + changes.gone.len() + changes.stored.len()) as u64;
                files.tree(&changes, &committed).await?
            }
        };
        patch.read(files.git(), &tree, summary).await?;
        Ok(Some(patch))
    }

    /// The files of a workspace, with an index beside it: the workspace's own may be in use. Says why git isn't run on them.
    async fn opened(
        &self,
        task: TaskId,
        branch: Branch,
        root: &Path,
        own: Option<&Path>,
        index: &Path,
        commit: &str,
    ) -> Result<Result<Files, String>, WorkspaceError> {
        let Some(own) = own else {
            let mut clone = self.clone_of(task, branch, root);
            clone.layers = clone.layers.compared_at(index);
            return clone.files(commit).await;
        };
        if let Some(hazard) = hazard::in_worktree(root, own).await {
            return Ok(Err(hazard));
        }
        let from = own.join("index");
        crate::index::copy(&from, index).map_err(WorkspaceError::io("copy", &from))?;
        Files::of_worktree(&branch.repository, root, own, Some(index)).await.map(Ok)
    }

    /// Where a task's workspace is, if it has one.
    pub(crate) fn place_of(&self, task: TaskId) -> PathBuf {
        self.root.canonicalize().unwrap_or_else(|_| self.root.clone()).join(task.to_string())
    }
}

/// Every option that the user's settings could decide otherwise, so that `git apply` takes what is printed. `diff-tree` reads
/// fewer settings than `diff` does, but more with each version.
pub(crate) const DIFF: [&str; 19] = [
    "-c",
    "diff.suppressBlankEmpty=false",
    "-c",
    "diff.renameLimit=1000",
    "diff-tree",
    "-r",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--submodule=short",
    "--ignore-submodules=none",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--no-relative",
    "--find-renames=50%",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "--ws-error-highlight=none",
    "-O/dev/null",
];
/// The options that make a patch of it. These would print one beside the sums, too.
const PATCH: [&str; 6] =
    ["--patch", "--unified=3", "--inter-hunk-context=0", "--no-function-context", "--full-index", "--binary"];

impl Patch {
    async fn read(&mut self, git: &Git, to: &str, summary: bool) -> Result<(), WorkspaceError> {
        let git = git.clone().limit(MAX_PATCH).brief();
        let form: &[&str] = if summary { &["--stat=100"] } else { &PATCH };
        let doing = "compare the commits";
        let printed = git.run(doing, DIFF.iter().chain(form).copied().chain([self.base.as_str(), to])).await?;
        if !printed.success() {
            return Err(git.refused(doing, &printed));
        }
        self.text = printed.stdout;
        self.diff = stat(&git.text(doing, DIFF.into_iter().chain(["--shortstat", &self.base, to])).await?);
        Ok(())
    }
}
