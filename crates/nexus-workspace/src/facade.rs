//! A repository of ours that holds an agent's objects beside the project's: git is asked in it about an agent's commits, and
//! meets no setting, link or ref of the agent's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nexus_process::open_file;
use tokio::task::spawn_blocking;

use crate::alternates::quoted;
use crate::copy;
use crate::error::WorkspaceError;
use crate::foreign::Foreign;
use crate::git::Git;
use crate::layers::remove_aside;
use crate::repository::Repository;
use crate::settings::Settings;

/// Gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Facade {
    root: PathBuf,
}

impl Facade {
    /// Makes it at `root`, which is on the file system of the agent's repository.
    pub(crate) async fn make(
        root: PathBuf,
        repository: &Repository,
        settings: &Settings,
        foreign: &Foreign,
    ) -> Result<Self, WorkspaceError> {
        let facade = Self { root };
        let filled = facade.fill(repository, settings);
        filled.map_err(WorkspaceError::io("make a repository at", &facade.root))?;
        let (foreign, objects) = (foreign.clone(), facade.root.join("objects"));
        let lent =
            spawn_blocking(move || foreign.lend_objects(&objects)).await.map_err(|_| WorkspaceError::ShutDown)?;
        lent.map_err(WorkspaceError::io("take the agent's objects to", &facade.root))?;
        Ok(facade)
    }

    fn fill(&self, repository: &Repository, settings: &Settings) -> io::Result<()> {
        // One that a killed company has left.
        copy::remove(&self.root)?;
        let objects = self.root.join("objects");
        fs::create_dir_all(objects.join("info"))?;
        fs::create_dir_all(objects.join("pack"))?;
        fs::create_dir_all(self.root.join("refs"))?;
        fs::write(self.root.join("HEAD"), "ref: refs/heads/none\n")?;
        let mut config = format!(
            "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = {}\n",
            settings.object_format()
        );
        if settings.promisor().is_some() {
            // Objects that the project doesn't have either are missed by nobody.
            config.push_str("\tpartialClone = none\n[remote \"none\"]\n\tpromisor = true\n\turl = /dev/null\n");
        }
        fs::write(self.root.join("config"), config)?;
        let mut alternates = quoted(&repository.common.join("objects"));
        alternates.push(b'\n');
        fs::write(objects.join("info/alternates"), alternates)?;
        let shallow = repository.common.join("shallow");
        if shallow.is_file() {
            io::copy(&mut open_file(&shallow)?, &mut fs::File::create(self.root.join("shallow"))?)?;
        }
        Ok(())
    }

    pub(crate) fn git(&self) -> Git {
        Git::at(&self.root).env("GIT_DIR", &self.root).brief()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Facade {
    fn drop(&mut self) {
        remove_aside(&self.root);
    }
}
