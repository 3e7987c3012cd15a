//! The suite on SQLite, and what only a file can do wrong.

use nexus_history::{History, HistoryError};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::records::{entry, numbered};
use crate::{folds, suite};

fn place() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("50% new?/history.db").display());
    (directory, url)
}

macro_rules! tests {
    ($($case:ident),*) => {$(
        #[tokio::test]
        async fn $case() {
            let (_directory, url) = place();
            suite::$case(&url).await;
        }
    )*};
}
suite::cases!(tests);

#[test]
fn folds_equal_the_fold_in_memory() {
    let (_directory, url) = place();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    folds::equal_the_fold_in_memory(&runtime, &url, 100);
}

#[tokio::test]
async fn versions_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("history.db").display());
    suite::versions_are_told_apart(&url, async |sql| {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_damaged_file_says_so_and_can_be_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let url = format!("sqlite:{}", path.display());
    std::fs::write(&path, "not a database, but long enough to be looked at ".repeat(100)).unwrap();
    let refused = History::open(&url).await.unwrap_err();
    assert!(matches!(refused, HistoryError::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&format!("delete {}", path.display())), "{refused}");

    History::discard(&url).await.unwrap();
    let history = History::open(&url).await.unwrap();
    history.fold(&numbered((0..200).map(|n| entry(n, "qa", 1))), 200).await.unwrap();
    history.close().await;
    // Damaged in the middle: found when it is read.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8192..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let refused = match History::open(&url).await {
        Ok(history) => history.dump().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert!(matches!(refused, HistoryError::Corrupt { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_url_that_names_nothing_is_refused() {
    for url in ["", "history.db", "sqlite:", "sqlite::memory:", "mysql://root:hunter2@h/d", "postgres://u:hunter2@[/d"]
    {
        let refused = History::open(url).await.unwrap_err();
        assert!(matches!(refused, HistoryError::Url { .. }), "{url}: {refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused}");
    }
}

#[tokio::test]
async fn an_unreachable_one_is_named_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    // Nothing listens on port 1; a directory can't be made in a file.
    for url in ["postgres://u:hunter2@127.0.0.1:1/d".to_owned(), format!("sqlite:{}/history.db", file.display())] {
        let refused = History::open(&url).await.unwrap_err();
        assert!(matches!(refused, HistoryError::Unreachable { .. }), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let history = History::open(&format!("sqlite:{}", path.display())).await.unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.path().display());
    }
    history.close().await;
}
