//! The submodules of a private clone: what was done in them comes back too.

use std::fs;
use std::path::PathBuf;

use super::{PrivateClone, Reason};
use crate::branch::Branch;
use crate::checkouts::Spot;
use crate::delivery::Sender;
use crate::error::WorkspaceError;
use crate::files::{Changes, Files};
use crate::foreign::Foreign;
use crate::hazard;
use crate::lfs;
use crate::lock::Locks;
use crate::plain::is_directory;
use crate::submodules::{Submodule, Submodules};

impl PrivateClone {
    /// Notes the submodules that it was given: their objects are read too. Returns what is to be said of them.
    pub(crate) fn know_submodules(&mut self, submodules: &Submodules) -> Vec<String> {
        for submodule in &submodules.filled {
            let borrowed = if self.is_trusted { submodule.objects.len() } else { 1 };
            self.objects.extend(submodule.objects.iter().take(borrowed).cloned());
        }
        submodules.notes()
    }

    /// The submodules that it was given.
    async fn submodules(&self) -> Result<Vec<Submodule>, WorkspaceError> {
        if !is_directory(&self.git_dir().join("modules")) {
            return Ok(Vec::new());
        }
        let Some(origin) = self.layers.origin() else { return Ok(Vec::new()) };
        Ok(Submodules::of(&self.branch.repository, &origin.commit).await?.filled)
    }

    /// Commits in submodules come onto a branch of the same name in the user's own.
    pub(super) async fn deliver_submodules(&self, locks: &Locks, reason: &mut Reason) -> Result<(), WorkspaceError> {
        for submodule in self.submodules().await? {
            let shown = submodule.path.display();
            let foreign = match Foreign::read(&self.git_dir().join(&submodule.git_dir)) {
                Ok(foreign) => foreign,
                Err(odd) => {
                    reason.keep(format!("of the submodule {shown} nothing was taken: {odd}"));
                    continue;
                }
            };
            let _lock = locks.lock(&submodule.repository.common).await;
            lfs::bring(&self.git_dir().join(&submodule.git_dir), &submodule.repository.common).await?;
            let branch = Branch::of(submodule.repository.clone(), self.task, submodule.commit.clone()).await?;
            let sender = Sender {
                task: self.task,
                branch: &branch,
                settings: &submodule.repository.settings,
                foreign: &foreign,
                // It isn't remembered here: a history that was rewritten comes beside the one from before.
                delivered: None,
                scratch: self.layers.facade(),
            };
            let delivery = sender.deliver().await?;
            if let Some(said) = delivery.refused {
                reason.keep(format!("the commits of the submodule {shown} could not be brought back: {said}"));
            } else if let Some(lost) = delivery.lost {
                reason.keep(format!(
                    "{lost} of the submodule {shown} has commits that are on no branch of the project's"
                ));
            }
        }
        Ok(())
    }

    /// Takes out of what is not looked into the submodules that are as they were given.
    pub(super) async fn without_untouched(&self, changes: &mut Changes) -> Result<(), WorkspaceError> {
        if changes.nested.is_empty() {
            return Ok(());
        }
        let submodules = self.submodules().await?;
        let mut touched = Vec::new();
        for submodule in &submodules {
            if self.is_touched(submodule, &submodules).await? {
                touched.push(&submodule.path);
            }
        }
        let is_given = |path: &PathBuf| submodules.iter().any(|submodule| submodule.path == *path);
        changes.nested.retain(|path| !is_given(path) || touched.iter().any(|touched| touched.starts_with(path)));
        Ok(())
    }

    /// True if a submodule has other files than its commit. Those within it are looked at by themselves.
    async fn is_touched(&self, submodule: &Submodule, all: &[Submodule]) -> Result<bool, WorkspaceError> {
        let (repository, is_layered) = (&submodule.repository, self.layers.is_layered());
        let files = if is_layered { self.layers.upper() } else { self.root.clone() };
        let root = files.join(&submodule.path);
        let Ok(foreign) = Foreign::read(&self.git_dir().join(&submodule.git_dir)) else { return Ok(true) };
        let head = foreign.head().unwrap_or(&submodule.commit);
        let is_known = repository.resolve(&format!("{head}^{{commit}}")).await?.is_some();
        if !is_known || hazard::in_files(&root).await.is_some() {
            return Ok(true);
        }
        let working = self.layers.root().join("compared-submodule");
        let files = match is_layered {
            true => {
                let Submodule { path, git_dir, commit, .. } = submodule;
                let spot = Spot { path: path.clone(), git_dir: git_dir.clone() };
                let checkout = self.checkouts.get(repository, &repository.settings, commit, &spot, false).await?;
                Files::of_layer(repository, &root, self.checkouts.index(&checkout.lower[0], &working, commit), None)
            }
            false => Files::untrusted(repository, &root, &working, head, None).await?,
        };
        let found = files.changes(head).await;
        let _ = fs::remove_file(&working);
        let mut found = found?;
        found.nested.retain(|path| !all.iter().any(|other| other.path == submodule.path.join(path)));
        Ok(found.is_any())
    }
}
