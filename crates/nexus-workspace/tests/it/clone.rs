//! A private clone for each task: its commits come back, and nothing that an agent has written into it is ever run.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use futures_util::future::join_all;
use nexus_core::department::WorkspaceMode::{Clone, Copy, InPlace};
use nexus_core::department::{Wanted, WorkspaceMode};
use nexus_core::id::TaskId;
use nexus_workspace::{Finish, Method, Prepared};

use crate::support::{Place, canary, completed, git, task};

async fn commit(prepared: &Prepared, file: &str) {
    std::fs::write(prepared.path.join(file), "from the agent\n").unwrap();
    git(&prepared.path, &["add", "."]).await;
    git(&prepared.path, &["commit", "-q", "-m", file]).await;
}

async fn branch_of(place: &Place, task: TaskId) -> String {
    git(&place.project, &["log", "--format=%s", &format!("nexus/{task}")]).await
}

#[tokio::test]
async fn commits_come_back_and_the_clone_goes() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    assert_eq!((prepared.mode, prepared.branch.clone()), (Clone, Some(format!("nexus/{task}"))));
    assert_eq!(std::fs::read_to_string(prepared.path.join("sub/file")).unwrap(), "file\n");
    assert_eq!(prepared.readable(), [place.project.join(".git/objects")]);
    commit(&prepared, "new").await;
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.branch, report.changed_files), (false, Some(format!("nexus/{task}")), Some(0)));
    assert_eq!(branch_of(&place, task).await, "new\nfirst");
    assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "");
    assert_eq!(git(&place.project, &["branch", "--show-current"]).await, "main");
    assert!(!place.project.join(".git/FETCH_HEAD").exists());
    assert_eq!(place.left(), 0);
    // The next attempt goes on where this one has ended.
    let again = place.prepare(Clone, task).await;
    assert!(again.path.join("new").exists());
    commit(&again, "newer").await;
    place.workspaces.finish(again, Finish::Unfinished).await;
    assert_eq!(branch_of(&place, task).await, "newer\nnew\nfirst");
}

#[tokio::test]
async fn one_in_which_nothing_was_done_leaves_no_trace() {
    let place = Place::repository().await;
    let before = git(&place.project, &["for-each-ref"]).await;
    let prepared = place.prepare(Clone, task()).await;
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.branch, report.changed_files), (false, None, Some(0)));
    assert_eq!((git(&place.project, &["for-each-ref"]).await, place.left()), (before, 0));
}

#[tokio::test]
async fn what_is_not_committed_keeps_it() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    commit(&prepared, "done").await;
    std::fs::write(prepared.path.join("README"), "half\n").unwrap();
    std::fs::write(prepared.path.join("new"), "half\n").unwrap();
    let path = prepared.path.clone();
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.changed_files), (true, Some(2)));
    assert_eq!(branch_of(&place, task).await, "done\nfirst");
    let again = place.prepare(Clone, task).await;
    assert_eq!(std::fs::read_to_string(path.join("README")).unwrap(), "half\n");
    // What it has checked out at the end is its result, whatever the branch is called.
    git(&again.path, &["add", "."]).await;
    git(&again.path, &["checkout", "-q", "-b", "elsewhere"]).await;
    git(&again.path, &["commit", "-q", "-m", "on another branch"]).await;
    assert!(!place.workspaces.finish(again, Finish::Unfinished).await.kept);
    assert_eq!(branch_of(&place, task).await, "on another branch\ndone\nfirst");
}

#[tokio::test]
async fn commits_beside_the_result_keep_it() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    git(&prepared.path, &["checkout", "-q", "-b", "side"]).await;
    commit(&prepared, "beside").await;
    git(&prepared.path, &["checkout", "-q", &format!("nexus/{task}")]).await;
    commit(&prepared, "done").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    let reason = "its refs/heads/side has commits that are on no branch of the project's";
    assert_eq!((report.kept, report.reason.as_deref()), (true, Some(reason)));
    assert_eq!(branch_of(&place, task).await, "done\nfirst");
}

