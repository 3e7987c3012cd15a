//! Leftovers are removed when nothing would be lost, and their reason is said when they stay.

use std::time::Duration;

use nexus_core::department::WorkspaceMode::{self, Clone, Copy, Scratch, Worktree};
use nexus_core::id::TaskId;
use nexus_workspace::{Cleaned, Finish, Left, Method};

use crate::support::{Place, completed, git, task};

async fn clean(place: &Place, task: TaskId) -> Cleaned {
    let before = (place.left(), git(&place.project, &["for-each-ref"]).await);
    let rehearsed = place.workspaces.sweep(task, &place.project).await.unwrap().clean(None, true).await.unwrap();
    assert_eq!((place.left(), git(&place.project, &["for-each-ref"]).await), before, "a rehearsal removes nothing");
    let cleaned = place.workspaces.sweep(task, &place.project).await.unwrap().clean(None, false).await.unwrap();
    assert_eq!(rehearsed, cleaned);
    let left = cleaned.workspace.as_ref().is_some_and(|left| !left.removed);
    assert_eq!(place.workspaces.has(task), left);
    cleaned
}

fn said(left: Option<&Left>) -> Option<(bool, &str)> {
    left.map(|left| (left.removed, left.reason.as_str()))
}

/// A task whose agent has committed `new`, and then done something more.
async fn done(place: &Place, mode: WorkspaceMode, more: &str) -> TaskId {
    let task = task();
    let prepared = place.prepare(mode, task).await;
    std::fs::write(prepared.path.join("new"), "new\n").unwrap();
    git(&prepared.path, &["add", "."]).await;
    git(&prepared.path, &["commit", "-q", "-m", "new"]).await;
    if !more.is_empty() {
        std::fs::write(prepared.path.join(more), "more\n").unwrap();
    }
    place.workspaces.finish(prepared, Finish::Unfinished).await;
    task
}

#[tokio::test]
async fn what_is_merged_goes_and_what_is_not_stays() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        let task = done(&place, mode, "").await;
        let cleaned = clean(&place, task).await;
        assert_eq!(cleaned.workspace, None);
        assert_eq!(said(cleaned.branch.as_ref()), Some((false, "1 commit of it is on no other branch")));
        // That another task has gone on from it is no safe place.
        git(&place.project, &["branch", "nexus/another", &format!("nexus/{task}")]).await;
        assert!(!clean(&place, task).await.branch.unwrap().removed);
        git(&place.project, &["branch", "-q", "-D", "nexus/another"]).await;
        place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
        let cleaned = clean(&place, task).await;
        assert_eq!(said(cleaned.branch.as_ref()), Some((true, "other branches have all of it")));
        assert_eq!(git(&place.project, &["branch", "--list"]).await, "* main");
        assert_eq!(clean(&place, task).await, Cleaned::default());
        assert_eq!(std::fs::read_dir(place.directory.path().join("data/bases")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn what_was_rebased_goes() {
    let place = Place::repository().await;
    let task = done(&place, Clone, "").await;
    place.write("README", "the user's\n");
    git(&place.project, &["commit", "-q", "-a", "-m", "the user's"]).await;
    place.workspaces.apply(task, &place.project, None, Method::Rebase).await.unwrap();
    let cleaned = clean(&place, task).await;
    let said = said(cleaned.branch.as_ref());
    assert_eq!(said, Some((true, "the current branch has all its changes, in commits of its own")));
}

#[tokio::test]
async fn what_is_not_committed_stays() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        let task = done(&place, mode, "more").await;
        place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
        let cleaned = clean(&place, task).await;
        assert_eq!(said(cleaned.workspace.as_ref()), Some((false, "1 file is not committed")), "{mode:?}");
        assert_eq!(said(cleaned.branch.as_ref()), Some((false, "its workspace is kept")));
        // Looked at, and put away by hand.
        let workspace = cleaned.workspace.unwrap().name;
        std::fs::remove_file(format!("{workspace}/more")).unwrap();
        let cleaned = clean(&place, task).await;
        assert_eq!(said(cleaned.workspace.as_ref()), Some((true, "all of it is committed")), "{mode:?}");
        assert!(cleaned.branch.unwrap().removed);
    }
}

#[tokio::test]
async fn an_attempt_waits_for_who_cleans_up() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        let task = done(&place, mode, "more").await;
        place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
        let workspace = place.directory.path().join("data/workspaces").join(task.to_string());
        std::fs::remove_file(workspace.join("more")).unwrap();
        let sweep = place.workspaces.sweep(task, &place.project).await.unwrap();
        let attempt = place.prepare(mode, task);
        tokio::pin!(attempt);
        // It has all the time that it would need.
        let early = tokio::time::timeout(Duration::from_millis(500), &mut attempt).await;
        assert!(early.is_err(), "{mode:?}");
        assert!(sweep.clean(None, false).await.unwrap().workspace.unwrap().removed);
        // It has found that nothing is there any more, and has a whole one.
        let prepared = attempt.await;
        assert!(prepared.path.join("README").exists() && prepared.path.join(".git").exists(), "{mode:?}");
        // And the other way round: who cleans up is not kept waiting by one that is at work.
        let sweep = tokio::time::timeout(Duration::from_secs(30), place.workspaces.sweep(task, &place.project));
        drop(sweep.await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn commits_that_are_nowhere_else_stay() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        let task = task();
        let prepared = place.prepare(mode, task).await;
        let path = prepared.path.clone();
        place.workspaces.finish(prepared, Finish::Unfinished).await;
        let prepared = place.prepare(mode, task).await;
        assert_eq!(prepared.path, path);
        git(&path, &["checkout", "-q", "--detach"]).await;
        git(&path, &["commit", "-q", "--allow-empty", "-m", "loose"]).await;
        // The company was killed: nobody has finished it.
        drop(prepared);
        let cleaned = clean(&place, task).await;
        assert!(!cleaned.workspace.unwrap().removed, "{mode:?}");
    }
}

#[tokio::test]
async fn a_branch_that_somebody_works_on_stays() {
    let place = Place::repository().await;
    let task = done(&place, Clone, "").await;
    place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
    git(&place.project, &["checkout", "-q", &format!("nexus/{task}")]).await;
    let cleaned = clean(&place, task).await;
    let reason = format!("it is checked out in {}", place.project.display());
    assert_eq!(said(cleaned.branch.as_ref()), Some((false, reason.as_str())));
}

#[tokio::test]
async fn copies_stay_and_what_is_empty_goes() {
    let place = Place::repository().await;
    let (copy, scratch) = (task(), task());
    let prepared = place.prepare(Copy, copy).await;
    std::fs::remove_dir_all(prepared.path.join(".git")).unwrap();
    place.workspaces.finish(prepared, completed()).await;
    let cleaned = clean(&place, copy).await;
    let reason = "it is no git repository: nothing tells what in it is new";
    assert_eq!(said(cleaned.workspace.as_ref()), Some((false, reason)));
    place.prepare(Scratch, scratch).await;
    assert_eq!(said(clean(&place, scratch).await.workspace.as_ref()), Some((true, "it is empty")));
}

#[tokio::test]
async fn without_its_project_nothing_is_removed() {
    let place = Place::repository().await;
    let task = done(&place, Clone, "more").await;
    let gone = place.directory.path().join("gone");
    let cleaned = place.workspaces.sweep(task, &gone).await.unwrap().clean(None, false).await.unwrap();
    let reason = "its project's repository is not there to compare it with";
    assert_eq!(said(cleaned.workspace.as_ref()), Some((false, reason)));
    assert_eq!(cleaned.branch, None);
}
