//! The home of a task's agent: where it is, and what lies below it.

use std::path::{Path, PathBuf};

use nexus_core::department::SandboxTier;
use nexus_core::id::TaskId;
use nexus_core::protect::Plan;
use nexus_process::Overlay;

use super::{Protector, make_private};

/// An agent's home, as it sees it and as the company does.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) inside: PathBuf,
    pub(crate) outside: PathBuf,
}

/// Where it lies in a container: images have no place for a user they don't know.
pub(crate) const CONTAINER_HOME: &str = "/home/agent";

impl Protector {
    /// The home of a task's agent.
    ///
    /// # Errors
    /// When it can't be made, or the user has none, as a sentence.
    pub(crate) async fn home(&self, plan: Plan, task: TaskId) -> Result<Home, String> {
        let users = || std::env::home_dir().filter(|home| home.is_absolute());
        let Some(tier) = plan.sandbox else {
            let home = users().ok_or("the user who runs the company has no home (HOME)")?;
            return Ok(Home { inside: home.clone(), outside: home });
        };
        let outside = self.private_place(task, "home").await?;
        let inside = match tier {
            SandboxTier::Container => PathBuf::from(CONTAINER_HOME),
            SandboxTier::Namespaces => {
                users().and_then(|home| home.canonicalize().ok()).unwrap_or_else(|| outside.clone())
            }
            SandboxTier::Landlock => outside.clone(),
        };
        Ok(Home { inside, outside })
    }

    /// What is noted of a home that lies over another directory, with the kernel's directory for that. It is apart from what is
    /// private to the task, part of which its agent may write to.
    pub(super) fn below_home(&self, task: TaskId) -> PathBuf {
        self.data_dir.join("homes").join(task.to_string())
    }

    /// Makes a task's home fit to lie over `below`, or over nothing. An attempt's home that lay over something else would hide
    /// parts of this, or miss what it was made for: it begins empty then.
    ///
    /// # Errors
    /// When the one before can't be removed, as a sentence.
    pub(crate) async fn begin_home(&self, task: TaskId, below: Option<&Path>) -> Result<(), String> {
        let (place, home) = (self.below_home(task), self.private(task).join("home"));
        if below.is_none() && !place.exists() {
            return Ok(());
        }
        let below = below.map(|below| below.as_os_str().as_encoded_bytes().to_owned());
        let settle = move || -> std::io::Result<()> {
            let noted = place.join("over");
            if below.as_ref().is_some_and(|below| std::fs::read(&noted).is_ok_and(|found| found == *below)) {
                return Ok(());
            }
            nexus_workspace::remove_all(&home)?;
            // With it goes the note: whoever is killed here begins anew.
            nexus_workspace::remove_all(&place)?;
            match below {
                Some(below) => std::fs::create_dir_all(&place).and_then(|()| std::fs::write(noted, below)),
                None => Ok(()),
            }
        };
        let settled = tokio::task::spawn_blocking(settle).await.map_err(|error| error.to_string())?;
        settled.map_err(|error| format!("the home of its agent can't be made ready: {error}"))
    }

    /// A task's home over a directory that it has begun with.
    ///
    /// # Errors
    /// When its directories can't be made, as a sentence.
    pub(crate) async fn home_over(&self, task: TaskId, lower: PathBuf) -> Result<Overlay, String> {
        let upper = self.private_place(task, "home").await?;
        let work = self.below_home(task).join("work");
        make_private(&work).await.map_err(|error| format!("{}: {error}", work.display()))?;
        Ok(Overlay { lower: vec![lower], target: upper.clone(), upper, work })
    }
}
