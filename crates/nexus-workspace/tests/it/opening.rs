//! A workspace that was kept, opened for a person: its layers are mounted, or made a plain directory.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nexus_core::department::WorkspaceMode::{Clone, Copy, Worktree};
use nexus_core::id::TaskId;
use nexus_process::{Command, capture, user_environment};
use nexus_workspace::{Bounds, Finish, Opened, WorkspaceError, Workspaces};

use crate::support::{Place, canary, completed, git, task, wanted};

/// Runs a script in an opened workspace, by its settings for git; returns its exit code and all that it prints.
async fn visit(opened: &Opened, script: &str) -> (bool, String) {
    let mut command = Command::new("sh", &opened.path)
        .args(["-uc", &format!("exec 2>&1; {script}")])
        .env(user_environment(&[]))
        .env([("GIT_AUTHOR_NAME", "P"), ("GIT_AUTHOR_EMAIL", "p@example.com")])
        .env([("GIT_COMMITTER_NAME", "P"), ("GIT_COMMITTER_EMAIL", "p@example.com")])
        .env([("GIT_CONFIG_COUNT", opened.settings.len().to_string())]);
    for (at, (key, value)) in opened.settings.iter().enumerate() {
        command = command.env([(format!("GIT_CONFIG_KEY_{at}"), key), (format!("GIT_CONFIG_VALUE_{at}"), value)]);
    }
    let command = match &opened.overlay {
        Some(overlay) => overlay.within(&command, false).unwrap(),
        None => command,
    };
    let captured = capture(&command, Duration::from_secs(60), 1 << 20).await.unwrap();
    (captured.success(), String::from_utf8(captured.stdout).unwrap())
}

/// A task whose attempt has run a script in layers, and failed; none where there are no layers.
async fn left(place: &Place, script: &str) -> Option<TaskId> {
    if let Err(why) = place.workspaces.overlays() {
        eprintln!("skipped: {why}");
        return None;
    }
    let task = task();
    let prepared = place.workspaces.prepare(wanted(Clone), task, &place.project, true).await.unwrap();
    let command = Command::new("sh", &prepared.path).args(["-euc", script]).env(user_environment(&[]));
    let command = prepared.overlay().unwrap().within(&command, false).unwrap();
    let captured = capture(&command, Duration::from_secs(60), 1 << 20).await.unwrap();
    assert!(captured.success(), "{}", String::from_utf8_lossy(&captured.stderr));
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert!(report.kept && report.layered, "{report:?}");
    Some(task)
}

