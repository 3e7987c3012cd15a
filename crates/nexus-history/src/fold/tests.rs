//! A full disk, played by SQLite's own limit on the file's pages.

use jiff::Timestamp;
use nexus_core::id::{DepartmentName, Priority, TaskId};
use nexus_core::task::{QueueEntry, Task};
use nexus_core::view::Record;
use uuid::Uuid;

use crate::db::Db;
use crate::{History, HistoryError};

fn record(n: u64) -> (u64, Record) {
    let task = Task {
        id: TaskId::from_uuid(Uuid::from_u128(n.into())),
        department: DepartmentName::new("qa").unwrap(),
        description: "x".repeat(4096),
        task_type: String::new(),
        project_path: String::new(),
        context: None,
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: Timestamp::UNIX_EPOCH,
        traceparent: None,
        parent: None,
    };
    (n, Record::Entry(QueueEntry::first(task)))
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(&format!("sqlite:{}", directory.path().join("history.db").display())).await.unwrap();
    let Db::Sqlite { writer, .. } = &history.db else { panic!("not SQLite") };
    let limit = async |sql: &'static str| sqlx::query(sql).execute(writer).await.map(drop).unwrap();
    let batch: Vec<_> = (1..=200).map(record).collect();

    limit("PRAGMA max_page_count = 100").await;
    let refused = history.fold(&batch, 200).await;
    assert!(matches!(refused, Err(HistoryError::Full { .. })), "{refused:?}");
    assert_eq!(history.position().await.unwrap(), 0);
    assert!(history.dump().await.unwrap().is_empty());

    limit("PRAGMA max_page_count = 1000000").await;
    history.fold(&batch, 200).await.unwrap();
    assert_eq!(history.dump().await.unwrap().len(), 200);
}

/// SQLite does this by itself when a disk is full.
#[tokio::test]
async fn a_transaction_that_was_ended_from_below_stands_in_nobodys_way() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(&format!("sqlite:{}", directory.path().join("history.db").display())).await.unwrap();
    let mut ended = history.db.begin().await.unwrap();
    ended.run(&["ROLLBACK"]).await.unwrap();
    drop(ended);
    history.fold(&[record(1)], 1).await.unwrap();
    assert_eq!(history.position().await.unwrap(), 1);
}
