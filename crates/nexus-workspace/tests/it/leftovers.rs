//! The changes that an agent leaves uncommitted are committed on its task's branch when the task is completed, by the project's own
//! repository, and nothing is run on the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nexus_core::department::WorkspaceMode::{self, Clone, Worktree};
use nexus_core::event::{DiffStat, WorkspaceReport};
use nexus_workspace::Finish;

use crate::support::{Place, canary, completed, git, task};

const MODES: [WorkspaceMode; 2] = [Worktree, Clone];

/// Lets an agent do something, completes its task, and returns the report.
async fn leave(place: &Place, mode: WorkspaceMode, what: impl AsyncFnOnce(&Path)) -> WorkspaceReport {
    let prepared = place.prepare(mode, task()).await;
    what(&prepared.path).await;
    place.workspaces.finish(prepared, completed()).await
}

fn subjects(report: &WorkspaceReport) -> Vec<&str> {
    report.commits.iter().map(|commit| commit.subject.as_str()).collect()
}

#[tokio::test]
async fn all_that_git_would_add() {
    for mode in MODES {
        let place = Place::repository().await;
        git(&place.project, &["config", "user.name", "Ann"]).await;
        git(&place.project, &["config", "user.email", "ann@example.org"]).await;
        let base = git(&place.project, &["rev-parse", "HEAD"]).await;
        let report = leave(&place, mode, async |path: &Path| {
            std::fs::write(path.join("README"), "changed\n").unwrap();
            std::fs::remove_file(path.join("sub/file")).unwrap();
            std::fs::write(path.join(".gitignore"), "dist\n").unwrap();
            std::fs::create_dir(path.join("dist")).unwrap();
            std::fs::write(path.join("dist/ignored"), "x").unwrap();
            std::fs::create_dir(path.join("new")).unwrap();
            std::fs::write(path.join("new/two\nwords \u{fc}"), "2\n").unwrap();
            std::fs::write(path.join("run"), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(path.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::symlink("/nowhere", path.join("link")).unwrap();
            std::fs::write(path.join("staged"), "staged\n").unwrap();
            git(path, &["add", "staged"]).await;
        })
        .await;
        let branch = report.branch.clone().unwrap();
        assert_eq!((report.kept, report.changed_files, &report.reason), (false, Some(0), &None), "{mode:?}");
        assert_eq!((report.base.as_ref(), report.commit_count), (Some(&base), Some(1)));
        assert_eq!(report.head, Some(git(&place.project, &["rev-parse", &branch]).await));
        assert_eq!(subjects(&report), ["What the agent has left"]);
        assert_eq!(report.diff, Some(DiffStat { files: 7, insertions: 6, deletions: 2 }), "{mode:?}");
        let tree = git(&place.project, &["ls-tree", "-r", "--format=%(objectmode) %(path)", &branch]).await;
        let expected = "100644 .gitignore\n100644 README\n120000 link\n100644 \"new/two\\nwords \\303\\274\"\n100755 run\n100644 staged";
        assert_eq!(tree, expected, "{mode:?}");
        let who =
            git(&place.project, &["log", "-1", "--format=%an <%ae> %cn|%(trailers:key=Nexus-Task)", &branch]).await;
        assert_eq!(who, "Ann <ann@example.org> Ann|Nexus-Task: it");
        assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "");
        assert_eq!(place.left(), 0);
    }
}

#[tokio::test]
async fn what_git_ignores_is_kept_but_caches_are_not() {
    let table: [(&str, &[&str], Option<&str>); 6] = [
        ("out/", &["out/result.csv"], Some("1 file that git ignores: out/result.csv")),
        ("out/", &["out/a", "out/deep/b"], Some("2 files that git ignores, such as out/a")),
        ("*.log", &["new/a.log", "target/b.log"], Some("1 file that git ignores: new/a.log")),
        ("*", &["targets/a", "sub/target"], Some("2 files that git ignores, such as sub/target")),
        ("out/", &["out/empty/"], None),
        ("*", &["target/a", "sub/node_modules/b/c", "__pycache__/d", ".venv/e", "dist/f", "sub/build/g"], None),
    ];
    for mode in MODES {
        for (ignore, files, reason) in table {
            let place = Place::repository().await;
            std::fs::write(place.project.join(".git/info/exclude"), ignore).unwrap();
            let task = task();
            let prepared = place.prepare(mode, task).await;
            for file in files {
                let file = prepared.path.join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                if file.as_os_str().as_encoded_bytes().ends_with(b"/") {
                    std::fs::create_dir_all(file).unwrap();
                } else {
                    std::fs::write(file, "x").unwrap();
                }
            }
            let report = place.workspaces.finish(prepared, completed()).await;
            let found = (report.kept, report.changed_files, report.reason.as_deref());
            assert_eq!(found, (reason.is_some(), Some(0), reason), "{mode:?} {ignore} {files:?}");
            let cleaned = place.workspaces.sweep(task, &place.project).await.unwrap().clean(None, false).await.unwrap();
            let said = cleaned.workspace.as_ref().map(|left| (left.removed, left.reason.as_str()));
            assert_eq!(said, reason.map(|reason| (false, reason)), "{mode:?} {ignore} {files:?}");
        }
    }
}

#[tokio::test]
async fn it_follows_the_agent_s_own_commits() {
    for mode in MODES {
        let place = Place::repository().await;
        let report = leave(&place, mode, async |path: &Path| {
            std::fs::write(path.join("own"), "1\n").unwrap();
            git(path, &["add", "."]).await;
            git(path, &["commit", "-q", "-m", "its own"]).await;
            std::fs::write(path.join("rest"), "1\n").unwrap();
        })
        .await;
        assert_eq!(subjects(&report), ["What the agent has left", "its own"], "{mode:?}");
        assert_eq!((report.commit_count, report.kept), (Some(2), false));
    }
}

#[tokio::test]
async fn a_branch_of_the_agent_s_own_is_taken_over() {
    for mode in MODES {
        for how in [&["checkout", "-q", "-b", "feature"][..], &["checkout", "-q", "--detach"]] {
            let place = Place::repository().await;
            let report = leave(&place, mode, async |path: &Path| {
                git(path, how).await;
                std::fs::write(path.join("own"), "1\n").unwrap();
                git(path, &["add", "."]).await;
                git(path, &["commit", "-q", "-m", "elsewhere"]).await;
                std::fs::write(path.join("rest"), "1\n").unwrap();
            })
            .await;
            assert_eq!(subjects(&report), ["What the agent has left", "elsewhere"], "{mode:?} {how:?}");
            assert!(report.branch.is_some() && !report.kept, "{report:?}");
        }
    }
}

#[tokio::test]
async fn a_directory_within_the_repository() {
    for mode in MODES {
        let mut place = Place::repository().await;
        place.project = place.project.join("sub");
        let report = leave(&place, mode, async |path: &Path| {
            std::fs::write(path.join("new"), "1\n").unwrap();
            std::fs::write(path.join("../above"), "1\n").unwrap();
        })
        .await;
        let names = ["diff", "--name-only", "HEAD", report.branch.as_ref().unwrap()];
        assert_eq!(git(&place.project, &names).await, "above\nsub/new", "{mode:?}");
    }
}

#[tokio::test]
async fn nothing_is_committed_unasked_or_unfinished() {
    for mode in MODES {
        for finish in [Finish::Unfinished, Finish::Completed { commit: None }] {
            let place = Place::repository().await;
            let prepared = place.prepare(mode, task()).await;
            std::fs::write(prepared.path.join("README"), "changed\n").unwrap();
            let path = prepared.path.clone();
            let report = place.workspaces.finish(prepared, finish).await;
            assert_eq!((report.kept, report.changed_files, report.commit_count), (true, Some(1), Some(0)), "{mode:?}");
            assert_eq!(std::fs::read_to_string(path.join("README")).unwrap(), "changed\n");
        }
    }
}

/// Keeps a workspace, by what an agent leaves, and returns why.
async fn kept(mode: WorkspaceMode, settings: &[(&str, &str)], what: impl AsyncFnOnce(&Path)) -> String {
    let place = Place::repository().await;
    for (key, value) in settings {
        git(&place.project, &["config", key, value]).await;
    }
    let report = leave(&place, mode, what).await;
    assert!(report.kept, "{mode:?}: {report:?}");
    assert_eq!(report.commits, [], "{mode:?}");
    report.reason.unwrap()
}

#[tokio::test]
async fn what_has_to_pass_a_filter_is_kept_and_the_rest_committed() {
    for mode in MODES {
        let place = Place::repository().await;
        git(&place.project, &["config", "filter.own.clean", "tools/clean"]).await;
        std::fs::write(place.project.join(".gitattributes"), "*.x filter=own\n").unwrap();
        place.write("untouched.x", "as it is\n");
        git(&place.project, &["-c", "filter.own.clean=", "add", "."]).await;
        git(&place.project, &["commit", "-q", "-m", "filtered"]).await;
        let report = leave(&place, mode, async |path: &Path| {
            std::fs::write(path.join("a.x"), "x").unwrap();
            std::fs::write(path.join("fix"), "fix\n").unwrap();
        })
        .await;
        let said = "not committed: a.x has to pass the filter `own`, which is not run on an agent's files";
        assert_eq!(
            (report.kept, report.reason.as_deref(), report.changed_files),
            (true, Some(said), Some(1)),
            "{mode:?}"
        );
        let names = ["diff", "--name-only", "HEAD", report.branch.as_ref().unwrap()];
        assert_eq!(git(&place.project, &names).await, "fix", "{mode:?}");
    }
}

#[tokio::test]
async fn what_is_not_to_be_committed_unseen() {
    for mode in MODES {
        let too_many = kept(mode, &[], async |path: &Path| {
            std::fs::create_dir(path.join("modules")).unwrap();
            (0..10_001).for_each(|n| drop(std::fs::File::create(path.join(format!("modules/{n}"))).unwrap()));
        });
        assert_eq!(too_many.await, "not committed: 10001 files are more than 10000");
        let too_big = kept(mode, &[], async |path: &Path| {
            std::fs::File::create(path.join("core")).unwrap().set_len((256 << 20) + 1).unwrap();
        });
        assert_eq!(too_big.await, "not committed: the files have more than 256 MiB");
        let repository = kept(mode, &[], async |path: &Path| {
            git(path, &["init", "-q", "inner"]).await;
            git(&path.join("inner"), &["commit", "-q", "--allow-empty", "-m", "inner"]).await;
        });
        assert_eq!(repository.await, "there is a repository within it, which is not looked into: inner");
    }
}

#[tokio::test]
async fn a_merge_that_is_not_finished_is_no_result() {
    for mode in MODES {
        let place = Place::repository().await;
        let report = leave(&place, mode, async |path: &Path| {
            git(path, &["checkout", "-q", "-b", "other"]).await;
            std::fs::write(path.join("README"), "other\n").unwrap();
            git(path, &["commit", "-q", "-a", "-m", "other"]).await;
            git(path, &["checkout", "-q", "-"]).await;
            std::fs::write(path.join("README"), "ours\n").unwrap();
            git(path, &["commit", "-q", "-a", "-m", "ours"]).await;
            let merge = "git -c user.name=T -c user.email=t@example.org merge -q other";
            let command = nexus_process::Command::new("sh", path).args(["-c", merge]);
            let command = command.env(nexus_process::user_environment(&[]));
            let merged = nexus_process::capture(&command, std::time::Duration::from_secs(30), 1 << 20).await.unwrap();
            assert!(!merged.success());
        })
        .await;
        assert!(report.kept && subjects(&report) == ["ours"], "{mode:?}: {report:?}");
        assert_eq!(report.reason.unwrap(), "not committed: a merge or a rebase is not finished");
    }
}

#[tokio::test]
async fn the_user_s_hooks_filters_and_signing_are_not_run() {
    for mode in MODES {
        let place = Place::repository().await;
        let (sign, script) = canary(&place);
        for setting in ["filter.evil.clean", "filter.evil.process", "gpg.program", "core.fsmonitor", "diff.external"] {
            git(&place.project, &["config", setting, &script]).await;
        }
        git(&place.project, &["config", "commit.gpgSign", "true"]).await;
        for hook in ["pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"] {
            std::fs::copy(&script, place.project.join(".git/hooks").join(hook)).unwrap();
        }
        let report = leave(&place, mode, async |path: &Path| {
            // It names a filter, for files that are there and new ones.
            std::fs::write(path.join(".gitattributes"), "sub/* filter=evil\n").unwrap();
            std::fs::write(path.join("README"), "changed\n").unwrap();
        })
        .await;
        assert!(!sign.exists(), "{mode:?}: {}", std::fs::read_to_string(&sign).unwrap_or_default());
        assert_eq!((report.kept, subjects(&report)), (false, vec!["What the agent has left"]), "{mode:?}");
    }
}

#[tokio::test]
async fn a_worktree_that_says_it_is_another_one_is_kept() {
    let place = Place::repository().await;
    let (sign, script) = canary(&place);
    let report = leave(&place, Worktree, async |path: &Path| {
        std::fs::remove_file(path.join(".git")).unwrap();
        git(path, &["init", "-q"]).await;
        git(path, &["config", "core.fsmonitor", &script]).await;
        git(path, &["config", "filter.evil.clean", &script]).await;
        std::fs::write(path.join(".gitattributes"), "* filter=evil\n").unwrap();
    })
    .await;
    assert!(!sign.exists());
    assert!(report.kept, "{report:?}");
}

#[tokio::test]
async fn the_base_outlasts_an_attempt() {
    for mode in MODES {
        let place = Place::repository().await;
        let base = git(&place.project, &["rev-parse", "HEAD"]).await;
        let task = task();
        let prepared = place.prepare(mode, task).await;
        std::fs::write(prepared.path.join("one"), "1\n").unwrap();
        git(&prepared.path, &["add", "."]).await;
        git(&prepared.path, &["commit", "-q", "-m", "one"]).await;
        place.workspaces.finish(prepared, Finish::Unfinished).await;
        // The user merges what is there so far, and goes on.
        git(&place.project, &["merge", "-q", "--ff-only", &format!("nexus/{task}")]).await;
        git(&place.project, &["commit", "-q", "--allow-empty", "-m", "the user's"]).await;
        let again = nexus_workspace::Workspaces::new(place.directory.path().join("data/workspaces"));
        let wanted = crate::support::wanted(mode);
        let prepared = again.prepare(wanted, task, &place.project, false).await.unwrap();
        std::fs::write(prepared.path.join("two"), "2\n").unwrap();
        let report = again.finish(prepared, completed()).await;
        assert_eq!((report.base.as_ref(), report.commit_count), (Some(&base), Some(2)), "{mode:?}");
        assert_eq!(report.diff, Some(DiffStat { files: 2, insertions: 2, deletions: 0 }));
    }
}

#[tokio::test]
async fn a_result_names_fifty_commits_and_counts_the_rest() {
    let place = Place::repository().await;
    let report = leave(&place, Clone, async |path: &Path| {
        for n in 0..52 {
            git(path, &["commit", "-q", "--allow-empty", "-m", &format!("{n} {}", "x".repeat(200))]).await;
        }
    })
    .await;
    assert_eq!((report.commits.len(), report.commit_count), (50, Some(52)));
    assert!(report.commits[0].subject.starts_with("51 x") && report.commits[0].subject.len() == 120);
}
