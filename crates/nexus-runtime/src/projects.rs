//! Projects that can be worked on: the directory is there, and holds neither a user's home nor the company's own data.
//! Looked at once in a while, since every submission asks.

mod homes;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nexus_core::refusal::{Refusal, RefusalKind};
use tokio::time::Instant;

/// Directories that were found fit a moment ago.
#[derive(Debug)]
pub(crate) struct Projects {
    seen: Mutex<HashMap<PathBuf, Instant>>,
    data_dir: PathBuf,
    homes: Vec<PathBuf>,
}

/// The time for which a directory is taken to be there. One that goes just then fails the attempt, as one going just after would.
const AGE: Duration = Duration::from_secs(1);
/// Directories that are remembered; when there are more, they are looked at anew.
const KEPT: usize = 256;

impl Projects {
    pub(crate) fn new(data_dir: &Path) -> Self {
        let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        Self { seen: Mutex::default(), data_dir, homes: homes::find() }
    }

    /// Refuses a directory that is not there, or that no agent is to work in.
    pub(crate) async fn check(&self, path: &Path) -> Result<(), Refusal> {
        let refused = |why: String| {
            Refusal::invalid(format!("project_path \"{}\" {why}", path.display()))
                .with_help("name a directory that exists on the machine where the company runs")
        };
        match self.is_directory(path).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused("is not a directory".to_owned())),
            Err(Unfit::Unread(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(refused("does not exist".to_owned()))
            }
            Err(Unfit::Unread(error)) => Err(refused(format!("can't be read: {error}"))),
            Err(Unfit::Forbidden(why)) => {
                let message = format!("project_path \"{}\" {why}: no agent works there", path.display());
                let help = "name the directory of one project below it (-p DIRECTORY, or project_path)";
                Err(Refusal::new(RefusalKind::Forbidden, message).with_help(help))
            }
        }
    }

    async fn is_directory(&self, path: &Path) -> Result<bool, Unfit> {
        let is_known = |seen: &HashMap<PathBuf, Instant>| seen.get(path).is_some_and(|at| at.elapsed() < AGE);
        if is_known(&self.seen.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(true);
        }
        let is_directory = tokio::fs::metadata(path).await.map_err(Unfit::Unread)?.is_dir();
        if is_directory {
            let real = tokio::fs::canonicalize(path).await.map_err(Unfit::Unread)?;
            if let Some(why) = self.objection(&real) {
                return Err(Unfit::Forbidden(why));
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= KEPT {
                seen.clear();
            }
            seen.insert(path.to_owned(), Instant::now());
        }
        Ok(is_directory)
    }

    /// Why a directory, named without links, is no project. An agent could read keys there, or a copy of them would be made.
    fn objection(&self, real: &Path) -> Option<String> {
        if real.parent().is_none() {
            return Some("is the whole machine".to_owned());
        }
        if let Some(home) = self.homes.iter().find(|home| home.starts_with(real)) {
            return Some(match home == real {
                true => "is a user's home".to_owned(),
                false => format!("holds a user's home ({})", home.display()),
            });
        }
        if self.data_dir.starts_with(real) {
            return Some(format!("holds the company's data directory ({})", self.data_dir.display()));
        }
        let is_within = real.starts_with(&self.data_dir);
        is_within.then(|| format!("is within the company's data directory ({})", self.data_dir.display()))
    }
}

enum Unfit {
    Unread(io::Error),
    Forbidden(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_directory_is_looked_at_again_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let projects = Projects::new(&dir.path().join("data"));
        let project = dir.path().join("project");
        std::fs::create_dir(&project).unwrap();
        projects.check(&project).await.unwrap();
        std::fs::remove_dir(&project).unwrap();
        projects.check(&project).await.expect("remembered");
        tokio::time::advance(AGE).await;
        let refusal = projects.check(&project).await.unwrap_err();
        assert!(refusal.kind == RefusalKind::InvalidInput && refusal.message.ends_with("does not exist"), "{refusal}");
        std::fs::write(&project, "").unwrap();
        let refusal = projects.check(&project).await.unwrap_err();
        assert!(refusal.message.ends_with("is not a directory"), "{refusal}");
    }

    #[tokio::test]
    async fn what_holds_a_home_or_the_data_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for path in ["users/ann/work/app", "state/data/workspaces/kept"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("users/ann"), root.join("link")).unwrap();
        let mut projects = Projects::new(&root.join("state/data"));
        projects.homes = vec![root.join("users/ann")];
        let refused = ["", "users", "users/ann", "link", "state", "state/data", "state/data/workspaces/kept"];
        for path in refused.map(|path| root.join(path)).iter().map(PathBuf::as_path).chain([Path::new("/")]) {
            let refusal = projects.check(path).await.unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::Forbidden, "{refusal}");
            assert!(refusal.help.unwrap().contains("below it"));
        }
        for path in ["users/ann/work", "users/ann/work/app"] {
            projects.check(&root.join(path)).await.unwrap();
        }
    }
}
