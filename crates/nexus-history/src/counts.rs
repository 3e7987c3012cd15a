//! The numbers of tasks, by department and status, kept up to date by every fold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_core::id::DepartmentName;
use nexus_core::view::Status;

use crate::db::reading;
use crate::{History, HistoryError, row};

/// Tasks by department and status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<DepartmentName, [u64; Status::ALL.len()]>);

impl Counts {
    #[must_use]
    pub fn of(&self, department: &DepartmentName, status: Status) -> u64 {
        self.0.get(department).map_or(0, |counts| counts[status as usize])
    }

    /// All departments together.
    #[must_use]
    pub fn total(&self, status: Status) -> u64 {
        self.0.values().map(|counts| counts[status as usize]).sum()
    }

    /// Ended in any way, all departments together.
    #[must_use]
    pub fn ended(&self) -> u64 {
        Status::ALL.into_iter().filter(|status| status.is_terminal()).map(|status| self.total(status)).sum()
    }

    /// Every department that has a task.
    pub fn departments(&self) -> impl Iterator<Item = &DepartmentName> {
        self.0.keys()
    }

    /// Adds `n` tasks.
    pub fn add(&mut self, department: DepartmentName, status: Status, n: u64) {
        self.0.entry(department).or_default()[status as usize] += n;
    }
}

impl History {
    /// Counts of every department. As quick with a million tasks as with one.
    pub async fn counts(&self) -> Result<Counts, HistoryError> {
        const SQL: &str = "SELECT department, status, n FROM nexus_count WHERE n <> 0";
        let rows: Vec<(String, String, i64)> = reading!(&self.db, pool => sqlx::query_as(SQL).fetch_all(pool).await)
            .map_err(|error| self.failed(error))?;
        let mut counts = Counts::default();
        for (department, status, n) in rows {
            let department = DepartmentName::new(department).map_err(|error| row::corrupt(&self.url, error))?;
            let status = status.parse().map_err(|error: String| row::corrupt(&self.url, error))?;
            let n = u64::try_from(n).map_err(|error| row::corrupt(&self.url, error))?;
            counts.add(department, status, n);
        }
        Ok(counts)
    }

    /// Tasks that have failed since `since`, by department.
    pub async fn failed_since(&self, since: Timestamp) -> Result<BTreeMap<DepartmentName, u64>, HistoryError> {
        const SQL: &str = "SELECT department, COUNT(*) FROM nexus_task \
             WHERE completed_at IS NOT NULL AND completed_at >= $1 AND status = 'failed' GROUP BY department";
        let rows: Vec<(String, i64)> = reading!(&self.db, pool => {
            sqlx::query_as(SQL).bind(since.as_microsecond()).fetch_all(pool).await
        })
        .map_err(|error| self.failed(error))?;
        let count = |(department, n)| {
            let department = DepartmentName::new(department).map_err(|error| row::corrupt(&self.url, error))?;
            Ok((department, u64::try_from(n).map_err(|error| row::corrupt(&self.url, error))?))
        };
        rows.into_iter().map(count).collect()
    }
}
