//! git is not run where a pipe would have it wait for ever: the workspace is kept, and says why.

use std::path::Path;
use std::time::Duration;

use nexus_core::department::WorkspaceMode::{Clone, Worktree};
use nexus_process::{Command, capture, user_environment};

use crate::support::{Place, completed, git, task};

pub(crate) async fn mkfifo(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    let command = Command::new("mkfifo", path.parent().unwrap()).args([path]).env(user_environment(&[]));
    assert!(capture(&command, Duration::from_secs(30), 1 << 10).await.unwrap().success());
}

#[tokio::test]
async fn pipes_under_names_that_git_opens() {
    for mode in [Worktree, Clone] {
        for name in [".gitignore", ".gitattributes", "sub/.gitignore", "new/.gitattributes"] {
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
                let sweep = place.workspaces.sweep(task, &place.project).await.unwrap();
                let left = sweep.clean(None, false).await.unwrap().workspace.unwrap();
                assert_eq!((left.removed, &left.reason), (false, &said), "{mode:?} {name}");
            };
            tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
        }
    }
}

#[tokio::test]
async fn pipes_in_a_clone_s_own_repository_are_not_read() {
    let read = [".git/HEAD", ".git/packed-refs", ".git/refs/heads/another"];
    let unread = [".git/config", ".git/info/attributes", ".git/objects/pack/pack-1.idx", ".git/shallow"];
    for (name, is_read) in read.map(|name| (name, true)).into_iter().chain(unread.map(|name| (name, false))) {
        let place = Place::repository().await;
        let prepared = place.prepare(Clone, task()).await;
        std::fs::write(prepared.path.join("new file"), "new\n").unwrap();
        mkfifo(&prepared.path.join(name)).await;
        let finished = place.workspaces.finish(prepared, completed());
        let report = tokio::time::timeout(Duration::from_secs(30), finished).await.unwrap();
        let reason = is_read.then(|| format!("{name} is not read: it is not a regular file"));
        assert_eq!((report.kept, report.reason), (is_read, reason), "{name}");
        assert_eq!(report.commit_count, Some(1), "{name}");
    }
}

#[tokio::test]
async fn repositories_within_are_not_looked_into_and_the_rest_comes_back() {
    for mode in [Worktree, Clone] {
        for (is_link, name) in
            [(false, "new"), (true, "new"), (false, "node_modules/x"), (false, ".claude/worktrees/one")]
        {
            let place = Place::repository().await;
            let prepared = place.prepare(mode, task()).await;
            for part in [name, "other/objects", "other/refs"] {
                std::fs::create_dir_all(prepared.path.join(part)).unwrap();
            }
            mkfifo(&prepared.path.join("other/HEAD")).await;
            std::fs::write(prepared.path.join("fix"), "fix\n").unwrap();
            let link = prepared.path.join(name).join(".git");
            let other = prepared.path.join("other");
            match is_link {
                true => std::os::unix::fs::symlink(other, link).unwrap(),
                false => std::fs::write(link, format!("gitdir: {}\n", other.display())).unwrap(),
            }
            let finished = place.workspaces.finish(prepared, completed());
            let report = tokio::time::timeout(Duration::from_secs(30), finished).await.unwrap();
            let said = format!("there is a repository within it, which is not looked into: {name}");
            assert_eq!((report.kept, report.reason), (true, Some(said)), "{mode:?} {name}");
            let names = ["diff", "--name-only", "HEAD", report.branch.as_ref().unwrap()];
            assert_eq!(git(&place.project, &names).await, "fix", "{mode:?} {name}");
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
