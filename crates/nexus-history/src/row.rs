//! A task's view as a row: the columns that are asked for, and everything as JSON.

use jiff::Timestamp;
use nexus_core::id::TaskId;
use nexus_core::view::{Status, TaskView};

use crate::HistoryError;

/// Task types are indexed up to this many bytes: Postgres refuses an index row over 2,704.
const TYPE_BYTES: usize = 256;

/// One row of `nexus_task`.
pub(crate) struct TaskRow {
    pub(crate) id: Vec<u8>,
    pub(crate) department: String,
    pub(crate) status: &'static str,
    pub(crate) created_at: i64,
    /// Only of a task that has ended and was not put back since.
    pub(crate) completed_at: Option<i64>,
    pub(crate) task_type: String,
    pub(crate) node: Option<String>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) parent: Option<Vec<u8>>,
    /// The first task of its tree, unless it is that itself.
    pub(crate) root: Option<Vec<u8>>,
    pub(crate) body: String,
}

impl TaskRow {
    pub(crate) fn new(view: &TaskView) -> Result<Self, serde_json::Error> {
        let ended = view.completed_at.filter(|_| view.status.is_terminal());
        let duration = view.result.as_ref().map(|outcome| i64::try_from(outcome.duration_ms).unwrap_or(i64::MAX));
        Ok(Self {
            id: key(view.task_id),
            department: view.department.to_string(),
            status: view.status.as_str(),
            created_at: view.created_at.as_microsecond(),
            completed_at: ended.map(Timestamp::as_microsecond),
            task_type: type_key(&view.task_type),
            node: view.node.as_ref().map(ToString::to_string),
            duration_ms: duration.filter(|_| view.status == Status::Completed),
            parent: view.parent.map(|parent| key(parent.task_id)),
            root: view.parent.map(|parent| key(parent.root)),
            body: serde_json::to_string(view)?,
        })
    }
}

/// An id as it is stored: its 16 bytes, which sort as its text does.
pub(crate) fn key(id: TaskId) -> Vec<u8> {
    id.as_uuid().as_bytes().to_vec()
}

pub(crate) fn id(key: &[u8], url: &str) -> Result<TaskId, HistoryError> {
    uuid::Uuid::from_slice(key).map(TaskId::from_uuid).map_err(|error| corrupt(url, error))
}

pub(crate) fn view(body: &str, url: &str) -> Result<TaskView, HistoryError> {
    serde_json::from_str(body).map_err(|error| corrupt(url, error))
}

pub(crate) fn views(bodies: &[String], url: &str) -> Result<Vec<TaskView>, HistoryError> {
    bodies.iter().map(|body| view(body, url)).collect()
}

pub(crate) fn corrupt(url: &str, reason: impl ToString) -> HistoryError {
    HistoryError::Corrupt { url: url.to_owned(), reason: reason.to_string() }
}

/// A task type as it is indexed: cut, and without the NUL that Postgres can't store in text.
pub(crate) fn type_key(task_type: &str) -> String {
    let mut end = TYPE_BYTES.min(task_type.len());
    while !task_type.is_char_boundary(end) {
        end -= 1;
    }
    task_type[..end].replace('\0', "\u{fffd}")
}
