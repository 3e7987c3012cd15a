//! Whether a project's directory is there: looked at once in a while, since every submission asks.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Directories that were there a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Projects(Mutex<HashMap<PathBuf, Instant>>);

/// How long a directory is taken to be there. One that goes just then fails the attempt, as one that goes just after would.
const AGE: Duration = Duration::from_secs(1);
/// Directories that are remembered; when there are more, they are looked at anew.
const KEPT: usize = 256;

impl Projects {
    /// Whether there is a directory at `path`.
    ///
    /// # Errors
    /// Nothing is there, or it can't be looked at.
    pub(crate) async fn is_directory(&self, path: &Path) -> io::Result<bool> {
        let is_known = |seen: &HashMap<PathBuf, Instant>| seen.get(path).is_some_and(|at| at.elapsed() < AGE);
        if is_known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(true);
        }
        let is_directory = tokio::fs::metadata(path).await?.is_dir();
        if is_directory {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= KEPT {
                seen.clear();
            }
            seen.insert(path.to_owned(), Instant::now());
        }
        Ok(is_directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_directory_is_looked_at_again_after_a_while() {
        let (projects, dir) = (Projects::default(), tempfile::tempdir().unwrap());
        let project = dir.path().join("project");
        std::fs::create_dir(&project).unwrap();
        assert!(projects.is_directory(&project).await.unwrap());
        std::fs::remove_dir(&project).unwrap();
        assert!(projects.is_directory(&project).await.unwrap(), "remembered");
        tokio::time::advance(AGE).await;
        assert_eq!(projects.is_directory(&project).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&project, "").unwrap();
        assert!(!projects.is_directory(&project).await.unwrap());
    }
}