#[tokio::test]
async fn beside_a_branch_that_somebody_has_moved_is_another() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    commit(&prepared, "theirs").await;
    let branch = format!("nexus/{task}");
    git(&place.project, &["checkout", "-q", "-b", &branch]).await;
    git(&place.project, &["commit", "-q", "--allow-empty", "-m", "ours"]).await;
    git(&place.project, &["checkout", "-q", "main"]).await;
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.branch.as_deref()), (false, Some(format!("{branch}-2").as_str())));
    assert_eq!(branch_of(&place, task).await, "ours\nfirst");
    assert_eq!(git(&place.project, &["log", "--format=%s", &format!("{branch}-2")]).await, "theirs\nfirst");
    // All that follows is about that one.
    let patch = place.workspaces.diff(task, &place.project, None, None, true).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&patch.text).contains("theirs"));
    place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
    assert!(place.project.join("theirs").exists());
}

#[tokio::test]
async fn odd_repositories_are_cloned_too() {
    let place = Place::repository().await;
    // A detached HEAD, in a directory below, of a shallow repository.
    git(&place.project, &["commit", "-q", "--allow-empty", "-m", "second"]).await;
    let shallow = place.directory.path().join("shallow");
    let source = format!("file://{}", place.project.display());
    git(place.directory.path(), &["clone", "-q", "--depth", "1", &source, shallow.to_str().unwrap()]).await;
    git(&shallow, &["checkout", "-q", "--detach"]).await;
    let wanted = Wanted { mode: Clone, otherwise: Copy, include_uncommitted: false };
    let prepared = place.workspaces.prepare(wanted, task(), &shallow.join("sub"), false).await.unwrap();
    assert_eq!(prepared.mode, Clone);
    assert!(prepared.path.ends_with("sub") && prepared.path.join("file").exists());
    commit(&prepared, "more").await;
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.changed_files), (false, Some(0)));
    // And of a worktree.
    let linked = place.directory.path().join("linked");
    git(&place.project, &["worktree", "add", "-q", "-b", "other", linked.to_str().unwrap()]).await;
    let prepared = place.workspaces.prepare(wanted, task(), &linked, false).await.unwrap();
    assert_eq!(git(&prepared.path, &["log", "-1", "--format=%s"]).await, "second");
}

#[tokio::test]
async fn without_a_repository_it_is_what_was_said() {
    let place = Place::new();
    place.write("file", "text");
    let prepare = async |otherwise: WorkspaceMode| {
        place
            .workspaces
            .prepare(Wanted { mode: Clone, otherwise, include_uncommitted: false }, task(), &place.project, false)
            .await
            .unwrap()
    };
    assert_eq!(prepare(Copy).await.mode, Copy);
    let in_place = prepare(InPlace).await;
    assert_eq!((in_place.mode, in_place.path), (InPlace, place.project.clone()));
}

#[tokio::test]
async fn twenty_at_once_do_not_disturb_each_other() {
    let place = Place::repository().await;
    let tasks: Vec<TaskId> = (0..20).map(|_| task()).collect();
    let reports = join_all(tasks.iter().map(async |task| {
        let prepared = place.prepare(Clone, *task).await;
        commit(&prepared, &task.to_string()).await;
        place.workspaces.finish(prepared, Finish::Unfinished).await
    }))
    .await;
    assert!(reports.iter().all(|report| !report.kept));
    let branches: HashSet<_> = reports.into_iter().filter_map(|report| report.branch).collect();
    assert_eq!(branches.len(), 20);
    for task in tasks {
        assert_eq!(branch_of(&place, task).await, format!("{task}\nfirst"));
    }
}

/// Lets an agent write something into its clone, and looks whether it was run; returns whether the clone was kept.
async fn plant(finish: Finish, what: impl AsyncFnOnce(&Path, &str)) -> bool {
    let place = Place::repository().await;
    let (sign, script) = canary(&place);
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    commit(&prepared, "work").await;
    what(&prepared.path, &script).await;
    let report = place.workspaces.finish(prepared, finish).await;
    assert!(!sign.exists(), "it was run: {}", std::fs::read_to_string(&sign).unwrap_or_default());
    assert_eq!(git(&place.project, &["fsck", "--no-dangling"]).await, "");
    assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "");
    let again = place.prepare(Clone, task).await;
    place.workspaces.finish(again, Finish::Unfinished).await;
    assert!(!sign.exists(), "it was run the next time");
    report.kept
}

