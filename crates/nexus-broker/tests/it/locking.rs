//! One company in one data directory.

use crate::support::temp;
use nexus_broker::{DataDir, LockError};

#[test]
fn a_second_company_is_told_who_is_there() {
    let dir = temp();
    let lock = DataDir::lock(dir.path()).unwrap();
    let other = lock.clone();
    drop(lock);
    let error = DataDir::lock(dir.path()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(error, LockError::Held { holder: Some(holder), .. } if holder == pid), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&format!("(pid {pid})")) && text.contains("--data-dir"), "{text}");
    drop(other);
    DataDir::lock(dir.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = temp();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = DataDir::lock(&dir.path().join("file/data")).unwrap_err().to_string();
    assert!(error.contains("file/data can't be used: "), "{error}");
}
