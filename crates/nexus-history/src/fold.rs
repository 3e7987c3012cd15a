//! Folding: a batch of the ledger's records becomes rows and counts, in one transaction.

use std::collections::{BTreeMap, HashMap};

use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::spend::{Expense, expense};
use nexus_core::view::{Record, Status, TaskView, fold};
use sqlx::AssertSqlSafe;

use crate::db::{Tx, within};
use crate::row::{self, TaskRow};
use crate::spent::Expenses;
use crate::{History, HistoryError};

#[cfg(test)]
mod tests;

/// Rows of one statement, the largest that fits first: few texts, so that each is prepared once and kept.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// Changes of `nexus_count`.
type Changes = BTreeMap<(DepartmentName, &'static str), i64>;

impl History {
    /// Folds `batch` (ascending) and moves the position to `upto`, all or nothing. Records up to the position are
    /// skipped, so that a redelivery changes nothing.
    pub async fn fold(&self, batch: &[(u64, Record)], upto: u64) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        let mut meta = tx.meta().await.map_err(|error| self.failed(error))?;
        if meta.generation != self.generation() {
            return Err(HistoryError::Cleared { url: self.url.to_string() });
        }
        let before = u64::try_from(meta.position).unwrap_or(0);
        let (fresh, last) = fresh(batch, before);
        if !fresh.is_empty() {
            self.fold_into(&mut tx, &fresh).await?;
        }
        let position = last.max(upto);
        if position > before {
            meta.position = i64::try_from(position).unwrap_or(i64::MAX);
            tx.set_meta(&meta).await.map_err(|error| self.failed(error))?;
        }
        tx.commit().await.map_err(|error| self.failed(error))
    }

    async fn fold_into(&self, tx: &mut Tx, records: &[&Record]) -> Result<(), HistoryError> {
        let mut ids: Vec<TaskId> = records.iter().map(|record| record.task_id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut old = HashMap::with_capacity(ids.len());
        for body in tx.bodies(&ids).await.map_err(|error| self.failed(error))? {
            let view = row::view(&body, &self.url)?;
            old.insert(view.task_id, view);
        }
        let mut new = old.clone();
        let mut expenses = Expenses::new();
        for record in records {
            let id = record.task_id();
            // Few records add anything; what was there before one that may is looked at beside what is there after it.
            let before = matches!(record, Record::Event(_)).then(|| new.get(&id).cloned()).flatten();
            if let Some(view) = fold(new.remove(&id), record) {
                if let Some(Expense { purse, spent }) = expense(before.as_ref(), Some(&view), record) {
                    let sum = expenses.entry(purse).or_default();
                    *sum = sum.plus(spent);
                }
                new.insert(id, view);
            }
        }
        let mut rows = Vec::with_capacity(new.len());
        let mut changes = Changes::new();
        for id in ids {
            let (before, after) = (old.get(&id), new.get(&id));
            if before != after {
                count(&mut changes, before, after);
                rows.extend(after.map(TaskRow::new).transpose().map_err(|error| row::corrupt(&self.url, error))?);
            }
        }
        tx.put(&rows).await.map_err(|error| self.failed(error))?;
        tx.spend(&expenses).await.map_err(|error| self.failed(error))?;
        tx.count(&changes).await.map_err(|error| self.failed(error))
    }
}

/// The records that come after `before`, each once, and the last sequence among them.
fn fresh(batch: &[(u64, Record)], before: u64) -> (Vec<&Record>, u64) {
    let mut last = before;
    let mut records = Vec::with_capacity(batch.len());
    for (sequence, record) in batch {
        if *sequence > last {
            last = *sequence;
            records.push(record);
        }
    }
    (records, last)
}

fn count(changes: &mut Changes, before: Option<&TaskView>, after: Option<&TaskView>) {
    let of = |view: &TaskView| (view.department.clone(), Status::as_str(view.status));
    if let Some(view) = before {
        *changes.entry(of(view)).or_default() -= 1;
    }
    if let Some(view) = after {
        *changes.entry(of(view)).or_default() += 1;
    }
}

/// `items` in pieces of the sizes of [`CHUNKS`].
fn chunks<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= items.len())?;
        let (piece, rest) = items.split_at(size);
        items = rest;
        Some(piece)
    })
}

