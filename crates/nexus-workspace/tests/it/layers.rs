//! Clones whose files are layers over a prepared checkout: what comes of them is the same as of clones that were copied.

use std::path::Path;
use std::time::Duration;

use nexus_core::department::WorkspaceMode::Clone;
use nexus_core::event::WorkspaceReport;
use nexus_core::id::TaskId;
use nexus_process::{Command, capture, user_environment};
use nexus_workspace::{Finish, Method, Prepared};

use crate::support::{Place, completed, git, task, wanted};

/// A place with layers, or none where the machine can't have them.
#[expect(clippy::print_stderr, reason = "who runs the tests learns that some were skipped")]
pub(crate) async fn place() -> Option<Place> {
    let place = Place::repository().await;
    match place.workspaces.overlays() {
        Ok(()) => Some(place),
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

pub(crate) async fn prepare(place: &Place, task: TaskId) -> Prepared {
    let prepared = place.workspaces.prepare(wanted(Clone), task, &place.project, true).await.unwrap();
    assert!(prepared.overlay().is_some());
    prepared
}

/// Runs a script where an agent would run; returns what it prints.
pub(crate) async fn work(prepared: &Prepared, script: &str) -> String {
    let command = Command::new("sh", &prepared.path)
        .args(["-euc", script])
        .env(user_environment(&[]))
        .env([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.com")]);
    let command = prepared.overlay().unwrap().within(&command, false).unwrap();
    let captured = capture(&command, Duration::from_secs(60), 1 << 20).await.unwrap();
    let said = String::from_utf8_lossy(&captured.stderr).into_owned();
    assert!(captured.success(), "{script}: {said}");
    String::from_utf8(captured.stdout).unwrap().trim().to_owned()
}

/// The names that differ between a task's branch and the project's commit, with the letters that git has for it.
pub(crate) async fn changed(place: &Place, report: &WorkspaceReport) -> String {
    let branch = report.branch.as_ref().unwrap();
    git(&place.project, &["diff", "--name-status", "--no-renames", "HEAD", branch]).await.replace('\t', " ")
}

#[tokio::test]
async fn one_in_which_nothing_was_done_leaves_no_trace() {
    let Some(place) = place().await else { return };
    let before = git(&place.project, &["for-each-ref"]).await;
    let prepared = prepare(&place, task()).await;
    assert_eq!(
        work(&prepared, "cat README sub/file; git status --porcelain; git log --format=%s").await,
        "hello\nfile\nfirst"
    );
    // Outside of its processes nothing is there.
    assert_eq!(std::fs::read_dir(prepared.root()).unwrap().count(), 0);
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!((report.kept, report.branch, report.changed_files), (false, None, Some(0)));
    assert_eq!((git(&place.project, &["for-each-ref"]).await, place.left()), (before, 0));
    all_gone(&place).await;
}

/// No layers are there, and what is removed aside is gone soon.
async fn all_gone(place: &Place) {
    let named = |names: Vec<String>| names.into_iter().filter(|name| !name.ends_with(".gone")).collect::<Vec<_>>();
    assert_eq!(named(names(place, "data/layers")), Vec::<String>::new());
    let gone = async {
        while !names(place, "data/layers").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_company_was_removing_is_removed() {
    let Some(place) = place().await else { return };
    let left = place.directory.path().join("data/layers").join(format!("{}.gone", task()));
    std::fs::create_dir_all(left.join("upper/sub")).unwrap();
    place.workspaces.tidy(false).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn what_is_done_comes_back() {
    let table = [
        ("echo new > new; git add new; git commit -qm new", "A new", 1),
        ("echo more >> README", "M README", 1),
        ("rm README", "D README", 1),
        ("rm -r sub", "D sub/file", 1),
        ("mv sub other; git add -A; git commit -qm moved", "A other/file\nD sub/file", 1),
        ("mkdir -p a/b; echo x > a/b/c; echo y > sub/new", "A a/b/c\nA sub/new", 1),
        ("rm -r sub; echo file > sub", "A sub\nD sub/file", 1),
        ("rm README; mkdir README; echo x > README/x", "D README\nA README/x", 1),
        ("chmod +x README", "M README", 1),
        ("ln -s README link", "A link", 1),
        (
            "git rm -q --cached README; echo README > .gitignore; git add .; git commit -qm 1",
            "A .gitignore\nD README",
            1,
        ),
        ("git rm -q --cached README; git commit -qm out", "", 2),
        ("git commit -q --allow-empty -m empty; touch README", "", 1),
        ("printf '*.log\\n' > .gitignore; echo x > a.log; rm a.log; echo y > b", "A .gitignore\nA b", 1),
        ("rm -r sub; mkdir sub; echo other > sub/other", "D sub/file\nA sub/other", 1),
        ("git checkout -q -b own; echo 1 > one; git add .; git commit -qm one; echo 2 > two", "A one\nA two", 2),
        ("git checkout -q --detach; echo 1 > one; git add .; git commit -qm one", "A one", 1),
        ("git branch -q -m own; echo 1 > one; git add .; git commit -qm one", "A one", 1),
    ];
    for (script, wanted, commits) in table {
        let Some(place) = place().await else { return };
        let prepared = prepare(&place, task()).await;
        work(&prepared, script).await;
        let report = place.workspaces.finish(prepared, completed()).await;
        let names = changed(&place, &report).await;
        assert_eq!(names, wanted, "{script}");
        assert_eq!(report.commit_count, Some(commits), "{script}: {report:?}");
        assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "", "{script}");
    }
}

#[tokio::test]
async fn a_directory_that_was_renamed_keeps_what_was_not_touched() {
    let Some(place) = place().await else { return };
    std::fs::write(place.project.join("sub/second"), "second\n").unwrap();
    std::fs::write(place.project.join("sub/.gitignore"), "local\n").unwrap();
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-q", "-m", "second"]).await;
    let prepared = prepare(&place, task()).await;
    work(&prepared, "mv sub other; echo changed > other/second; echo new > other/new; echo x > other/local").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(
        changed(&place, &report).await,
        "A other/.gitignore\nA other/file\nA other/new\nA other/second\nD sub/.gitignore\nD sub/file\nD sub/second"
    );
    let branch = report.branch.unwrap();
    assert_eq!(git(&place.project, &["show", &format!("{branch}:other/file")]).await, "file");
    assert_eq!(git(&place.project, &["show", &format!("{branch}:other/second")]).await, "changed");
}

#[tokio::test]
async fn the_next_attempt_goes_on_in_it() {
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    work(&prepared, "echo half > half; echo broken > broken; git add broken; git commit -qm broken").await;
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert_eq!((report.kept, report.changed_files), (true, Some(1)));
    let patch = place.workspaces.diff(task, &place.project, None, None, false).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&patch.text).into_owned();
    assert!(text.contains("+half") && text.contains("+broken"), "{text}");
    let prepared = prepare(&place, task).await;
    assert_eq!(work(&prepared, "cat half; git status --porcelain").await, "half\n?? half");
    work(&prepared, "git rm -q broken; git add -A; git commit -q --amend -m whole").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!((report.kept, changed(&place, &report).await.as_str()), (false, "A half"));
    place.workspaces.apply(task, &place.project, None, Method::Merge).await.unwrap();
    assert_eq!(git(&place.project, &["log", "--format=%s"]).await, "whole\nfirst");
}

#[tokio::test]
async fn without_mounts_the_next_attempt_gets_one_directory() {
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    work(&prepared, "echo half > half; rm README; rm -r sub; mkdir sub; echo new > sub/new; chmod +x half").await;
    place.workspaces.finish(prepared, Finish::Unfinished).await;
    let prepared = place.prepare(Clone, task).await;
    assert!(prepared.overlay().is_none());
    assert_eq!(
        git(&prepared.path, &["status", "--porcelain", "-uall"]).await,
        "D README\n D sub/file\n?? half\n?? sub/new"
    );
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(
        (report.kept, changed(&place, &report).await.as_str()),
        (false, "D README\nA half\nD sub/file\nA sub/new")
    );
}

#[tokio::test]
async fn one_directory_is_made_anew_after_a_kill_in_the_middle() {
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    work(&prepared, "echo half > half").await;
    let root = prepared.root().to_owned();
    place.workspaces.finish(prepared, Finish::Unfinished).await;
    // It had the directory, and the layers too.
    std::fs::write(root.join("old"), "old\n").unwrap();
    std::fs::create_dir(root.with_extension("partial")).unwrap();
    let prepared = place.prepare(Clone, task).await;
    assert_eq!(git(&prepared.path, &["status", "--porcelain", "-uall"]).await, "?? half");
    assert!(!place.workspaces.finish(prepared, completed()).await.kept);
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn a_new_commit_is_laid_over_an_older_checkout() {
    let Some(place) = place().await else { return };
    std::fs::create_dir_all(place.project.join("deep/er")).unwrap();
    for name in ["deep/er/one", "deep/two", "three"] {
        place.write(name, name);
    }
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-q", "-m", "second"]).await;
    place.workspaces.finish(prepare(&place, task()).await, completed()).await;
    std::fs::remove_dir_all(place.project.join("deep/er")).unwrap();
    std::fs::remove_file(place.project.join("three")).unwrap();
    std::fs::create_dir(place.project.join("three")).unwrap();
    place.write("three/four", "four");
    place.write("README", "changed\n");
    git(&place.project, &["add", "-A"]).await;
    git(&place.project, &["commit", "-q", "-m", "third"]).await;
    let prepared = prepare(&place, task()).await;
    assert_eq!(prepared.overlay().unwrap().lower.len(), 2);
    let seen =
        work(&prepared, "git status --porcelain; find . -path ./.git -prune -o -type f -print | sort; cat README")
            .await;
    assert_eq!(seen, "./README\n./deep/two\n./sub/file\n./three/four\nchanged");
    assert_eq!(work(&prepared, "ls deep").await, "two");
    work(&prepared, "echo again > README; rm -r three").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(changed(&place, &report).await, "M README\nD three/four");
}

#[tokio::test]
async fn many_at_once_share_one_checkout() {
    let Some(place) = place().await else { return };
    let attempt = async |number: usize| {
        let prepared = prepare(&place, task()).await;
        work(&prepared, &format!("echo {number} > mine; echo {number} >> README; git add -A; git commit -qm {number}"))
            .await;
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!(
            git(&place.project, &["show", &format!("{}:mine", report.branch.unwrap())]).await,
            number.to_string()
        );
    };
    futures_util::future::join_all((0..8).map(attempt)).await;
    assert_eq!(std::fs::read_to_string(place.project.join("README")).unwrap(), "hello\n");
    let shelves = std::fs::read_dir(place.directory.path().join("data/checkouts")).unwrap();
    let checkouts = shelves.flat_map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap());
    assert_eq!(checkouts.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 1);
}

#[tokio::test]
async fn what_git_ignores_is_told_by_files_that_nobody_has_touched() {
    let Some(place) = place().await else { return };
    place.write(".gitignore", "target/\n*.log\n");
    place.write("sub/.gitignore", "local\n");
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-q", "-m", "ignoring"]).await;
    let prepared = prepare(&place, task()).await;
    work(&prepared, "mkdir target; echo x > target/x; echo x > sub/local; echo x > sub/seen; echo '*.tmp' >> .gitignore; echo x > a.tmp").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(changed(&place, &report).await, "M .gitignore\nA sub/seen");
    let reason = "2 files that git ignores, such as a.tmp";
    assert_eq!((report.kept, report.reason.as_deref()), (true, Some(reason)));
}

#[tokio::test]
async fn a_project_in_a_directory_below() {
    let Some(place) = place().await else { return };
    let below = place.project.join("sub");
    let prepared = place.workspaces.prepare(wanted(Clone), task(), &below, true).await.unwrap();
    assert!(prepared.path.ends_with("sub"), "{}", prepared.path.display());
    assert_eq!(work(&prepared, "pwd -P; ls").await, format!("{}\nfile", prepared.path.display()));
    work(&prepared, "echo new > new").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(changed(&place, &report).await, "A sub/new");
}

/// The names of what is in a directory of the data directory.
fn names(place: &Place, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.directory.path().join(directory)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn cleaning_removes_what_is_on_the_branch() {
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    work(&prepared, "echo new > new; git add new; git commit -qm new").await;
    // The company was killed: nobody has finished it.
    drop(prepared);
    let clean = async || {
        let sweep = place.workspaces.sweep(task, &place.project).await.unwrap();
        sweep.clean(None, false).await.unwrap().workspace.unwrap()
    };
    let left = clean().await;
    assert!(!left.removed && left.reason.contains("commits"), "{left:?}");
    let prepared = prepare(&place, task).await;
    place.workspaces.finish(prepared, completed()).await;
    all_gone(&place).await;
    assert!(Path::new(&place.project).join(".git/refs/heads/nexus").exists());
}

#[tokio::test]
async fn what_a_killed_company_has_left_half_made_goes() {
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    let data = place.directory.path().join("data");
    let shelf = std::fs::read_dir(data.join("checkouts")).unwrap().next().unwrap().unwrap().path();
    for left in ["0123.partial/tree/sub", "4567.gone/tree"] {
        std::fs::create_dir_all(shelf.join(left)).unwrap();
    }
    std::fs::create_dir_all(data.join("layers/0123.gone/upper/.git")).unwrap();
    place.workspaces.tidy(true).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(&shelf).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(names(&place, "data/layers"), [task.to_string()]);
    // Its own checkout stays, as it is used.
    assert_eq!(work(&prepared, "cat README").await, "hello");
}
