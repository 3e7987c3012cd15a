//! Preparing a workspace by its mode, and deciding what becomes of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nexus_core::department::{Wanted, WorkspaceMode};
use nexus_core::event::WorkspaceReport;
use nexus_core::id::TaskId;
use nexus_core::uncommitted::{LOOK_LIMIT, Uncommitted};
use tokio::time::Instant;

use crate::base::Bases;
use crate::below::{make_below, nothing_leads_elsewhere};
use crate::branch::Branch;
use crate::checkouts::{Bounds, Checkouts, Stock};
use crate::clone::{Look, PrivateClone};
use crate::copied::{copied, removed_copy};
use crate::error::WorkspaceError;
use crate::finish::{Fate, Finish};
use crate::in_place::InPlace;
use crate::layers::Layers;
use crate::lock::Locks;
use crate::prepared::{Place, Prepared};
use crate::repository::Repository;
use crate::submodules;
use crate::uncommitted::{self, Looking, Looks, Snapshot, is_snapshot, snapshot};
use crate::worktree::Worktree;

/// The longest wait of an attempt's end for a look that goes on.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// The workspaces of one company: a directory for each task, named by its id.
#[derive(Debug)]
pub struct Workspaces {
    pub(crate) root: PathBuf,
    pub(crate) bases: Bases,
    in_place: InPlace,
    pub(crate) checkouts: Checkouts,
    pub(crate) locks: Locks,
    bounds: Bounds,
    overlays: OnceLock<Result<(), String>>,
    looks: Arc<Looks>,
}

/// Where a task's branch starts.
struct Begun {
    branch: Branch,
    /// The commit that it is at, if it is there.
    tip: Option<String>,
    looking: Looking,
}

