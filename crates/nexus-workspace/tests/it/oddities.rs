//! Names, kinds of files and refs that are rare: what an agent leaves so comes back too, or is kept.

use nexus_workspace::{Finish, Method};

use nexus_core::department::WorkspaceMode;

use crate::layers::{changed, place, prepare, work};
use crate::support::{Place, completed, git, task, wanted};

async fn commit(place: &Place) {
    git(&place.project, &["add", "--all", "--force"]).await;
    git(&place.project, &["commit", "-q", "-m", "more"]).await;
}

#[tokio::test]
async fn rules_that_an_agent_deletes_hold_no_more() {
    let table = [
        ("rm .gitignore; echo x > a.log", "D .gitignore\nA a.log"),
        ("git rm -q .gitignore; git commit -qm rm; echo x > a.log", "D .gitignore\nA a.log"),
        ("rm .gitignore; mkdir .gitignore; echo x > .gitignore/a.log", "D .gitignore\nA .gitignore/a.log"),
        ("rm -r in; mkdir in; echo x > in/a.tmp; echo y > b.log", "D in/.gitignore\nA in/a.tmp"),
        ("rm .gitattributes; printf 'a\\r\\n' > a.txt", "D .gitattributes\nA a.txt"),
    ];
    for (script, wanted) in table {
        let Some(place) = place().await else { return };
        std::fs::write(place.project.join(".gitignore"), "*.log\n").unwrap();
        std::fs::write(place.project.join(".gitattributes"), "*.txt text\n").unwrap();
        std::fs::create_dir(place.project.join("in")).unwrap();
        std::fs::write(place.project.join("in/.gitignore"), "*.tmp\n").unwrap();
        commit(&place).await;
        let prepared = prepare(&place, task()).await;
        work(&prepared, script).await;
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!(changed(&place, &report).await, wanted, "{script}: {report:?}");
        if wanted.ends_with("a.txt") {
            let text = format!("{}:a.txt", report.branch.unwrap());
            assert_eq!(git(&place.project, &["cat-file", "-s", &text]).await, "3", "{script}");
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn names_are_taken_as_they_are() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let names: [&[u8]; 12] = [
        b":!z",
        b":^y",
        b":(top)x",
        b":(glob)g",
        b"\"quote",
        b"Icon\r",
        b"-dash",
        b"line\nend",
        b"tab\t",
        b"latin\xe9",
        b"*",
        b"[a]",
    ];
    let Some(place) = place().await else { return };
    for name in names {
        let directory = place.project.join(OsStr::from_bytes(&[name, b".d"].concat()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join(OsStr::from_bytes(name)), "known\n").unwrap();
        std::fs::write(place.project.join(OsStr::from_bytes(name)), "known\n").unwrap();
    }
    commit(&place).await;
    let prepared = prepare(&place, task()).await;
    let script = r#"for one in ./*.d; do
            for two in "$one"/*; do echo more >> "$two"; echo new > "$two.new"; done; echo new > "$one.new"
        done
        echo more >> './"quote'; echo more >> "./Icon$(printf '\r')"; rm ./:!z ./-dash; rm -r './[a].d'
        git add -A; git write-tree; git reset -q"#;
    let wanted = work(&prepared, script).await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert!(!report.kept, "{report:?}");
    let tree = format!("{}^{{tree}}", report.branch.unwrap());
    assert_eq!(git(&place.project, &["rev-parse", &tree]).await, wanted);
}

#[tokio::test]
async fn a_file_or_a_link_may_take_a_submodules_place() {
    for (script, wanted) in [("echo file > lib", "T lib"), ("ln -s sub lib", "T lib")] {
        let Some(place) = place().await else { return };
        let head = git(&place.project, &["rev-parse", "HEAD"]).await;
        git(&place.project, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},lib")]).await;
        git(&place.project, &["commit", "-q", "-m", "more"]).await;
        let prepared = prepare(&place, task()).await;
        work(&prepared, &format!("rmdir lib; {script}")).await;
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!(changed(&place, &report).await, wanted, "{script}: {report:?}");
    }
}

#[tokio::test]
async fn a_branch_may_have_a_name_that_is_no_text() {
    let script = "b=$(printf 'lat\\351n'); git checkout -q -b $b; echo x > x; git add x; git commit -qm latin";
    let Some(place) = place().await else { return };
    let prepared = prepare(&place, task()).await;
    work(&prepared, script).await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!((report.kept, report.commits.len()), (false, 1), "{report:?}");
    assert_eq!(report.commits[0].subject, "latin");
    let prepared = prepare(&place, task()).await;
    work(&prepared, &format!("echo other > other; git add other; {script}; git checkout -q -")).await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert!(report.kept && report.reason.as_ref().unwrap().contains("has commits"), "{report:?}");
    assert_eq!(report.branch, None);
}

#[tokio::test]
async fn a_directory_that_is_not_read_is_kept() {
    let Some(place) = place().await else { return };
    let prepared = prepare(&place, task()).await;
    let script = "d=$(printf 'x%.0s' $(seq 200)); echo new > new
        mkdir $d; echo deep > $d/deep; for i in $(seq 30); do mkdir t; mv $d t; mv t $d; done";
    work(&prepared, script).await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(changed(&place, &report).await, "A new");
    assert!(report.kept && report.reason.unwrap().contains("can't be read"));
}

#[tokio::test]
async fn a_directory_that_becomes_a_link_is_applied() {
    let script = "mv sub other; ln -s other sub";
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    work(&prepared, script).await;
    place.workspaces.finish(prepared, completed()).await;
    // What git doesn't know, and ignores, stays.
    std::fs::write(place.project.join(".git/info/exclude"), "*.o\n").unwrap();
    std::fs::write(place.project.join("sub/mine.o"), "mine").unwrap();
    let refused = place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap_err();
    assert!(refused.to_string().contains("has changes of yours"), "{refused}");
    std::fs::remove_file(place.project.join("sub/mine.o")).unwrap();
    place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
    assert!(place.project.join("sub").is_symlink());
    assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "");
}

#[tokio::test]
async fn a_checkout_over_another_is_not_made_through_a_link() {
    let Some(place) = place().await else { return };
    let outside = place.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for name in ["one/x", "one/y", "two/x", "two/y", "far/z"] {
        std::fs::create_dir_all(place.project.join(name).parent().unwrap()).unwrap();
        std::fs::write(place.project.join(name), name).unwrap();
    }
    commit(&place).await;
    // So that its checkout is there.
    prepare(&place, task()).await;
    for name in ["one", "far"] {
        std::fs::remove_dir_all(place.project.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("two", place.project.join("one")).unwrap();
    std::os::unix::fs::symlink(&outside, place.project.join("far")).unwrap();
    std::fs::write(place.project.join("two/y"), "changed").unwrap();
    commit(&place).await;
    let prepared = prepare(&place, task()).await;
    assert_eq!(work(&prepared, "cat two/x two/y one/x; git status --porcelain").await, "two/xchangedtwo/x");
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
}

#[tokio::test]
async fn nothing_is_looked_for_behind_a_link() {
    for mode in [WorkspaceMode::Clone, WorkspaceMode::Worktree] {
        let place = Place::repository().await;
        let prepared = place.prepare(mode, task()).await;
        std::fs::rename(prepared.path.join("sub"), prepared.path.join("other")).unwrap();
        std::fs::remove_file(prepared.path.join("README")).unwrap();
        std::fs::create_dir(prepared.path.join("README")).unwrap();
        std::fs::write(prepared.path.join("README/one"), "one").unwrap();
        std::os::unix::fs::symlink("other", prepared.path.join("sub")).unwrap();
        let report = place.workspaces.finish(prepared, completed()).await;
        assert!(!report.kept, "{mode:?}: {report:?}");
        assert_eq!(
            changed(&place, &report).await,
            "D README\nA README/one\nA other/file\nA sub\nD sub/file",
            "{mode:?}"
        );
    }
}

#[tokio::test]
async fn a_checkout_of_which_files_are_gone_is_made_anew() {
    let Some(place) = place().await else { return };
    drop(prepare(&place, task()).await);
    for shelf in std::fs::read_dir(place.directory.path().join("data/checkouts")).unwrap() {
        for entry in std::fs::read_dir(shelf.unwrap().path()).unwrap() {
            let tree = entry.unwrap().path().join("tree");
            if tree.is_dir() {
                std::fs::remove_dir_all(tree).unwrap();
            }
        }
    }
    let prepared = prepare(&place, task()).await;
    assert_eq!(work(&prepared, "cat README; git status --porcelain").await, "hello");
}

#[tokio::test]
async fn an_attempt_is_not_begun_behind_a_link() {
    let Some(place) = place().await else { return };
    let (task, below) = (task(), place.project.join("sub"));
    let wanted = wanted(WorkspaceMode::Clone);
    let prepared = place.workspaces.prepare(wanted, task, &below, true).await.unwrap();
    work(&prepared, "cd ..; rm -r sub; ln -s /etc sub").await;
    place.workspaces.finish(prepared, Finish::Unfinished).await;
    let refused = place.workspaces.prepare(wanted, task, &below, true).await.unwrap_err();
    assert!(refused.to_string().contains("could not enter"), "{refused}");
}