async fn open(place: &Place, task: TaskId) -> Opened {
    place.workspaces.open(task, &place.project, false).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_person_s_commits_come_onto_the_branch() {
    let place = Place::repository().await;
    let Some(task) = left(&place, "echo new > new").await else { return };
    let opened = open(&place, task).await;
    let (done, said) = visit(&opened, "cat new README && git add new && git commit -qm mine").await;
    assert!(done && said == "new\nhello\n", "{said}");
    let branch = place.workspaces.close(opened).await.unwrap().unwrap().unwrap();
    assert_eq!(git(&place.project, &["show", "--format=%s", "--name-only", &branch]).await, "mine\n\nnew");
    // Nothing has changed since.
    let opened = open(&place, task).await;
    assert_eq!(place.workspaces.close(opened).await.unwrap(), Ok(None));
}

#[tokio::test]
async fn what_the_agent_has_set_runs_nothing() {
    let place = Place::repository().await;
    let (sign, script) = canary(&place);
    let planted = format!(
        "echo more >> README; mkdir -p .git/hooks; for hook in pre-commit post-commit post-index-change; do cp {script} .git/hooks/$hook; done
         echo '* filter=f diff=d' > .gitattributes
         for key in core.fsmonitor core.pager core.editor sequence.editor diff.external diff.d.textconv diff.d.command \
             filter.f.clean filter.f.process core.sshCommand gpg.program core.hooksPath credential.helper; do
             git config $key {script}; done
         git config alias.st '!{script}'; git config commit.gpgSign false"
    );
    let Some(task) = left(&place, &planted).await else { return };
    let opened = open(&place, task).await;
    let (_, said) = visit(&opened, "git status; git diff; git st; git add -A; git commit -m mine; git log -p; rm .gitattributes; echo and >> README; git diff").await;
    assert!(said.contains("+more") && said.contains("+and") && !said.contains("fatal"), "{said}");
    assert!(!sign.exists(), "{}: {said}", std::fs::read_to_string(&sign).unwrap());
    // The agent's settings are there, and would have run something.
    let mut unguarded = opened;
    unguarded.settings.clear();
    visit(&unguarded, "git st").await;
    assert!(sign.exists());
}

#[tokio::test]
async fn layers_are_one_s_own() {
    let place = Place::repository().await;
    let Some(task) = left(&place, "echo new > new").await else { return };
    let opened = open(&place, task).await;
    // Another process of the user's.
    let other = Workspaces::new(place.directory.path().join("data/workspaces"));
    let in_use = |error| matches!(error, Some(WorkspaceError::InUse));
    assert!(in_use(other.open(task, &place.project, false).await.err()));
    assert!(in_use(other.plain(task, &place.project).await.err()));
    assert!(in_use(other.prepare(wanted(Clone), task, &place.project, true).await.err()));
    let left = other.sweep(task, &place.project).await.unwrap().clean(None, false).await.unwrap().workspace.unwrap();
    assert!(!left.removed && left.reason.contains("in use"), "{left:?}");
    let reading = other.open(task, &place.project, true).await.unwrap().unwrap();
    drop(opened);
    let prepared = other.prepare(wanted(Clone), task, &place.project, true).await.unwrap();
    // A look is possible while an attempt runs.
    assert!(in_use(place.workspaces.open(task, &place.project, false).await.err()));
    drop(reading);
    assert!(place.workspaces.open(task, &place.project, true).await.unwrap().is_some());
    drop(prepared);
}

#[tokio::test]
async fn reading_changes_nothing() {
    let place = Place::repository().await;
    let Some(layered) = left(&place, "echo new > new").await else { return };
    let plain = task();
    let prepared = place.workspaces.prepare(wanted(Worktree), plain, &place.project, false).await.unwrap();
    for task in [layered, plain] {
        let opened = place.workspaces.open(task, &place.project, true).await.unwrap().unwrap();
        let command = Command::new("sh", &opened.path).args(["-c", "cat README; echo x > README"]);
        let command = opened.overlay.as_ref().unwrap().within(&command.env(user_environment(&[])), true).unwrap();
        let captured = capture(&command, Duration::from_secs(60), 1 << 20).await.unwrap();
        assert!(!captured.success());
        assert_eq!(captured.stdout, b"hello\n");
    }
    place.workspaces.finish(prepared, completed()).await;
}

#[tokio::test]
async fn a_plain_directory_has_what_the_layers_show() {
    let place = Place::repository().await;
    std::fs::create_dir_all(place.project.join("deep/a/b")).unwrap();
    for name in ["deep/one", "deep/a/two", "deep/a/b/three", "deep/a/b/four"] {
        place.write(name, name);
    }
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-q", "-m", "deep"]).await;
    // Ordinary users' `mv` copies, which is right too.
    let script = "mv deep/a deep/c; mv deep/c/b up; rm up/four; echo new > up/five; mv deep/one deep/first
        mkdir deep/a; echo other > deep/a/two; rm -r sub; mkdir sub; ln -s README link; mv deep/c/two up/; chmod +x up/two";
    let Some(task) = left(&place, script).await else { return };
    let list =
        "find . -path ./.git -prune -o -printf '%p %l\\n' | sort; cat up/* deep/a/* deep/first; git status --porcelain";
    let opened = open(&place, task).await;
    let (_, shown) = visit(&opened, list).await;
    assert!(shown.contains("./up/three"), "{shown}");
    place.workspaces.close(opened).await.unwrap().unwrap();
    let path = place.workspaces.plain(task, &place.project).await.unwrap().unwrap();
    assert!(Path::new(&path).join("up/three").is_file());
    let opened = open(&place, task).await;
    assert!(opened.overlay.is_none());
    assert_eq!(visit(&opened, list).await, (true, shown));
    assert_eq!(place.workspaces.plain(task, &place.project).await.unwrap(), Some(path));
    // The next attempt goes on there.
    let prepared = place.workspaces.prepare(wanted(Clone), task, &place.project, true).await.unwrap();
    assert!(prepared.overlay().is_none());
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!((report.kept, report.layered, report.commit_count), (false, false, Some(1)), "{report:?}");
}

#[tokio::test]
async fn other_modes_are_directories_already() {
    let place = Place::repository().await;
    let below = place.project.join("sub");
    for (mode, end) in [(Worktree, "sub"), (Copy, ""), (Clone, "sub")] {
        let task = task();
        let prepared = place.workspaces.prepare(wanted(mode), task, &below, false).await.unwrap();
        let opened = place.workspaces.open(task, &below, false).await.unwrap().unwrap();
        assert_eq!((opened.path.as_path(), opened.path.ends_with(end)), (prepared.path.as_path(), true));
        assert_eq!(place.workspaces.plain(task, &below).await.unwrap(), Some(prepared.path.clone()));
    }
    assert!(place.workspaces.open(task(), &below, false).await.unwrap().is_none());
}

#[tokio::test]
async fn prepared_checkouts_keep_within_their_bounds() {
    let place = Place::repository().await;
    let Some(kept) = left(&place, "echo new > new").await else { return };
    place.write("README", &"other\n".repeat(1000));
    git(&place.project, &["commit", "-qam", "other"]).await;
    std::fs::write(place.project.join(".gitattributes"), "x text\n").unwrap();
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-qm", "not over the first"]).await;
    let prepared = place.workspaces.prepare(wanted(Clone), task(), &place.project, true).await.unwrap();
    place.workspaces.finish(prepared, completed()).await;
    assert_eq!(place.workspaces.stock().checkouts, 2);
    let data = place.directory.path().join("data");
    let bounded = |bytes, age| Workspaces::new(data.join("workspaces")).bounded(Bounds { bytes, age });
    let day = Duration::from_secs(24 * 3600);
    // Just used.
    assert_eq!(bounded(0, day).tidy(true).unwrap().checkouts, 0);
    for shelf in std::fs::read_dir(data.join("checkouts")).unwrap() {
        for checkout in std::fs::read_dir(shelf.unwrap().path()).unwrap() {
            let Ok(about) = File::options().append(true).open(checkout.unwrap().path().join("about")) else { continue };
            about.set_times(FileTimes::new().set_modified(SystemTime::now() - 2 * day)).unwrap();
        }
    }
    assert_eq!(bounded(1 << 20, 3 * day).tidy(false).unwrap().checkouts, 0);
    for (bytes, age) in [(100, 3 * day), (1 << 20, day)] {
        assert_eq!(bounded(bytes, age).rehearse_tidying(false).unwrap().checkouts, 1);
    }
    assert_eq!(bounded(1 << 20, day).tidy(false).unwrap().checkouts, 1);
    assert_eq!(place.workspaces.stock().checkouts, 1);
    // The other one has a workspace over it.
    assert_eq!(bounded(0, Duration::ZERO).tidy(true).unwrap().checkouts, 0);
    let opened = open(&place, kept).await;
    assert_eq!(visit(&opened, "cat README new").await, (true, "hello\nnew\n".to_owned()));
}
