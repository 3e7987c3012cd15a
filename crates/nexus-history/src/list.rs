//! Lists: newest first, a page at a time, by a key and not by an offset, so that no task is skipped or seen twice.

use std::str::FromStr;

use futures_util::TryStreamExt;
use nexus_core::api::{ListRequest, TaskPage};
use nexus_core::id::TaskId;
use nexus_core::view::{Status, TaskView};
use sqlx::AssertSqlSafe;

use crate::db::reading;
use crate::row;
use crate::{History, HistoryError};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;
/// A page ends early when its tasks hold this much JSON: descriptions may be long, and an answer over NATS is at most 1 MiB.
const PAGE_BYTES: usize = 768 * 1024;

/// Whose tasks are asked for, as keys.
pub(crate) struct Kin {
    pub(crate) parent: Option<Vec<u8>>,
    pub(crate) root: Option<Vec<u8>>,
}

impl History {
    /// One page of the tasks that fit `query`, newest first. A page may hold fewer than the limit; the last one has no
    /// `next_cursor`.
    pub async fn list(&self, query: &ListRequest) -> Result<TaskPage, HistoryError> {
        let after = query.cursor.as_deref().map_or(Ok(Cursor::NEWEST), str::parse)?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT) as usize;
        let statuses: Vec<Status> =
            Status::ALL.into_iter().filter(|status| query.status.is_empty() || query.status.contains(status)).collect();
        let department = query.department.as_deref();

        let kin = Kin { parent: query.parent.map(row::key), root: query.root.map(row::key) };
        let (tasks, more) = self.page(department, &kin, &statuses, after, limit).await?;
        let total = match &kin {
            Kin { parent: None, root: None } => self.total(department, &statuses).await?,
            kin => self.count_of_kin(kin, department, &statuses).await?,
        };
        let next_cursor = tasks.last().filter(|_| more).map(|task| Cursor::at(task).to_string());
        Ok(TaskPage { total, tasks, next_cursor })
    }

    async fn page(
        &self,
        department: Option<&str>,
        kin: &Kin,
        statuses: &[Status],
        after: Cursor,
        limit: usize,
    ) -> Result<(Vec<TaskView>, bool), HistoryError> {
        let sql = AssertSqlSafe(page_sql(department.is_some(), kin, statuses));
        let (mut tasks, mut bytes, mut more) = (Vec::new(), 0, false);
        reading!(&self.db, pool => {
            let query = sqlx::query_scalar::<_, String>(sql).bind(after.created_at).bind(after.id.to_vec());
            // One more than asked for: it tells whether there is a next page.
            let query = query.bind(i64::try_from(limit + 1).unwrap_or(i64::MAX)).bind(department);
            let query = query.bind(kin.parent.as_deref()).bind(kin.root.as_deref());
            let mut bodies = query.fetch(pool);
            while let Some(body) = bodies.try_next().await.map_err(|error| self.failed(error))? {
                bytes += body.len();
                if tasks.len() == limit || (bytes > PAGE_BYTES && !tasks.is_empty()) {
                    more = true;
                    break;
                }
                tasks.push(row::view(&body, &self.url)?);
            }
        });
        Ok((tasks, more))
    }

    async fn total(&self, department: Option<&str>, statuses: &[Status]) -> Result<u64, HistoryError> {
        let counts = self.counts().await?;
        let departments = counts.departments().filter(|name| department.is_none_or(|wanted| name.as_str() == wanted));
        Ok(departments.flat_map(|name| statuses.iter().map(|status| counts.of(name, *status))).sum())
    }
}

/// `$1`, `$2`: the cursor; `$3`: how many; `$4`: the department, where there is one; `$5` and `$6`: the parent and the first of the tree, likewise.
///
/// Several statuses are so many walks along an index that is in order, merged; `IN` would sort all that fit.
fn page_sql(by_department: bool, kin: &Kin, statuses: &[Status]) -> String {
    let department = if by_department { " AND department = $4" } else { " AND $4 IS NULL" };
    let parent = if kin.parent.is_some() { " AND parent = $5" } else { " AND $5 IS NULL" };
    let root = if kin.root.is_some() { " AND root = $6" } else { " AND $6 IS NULL" };
    let walk = |status: String| {
        format!(
            "SELECT * FROM (SELECT created_at, id FROM nexus_task WHERE (created_at, id) < ($1, $2){department}{parent}{root}{status} \
             ORDER BY created_at DESC, id DESC LIMIT $3) AS walk"
        )
    };
    let walks = if statuses.len() == Status::ALL.len() {
        walk(String::new())
    } else {
        let one = |status: &Status| walk(format!(" AND status = '{}'", status.as_str()));
        statuses.iter().map(one).collect::<Vec<_>>().join(" UNION ALL ")
    };
    format!(
        "SELECT body FROM nexus_task WHERE id IN \
         (SELECT id FROM ({walks}) AS newest ORDER BY created_at DESC, id DESC LIMIT $3) \
         ORDER BY created_at DESC, id DESC"
    )
}

/// The last task of a page: 16 hex digits of its time, 32 of its id.
#[derive(Clone, Copy)]
struct Cursor {
    created_at: i64,
    id: [u8; 16],
}

impl Cursor {
    /// Before the newest.
    const NEWEST: Self = Self { created_at: i64::MAX, id: [0xff; 16] };

    fn at(task: &TaskView) -> Self {
        Self { created_at: task.created_at.as_microsecond(), id: *task.task_id.as_uuid().as_bytes() }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{}", self.created_at, uuid::Uuid::from_bytes(self.id).as_simple())
    }
}

impl FromStr for Cursor {
    type Err = HistoryError;

    fn from_str(text: &str) -> Result<Self, HistoryError> {
        let malformed = || HistoryError::Cursor(text.chars().take(64).collect());
        if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let (time, id) = text.split_at(16);
        let created_at = u64::from_str_radix(time, 16).map_err(|_| malformed())?.cast_signed();
        let id: TaskId = id.parse().map_err(|_| malformed())?;
        Ok(Self { created_at, id: *id.as_uuid().as_bytes() })
    }
}
