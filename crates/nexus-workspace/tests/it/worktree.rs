//! A worktree for each task; what has been done in it is never lost, what has not is not left lying about.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;

use futures_util::future::join_all;
use nexus_core::department::WorkspaceMode::{Clone, Copy, Worktree};
use nexus_workspace::{Finish, Method, WorkspaceError, Workspaces};

use crate::support::{Place, completed, git, task, wanted};

#[tokio::test]
async fn a_clean_one_is_removed_with_its_branch() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Worktree, task).await;
    assert_eq!((prepared.mode, prepared.branch.clone()), (Worktree, Some(format!("nexus/{task}"))));
    assert_eq!(std::fs::read_to_string(prepared.path.join("sub/file")).unwrap(), "file\n");
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.branch, report.changed_files), (false, None, Some(0)));
    assert_eq!(place.left(), 0);
    assert_eq!(git(&place.project, &["branch", "--list"]).await, "* main");
    assert_eq!(git(&place.project, &["worktree", "list"]).await.lines().count(), 1);
}

#[tokio::test]
async fn a_dirty_one_is_kept_and_used_again() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Worktree, task).await;
    std::fs::write(prepared.path.join("README"), "changed\n").unwrap();
    std::fs::create_dir(prepared.path.join("new")).unwrap();
    std::fs::write(prepared.path.join("new/one"), "1").unwrap();
    std::fs::write(prepared.path.join("new/two words"), "2").unwrap();
    let path = prepared.path.clone();
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.changed_files), (true, Some(3)));
    assert_eq!(report.branch, Some(format!("nexus/{task}")));

    let again = place.prepare(Worktree, task).await;
    assert_eq!((&again.path, again.mode), (&path, Worktree));
    assert_eq!(std::fs::read_to_string(again.path.join("new/one")).unwrap(), "1");
    git(&again.path, &["checkout", "-q", "."]).await;
    git(&again.path, &["clean", "-qfd"]).await;
    assert!(!place.workspaces.finish(again, Finish::Unfinished).await.kept);
    assert_eq!(git(&place.project, &["branch", "--list"]).await, "* main");
}

#[tokio::test]
async fn commits_stay_on_their_branch() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Worktree, task).await;
    std::fs::write(prepared.path.join("README"), "better\n").unwrap();
    git(&prepared.path, &["commit", "-q", "-a", "-m", "better"]).await;
    let branch = prepared.branch.clone().unwrap();
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.branch.as_ref(), report.changed_files), (false, Some(&branch), Some(0)));
    assert_eq!(place.left(), 0);
    assert_eq!(git(&place.project, &["show", &format!("{branch}:README")]).await, "better");

    // The next attempt goes on from there.
    let again = place.prepare(Worktree, task).await;
    assert_eq!(std::fs::read_to_string(again.path.join("README")).unwrap(), "better\n");
    let report = place.workspaces.finish(again, Finish::Unfinished).await;
    assert_eq!((report.kept, report.branch), (false, Some(branch)));
}

#[tokio::test]
async fn commits_on_no_branch_are_not_lost() {
    let place = Place::repository().await;
    let prepared = place.prepare(Worktree, task()).await;
    git(&prepared.path, &["checkout", "-q", "--detach"]).await;
    std::fs::write(prepared.path.join("README"), "loose\n").unwrap();
    git(&prepared.path, &["commit", "-q", "-a", "-m", "loose"]).await;
    assert!(place.workspaces.finish(prepared, Finish::Unfinished).await.kept);
    assert_eq!(place.left(), 1);
}

#[tokio::test]
async fn twenty_at_once() {
    let place = Place::repository().await;
    let all = join_all((0..20).map(|_| place.prepare(Worktree, task()))).await;
    let paths: HashSet<_> = all.iter().map(|prepared| prepared.path.clone()).collect();
    assert_eq!(paths.len(), 20);
    assert!(all.iter().all(|prepared| prepared.mode == Worktree && prepared.path.join("README").is_file()));
    let reports = join_all(all.into_iter().map(|prepared| place.workspaces.finish(prepared, Finish::Unfinished))).await;
    assert!(reports.iter().all(|report| !report.kept && report.branch.is_none()), "{reports:?}");
    assert_eq!(git(&place.project, &["branch", "--list"]).await, "* main");
}

#[tokio::test]
async fn two_companies_on_one_repository() {
    let place = Place::repository().await;
    // They share no lock within a process: files alone stand between them.
    let others = ["one", "two"].map(|name| Workspaces::new(place.directory.path().join(name).join("workspaces")));
    let reports = join_all((0..16).map(async |n| {
        let workspaces = &others[n % 2];
        let prepared = workspaces.prepare(wanted(Worktree), task(), &place.project, false).await.unwrap();
        std::fs::write(prepared.path.join("README"), format!("{n}\n")).unwrap();
        workspaces.finish(prepared, completed()).await
    }))
    .await;
    assert!(reports.iter().all(|report| !report.kept && report.commit_count == Some(1)), "{reports:?}");
    let branches: HashSet<_> = reports.into_iter().filter_map(|report| report.branch).collect();
    assert_eq!(branches.len(), 16);
}

