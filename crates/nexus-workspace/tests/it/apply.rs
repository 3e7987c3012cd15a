//! A task's branch comes into the user's own, or nothing changes at all.

use nexus_core::department::WorkspaceMode::Clone;
use nexus_core::id::TaskId;
use nexus_workspace::How::{self, Already, FastForward, Merged, Rebased};
use nexus_workspace::{Finish, Method, NotApplied};

use crate::support::{Place, canary, completed, git, task};

/// A task that has changed `README` and made `new`, in two commits.
async fn done(place: &Place) -> TaskId {
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    std::fs::write(prepared.path.join("README"), "hello\nfrom the agent\n").unwrap();
    git(&prepared.path, &["-c", "user.name=Bot", "commit", "-q", "-a", "-m", "first of it", "-m", "With a body."])
        .await;
    std::fs::write(prepared.path.join("new"), "new\n").unwrap();
    assert!(!place.workspaces.finish(prepared, completed()).await.kept);
    task
}

/// All that an apply may change.
async fn state(place: &Place) -> Vec<String> {
    let mut state = vec![
        git(&place.project, &["rev-parse", "HEAD"]).await,
        git(&place.project, &["status", "--porcelain", "--ignored"]).await,
        git(&place.project, &["for-each-ref"]).await,
        git(&place.project, &["worktree", "list"]).await,
        git(&place.project, &["stash", "list"]).await,
    ];
    for name in ["README", "new", "sub/file", "mine"] {
        state.push(std::fs::read_to_string(place.project.join(name)).unwrap_or_default());
    }
    state
}

async fn commit(place: &Place, name: &str, text: &str) {
    place.write(name, text);
    git(&place.project, &["add", "-f", name]).await;
    git(&place.project, &["commit", "-q", "-m", &format!("the user's {name}")]).await;
}

async fn apply(place: &Place, task: TaskId, method: Method) -> How {
    let applied = place.workspaces.apply(task, &place.project, None, method).await.unwrap();
    assert_eq!(git(&place.project, &["rev-parse", "HEAD"]).await, applied.to);
    assert_eq!(applied.into, "main");
    applied.how
}

