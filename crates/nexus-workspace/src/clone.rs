//! Private clones: a repository of an agent's own, which borrows the objects of the project's, and whose commits are brought
//! back when the agent is gone.
//!
//! The agent may have written anything into it, its `.git` too. So git is never run *in* it: its refs are read without git,
//! its commits are copied through a repository of ours, and its files are compared by the project's own repository.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;
use nexus_process::Overlay;

use crate::alternates;
use crate::base::Bases;
use crate::branch::Branch;
use crate::checkouts::Checkouts;
use crate::copy;
use crate::delivery::{Delivery, Sender};
use crate::error::WorkspaceError;
use crate::files::{Changes, Files};
use crate::filters::Filters;
use crate::finish::{Fate, Finish, commit_rest};
use crate::flatten::flatten;
use crate::foreign::Foreign;
use crate::hazard;
use crate::index;
use crate::layers::{Layers, Origin};
use crate::lfs;
use crate::lock::Locks;
use crate::medium::Medium;
use crate::plain::is_directory;
use crate::seed::Seed;
use crate::settings::Settings;

/// A task's clone.
#[derive(Clone, Debug)]
pub(crate) struct PrivateClone {
    pub(crate) task: TaskId,
    /// The branch as it is in the project's repository.
    pub(crate) branch: Branch,
    pub(crate) settings: Settings,
    /// Where the clone is seen.
    pub(crate) root: PathBuf,
    pub(crate) layers: Layers,
    pub(crate) checkouts: Checkouts,
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

impl PrivateClone {
    /// What is there from an attempt before. An empty directory, which an agent has emptied, is removed: the branch has the
    /// rest.
    pub(crate) fn look(&self) -> Look {
        if self.layers.is_layered() {
            Look::Clone
        } else if fs::remove_dir(&self.root).is_ok() || self.root.symlink_metadata().is_err() {
            Look::Nothing
        } else if is_directory(&self.root.join(".git")) {
            Look::Clone
        } else {
            Look::Other
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.layers.is_layered() || self.root.symlink_metadata().is_ok()
    }

    /// The one that is there, or would be.
    pub(crate) fn at(task: TaskId, branch: Branch, root: &Path, layers: Layers, checkouts: Checkouts) -> Self {
        let objects = alternates::borrowed(&branch.repository.common);
        let settings = branch.repository.settings.clone();
        Self { task, branch, settings, root: root.to_owned(), layers, checkouts, objects }
    }

    /// The directory that holds what the agent's git has written.
    fn git_dir(&self) -> PathBuf {
        if self.layers.is_layered() { self.layers.upper().join(".git") } else { self.root.join(".git") }
    }

    /// What is to be mounted where it is seen, if its files are layers.
    pub(crate) fn overlay(&self) -> Option<Overlay> {
        let origin = self.layers.origin().filter(|_| self.layers.is_layered())?;
        Some(Overlay {
            lower: origin.lower.iter().map(|name| self.checkouts.tree(name)).collect(),
            upper: self.layers.upper(),
            work: self.layers.work(),
            target: self.root.clone(),
        })
    }

    /// Gets the one that is there ready for another attempt, for which layers can be mounted, or can't.
    pub(crate) async fn again(&self, layered: bool) -> Result<(), WorkspaceError> {
        if !self.layers.is_layered() {
            return Ok(());
        }
        let io = |doing| WorkspaceError::io(doing, self.layers.root());
        fs::create_dir_all(&self.root).map_err(io("create"))?;
        let origin = self.layers.origin().ok_or_else(|| io("read")(std::io::ErrorKind::NotFound.into()))?;
        if !self.checkouts.has(&origin.lower) {
            let made = self.checkouts.get(&self.branch.repository, &self.settings, &origin.commit, false).await?;
            self.layers.note(&Origin { commit: made.commit, lower: made.lower }).map_err(io("write"))?;
        }
        if layered { Ok(()) } else { self.flatten().await }
    }

    /// Makes one directory of the layers.
    async fn flatten(&self) -> Result<(), WorkspaceError> {
        let Some(overlay) = self.overlay() else { return Ok(()) };
        let origin = self.layers.origin();
        let kept = origin.as_ref().and_then(|origin| origin.lower.first());
        let kept = kept.map(|name| self.checkouts.index(name, &self.layers.working_index(), "").kept);
        let (root, layers) = (self.root.clone(), self.layers.clone());
        let flattened = tokio::task::spawn_blocking(move || {
            let partial = root.with_extension("partial");
            copy::remove(&partial)?;
            fs::create_dir_all(&partial)?;
            let all: Vec<PathBuf> = std::iter::once(overlay.upper.clone()).chain(overlay.lower).collect();
            flatten(&all, &partial)?;
            if let (Some(kept), Some(origin)) = (kept, origin) {
                index::copy(&kept, &layers.kept_index())?;
                layers.note(&Origin { lower: Vec::new(), ..origin })?;
            }
            // An empty directory, where the layers are seen.
            fs::remove_dir(&root)?;
            fs::rename(&partial, &root)?;
            layers.drop_layers()
        });
        let flattened = flattened.await.map_err(|_| WorkspaceError::ShutDown)?;
        flattened.map_err(WorkspaceError::io("copy the files of", &self.root))
    }

    /// Makes it, whole or not at all. With `layered` its files are those of a prepared checkout.
    pub(crate) async fn make(&self, layered: bool) -> Result<(), WorkspaceError> {
        self.layers.remove().map_err(WorkspaceError::io("remove", self.layers.root()))?;
        // It goes on where an attempt before has ended, if there was one.
        let tip = self.branch.tip().await?;
        let commit = tip.as_ref().unwrap_or(&self.branch.base);
        if layered {
            self.make_layered(commit, tip.is_some()).await
        } else {
            self.make_whole(commit, tip.is_some()).await
        }
    }

    async fn make_layered(&self, commit: &str, are_agents: bool) -> Result<(), WorkspaceError> {
        let checkout = self.checkouts.get(&self.branch.repository, &self.settings, commit, are_agents).await?;
        let io = |doing| WorkspaceError::io(doing, self.layers.root());
        let origin = Origin { commit: checkout.commit, lower: checkout.lower };
        self.layers.note(&origin).map_err(io("write"))?;
        // The upper layer comes last: with it the workspace is there.
        let partial = self.layers.root().join("upper.partial");
        self.seed(commit).plant(&partial.join(".git")).await?;
        fs::create_dir_all(self.layers.work()).map_err(io("create"))?;
        fs::create_dir_all(&self.root).map_err(io("create"))?;
        fs::rename(&partial, self.layers.upper()).map_err(io("create"))
    }

    async fn make_whole(&self, commit: &str, are_agents: bool) -> Result<(), WorkspaceError> {
        let partial = self.root.with_extension("partial");
        // From a making that was cut off: nobody has worked in it yet.
        copy::remove(&partial).map_err(WorkspaceError::io("remove", &partial))?;
        fs::create_dir_all(&partial).map_err(WorkspaceError::io("create", &partial))?;
        let made = self.fill(&partial, commit, are_agents).await;
        let made =
            made.and_then(|()| fs::rename(&partial, &self.root).map_err(WorkspaceError::io("create", &self.root)));
        if made.is_err() {
            let _ = copy::remove(&partial);
        }
        made
    }

    async fn fill(&self, partial: &Path, commit: &str, are_agents: bool) -> Result<(), WorkspaceError> {
        let git_dir = partial.join(".git");
        self.seed(commit).plant(&git_dir).await?;
        let settings = &self.settings;
        let filters = if are_agents { Filters::for_agents_files(settings) } else { Filters::for_own_files(settings) };
        let mut set = filters.settings();
        set.extend(Medium::of(partial).settings());
        let repository = &self.branch.repository;
        let index = git_dir.join("index");
        let git = repository.git_for(&repository.own_git_dir(), partial).index(&index).settings(&set);
        let read: &[&str] = match settings.is_set("core.sparsecheckout") {
            true => &["read-tree", "-m", commit],
            false => &["read-tree", commit],
        };
        git.text("read the commit", read.iter().copied()).await?;
        git.text("check out the clone", ["checkout-index", "--all", "--force", "-u", "--quiet"]).await?;
        let origin = Origin { commit: commit.to_owned(), lower: Vec::new() };
        let kept = self.layers.note(&origin).and_then(|()| index::copy(&index, &self.layers.kept_index()));
        kept.map_err(WorkspaceError::io("write", self.layers.root()))
    }

    fn seed<'a>(&'a self, commit: &'a str) -> Seed<'a> {
        Seed {
            repository: &self.branch.repository,
            settings: &self.settings,
            objects: &self.objects,
            branch: &self.branch.name,
            commit,
            medium: Medium::of(self.layers.root().parent().unwrap_or(&self.root)),
        }
    }

    /// Brings the agent's commits back, commits what is to be committed, and removes the clone if nothing would be lost with
    /// it. Nobody is kept waiting while its files are compared.
    pub(crate) async fn finish(
        &mut self,
        finish: &Finish,
        locks: &Locks,
        bases: &Bases,
    ) -> Result<Fate, WorkspaceError> {
        let common = self.branch.repository.common.clone();
        if !self.is_there() {
            return Ok(Fate { branch_kept: self.branch.tip().await?.is_some(), ..Fate::default() });
        }
        let mut reason = Reason::default();
        let lock = locks.lock(&common).await;
        let (foreign, delivery) = self.deliver(bases, &mut reason).await?;
        drop(lock);
        let changes = match &foreign {
            Some(foreign) => self.compare(finish, foreign, &delivery, bases, &mut reason).await?,
            None => None,
        };
        if let Some(lost) = &delivery.lost {
            reason.add(format!("its {lost} has commits that are on no branch of the project's"));
        }
        let kept = delivery.lost.is_some() || changes.as_ref().is_none_or(Changes::is_any) || reason.keeps;
        if let Some(more) = changes.as_ref().and_then(Changes::reason) {
            reason.add(more);
        }
        let _lock = locks.lock(&common).await;
        let branch_kept = self.branch.settle().await?;
        let kept = kept || !self.remove().await;
        let changed_files = changes.map(|changes| changes.count());
        Ok(Fate { kept, branch_kept, changed_files, reason: reason.first.filter(|_| kept) })
    }

    /// What its repository says, and what came of it.
    async fn deliver(
        &mut self,
        bases: &Bases,
        reason: &mut Reason,
    ) -> Result<(Option<Foreign>, Delivery), WorkspaceError> {
        let foreign = match Foreign::read(&self.git_dir()) {
            Ok(foreign) => foreign,
            Err(odd) => {
                tracing::warn!(path = %self.root.display(), "the clone is kept, and nothing taken from it: {odd}");
                reason.keep(format!("{odd}: nothing was taken from it"));
                return Ok((None, Delivery::default()));
            }
        };
        for odd in &foreign.odd {
            reason.keep(odd.clone());
        }
        lfs::bring(&self.git_dir(), &self.branch.repository.common)
            .map_err(WorkspaceError::io("copy", &self.git_dir()))?;
        let delivered = bases.delivered(self.task);
        let sender = Sender {
            task: self.task,
            branch: &self.branch,
            settings: &self.settings,
            foreign: &foreign,
            delivered: delivered.as_deref(),
            scratch: self.layers.facade(),
        };
        let delivery = sender.deliver().await?;
        if let Some(said) = &delivery.refused {
            tracing::warn!(path = %self.root.display(), "the branch could not be brought back: {said}");
            reason.keep(format!("its branch could not be brought back: {said}"));
        }
        self.branch.name.clone_from(&delivery.name);
        if let Some(tip) = &delivery.tip {
            bases.set_delivered(self.task, tip);
        }
        Ok((Some(foreign), delivery))
    }

    /// Compares the files, and commits what is to be committed. None where they can't be compared.
    async fn compare(
        &self,
        finish: &Finish,
        foreign: &Foreign,
        delivery: &Delivery,
        bases: &Bases,
        reason: &mut Reason,
    ) -> Result<Option<Changes>, WorkspaceError> {
        let head = foreign.head().unwrap_or(&self.branch.base);
        let files = match self.files(head).await? {
            Ok(files) => files,
            Err(why) => {
                reason.keep(why);
                return Ok(None);
            }
        };
        let compared = async {
            let changes = files.changes(head).await?;
            let Some(message) = finish.message().filter(|_| changes.is_committable()) else { return Ok(changes) };
            if foreign.is_half_done() {
                reason.add("not committed: a merge or a rebase is not finished".to_owned());
                return Ok(changes);
            }
            match commit_rest(&self.branch, &files, &changes, delivery.tip.as_deref(), head, message).await? {
                Ok(commit) => {
                    bases.set_delivered(self.task, &commit);
                    Ok(Changes { there: Vec::new(), gone: Vec::new(), stored: Vec::new(), ..changes })
                }
                Err(refused) => {
                    reason.add(refused);
                    Ok(changes)
                }
            }
        };
        let compared = compared.await;
        let _ = fs::remove_file(self.layers.working_index());
        compared.map(Some)
    }

    /// Its files, to be compared with the commit that they are of. Says why they can't be.
    pub(crate) async fn files(&self, head: &str) -> Result<Result<Files, String>, WorkspaceError> {
        let repository = &self.branch.repository;
        let is_layered = self.layers.is_layered();
        let root = if is_layered { self.layers.upper() } else { self.root.clone() };
        if let Some(hazard) = hazard::in_files(&root).await {
            return Ok(Err(hazard));
        }
        if repository.resolve(&format!("{head}^{{commit}}")).await?.is_none() {
            return Ok(Err("its files are of a commit that the project doesn't have".to_owned()));
        }
        let working = self.layers.working_index();
        if !is_layered {
            let known = self.layers.known();
            let known = known.as_ref().map(|known| (known.kept.as_path(), known.commit.as_str()));
            fs::create_dir_all(self.layers.root()).map_err(WorkspaceError::io("create", self.layers.root()))?;
            return Files::untrusted(repository, &root, &working, head, known).await.map(Ok);
        }
        let Some(origin) = self.layers.origin().filter(|origin| self.checkouts.has(&origin.lower)) else {
            return Ok(Err("the checkout that its files lie over is gone".to_owned()));
        };
        let index = self.checkouts.index(&origin.lower[0], &working, &origin.commit);
        Ok(Ok(Files::of_layer(repository, &root, index)))
    }

    /// Whether nothing is left of it.
    pub(crate) async fn remove(&self) -> bool {
        let (root, layers) = (self.root.clone(), self.layers.clone());
        let removed = tokio::task::spawn_blocking(move || layers.remove().and_then(|()| copy::remove(&root)));
        matches!(removed.await, Ok(Ok(())))
    }

    /// Why something would be lost with it, where nothing is brought back or committed any more.
    pub(crate) async fn objection(&self) -> Result<Option<String>, WorkspaceError> {
        let foreign = match Foreign::read(&self.git_dir()) {
            Ok(foreign) => foreign,
            Err(odd) => return Ok(Some(odd)),
        };
        if let Some(odd) = foreign.odd.first() {
            return Ok(Some(odd.clone()));
        }
        let scratch = self.layers.facade();
        let sender = Sender {
            task: self.task,
            branch: &self.branch,
            settings: &self.settings,
            foreign: &foreign,
            delivered: None,
            scratch,
        };
        if let Some(lost) = sender.lost().await? {
            return Ok(Some(format!("its {lost} has commits that the project's repository doesn't have")));
        }
        let head = foreign.head().unwrap_or(&self.branch.base);
        let files = match self.files(head).await? {
            Ok(files) => files,
            Err(why) => return Ok(Some(why)),
        };
        let tip = self.branch.tip().await?;
        let compared = files.changes(tip.as_deref().unwrap_or(head)).await;
        let _ = fs::remove_file(self.layers.working_index());
        let changes = compared?;
        let files = changes.there.len() + changes.gone.len() + changes.stored.len();
        if files > 0 {
            return Ok(Some(if files == 1 {
                "1 file is not committed".to_owned()
            } else {
                format!("{files} files are not committed")
            }));
        }
        if let Some(reason) = changes.reason() {
            return Ok(Some(reason));
        }
        Ok(None)
    }
}

/// Why a clone is kept: the first thing that was found.
#[derive(Debug, Default)]
struct Reason {
    first: Option<String>,
    /// It is kept for that alone.
    keeps: bool,
}

impl Reason {
    fn add(&mut self, reason: String) {
        self.first.get_or_insert(reason);
    }

    fn keep(&mut self, reason: String) {
        self.add(reason);
        self.keeps = true;
    }
}
