//! Private clones: a repository of an agent's own, which borrows the objects of the project's, and whose commits are brought
//! back when the agent is gone.
//!
//! The agent may have written anything into it, its `.git` too. So git is never run *in* it: its refs are read without git,
//! its commits are copied through a repository of ours, and its files are compared by the project's own repository.

mod making;
mod visit;
mod within;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;
use nexus_process::Overlay;

use crate::alternates;
use crate::base::Bases;
use crate::branch::Branch;
use crate::checkouts::Checkouts;
use crate::delivery::{Delivery, Sender};
use crate::error::WorkspaceError;
use crate::files::{Changes, Files};
use crate::finish::{Fate, Finish, commit_rest};
use crate::foreign::Foreign;
use crate::hazard;
use crate::layers::Layers;
use crate::lfs;
use crate::lock::Locks;
use crate::plain::is_directory;
use crate::settings::Settings;
use crate::sparse;

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
    /// No agent can have made the repository: what it names elsewhere is believed.
    is_trusted: bool,
}

/// The finding at the place where a task's clone would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Nothing,
    Clone,
    Other,
}

impl PrivateClone {
    /// The remains of an attempt before. An empty directory, which an agent has emptied, is removed: the branch has the
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
    pub(crate) fn at(
        task: TaskId,
        branch: Branch,
        root: &Path,
        layers: Layers,
        checkouts: Checkouts,
        is_trusted: bool,
    ) -> Self {
        let objects = match is_trusted {
            true => alternates::borrowed(&branch.repository.common),
            false => vec![branch.repository.common.join("objects")],
        };
        let settings = branch.repository.settings.clone();
        Self { task, branch, settings, root: root.to_owned(), layers, checkouts, objects, is_trusted }
    }

    /// The note for a repository that names objects elsewhere, and isn't believed.
    pub(crate) fn distrust(&self) -> Option<String> {
        let names_others = || alternates::borrowed(&self.branch.repository.common).len() > 1;
        let is_said = !self.is_trusted && (names_others() || self.settings.promisor().is_some());
        is_said.then(|| {
            "an agent has worked in place where this repository is, and may have made it: nothing is read that it borrows \
             from other repositories"
                .to_owned()
        })
    }

    /// The directory that holds what the agent's git has written.
    fn git_dir(&self) -> PathBuf {
        if self.layers.is_layered() { self.layers.upper().join(".git") } else { self.root.join(".git") }
    }

    /// The overlay to be mounted where it is seen, if its files are layers.
    pub(crate) fn overlay(&self) -> Option<Overlay> {
        self.layers.overlay(&self.checkouts, &self.root)
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
        let (foreign, mut delivery) = self.deliver(bases, locks, &mut reason).await?;
        drop(lock);
        let changes = match &foreign {
            Some(foreign) => self.compare(finish, foreign, &mut delivery, bases, &mut reason).await?,
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
        // Of a repository that was not read the branch may be from before.
        let tip = if foreign.is_some() { delivery.tip } else { self.branch.tip().await? };
        let extent = self.branch.settle_at(tip).await?;
        let history = async {
            match &extent {
                Some(extent) => self.branch.history_of(extent).await.ok(),
                None => Some(self.branch.nothing()),
            }
        };
        let (history, kept) = tokio::join!(history, async { kept || !self.removed(Layers::remove_aside).await });
        let changed_files = changes.map(|changes| changes.count());
        let reason = reason.first.filter(|_| kept);
        Ok(Fate { kept, branch_kept: extent.is_some(), changed_files, reason, history })
    }

    /// The statements of its repository, and the delivery that came of them.
    async fn deliver(
        &mut self,
        bases: &Bases,
        locks: &Locks,
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
        lfs::bring(&self.git_dir(), &self.branch.repository.common).await?;
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
        self.deliver_submodules(locks, reason).await?;
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
        delivery: &mut Delivery,
        bases: &Bases,
        reason: &mut Reason,
    ) -> Result<Option<Changes>, WorkspaceError> {
        let head = foreign.head().unwrap_or(&self.branch.base);
        // What was brought back, or was checked out, is there.
        let is_known = head == self.branch.base || delivery.tip.as_deref() == Some(head);
        let files = match self.files_of(head, is_known).await? {
            Ok(files) => files,
            Err(why) => {
                reason.keep(why);
                return Ok(None);
            }
        };
        let compared = async {
            let mut changes = files.changes(head).await?;
            sparse::pass_over(files.git(), &self.git_dir(), &mut changes.gone).await?;
            self.without_untouched(&mut changes).await?;
            let Some(message) = finish.message().filter(|_| changes.is_committable() && changes.borrowed.is_empty())
            else {
                return Ok(changes);
            };
            if foreign.is_half_done() {
                reason.add("not committed: a merge or a rebase is not finished".to_owned());
                return Ok(changes);
            }
            match commit_rest(&self.branch, &files, &changes, delivery.tip.as_deref(), head, message).await? {
                Ok(commit) => {
                    bases.set_delivered(self.task, &commit);
                    if commit != head {
                        delivery.tip = Some(commit);
                    }
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
        self.files_of(head, false).await
    }

    async fn files_of(&self, head: &str, is_known: bool) -> Result<Result<Files, String>, WorkspaceError> {
        let repository = &self.branch.repository;
        let is_layered = self.layers.is_layered();
        let root = if is_layered { self.layers.upper() } else { self.root.clone() };
        if let Some(hazard) = hazard::in_files(&root).await {
            return Ok(Err(hazard));
        }
        if !is_known && repository.resolve(&format!("{head}^{{commit}}")).await?.is_none() {
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
        let warm = origin.warm.map(|name| self.checkouts.tree(&name));
        Ok(Ok(Files::of_layer(repository, &root, index, warm)))
    }

    /// Removes it. True if nothing is left of it.
    pub(crate) async fn remove(&self) -> bool {
        self.removed(Layers::remove).await
    }

    async fn removed(&self, remove: fn(&Layers, &Path) -> io::Result<()>) -> bool {
        let (root, layers) = (self.root.clone(), self.layers.clone());
        let removed = tokio::task::spawn_blocking(move || remove(&layers, &root));
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
        let mut changes = compared?;
        sparse::pass_over(&self.branch.repository.git(), &self.git_dir(), &mut changes.gone).await?;
        self.without_untouched(&mut changes).await?;
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