#[tokio::test]
async fn settings_hooks_and_filters_of_the_clone_are_never_run() {
    let settings = [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.alternateRefsCommand",
        "core.gitProxy",
        "uploadpack.packObjectsHook",
        "diff.external",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "merge.evil.driver",
        "credential.helper",
        "gc.recentObjectsHook",
    ];
    for finish in [Finish::Unfinished, completed()] {
        plant(finish, async |clone: &Path, script: &str| {
            for setting in settings {
                git(clone, &["config", setting, script]).await;
            }
            git(clone, &["config", "alias.upload-pack", &format!("!{script}")]).await;
            git(clone, &["config", "core.hooksPath", &Path::new(script).parent().unwrap().display().to_string()]).await;
            std::fs::write(clone.join(".gitattributes"), "* filter=evil diff=evil merge=evil\n").unwrap();
            std::fs::write(clone.join("README"), "changed\n").unwrap();
            std::fs::create_dir_all(clone.join(".git/hooks")).unwrap();
            for hook in
                ["post-checkout", "reference-transaction", "post-index-change", "fsmonitor-watchman", "pre-auto-gc"]
            {
                std::fs::copy(script, clone.join(".git/hooks").join(hook)).unwrap();
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_repository_that_leads_elsewhere_is_left_alone() {
    let kept = plant(Finish::Unfinished, async |clone: &Path, _: &str| {
        std::fs::rename(clone.join(".git"), clone.join("moved")).unwrap();
        std::os::unix::fs::symlink("moved", clone.join(".git")).unwrap();
    })
    .await;
    assert!(kept);
    let kept = plant(Finish::Unfinished, async |clone: &Path, _: &str| {
        std::fs::rename(clone.join(".git"), clone.join("moved")).unwrap();
        std::fs::write(clone.join(".git"), "gitdir: moved\n").unwrap();
    })
    .await;
    assert!(kept);
    let kept = plant(Finish::Unfinished, async |clone: &Path, script: &str| {
        let evil = Path::new(script).with_extension("git");
        git(clone, &["init", "-q", "--bare", &evil.display().to_string()]).await;
        std::fs::write(clone.join(".git/commondir"), format!("{}\n", evil.display())).unwrap();
    })
    .await;
    assert!(kept);
}

#[tokio::test]
async fn a_submodule_is_not_looked_into_and_not_thrown_away() {
    let kept = plant(Finish::Unfinished, async |clone: &Path, script: &str| {
        let sub = clone.join("module");
        std::fs::create_dir(&sub).unwrap();
        git(&sub, &["init", "-q"]).await;
        git(&sub, &["commit", "-q", "--allow-empty", "-m", "in the module"]).await;
        git(clone, &["-c", "advice.addEmbeddedRepo=false", "add", "module"]).await;
        git(clone, &["commit", "-q", "-m", "a submodule"]).await;
        git(&sub, &["config", "core.fsmonitor", script]).await;
        git(&sub, &["config", "core.worktree", "/"]).await;
    })
    .await;
    assert!(kept);
}

#[tokio::test]
async fn closed_directories_are_removed_and_links_not_followed() {
    let place = Place::repository().await;
    let outside = place.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "kept").unwrap();
    let prepared = place.prepare(Clone, task()).await;
    std::fs::write(prepared.path.join(".gitignore"), "target\n").unwrap();
    commit(&prepared, "work").await;
    std::fs::create_dir_all(prepared.path.join("target/deep")).unwrap();
    std::fs::write(prepared.path.join("target/deep/file"), "x").unwrap();
    std::os::unix::fs::symlink(&outside, prepared.path.join("target/link")).unwrap();
    std::fs::set_permissions(prepared.path.join("target/deep"), std::fs::Permissions::from_mode(0o000)).unwrap();
    place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "kept");
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn what_an_agent_in_place_has_made_borrows_from_nowhere() {
    let other = Place::repository().await;
    let objects = other.project.join(".git/objects").display().to_string();
    for noted in [false, true] {
        let place = Place::new();
        if noted {
            place.prepare(InPlace, task()).await;
        }
        place.write("file", "text\n");
        git(&place.project, &["init", "-q", "-b", "main"]).await;
        git(&place.project, &["add", "."]).await;
        git(&place.project, &["commit", "-q", "-m", "first"]).await;
        std::fs::write(place.project.join(".git/objects/info/alternates"), format!("{objects}\n")).unwrap();
        let prepared = place.prepare(Clone, task()).await;
        let readable: Vec<String> = prepared.readable().iter().map(|path| path.display().to_string()).collect();
        assert_eq!(readable.contains(&objects), !noted, "{readable:?}");
        assert_eq!(prepared.notes.len(), usize::from(noted), "{:?}", prepared.notes);
        assert!(readable.contains(&place.project.join(".git/objects").display().to_string()), "{readable:?}");
    }
}
