//! The project's repository, as its user has it.

mod bare;
mod origin;
mod place;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;

use crate::branch;
use crate::error::WorkspaceError;
use crate::git::{Git, Shield};

use crate::plain;
use crate::settings::Settings;

use place::Place;

/// A repository with at least one commit, and where in it the project is.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    /// The directory that all its worktrees share; it names the repository.
    pub(crate) common: PathBuf,
    /// The root of the user's checkout.
    pub(crate) top: PathBuf,
    /// From there to the project; empty for the root itself.
    pub(crate) prefix: PathBuf,
    /// The commit that was current when it was looked for.
    pub(crate) head: String,
    /// The settings of git there.
    pub(crate) settings: Settings,
    /// The settings that switch off what its own could run.
    shield: Shield,
}

/// The repository that was found at a project, if any.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// No repository, or none with a commit.
    Nothing,
    /// A repository around the project, whose current commit has nothing of the project: it isn't the project's.
    Untracked(Repository),
    Tracked(Repository),
}

impl Repository {
    /// The repository that tracks `project`, if there is one with a commit. For a task that has a branch already the repository
    /// around it will do: the user may have gone to a commit without the project since.
    pub(crate) async fn find_for(project: &Path, task: TaskId) -> Result<Option<Self>, WorkspaceError> {
        Ok(match Self::look(project).await? {
            Found::Tracked(repository) => Some(repository),
            Found::Untracked(repository) => {
                let reference = format!("refs/heads/{}", branch::name(task));
                repository.resolve(&reference).await?.map(|_| repository)
            }
            Found::Nothing => None,
        })
    }

    /// Looks for a repository, and whether the project is its own.
    ///
    /// # Errors
    /// git is missing, or refuses; the repository is bare; or what leads to it doesn't belong to the project.
    pub(crate) async fn look(project: &Path) -> Result<Found, WorkspaceError> {
        if place::is_nowhere(project).await {
            return Ok(Found::Nothing);
        }
        let git = Git::at(project);
        let doing = "look for the repository";
        let place = match Place::ask(&git, doing).await? {
            Ok(place) => place,
            Err(captured) => {
                let said = String::from_utf8_lossy(&captured.stderr);
                if said.contains("not a git repository") && !said.contains("not a git repository: ") {
                    return Ok(Found::Nothing);
                }
                return Err(bare::explained(project).await.unwrap_or_else(|| git.refused(doing, &captured)));
            }
        };
        if let Some(astray) = origin::objection(&place, project).await {
            return Err(WorkspaceError::Astray { project: project.to_owned(), said: astray });
        }
        let Place { common, top, prefix, .. } = place;
        let asked = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
        let head = git.run("read the current commit", asked).await?;
        if !head.success() {
            return Ok(Found::Nothing);
        }
        let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
        let listed = git.list("read its settings", ["config", "--list", "-z", "--show-scope"]).await?;
        let repository =
            Self { common, top, prefix, head, shield: Shield::of(&listed), settings: Settings::read(&listed) };
        Ok(if repository.tracks().await? { Found::Tracked(repository) } else { Found::Untracked(repository) })
    }

    /// True if the current commit has anything of the project.
    async fn tracks(&self) -> Result<bool, WorkspaceError> {
        if self.prefix.as_os_str().is_empty() {
            return Ok(true);
        }
        let mut named = OsString::from("HEAD:");
        named.push(&self.prefix);
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options"].map(OsString::from);
        Ok(self.git().run("look for the project", asked.into_iter().chain([named])).await?.success())
    }

    /// The git directory that is this checkout's own: of a linked worktree another directory than the common one.
    pub(crate) fn own_git_dir(&self) -> PathBuf {
        self.own_of(&self.top).unwrap_or_else(|| self.common.clone())
    }

    pub(crate) fn git(&self) -> Git {
        Git::at(&self.top).settings(self.shield.settings())
    }

    /// git with this repository, or a worktree's own directory of it, and the files of another place.
    pub(crate) fn git_for(&self, repository: &Path, files: &Path) -> Git {
        Git::between(repository, files).settings(self.shield.settings())
    }

    /// Where the repository keeps what belongs to the worktree at `root`, whatever the worktree itself says.
    pub(crate) fn own_of(&self, root: &Path) -> Option<PathBuf> {
        let root = root.canonicalize().ok()?;
        let entries = std::fs::read_dir(self.common.join("worktrees")).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|own| {
            let text = plain::content(&own.join("gitdir"));
            let text = String::from_utf8_lossy(&text);
            // Relative to where it stands, if git was told to write it so.
            let file = own.join(text.trim_end_matches('\n'));
            let place = file.parent().and_then(|place| place.canonicalize().ok());
            place.is_some_and(|place| place == root)
        })
    }

    /// The id of what a revision names.
    pub(crate) async fn resolve(&self, revision: &str) -> Result<Option<String>, WorkspaceError> {
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", revision];
        let captured = self.git().run("read a commit", asked).await?;
        Ok(captured.success().then(|| String::from_utf8_lossy(&captured.stdout).trim().to_owned()))
    }

    /// Where two histories part; none where they share nothing.
    pub(crate) async fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, WorkspaceError> {
        let captured = self.git().run("compare histories", ["merge-base", one, other]).await?;
        let text = String::from_utf8_lossy(&captured.stdout).trim().to_owned();
        Ok((captured.success() && !text.is_empty()).then_some(text))
    }

    pub(crate) async fn is_ancestor(&self, one: &str, of: &str) -> Result<bool, WorkspaceError> {
        Ok(self.git().run("compare histories", ["merge-base", "--is-ancestor", one, of]).await?.success())
    }

    /// The number of commits that `rev-list` lists. Refs that name nothing are passed over.
    pub(crate) async fn count(&self, which: &[&str]) -> Result<u64, WorkspaceError> {
        let args = ["rev-list", "--ignore-missing", "--count"].iter().chain(which).copied();
        let text = self.git().text("count commits", args).await?;
        Ok(text.trim().parse().unwrap_or(u64::MAX))
    }

    /// A commit of `tree`, by the user. `author` overrides who wrote it, and when.
    pub(crate) async fn commit(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        author: Option<[&str; 3]>,
    ) -> Result<String, WorkspaceError> {
        let [name, email] = self.settings.identity();
        let mut git = self.git().env("GIT_COMMITTER_NAME", name).env("GIT_COMMITTER_EMAIL", email);
        git = match author {
            Some([name, email, date]) => {
                git.env("GIT_AUTHOR_NAME", name).env("GIT_AUTHOR_EMAIL", email).env("GIT_AUTHOR_DATE", date)
            }
            None => git.env("GIT_AUTHOR_NAME", name).env("GIT_AUTHOR_EMAIL", email),
        };
        let parents = parents.iter().flat_map(|parent| ["-p", parent]);
        // Asked to sign it, git would ask the user for a passphrase.
        let args = ["commit-tree", "--no-gpg-sign"].into_iter().chain(parents).chain(["-F", "-", tree]);
        git.fed("commit", args, message.as_bytes().to_vec()).await
    }
}
