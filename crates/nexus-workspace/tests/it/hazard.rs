//! git is not run where a pipe would have it wait for ever: the workspace is kept, and says why.

use std::path::Path;
use std::time::Duration;

use nexus_core::department::WorkspaceMode::{Clone, Worktree};
use nexus_process::{Command, capture, user_environment};

use crate::support::{Place, completed, git, task};

async fn mkfifo(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    let command = Command::new("mkfifo", path.parent().unwrap()).args([path]).env(user_environment(&[]));
    assert!(capture(&command, Duration::from_secs(30), 1 << 10).await.unwrap().success());
}

#[tokio::test]
async fn pipes_under_names_that_git_opens() {
    let everywhere = [".gitignore", ".gitattributes", "sub/.gitignore", "new/.gitattributes", "new/.git/HEAD"];
    let of_clones = [
        ".git/config",
        ".git/HEAD",
        ".git/packed-refs",
        ".git/refs/heads/another",
        ".git/info/attributes",
        ".git/objects/info/alternates",
        ".git/objects/pack/pack-1.idx",
        ".git/shallow",
    ];
    let cases = everywhere.map(|name| (Worktree, name)).into_iter();
    for (mode, name) in cases.chain(everywhere.into_iter().chain(of_clones).map(|name| (Clone, name))) {
        let place = Place::repository().await;
        let task = task();
        let prepared = place.prepare(mode, task).await;
        std::fs::write(prepared.path.join("new file"), "new\n").unwrap();
        mkfifo(&prepared.path.join(name)).await;
        let all = async {
            let said = format!("{name} is a pipe: git is not run on it");
            let report = place.workspaces.finish(prepared, completed()).await;
            assert_eq!((report.kept, report.reason.as_ref()), (true, Some(&said)), "{mode:?} {name}");
            let patch = place.workspaces.diff(task, &place.project, None, None, false).await.unwrap().unwrap();
            assert_eq!((patch.text.len(), patch.left_out.as_ref()), (0, Some(&said)), "{mode:?} {name}");
            let cleaned = place.workspaces.sweep(task, &place.project).await.unwrap().clean(None, false).await.unwrap();
            let left = cleaned.workspace.unwrap();
            assert_eq!((left.removed, &left.reason), (false, &said), "{mode:?} {name}");
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
    }
}

#[tokio::test]
async fn what_leads_to_a_repository_elsewhere() {
    for mode in [Worktree, Clone] {
        for is_link in [false, true] {
            let place = Place::repository().await;
            let prepared = place.prepare(mode, task()).await;
            for part in ["new", "other/objects", "other/refs"] {
                std::fs::create_dir_all(prepared.path.join(part)).unwrap();
            }
            mkfifo(&prepared.path.join("other/HEAD")).await;
            let link = prepared.path.join("new/.git");
            match is_link {
                true => std::os::unix::fs::symlink("../other", link).unwrap(),
                false => std::fs::write(link, "gitdir: ../other\n").unwrap(),
            }
            let finished = place.workspaces.finish(prepared, completed());
            let report = tokio::time::timeout(Duration::from_secs(30), finished).await.unwrap();
            let said = "new/.git leads to a directory elsewhere: git is not run on it";
            assert_eq!((report.kept, report.reason.as_deref()), (true, Some(said)), "{mode:?} {is_link}");
        }
    }
}

#[tokio::test]
async fn a_link_to_a_pipe_and_what_is_in_nobody_s_way() {
    for mode in [Worktree, Clone] {
        let place = Place::repository().await;
        let prepared = place.prepare(mode, task()).await;
        let pipe = place.directory.path().join("pipe");
        mkfifo(&pipe).await;
        std::os::unix::fs::symlink(&pipe, prepared.path.join("sub/.gitattributes")).unwrap();
        let report = place.workspaces.finish(prepared, completed()).await;
        let said = "sub/.gitattributes is a link to a pipe or a device: git is not run on it";
        assert_eq!(report.reason.as_deref(), Some(said), "{mode:?}");
        // A pipe that git never opens, a link within, and one that leads nowhere.
        let prepared = place.prepare(mode, task()).await;
        mkfifo(&prepared.path.join("pipe")).await;
        std::os::unix::fs::symlink("../README", prepared.path.join("sub/.gitattributes")).unwrap();
        std::os::unix::fs::symlink("nowhere", prepared.path.join(".gitignore")).unwrap();
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!((report.kept, report.commit_count), (false, Some(1)), "{mode:?}: {report:?}");
        let names = ["diff", "--name-only", "HEAD", report.branch.as_ref().unwrap()];
        assert_eq!(git(&place.project, &names).await, ".gitignore\nsub/.gitattributes", "{mode:?}");
    }
}
