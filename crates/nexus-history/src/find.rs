//! Questions about single tasks: by id, by the beginning of an id, by node; and how long a kind of task takes.

use std::collections::BTreeMap;

use nexus_core::id::{DepartmentName, NodeId, TaskId};
use nexus_core::view::TaskView;
use uuid::Uuid;

use crate::db::reading;
use crate::row;
use crate::{History, HistoryError};

/// The meaning of a prefix of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    One(TaskId),
    None,
    /// Some of them, in order: at most five.
    Many(Vec<TaskId>),
}

/// Fewer hex digits than this are no prefix.
const MIN_PREFIX: usize = 4;
/// Enough to show what is ambiguous.
const MAX_CANDIDATES: i64 = 5;
/// Latest completed tasks that an estimate is the median of.
const SAMPLE: i64 = 20;

impl History {
    pub async fn get(&self, id: TaskId) -> Result<Option<TaskView>, HistoryError> {
        const SQL: &str = "SELECT body FROM nexus_task WHERE id = $1";
        let body: Option<String> =
            reading!(&self.db, pool => sqlx::query_scalar(SQL).bind(row::key(id)).fetch_optional(pool).await)
                .map_err(|error| self.failed(error))?;
        body.map(|body| row::view(&body, &self.url)).transpose()
    }

    /// The task whose id begins with `prefix`: at least 4 hex digits, hyphens as you like. What can't begin an id, begins
    /// none.
    pub async fn resolve(&self, prefix: &str) -> Result<Resolved, HistoryError> {
        const SQL: &str = "SELECT id FROM nexus_task WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3";
        let Some((first, last)) = span(prefix) else { return Ok(Resolved::None) };
        let keys: Vec<Vec<u8>> = reading!(&self.db, pool => {
            let query = sqlx::query_scalar(SQL).bind(first.as_bytes().to_vec()).bind(last.as_bytes().to_vec());
            query.bind(MAX_CANDIDATES).fetch_all(pool).await
        })
        .map_err(|error| self.failed(error))?;
        let ids = keys.iter().map(|key| row::id(key, &self.url)).collect::<Result<Vec<_>, _>>()?;
        Ok(match ids.as_slice() {
            [] => Resolved::None,
            [id] => Resolved::One(*id),
            _ => Resolved::Many(ids),
        })
    }

    /// The tasks that run on `node`, as far as the ledger was folded.
    pub async fn running_on(&self, node: &NodeId) -> Result<Vec<TaskView>, HistoryError> {
        const SQL: &str = "SELECT body FROM nexus_task WHERE status = 'running' AND node = $1 ORDER BY created_at, id";
        let bodies: Vec<String> =
            reading!(&self.db, pool => sqlx::query_scalar(SQL).bind(node.as_str()).fetch_all(pool).await)
                .map_err(|error| self.failed(error))?;
        row::views(&bodies, &self.url)
    }

    /// The nodes that something runs on, as far as the ledger was folded.
    pub async fn nodes_at_work(&self) -> Result<Vec<NodeId>, HistoryError> {
        const SQL: &str = "SELECT DISTINCT node FROM nexus_task WHERE status = 'running' AND node IS NOT NULL";
        let names: Vec<String> = reading!(&self.db, pool => sqlx::query_scalar(SQL).fetch_all(pool).await)
            .map_err(|error| self.failed(error))?;
        // Written from a checked name; anything else names no node.
        Ok(names.into_iter().filter_map(|name| NodeId::new(name).ok()).collect())
    }

    /// The median run, in milliseconds, of the department's latest completed tasks of this type; none without any.
    pub async fn estimate_ms(&self, department: &DepartmentName, task_type: &str) -> Result<Option<u64>, HistoryError> {
        const SQL: &str = "SELECT COALESCE(duration_ms, 0) FROM nexus_task \
             WHERE status = 'completed' AND department = $1 AND task_type = $2 ORDER BY completed_at DESC LIMIT $3";
        let mut runs: Vec<i64> = reading!(&self.db, pool => {
            let query = sqlx::query_scalar(SQL).bind(department.as_str()).bind(row::type_key(task_type));
            query.bind(SAMPLE).fetch_all(pool).await
        })
        .map_err(|error| self.failed(error))?;
        runs.sort_unstable();
        let middle = runs.get((runs.len().max(1) - 1) / 2..runs.len() / 2 + 1).unwrap_or_default();
        Ok(match middle {
            [] => None,
            [one] => u64::try_from(*one).ok(),
            [low, high, ..] => u64::try_from(low.midpoint(*high)).ok(),
        })
    }

    /// Everything, for comparing with a fold of the ledger. Holds it all in memory.
    pub async fn dump(&self) -> Result<BTreeMap<TaskId, TaskView>, HistoryError> {
        let bodies: Vec<String> =
            reading!(&self.db, pool => sqlx::query_scalar("SELECT body FROM nexus_task").fetch_all(pool).await)
                .map_err(|error| self.failed(error))?;
        Ok(row::views(&bodies, &self.url)?.into_iter().map(|view| (view.task_id, view)).collect())
    }
}

/// The first and the last id that begin with `prefix`.
fn span(prefix: &str) -> Option<(Uuid, Uuid)> {
    // Longer than any id with its hyphens: not looked through.
    if prefix.len() > 64 {
        return None;
    }
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || !(MIN_PREFIX..=32).contains(&digits.len()) {
        return None;
    }
    let end = |fill: char| u128::from_str_radix(&format!("{digits}{}", fill.to_string().repeat(32 - digits.len())), 16);
    Some((Uuid::from_u128(end('0').ok()?), Uuid::from_u128(end('f').ok()?)))
}