impl Tx {
    /// Places for so many values: `($1, $2), ($3, $4)` and so on. SQLite looks named ones up in a list, one by one, whenever
    /// one is bound: hundreds of them have no name there.
    fn tuples(&self, rows: usize, columns: usize) -> String {
        let tuple = |row: usize| {
            let mark = |column: usize| match self {
                Self::Sqlite(_) => "?".to_owned(),
                Self::Postgres(_) => format!("${}", row * columns + column),
            };
            format!("({})", (1..=columns).map(mark).collect::<Vec<_>>().join(", "))
        };
        (0..rows).map(tuple).collect::<Vec<_>>().join(", ")
    }

    async fn bodies(&mut self, ids: &[TaskId]) -> Result<Vec<String>, sqlx::Error> {
        let mut bodies = Vec::with_capacity(ids.len());
        for piece in chunks(ids) {
            // One tuple of as many columns as there are ids: `IN ($1, $2, ...)`.
            let sql = format!("SELECT body FROM nexus_task WHERE id IN {}", self.tuples(1, piece.len()));
            within!(self, tx => {
                let mut query = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
                for id in piece {
                    query = query.bind(row::key(*id));
                }
                bodies.extend(query.fetch_all(tx).await?);
            });
        }
        Ok(bodies)
    }

    async fn put(&mut self, rows: &[TaskRow]) -> Result<(), sqlx::Error> {
        for piece in chunks(rows) {
            let sql = format!(
                "INSERT INTO nexus_task \
                    (id, department, status, created_at, completed_at, task_type, node, duration_ms, parent, root, body) \
                 VALUES {} ON CONFLICT (id) DO UPDATE SET \
                    department = excluded.department, status = excluded.status, created_at = excluded.created_at, \
                    completed_at = excluded.completed_at, task_type = excluded.task_type, node = excluded.node, \
                    duration_ms = excluded.duration_ms, parent = excluded.parent, root = excluded.root, \
                    body = excluded.body",
                self.tuples(piece.len(), 11)
            );
            within!(self, tx => {
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for row in piece {
                    query = query
                        .bind(row.id.as_slice())
                        .bind(row.department.as_str())
                        .bind(row.status)
                        .bind(row.created_at)
                        .bind(row.completed_at)
                        .bind(row.task_type.as_str())
                        .bind(row.node.as_deref())
                        .bind(row.duration_ms)
                        .bind(row.parent.as_deref())
                        .bind(row.root.as_deref())
                        .bind(row.body.as_str());
                }
                query.execute(tx).await?;
            });
        }
        Ok(())
    }

    async fn count(&mut self, changes: &Changes) -> Result<(), sqlx::Error> {
        const SQL: &str = "INSERT INTO nexus_count (department, status, n) VALUES ($1, $2, $3) \
             ON CONFLICT (department, status) DO UPDATE SET n = nexus_count.n + excluded.n";
        for ((department, status), n) in changes.iter().filter(|(_, n)| **n != 0) {
            within!(self, tx => sqlx::query(SQL).bind(department.as_str()).bind(*status).bind(*n).execute(tx).await.map(drop))?;
        }
        Ok(())
    }

    /// Deletes what there is of `ids`, and their counts.
    pub(crate) async fn forget(&mut self, ids: &[TaskId]) -> Result<(), sqlx::Error> {
        const COUNT: &str = "UPDATE nexus_count SET n = n - 1 WHERE department = $1 AND status = $2";
        for piece in chunks(ids) {
            let sql = format!(
                "DELETE FROM nexus_task WHERE id IN {} RETURNING department, status",
                self.tuples(1, piece.len())
            );
            within!(self, tx => {
                let mut query = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(sql));
                for id in piece {
                    query = query.bind(row::key(*id));
                }
                for (department, status) in query.fetch_all(&mut *tx).await? {
                    sqlx::query(COUNT).bind(department).bind(status).execute(&mut *tx).await?;
                }
            });
        }
        Ok(())
    }
}
