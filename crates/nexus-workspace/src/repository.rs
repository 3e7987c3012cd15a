//! The project's repository, as its user has it.

use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::git::Git;

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
}

impl Repository {
    /// The repository that `project` is in; none when there is none, or none with a commit.
    pub(crate) async fn find(project: &Path) -> Result<Option<Self>, WorkspaceError> {
        let git = Git::at(project);
        let doing = "look for the repository";
        let asked = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel", "--show-prefix"];
        let captured = git.run(doing, asked).await?;
        if !captured.success() {
            let none = String::from_utf8_lossy(&captured.stderr).contains("not a git repository");
            return if none { Ok(None) } else { Err(git.refused(doing, &captured)) };
        }
        let text = String::from_utf8_lossy(&captured.stdout).into_owned();
        let mut lines = text.lines().map(PathBuf::from);
        let mut next = || lines.next().unwrap_or_default();
        let (common, top, prefix) = (next(), next(), next());
        let head = git.run("read the current commit", ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await?;
        if !head.success() {
            return Ok(None);
        }
        let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
        Ok(Some(Self { common, top, prefix, head }))
    }

    /// What of the repository is this checkout's own: of a linked worktree another directory than the common one.
    pub(crate) fn own_git_dir(&self) -> PathBuf {
        self.own_of(&self.top).unwrap_or_else(|| self.common.clone())
    }

    pub(crate) fn git(&self) -> Git {
        Git::at(&self.top)
    }

    /// Where the repository keeps what belongs to the worktree at `root`, whatever the worktree itself says.
    pub(crate) fn own_of(&self, root: &Path) -> Option<PathBuf> {
        let root = root.canonicalize().ok()?;
        let entries = std::fs::read_dir(self.common.join("worktrees")).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|own| {
            let text = std::fs::read_to_string(own.join("gitdir")).unwrap_or_default();
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

    /// How many commits `rev-list` lists.
    pub(crate) async fn count(&self, which: &[&str]) -> Result<u64, WorkspaceError> {
        let args = ["rev-list", "--count"].iter().chain(which).copied();
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
        let [name, email] = self.identity().await?;
        let mut git = self.git().env("GIT_COMMITTER_NAME", &name).env("GIT_COMMITTER_EMAIL", &email);
        git = match author {
            Some([name, email, date]) => {
                git.env("GIT_AUTHOR_NAME", name).env("GIT_AUTHOR_EMAIL", email).env("GIT_AUTHOR_DATE", date)
            }
            None => git.env("GIT_AUTHOR_NAME", &name).env("GIT_AUTHOR_EMAIL", &email),
        };
        let parents = parents.iter().flat_map(|parent| ["-p", parent]);
        // Asked to sign it, git would ask the user for a passphrase.
        let args = ["commit-tree", "--no-gpg-sign"].into_iter().chain(parents).chain(["-F", "-", tree]);
        git.fed("commit", args, message.as_bytes().to_vec()).await
    }

    /// The user's name and address, or what stands for an agent.
    pub(crate) async fn identity(&self) -> Result<[String; 2], WorkspaceError> {
        let mut found = Vec::new();
        for (key, otherwise) in [("user.name", "Nexus agent"), ("user.email", "agent@nexus.invalid")] {
            let own = self.git().run("read the user's name", ["config", "--get", key]).await?;
            let own = String::from_utf8_lossy(&own.stdout).trim().to_owned();
            found.push(if own.is_empty() { otherwise.to_owned() } else { own });
        }
        let [name, email] = <[String; 2]>::try_from(found).unwrap_or_default();
        Ok([name, email])
    }
}
