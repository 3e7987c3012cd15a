//! Throwing a history away without opening it: the way out when it is damaged, or of a newer version.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::db::Db;
use crate::target::Target;
use crate::{History, HistoryError};

/// The database, and what SQLite keeps beside it. The log goes first: replayed into a new file, it would damage that.
const SIDES: [&str; 4] = ["-wal", "-shm", "-journal", ""];

impl History {
    /// Deletes the history at `url`, whatever state it is in. Nothing may have it open; the next `open` begins anew.
    pub async fn discard(url: &str) -> Result<(), HistoryError> {
        let target = Target::parse(url)?;
        if let Target::Sqlite(path) = &target {
            for side in SIDES {
                remove(&beside(path, side)).await?;
            }
            return Ok(());
        }
        let failed = |error| HistoryError::of(&target.shown(), error);
        let db = Db::connect(&target).await.map_err(failed)?;
        let mut tx = db.begin().await.map_err(failed)?;
        tx.drop_all().await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        db.close().await;
        Ok(())
    }
}

fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(side);
    name.into()
}

async fn remove(path: &Path) -> Result<(), HistoryError> {
    match tokio::fs::remove_file(path).await {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(HistoryError::Discard { path: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}