#[tokio::test]
async fn somebody_else_s_lock_is_waited_for() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Worktree, task).await;
    std::fs::write(prepared.path.join("README"), "changed\n").unwrap();
    let held = place.project.join(format!(".git/refs/heads/nexus/{task}.lock"));
    std::fs::write(&held, "").unwrap();
    let finish = place.workspaces.finish(prepared, completed());
    let release = async {
        // sleep: it is what the other one's git takes; whatever is done before that finds the lock, and has to wait.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        std::fs::remove_file(&held).unwrap();
    };
    let (report, ()) = tokio::join!(finish, release);
    assert_eq!((report.kept, report.commit_count), (false, Some(1)), "{report:?}");
}

#[tokio::test]
async fn the_users_checkout_index_and_hooks_are_untouched() {
    let place = Place::repository().await;
    let ran = place.project.join("hook-ran");
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        let path = place.project.join(".git/hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch '{}'\n", ran.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    place.write("README", "being edited\n");
    place.write("staged", "staged\n");
    git(&place.project, &["-c", "core.hooksPath=/dev/null", "add", "staged"]).await;
    let index = std::fs::read(place.project.join(".git/index")).unwrap();

    let prepared = place.prepare(Worktree, task()).await;
    assert_eq!(std::fs::read_to_string(prepared.path.join("README")).unwrap(), "hello\n");
    assert!(!place.workspaces.finish(prepared, Finish::Unfinished).await.kept);

    assert!(!ran.exists(), "a hook of the user was run");
    assert_eq!(std::fs::read(place.project.join(".git/index")).unwrap(), index);
    assert_eq!(std::fs::read_to_string(place.project.join("README")).unwrap(), "being edited\n");
}

#[tokio::test]
async fn a_directory_within_the_repository_stays_one() {
    let mut place = Place::repository().await;
    place.project = place.project.join("sub");
    let prepared = place.prepare(Worktree, task()).await;
    assert!(prepared.path.ends_with("sub"));
    assert!(prepared.path.join("file").is_file() && prepared.path.join("../README").is_file());
    assert!(!place.workspaces.finish(prepared, Finish::Unfinished).await.kept);
}

#[tokio::test]
async fn one_whose_making_was_cut_off_is_made_anew() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Worktree, task).await;
    // As git leaves it when it is killed during the checkout.
    std::fs::remove_file(prepared.path.join("README")).unwrap();
    let own = git(&prepared.path, &["rev-parse", "--absolute-git-dir"]).await;
    std::fs::write(format!("{own}/locked"), "initializing").unwrap();
    let again = place.prepare(Worktree, task).await;
    assert!(again.path.join("README").is_file());
    assert!(!place.workspaces.finish(again, Finish::Unfinished).await.kept);
}

#[tokio::test]
async fn one_whose_directory_is_gone_is_made_anew() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Worktree, task).await;
    std::fs::remove_dir_all(&prepared.path).unwrap();
    assert!(!place.workspaces.finish(prepared, Finish::Unfinished).await.kept);
    let again = place.prepare(Worktree, task).await;
    assert!(again.path.join("README").is_file());
    assert!(!place.workspaces.finish(again, Finish::Unfinished).await.kept);
    assert_eq!(git(&place.project, &["branch", "--list"]).await, "* main");
}

#[tokio::test]
async fn without_a_commit_or_a_repository_it_is_a_copy() {
    let place = Place::new();
    place.write("file", "text");
    assert_eq!(place.prepare(Worktree, task()).await.mode, Copy);
    git(&place.project, &["init", "-q"]).await;
    let prepared = place.prepare(Worktree, task()).await;
    assert_eq!((prepared.mode, prepared.branch.as_deref()), (Copy, None));
    assert_eq!(std::fs::read_to_string(prepared.path.join("file")).unwrap(), "text");
}

#[tokio::test]
async fn what_git_says_is_in_the_error() {
    let place = Place::repository().await;
    let task = task();
    // A branch below the task's leaves no room for that.
    git(&place.project, &["branch", &format!("nexus/{task}/below")]).await;
    let error = place.workspaces.prepare(wanted(Worktree), task, &place.project, false).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Git { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("refs/heads/nexus/{task}")), "{error}");
}

#[tokio::test]
async fn a_branch_called_as_ours_begin_is_in_nobody_s_way() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        git(&place.project, &["branch", "nexus"]).await;
        let task = task();
        let prepared = place.prepare(mode, task).await;
        std::fs::write(prepared.path.join("fix"), "fix\n").unwrap();
        let report = place.workspaces.finish(prepared, completed()).await;
        let branch = format!("nexus-{task}");
        assert_eq!((report.kept, report.branch.as_ref()), (false, Some(&branch)), "{mode:?}");
        place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
        assert!(place.project.join("fix").exists());
    }
}
