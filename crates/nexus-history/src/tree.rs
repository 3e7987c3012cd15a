//! Trees of tasks that agents have asked for.

use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::view::{Status, TaskView};
use sqlx::AssertSqlSafe;

use crate::db::reading;
use crate::list::Kin;
use crate::row;
use crate::{History, HistoryError};

/// Orphans that are found at once; those that are left come next.
const ORPHANS: i64 = 256;

impl History {
    /// The number of tasks that this one has asked for, however they ended.
    pub async fn children(&self, parent: TaskId) -> Result<u64, HistoryError> {
        self.count("SELECT COUNT(*) FROM nexus_task WHERE parent = $1", parent).await
    }

    /// The number of tasks below a tree's first one, however they ended.
    pub async fn tree_size(&self, root: TaskId) -> Result<u64, HistoryError> {
        self.count("SELECT COUNT(*) FROM nexus_task WHERE root = $1", root).await
    }

    /// The tasks below a tree's first one, in the order in which they were asked for.
    pub async fn tree(&self, root: TaskId) -> Result<Vec<TaskView>, HistoryError> {
        const SQL: &str = "SELECT body FROM nexus_task WHERE root = $1 ORDER BY created_at, id";
        let bodies: Vec<String> =
            reading!(&self.db, pool => sqlx::query_scalar(SQL).bind(row::key(root)).fetch_all(pool).await)
                .map_err(|error| self.failed(error))?;
        row::views(&bodies, &self.url)
    }

    /// Tasks of a department that run and have asked for others that wait or run: which may be what they wait for.
    pub async fn waiting(&self, department: &DepartmentName) -> Result<Vec<TaskView>, HistoryError> {
        // By the index of orphans too.
        const SQL: &str = "SELECT body FROM nexus_task WHERE department = $1 AND status = 'running' AND id IN \
             (SELECT parent FROM nexus_task WHERE parent IS NOT NULL AND status IN ('queued', 'running')) \
             ORDER BY created_at, id";
        let bodies: Vec<String> =
            reading!(&self.db, pool => sqlx::query_scalar(SQL).bind(department.as_str()).fetch_all(pool).await)
                .map_err(|error| self.failed(error))?;
        row::views(&bodies, &self.url)
    }

    /// Tasks that wait or run and whose parent has failed for good or was cancelled, each with how that was: some of them.
    pub async fn orphans(&self) -> Result<Vec<(TaskView, Status)>, HistoryError> {
        // The conditions on the child are those of its index, which is empty as a rule.
        const SQL: &str = "SELECT child.body, parent.status FROM nexus_task AS child \
             JOIN nexus_task AS parent ON parent.id = child.parent \
             WHERE child.parent IS NOT NULL AND child.status IN ('queued', 'running') \
             AND parent.status IN ('failed', 'cancelled') LIMIT $1";
        let found: Vec<(String, String)> =
            reading!(&self.db, pool => sqlx::query_as(SQL).bind(ORPHANS).fetch_all(pool).await)
                .map_err(|error| self.failed(error))?;
        let orphan = |(body, status): &(String, String)| {
            let status = status.parse().map_err(|error: String| row::corrupt(&self.url, error))?;
            Ok((row::view(body, &self.url)?, status))
        };
        found.iter().map(orphan).collect()
    }

    pub(crate) async fn count_of_kin(
        &self,
        kin: &Kin,
        department: Option<&str>,
        statuses: &[Status],
    ) -> Result<u64, HistoryError> {
        let named: Vec<_> = statuses.iter().map(|status| format!("'{}'", status.as_str())).collect();
        let test = |column: &str, mark: &str, is_given| {
            if is_given { format!("{column} = {mark}") } else { format!("{mark} IS NULL") }
        };
        let sql = format!(
            "SELECT COUNT(*) FROM nexus_task WHERE {} AND {} AND {} AND status IN ({})",
            test("parent", "$1", kin.parent.is_some()),
            test("root", "$2", kin.root.is_some()),
            test("department", "$3", department.is_some()),
            named.join(", ")
        );
        let sql = AssertSqlSafe(sql);
        let counted: i64 = reading!(&self.db, pool => {
            let query = sqlx::query_scalar(sql).bind(kin.parent.as_deref()).bind(kin.root.as_deref());
            query.bind(department).fetch_one(pool).await
        })
        .map_err(|error| self.failed(error))?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    async fn count(&self, sql: &'static str, id: TaskId) -> Result<u64, HistoryError> {
        let counted: i64 = reading!(&self.db, pool => sqlx::query_scalar(sql).bind(row::key(id)).fetch_one(pool).await)
            .map_err(|error| self.failed(error))?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }
}
