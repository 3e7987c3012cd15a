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

/// Settings of users that change what `git diff` prints. What is after the name stands for its value.
const SETTINGS: [(&str, &str); 29] = [
    ("diff.noprefix", "true"),
    ("diff.mnemonicPrefix", "true"),
    ("diff.srcPrefix", "old/dir/"),
    ("diff.dstPrefix", "new/dir/"),
    ("diff.context", "0"),
    ("diff.interHunkContext", "50"),
    ("diff.algorithm", "patience"),
    ("diff.renames", "copies"),
    ("diff.renames", "false"),
    ("diff.submodule", "log"),
    ("diff.ignoreSubmodules", "all"),
    ("diff.orderFile", "/nowhere"),
    ("diff.external", "false"),
    ("diff.suppressBlankEmpty", "true"),
    ("diff.wsErrorHighlight", "all"),
    ("diff.relative", "true"),
    ("diff.indentHeuristic", "false"),
    ("diff.colorMoved", "zebra"),
    ("diff.statNameWidth", "3"),
    ("diff.textual.textconv", "false"),
    ("diff.textual.command", "false"),
    ("diff.textual.binary", "true"),
    ("color.ui", "always"),
    ("color.diff", "always"),
    ("core.quotePath", "false"),
    ("core.abbrev", "4"),
    ("core.pager", "false"),
    ("core.whitespace", "tab-in-indent,trailing-space"),
    ("apply.whitespace", "nowarn"),
];

#[tokio::test]
async fn git_takes_the_patch_whatever_the_user_has_set() {
    for from_the_agent in [Clone, Worktree] {
        let place = Place::repository().await;
        place.write("lines", &(0..60).map(|line| format!("line {line}\n\n")).collect::<String>());
        place.write("renamed", &"the same\n".repeat(20));
        place.write("binary", "\0 one");
        place.write(".gitattributes", "*.text diff=textual\n");
        place.write("t.text", "one\n");
        git(&place.project, &["add", "."]).await;
        git(&place.project, &["commit", "-q", "-m", "second"]).await;
        let task = task();
        let path = place.prepare(from_the_agent, task).await.path;
        let lines = std::fs::read_to_string(path.join("lines")).unwrap();
        std::fs::write(path.join("lines"), lines.replace("line 7\n", "seven \n").replace("line 50\n", "")).unwrap();
        std::fs::rename(path.join("renamed"), path.join("sub/n\u{e4}me\td")).unwrap();
        std::fs::write(path.join("binary"), b"\0 two \xff").unwrap();
        std::fs::write(path.join("t.text"), "two, without a line end").unwrap();
        std::fs::remove_file(path.join("README")).unwrap();
        std::os::unix::fs::symlink("lines", path.join("README")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path.join("sub/file"), mode).unwrap();
        std::fs::write(path.join("empty"), "").unwrap();
        git(&path, &["add", "-A"]).await;
        let expected = git(&path, &["write-tree"]).await;
        for (setting, value) in SETTINGS {
            git(&place.project, &["config", setting, value]).await;
            let patch = place.workspaces.diff(task, &place.project, None, None, false).await.unwrap().unwrap();
            let sum = place.workspaces.diff(task, &place.project, None, None, true).await.unwrap().unwrap();
            assert!(sum.text.ends_with(b"deletions(-)\n") && sum.diff == patch.diff, "{setting}={value}");
            git(&place.project, &["config", "--unset-all", setting]).await;
            let file = place.directory.path().join("patch");
            std::fs::write(&file, &patch.text).unwrap();
            git(place.directory.path(), &["clone", "-q", "project", "check"]).await;
            let check = place.directory.path().join("check");
            git(&check, &["apply", "--index", file.to_str().unwrap()]).await;
            assert_eq!(git(&check, &["write-tree"]).await, expected, "{setting}={value}");
            std::fs::remove_dir_all(check).unwrap();
        }
    }
}
