//! The modes that need neither git nor a copy, and what is refused.

use nexus_core::department::WorkspaceMode::{InPlace, Scratch};
use nexus_workspace::{Finish, WorkspaceError};

use crate::support::{Place, task, wanted};

#[tokio::test]
async fn scratch_is_empty_and_goes_if_it_stays_so() {
    let place = Place::new();
    place.write("file", "text");
    let unused = place.prepare(Scratch, task()).await;
    assert_eq!(std::fs::read_dir(&unused.path).unwrap().count(), 0);
    assert!(!place.workspaces.finish(unused, Finish::Unfinished).await.kept);

    let used = place.prepare(Scratch, task()).await;
    std::fs::write(used.path.join("result"), "42").unwrap();
    let report = place.workspaces.finish(used, Finish::Unfinished).await;
    assert!(report.kept);
    assert_eq!(std::fs::read_to_string(std::path::Path::new(&report.path).join("result")).unwrap(), "42");
    assert_eq!(place.left(), 1);
}

#[tokio::test]
async fn in_place_is_the_project_itself() {
    let place = Place::new();
    let prepared = place.prepare(InPlace, task()).await;
    assert_eq!(prepared.path, place.project);
    assert!(place.workspaces.finish(prepared, Finish::Unfinished).await.kept);
    assert!(place.project.is_dir());
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let place = Place::new();
    let missing = place.project.join("missing");
    let error = place.workspaces.prepare(wanted(InPlace), task(), &missing, false).await.unwrap_err();
    assert!(matches!(&error, WorkspaceError::NoProject(path) if *path == missing), "{error:?}");
    assert!(error.to_string().contains("project_path"), "{error}");
}
