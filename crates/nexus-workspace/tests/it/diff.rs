//! A task's changes as a patch that git takes, made without changing anything.

use nexus_core::department::WorkspaceMode::{Clone, Worktree};
use nexus_core::event::DiffStat;
use nexus_workspace::Finish;

use crate::support::{Place, completed, git, task};

#[tokio::test]
async fn the_branch_and_what_is_not_committed() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        let task = task();
        assert_eq!(place.workspaces.diff(task, &place.project, None, None, false).await.unwrap(), None);
        let prepared = place.prepare(mode, task).await;
        std::fs::write(prepared.path.join("README"), "changed\n").unwrap();
        git(&prepared.path, &["commit", "-q", "-a", "-m", "changed"]).await;
        std::fs::write(prepared.path.join("new"), "new\n").unwrap();
        std::fs::remove_file(prepared.path.join("sub/file")).unwrap();
        // While it runs, and when it has failed.
        for finish in [None, Some(Finish::Unfinished)] {
            if let Some(finish) = finish {
                let prepared = place.prepare(mode, task).await;
                assert!(place.workspaces.finish(prepared, finish).await.kept);
            }
            let objects = git(&place.project, &["count-objects"]).await;
            let patch = place.workspaces.diff(task, &place.project, None, None, false).await.unwrap().unwrap();
            assert_eq!(patch.diff, DiffStat { files: 3, insertions: 2, deletions: 2 }, "{mode:?}");
            assert_eq!(patch.left_out, None);
            assert_eq!((git(&place.project, &["count-objects"]).await, place.left()), (objects, 1));
            let check = place.directory.path().join("check");
            git(place.directory.path(), &["clone", "-q", "project", "check"]).await;
            let file = place.directory.path().join("patch");
            std::fs::write(&file, &patch.text).unwrap();
            git(&check, &["apply", "--index", file.to_str().unwrap()]).await;
            assert_eq!(git(&check, &["status", "--porcelain"]).await, "M  README\nA  new\nD  sub/file");
            std::fs::remove_dir_all(check).unwrap();
        }
    }
}

#[tokio::test]
async fn of_one_that_is_done_the_branch() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    std::fs::write(prepared.path.join("new"), "new\n").unwrap();
    let report = place.workspaces.finish(prepared, completed()).await;
    // The user has gone on, which is no part of it.
    place.write("README", "the user's\n");
    git(&place.project, &["commit", "-q", "-a", "-m", "the user's"]).await;
    let patch = place
        .workspaces
        .diff(task, &place.project, report.base.as_deref(), report.head.as_deref(), true)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((patch.uncommitted, patch.diff), (0, DiffStat { files: 1, insertions: 1, deletions: 0 }));
    assert_eq!(String::from_utf8(patch.text).unwrap(), " new | 1 +\n 1 file changed, 1 insertion(+)\n");
    assert_eq!(patch.head, report.head);
}

#[tokio::test]
async fn external_programs_are_not_run() {
    let place = Place::repository().await;
    let (sign, script) = crate::support::canary(&place);
    for setting in ["diff.external", "diff.evil.textconv", "diff.evil.command"] {
        git(&place.project, &["config", setting, &script]).await;
    }
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    std::fs::write(prepared.path.join(".gitattributes"), "* diff=evil\n").unwrap();
    place.workspaces.diff(task, &place.project, None, None, false).await.unwrap().unwrap();
    place.workspaces.finish(prepared, completed()).await;
    place.workspaces.diff(task, &place.project, None, None, false).await.unwrap().unwrap();
    assert!(!sign.exists(), "{}", std::fs::read_to_string(&sign).unwrap_or_default());
}