impl Workspaces {
    /// Workspaces in `root`, usually `workspaces` in the data directory; made when the first is needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        let (bases, checkouts) = (Bases::beside(&root), Checkouts::beside(&root));
        let (in_place, locks, bounds) = (InPlace::beside(&root), Locks::default(), Bounds::NONE);
        let (overlays, looks) = (OnceLock::new(), Arc::default());
        Self { root, bases, in_place, checkouts, locks, bounds, overlays, looks }
    }

    /// With bounds for prepared checkouts that no workspace is made of. Without, only [`Workspaces::tidy`] of all removes any.
    #[must_use]
    pub fn bounded(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Makes the directory for an attempt, or finds the one that an attempt before has left. Cut off, it leaves nothing that
    /// is in the way of the next call.
    ///
    /// `mountable` says that the attempt's processes can have layers mounted: then its files may be shown by
    /// [`Prepared::overlay`].
    pub async fn prepare(
        &self,
        wanted: Wanted,
        task: TaskId,
        project: &Path,
        mountable: bool,
    ) -> Result<Prepared, WorkspaceError> {
        let mode = wanted.mode;
        let project = match project.canonicalize() {
            Ok(path) if path.is_dir() => path,
            _ => return Err(WorkspaceError::NoProject(project.to_owned())),
        };
        if mode == WorkspaceMode::InPlace {
            self.note_in_place(&project)?;
            return Ok(Prepared::plain(mode, project, task, Place::Project));
        }
        std::fs::create_dir_all(&self.root).map_err(WorkspaceError::io("create", &self.root))?;
        let root = self.root.canonicalize().map_err(WorkspaceError::io("read", &self.root))?;
        let path = root.join(task.to_string());
        if mode == WorkspaceMode::Scratch {
            std::fs::create_dir_all(&path).map_err(WorkspaceError::io("create", &path))?;
            return Ok(Prepared::plain(mode, path, task, Place::Scratch));
        }
        if mode == WorkspaceMode::Worktree
            && let Some(prepared) = self.worktree(wanted, task, &project, &path).await?
        {
            return Ok(prepared);
        }
        if mode == WorkspaceMode::Clone
            && let Some(prepared) = self.private_clone(wanted, task, &project, &path, mountable).await?
        {
            return Ok(prepared);
        }
        if mode != WorkspaceMode::Copy && wanted.otherwise == WorkspaceMode::InPlace {
            self.note_in_place(&project)?;
            return Ok(Prepared::plain(wanted.otherwise, project, task, Place::Project));
        }
        copied(task, project, path, root).await
    }

    fn note_in_place(&self, project: &Path) -> Result<(), WorkspaceError> {
        self.in_place.note(project).map_err(WorkspaceError::io("remember", project))
    }

    /// Commits what is to be committed, and removes a workspace that holds nothing new; anything else is kept. Never fails:
    /// what can't be removed is kept too.
    pub async fn finish(&self, prepared: Prepared, finish: Finish) -> WorkspaceReport {
        let Prepared { mode, path, task, place, looking, .. } = prepared;
        let is_layered = matches!(&place, Place::Clone(clone) if clone.layers.is_layered());
        let last_look = Instant::now() + LAST_LOOK;
        let kept = |kept| Fate { kept, branch_kept: true, ..Fate::default() };
        let (fate, on) = match place {
            Place::Worktree(worktree) => (self.finish_worktree(&worktree, &finish).await, Some(worktree.branch)),
            Place::Clone(mut clone) => (self.finish_clone(&mut clone, &finish).await, Some(clone.branch)),
            Place::Copy(fingerprint) => (kept(!removed_copy(&path, fingerprint).await), None),
            // Fails on a directory that is not empty, and on a symbolic link.
            Place::Scratch => (kept(std::fs::remove_dir(&path).is_err()), None),
            Place::Project => (kept(true), None),
        };
        let history = match &on {
            Some(_) if fate.history.is_some() => fate.history,
            Some(branch) => {
                branch.history().await.inspect_err(|error| tracing::warn!(%error, "a branch is not read")).ok()
            }
            None => None,
        };
        // One that couldn't be looked at may be.
        let is_there = history.as_ref().is_none_or(|history| history.head.is_some());
        let is_snapshot = on.as_ref().is_some_and(|branch| branch.is_snapshot);
        let is_completed = matches!(finish, Finish::Completed { .. });
        // No attempt follows that would need it. A snapshot is taken once: the next attempt starts from the same one.
        if is_completed || !(fate.kept || fate.branch_kept || is_snapshot) {
            let _lock = match &on {
                Some(branch) => Some(self.locks.lock(&branch.repository.common).await),
                None => None,
            };
            self.bases.forget(task);
            if let Some(branch) = on.as_ref().filter(|branch| branch.is_snapshot && !fate.kept) {
                uncommitted::release(&branch.repository, task).await;
            }
        }
        let history = history.unwrap_or_default();
        let uncommitted = tokio::time::timeout_at(last_look, looking.found()).await.unwrap_or_default();
        WorkspaceReport {
            mode,
            path: path.to_string_lossy().into_owned(),
            branch: on.as_ref().filter(|_| fate.branch_kept && is_there).map(|branch| branch.name.clone()),
            kept: fate.kept,
            layered: fate.kept && is_layered,
            changed_files: fate.changed_files,
            reason: fate.reason,
            commit_count: on.is_some().then_some(history.count),
            diff: on.is_some().then_some(history.diff),
            snapshot: on.is_some_and(|branch| branch.is_snapshot && branch.base == history.base),
            uncommitted,
            base: Some(history.base).filter(|base| !base.is_empty()),
            head: history.head,
            commits: history.commits,
        }
    }

    /// The task's branch, and where it starts: known from an attempt before, or at the current commit, or at a snapshot of
    /// what the user has not committed. In the last case the repository's current commit is taken to be that.
    async fn branch(
        &self,
        wanted: Wanted,
        task: TaskId,
        mut repository: Repository,
        path: &Path,
    ) -> Result<Begun, WorkspaceError> {
        let (head, data) = (repository.head.clone(), self.data());
        let known = self.bases.get(task);
        let is_begun = known.is_some() || self.has_place(task);
        if let Some(known) = &known
            && is_snapshot(&repository, task, known).await?
        {
            let changes = uncommitted::recall(&repository, known).await?;
            repository.head.clone_from(known);
            let (branch, tip) = Branch::with_tip(repository, task, known.clone()).await?;
            let branch = Branch { is_snapshot: true, ..branch };
            return Ok(Begun { branch, tip, looking: Looking::known(Some(changes)) });
        }
        if wanted.include_uncommitted
            && !is_begun
            && let Some(Snapshot { commit, changes }) = snapshot(&repository, task, &data, path).await?
        {
            self.bases.begin_snapshot(task, &commit);
            repository.head.clone_from(&commit);
            let (branch, tip) = Branch::with_tip(repository, task, commit).await?;
            let branch = Branch { is_snapshot: true, ..branch };
            return Ok(Begun { branch, tip, looking: Looking::known(Some(changes)) });
        }
        let looking = Looking::begin(&self.looks, repository.clone(), data, task);
        let (branch, tip) = Branch::with_tip(repository, task, String::new()).await?;
        let repository = &branch.repository;
        let base = match (&tip, known) {
            (None, _) if !self.has_place(task) => {
                self.bases.forget(task);
                head
            }
            (_, Some(known)) => known,
            (Some(tip), None) => repository.merge_base(tip, &head).await?.unwrap_or(head),
            (None, None) => head,
        };
        let base = self.bases.begin(task, &base);
        Ok(Begun { branch: Branch { base, ..branch }, tip, looking })
    }

    /// The uncommitted changes of a project that the agent of such a task doesn't see, or starts from. None where there is
    /// nothing to say of them.
    pub async fn uncommitted(&self, wanted: Wanted, task: TaskId, project: &Path) -> Option<Uncommitted> {
        if !matches!(wanted.mode, WorkspaceMode::Clone | WorkspaceMode::Worktree) {
            return None;
        }
        // All of it: what is slow to be found is slow to be looked at.
        let look = async {
            let project = tokio::fs::canonicalize(project).await.ok()?;
            let repository = Repository::find_for(&project, task).await.ok()??;
            self.looks.look(&repository, &self.data(), task).await
        };
        let found = tokio::time::timeout(LOOK_LIMIT, look).await.ok()??;
        Some(Uncommitted { included: wanted.include_uncommitted, ..found })
    }

    /// The data directory.
    fn data(&self) -> PathBuf {
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        root.parent().map_or(root.clone(), Path::to_owned)
    }

    /// None when the project has no repository with a commit, or when an attempt before was given a copy.
    async fn worktree(
        &self,
        wanted: Wanted,
        task: TaskId,
        project: &Path,
        path: &Path,
    ) -> Result<Option<Prepared>, WorkspaceError> {
        let Some(repository) = Repository::find_for(project, task).await? else { return Ok(None) };
        let _lock = self.locks.lock(&repository.common).await;
        let Begun { branch, looking, .. } = self.branch(wanted, task, repository, path).await?;
        let Some(worktree) = Worktree::make(branch, path).await? else { return Ok(None) };
        let path = worktree.project();
        // A directory that is not committed yet is missing in the worktree.
        std::fs::create_dir_all(&path).map_err(WorkspaceError::io("create", &path))?;
        let branch = worktree.branch.name.clone();
        let notes = submodules::left_empty(&worktree.branch.repository).await?.into_iter().collect();
        let place = Place::Worktree(Box::new(worktree));
        let prepared = Prepared::plain(WorkspaceMode::Worktree, path, task, place);
        Ok(Some(prepared.on(&branch, notes, looking, None)))
    }

    /// None when the project has no repository with a commit, or when something else is there from an attempt before.
    async fn private_clone(
        &self,
        wanted: Wanted,
        task: TaskId,
        project: &Path,
        path: &Path,
        mountable: bool,
    ) -> Result<Option<Prepared>, WorkspaceError> {
        let Some(repository) = Repository::find_for(project, task).await? else { return Ok(None) };
        let prefix = repository.prefix.clone();
        // Who cleans up holds it until what is there is removed, so what is found here stays. Cloning disturbs nobody.
        let lock = self.locks.lock(&repository.common).await;
        let Begun { branch, tip, looking } = self.branch(wanted, task, repository, path).await?;
        let mut clone = self.clone_of(task, branch, path);
        let found = clone.look();
        drop(lock);
        let (claim, submodules) = match found {
            Look::Nothing => {
                let submodules = clone.make(tip.as_deref(), mountable && self.overlays().is_ok()).await?;
                (clone.layers.claim()?, submodules)
            }
            Look::Clone => {
                let claim = clone.layers.claim()?;
                (claim, clone.again(mountable && self.overlays().is_ok()).await?)
            }
            Look::Other => return Ok(None),
        };
        match clone.overlay() {
            Some(overlay) => nothing_leads_elsewhere(&overlay, &prefix)?,
            None => make_below(path, &prefix)?,
        }
        let mut notes = clone.know_submodules(&submodules);
        notes.extend(clone.distrust());
        let path: PathBuf = path.join(prefix).components().collect();
        let branch = clone.branch.name.clone();
        let place = Place::Clone(Box::new(clone));
        let prepared = Prepared::plain(WorkspaceMode::Clone, path, task, place);
        Ok(Some(prepared.on(&branch, notes, looking, claim)))
    }

    /// `Ok` if the files of a clone can be layers here, or why not.
    pub fn overlays(&self) -> &Result<(), String> {
        self.overlays.get_or_init(|| {
            let directory = self.root.with_file_name("layers");
            std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            nexus_process::overlay::probe(&directory)
        })
    }

    /// The prepared checkouts that are there.
    #[must_use]
    pub fn stock(&self) -> Stock {
        self.checkouts.stock()
    }

    /// Removes prepared checkouts that no workspace is made of: those that were not used for long, and the oldest where all
    /// together are too big. With `all` each that nobody has used a moment ago. Blocks.
    pub fn tidy(&self, all: bool) -> io::Result<Stock> {
        Layers::sweep(&self.root);
        self.checkouts.tidy(&Layers::used(&self.root), self.bounds, all, false)
    }

    /// The stock that [`Workspaces::tidy`] would remove. Blocks.
    pub fn rehearse_tidying(&self, all: bool) -> io::Result<Stock> {
        self.checkouts.tidy(&Layers::used(&self.root), self.bounds, all, true)
    }

    /// The clone that is at `path`, or would be.
    pub(crate) fn clone_of(&self, task: TaskId, branch: Branch, path: &Path) -> PrivateClone {
        let is_trusted = !self.in_place.holds(&branch.repository.top);
        PrivateClone::at(task, branch, path, Layers::of(&self.root, task), self.checkouts.clone(), is_trusted)
    }

    async fn finish_clone(&self, clone: &mut PrivateClone, finish: &Finish) -> Fate {
        clone.finish(finish, &self.locks, &self.bases).await.unwrap_or_else(|error| {
            tracing::warn!(path = %clone.root.display(), %error, "a workspace is kept");
            Fate::unknown(error.to_string())
        })
    }

    async fn finish_worktree(&self, worktree: &Worktree, finish: &Finish) -> Fate {
        let warn = |error: WorkspaceError| {
            tracing::warn!(path = %worktree.root.display(), %error, "a workspace is kept");
            Fate { kept: worktree.root.exists(), ..Fate::unknown(error.to_string()) }
        };
        let judged = match worktree.judge(finish).await {
            Ok(judged) if !judged.kept => judged,
            Ok(judged) => return judged,
            Err(error) => return warn(error),
        };
        let _lock = self.locks.lock(&worktree.branch.repository.common).await;
        let removed = async {
            worktree.remove().await?;
            worktree.branch.settle().await
        };
        match removed.await {
            Ok(branch_kept) => Fate { branch_kept, ..judged },
            Err(error) => warn(error),
        }
    }
}