#[tokio::test]
async fn by_every_way() {
    for method in [Method::Merge, Method::Rebase] {
        let parted = if method == Method::Merge { Merged } else { Rebased };
        for (user_has_gone_on, how) in [(false, FastForward), (true, parted)] {
            let place = Place::repository().await;
            git(&place.project, &["config", "user.name", "Ann"]).await;
            let task = done(&place).await;
            if user_has_gone_on {
                commit(&place, "sub/file", "the user's\n").await;
            }
            assert_eq!(apply(&place, task, method).await, how, "{method:?}");
            assert_eq!(std::fs::read_to_string(place.project.join("README")).unwrap(), "hello\nfrom the agent\n");
            assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "");
            let log = git(&place.project, &["log", "--topo-order", "--format=%s by %an"]).await;
            let own = "What the agent has left by Ann\nfirst of it by Bot\n";
            let expected = match how {
                Merged => {
                    format!("Merge branch 'nexus/{task}' by Ann\n{own}the user's sub/file by Test\nfirst by Test")
                }
                Rebased => format!("{own}the user's sub/file by Test\nfirst by Test"),
                _ => format!("{own}first by Test"),
            };
            assert_eq!(log, expected, "{method:?}");
            let body = git(&place.project, &["log", "--format=%b", "--grep=first of it"]).await;
            assert_eq!(body, "With a body.");
            // Again there is nothing to do, by any method.
            for again in [method, Method::Rebase] {
                assert_eq!(apply(&place, task, again).await, Already, "{method:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_there_in_other_commits_is_not_applied_again() {
    let place = Place::repository().await;
    let task = done(&place).await;
    commit(&place, "sub/file", "the user's\n").await;
    assert_eq!(apply(&place, task, Method::Rebase).await, Rebased);
    let before = state(&place).await;
    assert_eq!(apply(&place, task, Method::Merge).await, Already);
    assert_eq!(state(&place).await, before);
}

#[tokio::test]
async fn conflicts_are_named_and_nothing_is_changed() {
    for (method, at) in [(Method::Merge, None), (Method::Rebase, Some("first of it".to_owned()))] {
        let place = Place::repository().await;
        let task = done(&place).await;
        commit(&place, "README", "hello\nfrom the user\n").await;
        let before = state(&place).await;
        let refused = place.workspaces.apply(task, &place.project, None, method).await.unwrap_err();
        let NotApplied::Conflicts { files, at: subject, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!((files, subject), (&vec!["README".to_owned()], &at));
        assert!(refused.to_string().contains("README"), "{refused}");
        assert_eq!(state(&place).await, before);
    }
}

#[tokio::test]
async fn what_the_user_has_not_committed_is_not_overwritten() {
    type Change = fn(&Place);
    let ways: [(&str, Change); 5] = [
        ("README", |place| place.write("README", "being edited\n")),
        ("README", |place| std::fs::remove_file(place.project.join("README")).unwrap()),
        ("new", |place| place.write("new", "untracked\n")),
        ("new", |place| {
            place.write(".git/info/exclude", "new\n");
            place.write("new", "ignored\n");
        }),
        ("new", |place| {
            std::fs::create_dir(place.project.join("new")).unwrap();
            place.write("new/deep", "in a directory\n");
        }),
    ];
    for method in [Method::Merge, Method::Rebase] {
        for parted in [false, true] {
            for (at, (file, change)) in ways.iter().enumerate() {
                let place = Place::repository().await;
                let task = done(&place).await;
                if parted {
                    commit(&place, "sub/file", "the user's\n").await;
                }
                change(&place);
                let before = state(&place).await;
                let refused = place.workspaces.apply(task, &place.project, None, method).await.unwrap_err();
                let NotApplied::InTheWay { files, .. } = &refused else { panic!("{at}: {refused:?}") };
                assert_eq!(files, &[(*file).to_owned()], "{at}");
                assert_eq!(state(&place).await, before, "{at}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_way_stays_as_it_is() {
    for method in [Method::Merge, Method::Rebase] {
        for parted in [false, true] {
            let place = Place::repository().await;
            let task = done(&place).await;
            if parted {
                commit(&place, "other", "the user's\n").await;
            }
            place.write("sub/file", "being edited\n");
            place.write("mine", "staged\n");
            git(&place.project, &["add", "mine"]).await;
            place.write("loose", "untracked\n");
            apply(&place, task, method).await;
            assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "A  mine\n M sub/file\n?? loose");
            assert_eq!(std::fs::read_to_string(place.project.join("sub/file")).unwrap(), "being edited\n");
            assert_eq!(std::fs::read_to_string(place.project.join("new")).unwrap(), "new\n");
        }
    }
}

#[tokio::test]
async fn what_can_t_be_applied_says_why() {
    let place = Place::repository().await;
    let task = done(&place).await;
    let refused = async |task| {
        let before = state(&place).await;
        let refused = place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap_err();
        assert_eq!(state(&place).await, before);
        refused
    };
    let unknown = refused(crate::support::task()).await;
    assert!(matches!(&unknown, NotApplied::NoBranch(_)), "{unknown:?}");
    git(&place.project, &["checkout", "-q", "--detach"]).await;
    let detached = refused(task).await;
    assert!(matches!(&detached, NotApplied::Detached { .. }), "{detached:?}");
    git(&place.project, &["checkout", "-q", "main"]).await;
    std::fs::write(place.project.join(".git/MERGE_HEAD"), git(&place.project, &["rev-parse", "HEAD"]).await).unwrap();
    let busy = refused(task).await;
    assert!(matches!(&busy, NotApplied::HalfDone(_)), "{busy:?}");
    std::fs::remove_file(place.project.join(".git/MERGE_HEAD")).unwrap();
    git(&place.project, &["branch", "-q", "-D", &format!("nexus/{task}")]).await;
    let gone = refused(task).await;
    assert!(matches!(&gone, NotApplied::NoBranch(_)), "{gone:?}");
    let none = Place::new();
    let none = none.workspaces.apply(task, &none.project, None, Method::Merge).await.unwrap_err();
    assert!(matches!(&none, NotApplied::NoRepository(_)), "{none:?}");
}

#[tokio::test]
async fn hooks_and_signing_are_not_run() {
    for method in [Method::Merge, Method::Rebase] {
        let place = Place::repository().await;
        let task = done(&place).await;
        commit(&place, "sub/file", "the user's\n").await;
        let (sign, script) = canary(&place);
        git(&place.project, &["config", "commit.gpgSign", "true"]).await;
        git(&place.project, &["config", "merge.verifySignatures", "true"]).await;
        git(&place.project, &["config", "gpg.program", &script]).await;
        for hook in ["pre-merge-commit", "post-merge", "post-checkout", "pre-rebase", "reference-transaction"] {
            std::fs::copy(&script, place.project.join(".git/hooks").join(hook)).unwrap();
        }
        apply(&place, task, method).await;
        assert!(!sign.exists(), "{method:?}: {}", std::fs::read_to_string(&sign).unwrap_or_default());
    }
}

#[tokio::test]
async fn a_rebase_brings_the_task_s_commits_alone() {
    let place = Place::repository().await;
    git(&place.project, &["checkout", "-q", "-b", "topic"]).await;
    commit(&place, "topic", "not for main\n").await;
    let base = git(&place.project, &["rev-parse", "HEAD"]).await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    std::fs::write(prepared.path.join("new"), "new\n").unwrap();
    place.workspaces.finish(prepared, completed()).await;
    git(&place.project, &["checkout", "-q", "main"]).await;
    commit(&place, "mine", "the user's\n").await;
    place.workspaces.apply(task, &place.project, Some(&base), Method::Rebase).await.unwrap();
    assert!(!place.project.join("topic").exists() && place.project.join("new").exists());
    let prepared = place.prepare(Clone, task).await;
    place.workspaces.finish(prepared, Finish::Unfinished).await;
}
