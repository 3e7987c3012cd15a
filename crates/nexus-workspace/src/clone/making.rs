//! The making of a private clone, and its getting ready for another attempt.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::PrivateClone;
use crate::checkouts::{Spot, cleared};
use crate::copy;
use crate::error::WorkspaceError;
use crate::filters::Filters;
use crate::flatten::flatten;
use crate::git::Git;
use crate::index;
use crate::layers::Origin;
use crate::lfs;
use crate::medium::Medium;
use crate::promisor;
use crate::repository::Repository;
use crate::seed::Seed;
use crate::submodules::{self, Submodule, Submodules};

impl PrivateClone {
    /// Makes it, whole or not at all. With `layered` its files are those of a prepared checkout.
    /// It goes on at `tip`, where an attempt before has ended, if there was one.
    pub(crate) async fn make(&self, tip: Option<&str>, layered: bool) -> Result<Submodules, WorkspaceError> {
        let (layers, root) = (self.layers.clone(), self.root.clone());
        let removed = spawn_blocking(move || layers.remove(&root)).await.map_err(|_| WorkspaceError::ShutDown)?;
        removed.map_err(WorkspaceError::io("remove", self.layers.root()))?;
        let commit = tip.unwrap_or(&self.branch.base);
        if layered {
            self.make_layered(commit, tip.is_some()).await
        } else {
            self.make_whole(commit, tip.is_some()).await
        }
    }

    async fn make_layered(&self, commit: &str, are_agents: bool) -> Result<Submodules, WorkspaceError> {
        let seed = self.seed(commit);
        let (submodules, refs) = tokio::try_join!(Submodules::of(&self.branch.repository, commit), seed.refs())?;
        let lower = self.lower(commit, &submodules, are_agents).await?;
        let io = |doing| WorkspaceError::io(doing, self.layers.root());
        self.layers.note(&Origin { commit: commit.to_owned(), lower, warm: None }).map_err(io("write"))?;
        // The upper layer comes last: with it the workspace is there.
        let partial = self.layers.root().join("upper.partial");
        let git_dir = partial.join(".git");
        self.plant(&git_dir, &seed, &refs).await?;
        for submodule in &submodules.filled {
            self.seed_of(submodule).plant(&git_dir.join(&submodule.git_dir)).await?;
        }
        fs::create_dir_all(self.layers.work()).map_err(io("create"))?;
        fs::create_dir_all(&self.root).map_err(io("create"))?;
        fs::rename(&partial, self.layers.upper()).map_err(io("create"))?;
        Ok(submodules)
    }

    /// The checkouts that its files are made of, the outermost first.
    async fn lower(
        &self,
        commit: &str,
        submodules: &Submodules,
        are_agents: bool,
    ) -> Result<Vec<String>, WorkspaceError> {
        let repository = &self.branch.repository;
        let spot = Spot::default();
        let mut lower = self.checkouts.get(repository, &self.settings, commit, &spot, are_agents).await?.lower;
        for submodule in &submodules.filled {
            let Submodule { repository, path, git_dir, commit, .. } = submodule;
            let spot = Spot { path: path.clone(), git_dir: git_dir.clone() };
            lower.extend(self.checkouts.get(repository, &repository.settings, commit, &spot, false).await?.lower);
        }
        Ok(lower)
    }

    async fn make_whole(&self, commit: &str, are_agents: bool) -> Result<Submodules, WorkspaceError> {
        let partial = self.root.with_extension("partial");
        // From a making that was cut off: nobody has worked in it yet.
        cleared(&partial).await?;
        fs::create_dir_all(&partial).map_err(WorkspaceError::io("create", &partial))?;
        let made = self.fill(&partial, commit, are_agents).await;
        let made = made.and_then(|made| {
            fs::rename(&partial, &self.root).map(|()| made).map_err(WorkspaceError::io("create", &self.root))
        });
        if made.is_err() {
            let _ = copy::remove(&partial);
        }
        made
    }

    async fn fill(&self, partial: &Path, commit: &str, are_agents: bool) -> Result<Submodules, WorkspaceError> {
        let git_dir = partial.join(".git");
        let seed = self.seed(commit);
        self.plant(&git_dir, &seed, &seed.refs().await?).await?;
        let index = git_dir.join("index");
        check_out(&self.branch.repository, partial, &index, commit, are_agents).await?;
        let submodules = Submodules::of(&self.branch.repository, commit).await?;
        for submodule in &submodules.filled {
            let own = git_dir.join(&submodule.git_dir);
            self.seed_of(submodule).plant(&own).await?;
            let files = partial.join(&submodule.path);
            fs::create_dir_all(&files).map_err(WorkspaceError::io("create", &files))?;
            let file = submodules::git_file(&submodule.path, &submodule.git_dir);
            fs::write(files.join(".git"), file).map_err(WorkspaceError::io("write", &files))?;
            check_out(&submodule.repository, &files, &own.join("index"), &submodule.commit, false).await?;
        }
        let origin = Origin { commit: commit.to_owned(), lower: Vec::new(), warm: None };
        let kept = self.layers.note(&origin).and_then(|()| index::copy(&index, &self.layers.kept_index()));
        kept.map_err(WorkspaceError::io("write", self.layers.root()))?;
        Ok(submodules)
    }

