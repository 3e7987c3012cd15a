//! The end of a task's time here: which have been finished for long enough, and forgetting them.

use jiff::Timestamp;
use nexus_core::id::TaskId;

use crate::db::reading;
use crate::row;
use crate::{History, HistoryError};

impl History {
    /// Tasks that ended before `before`, the longest ago first.
    pub async fn expired(&self, before: Timestamp, limit: u32) -> Result<Vec<TaskId>, HistoryError> {
        const SQL: &str = "SELECT id FROM nexus_task \
             WHERE completed_at IS NOT NULL AND completed_at < $1 ORDER BY completed_at LIMIT $2";
        let keys: Vec<Vec<u8>> = reading!(&self.db, pool => {
            sqlx::query_scalar(SQL).bind(before.as_microsecond()).bind(i64::from(limit)).fetch_all(pool).await
        })
        .map_err(|error| self.failed(error))?;
        keys.iter().map(|key| row::id(key, &self.url)).collect()
    }

    /// Forgets tasks for good. Purge them from the ledger first: what is still there comes back with a rebuild.
    pub async fn forget(&self, ids: &[TaskId]) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        // Whoever folds, folds alone: the counts belong to both.
        tx.meta().await.map_err(|error| self.failed(error))?;
        tx.forget(ids).await.map_err(|error| self.failed(error))?;
        tx.commit().await.map_err(|error| self.failed(error))
    }
}
