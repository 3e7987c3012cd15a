//! Where the system can't notify.

use super::*;

#[tokio::test]
async fn an_edit_is_found_by_polling() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.toml");
    std::fs::write(&file, "").unwrap();
    let source = Source { dir: Some(dir.path().to_owned()), ..Source::default() };
    let current = load_dir(&source, source.dir.clone()).unwrap();
    let (tell, mut told) = mpsc::channel(1);
    let following = tokio::spawn(follow(source, current, tell, false));
    // The first is found by the look at the beginning, the second only by another.
    for name in ["acme", "apex"] {
        std::fs::write(&file, format!("name = \"{name}\"")).unwrap();
        let loaded = tokio::time::timeout(Duration::from_secs(30), told.recv()).await.unwrap().unwrap().unwrap();
        assert_eq!(loaded.company.name, name);
    }
    drop(told);
    tokio::time::timeout(Duration::from_secs(30), following).await.unwrap().unwrap();
}