    async fn plant(&self, git_dir: &Path, seed: &Seed<'_>, refs: &str) -> Result<(), WorkspaceError> {
        seed.write(git_dir, refs).map_err(WorkspaceError::io("write", git_dir))?;
        if !self.is_trusted {
            return Ok(());
        }
        promisor::bring(&Git::at(git_dir).env("GIT_DIR", git_dir), &self.settings).await
    }

    fn seed<'a>(&'a self, commit: &'a str) -> Seed<'a> {
        Seed {
            repository: &self.branch.repository,
            settings: &self.settings,
            objects: &self.objects,
            branch: Some(&self.branch.name),
            commit,
            worktree: None,
            medium: Medium::of(self.layers.root().parent().unwrap_or(&self.root)),
        }
    }

    fn seed_of<'a>(&'a self, submodule: &'a Submodule) -> Seed<'a> {
        Seed {
            repository: &submodule.repository,
            settings: &submodule.repository.settings,
            objects: &submodule.objects,
            branch: None,
            commit: &submodule.commit,
            worktree: Some(submodules::worktree(&submodule.path, &submodule.git_dir)),
            medium: Medium::of(self.layers.root().parent().unwrap_or(&self.root)),
        }
    }

    /// Gets the one that is there ready for another attempt, for which layers can be mounted, or can't.
    pub(crate) async fn again(&self, layered: bool) -> Result<Submodules, WorkspaceError> {
        let submodules = match self.layers.origin() {
            Some(origin) => Submodules::of(&self.branch.repository, &origin.commit).await?,
            None => Submodules::default(),
        };
        if !self.layers.is_layered() {
            return Ok(submodules);
        }
        let io = |doing| WorkspaceError::io(doing, self.layers.root());
        fs::create_dir_all(&self.root).map_err(io("create"))?;
        let origin = self.layers.origin().ok_or_else(|| io("read")(std::io::ErrorKind::NotFound.into()))?;
        let has_warm = origin.warm.iter().all(|name| self.checkouts.use_warm(name));
        if !self.checkouts.has(&origin.lower) || !has_warm {
            let lower = self.lower(&origin.commit, &submodules, origin.commit != self.branch.base).await?;
            // It can't be made again over what an attempt has left.
            let warm = origin.warm.filter(|_| has_warm);
            self.layers.note(&Origin { lower, warm, commit: origin.commit }).map_err(io("write"))?;
        }
        if !layered {
            self.flatten().await?;
        }
        Ok(submodules)
    }

    /// Makes one directory of the layers.
    async fn flatten(&self) -> Result<(), WorkspaceError> {
        let Some(overlay) = self.overlay() else { return Ok(()) };
        let origin = self.layers.origin();
        let is_warm = origin.as_ref().is_some_and(|origin| origin.warm.is_some());
        let kept = origin.as_ref().and_then(|origin| origin.lower.first());
        let kept = kept.map(|name| self.checkouts.index(name, &self.layers.working_index(), "").kept);
        let (root, layers) = (self.root.clone(), self.layers.clone());
        let flattened = spawn_blocking(move || {
            let partial = root.with_extension("partial");
            copy::remove(&partial)?;
            fs::create_dir_all(&partial)?;
            // What commands have made would count as the agent's there.
            let lower = overlay.lower.into_iter().skip(usize::from(is_warm));
            let all: Vec<PathBuf> = std::iter::once(overlay.upper.clone()).chain(lower).collect();
            flatten(&all, &partial)?;
            if let (Some(kept), Some(origin)) = (kept, origin) {
                index::copy(&kept, &layers.kept_index())?;
                layers.note(&Origin { lower: Vec::new(), warm: None, ..origin })?;
            }
            // Where the layers are seen, or what a killed company has made of them before.
            copy::remove(&root)?;
            fs::rename(&partial, &root)?;
            layers.drop_layers()
        });
        let flattened = flattened.await.map_err(|_| WorkspaceError::ShutDown)?;
        flattened.map_err(WorkspaceError::io("copy the files of", &self.root))
    }
}

/// Checks a commit out into `files`, which is empty, by an index of its own.
async fn check_out(
    repository: &Repository,
    files: &Path,
    index: &Path,
    commit: &str,
    are_agents: bool,
) -> Result<(), WorkspaceError> {
    let settings = &repository.settings;
    let filters = if are_agents { Filters::for_agents_files(settings) } else { Filters::for_own_files(settings) };
    let mut set = filters.settings();
    set.extend(Medium::of(files).settings());
    let git = repository.git_for(&repository.own_git_dir(), files).index(index).settings(&set);
    git.text("check out the clone", ["read-tree", "-m", "-u", commit]).await?;
    lfs::fill(&git, settings, &repository.common, files, commit).await
}
