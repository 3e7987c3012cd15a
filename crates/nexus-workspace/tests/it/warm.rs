//! Warm layers: commands run once for a prepared checkout, and every task that starts from it has what they made.

use std::path::PathBuf;
use std::time::Duration;

use nexus_process::{Command, capture, user_environment};
use nexus_workspace::{Prepared, Warming, Warmth};

use crate::layers::{changed, place, prepare, work};
use crate::support::{Place, completed, git, task};

fn recipe(commands: &str) -> Vec<String> {
    vec![commands.to_owned()]
}

/// Runs commands where those of `[workspace] warm` run.
async fn run(warming: &Warming, script: &str) {
    let home = warming.private.join("home");
    std::fs::create_dir_all(&home).unwrap();
    let command = Command::new("sh", &warming.overlay.target)
        .args(["-euc", script])
        .env(user_environment(&[]))
        .env([("HOME", home.as_os_str())]);
    let command = warming.overlay.within(&command, false).unwrap();
    let captured = capture(&command, Duration::from_secs(60), 1 << 20).await.unwrap();
    assert!(captured.success(), "{script}: {}", String::from_utf8_lossy(&captured.stderr));
}

async fn to_be_made(prepared: &Prepared, script: &str) -> Warming {
    let warming = match prepared.warm(&recipe(script)).await.unwrap() {
        Warmth::ToBeMade(warming) => Some(*warming),
        Warmth::Warm { .. } | Warmth::Never => None,
    };
    warming.unwrap()
}

/// A workspace in which the commands have been run.
async fn warmed(place: &Place, script: &str) -> (Prepared, Option<PathBuf>) {
    let prepared = prepare(place, task()).await;
    let warming = to_be_made(&prepared, script).await;
    run(&warming, script).await;
    let home = warming.keep().await.unwrap();
    (prepared, home)
}

async fn is_warm(prepared: &Prepared, script: &str) -> bool {
    matches!(prepared.warm(&recipe(script)).await.unwrap(), Warmth::Warm { .. })
}

const INSTALL: &str = "mkdir node_modules; echo v1 > node_modules/dependency; echo node_modules > .ignored";

#[tokio::test]
async fn what_the_commands_made_is_there_for_every_task_and_is_nobodys_change() {
    let Some(place) = place().await else { return };
    let (first, home) = warmed(&place, INSTALL).await;
    assert_eq!(home, None);
    assert_eq!(work(&first, "cat node_modules/dependency; echo v2 > node_modules/dependency").await, "v1");
    // Another one has it without a command, and not what the first has made of it.
    let second = prepare(&place, task()).await;
    assert!(is_warm(&second, INSTALL).await);
    assert_eq!(work(&second, "cat node_modules/dependency; echo new > new").await, "v1");
    // Other commands are another layer.
    let third = prepare(&place, task()).await;
    drop(to_be_made(&third, "true").await);

    let report = place.workspaces.finish(second, completed()).await;
    assert_eq!((report.kept, changed(&place, &report).await), (false, "A new".to_owned()));
    // What the first has changed is its own file, and is committed as such.
    let report = place.workspaces.finish(first, completed()).await;
    assert_eq!(changed(&place, &report).await, "A node_modules/dependency");
    assert!(!place.workspaces.finish(third, completed()).await.kept);
}

#[tokio::test]
async fn tracked_files_are_as_they_were_committed_whatever_the_commands_did_to_them() {
    let Some(place) = place().await else { return };
    let before = git(&place.project, &["rev-parse", "HEAD"]).await;
    let script = "echo changed > README; rm sub/file; echo made > sub/made; git commit -qam theirs; \
                  rm -r sub; mkdir sub; echo made > sub/made; ln -s ../README sub/link; mkfifo pipe; mv README moved";
    let (prepared, _) = warmed(&place, script).await;
    let seen = work(
        &prepared,
        "cat README sub/file sub/made moved; readlink sub/link; git rev-parse HEAD; \
                                git status --porcelain --untracked-files=no; test ! -e pipe",
    )
    .await;
    assert_eq!(seen, format!("hello\nfile\nmade\nchanged\n../README\n{before}"));
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!((report.kept, report.branch, report.changed_files), (false, None, Some(0)));
}

#[tokio::test]
async fn a_home_is_kept_beside_it_and_later_attempts_have_it_too() {
    let Some(place) = place().await else { return };
    let script = "mkdir -p ~/.cache; echo fetched > ~/.cache/crate; chmod 0555 ~/.cache";
    let (prepared, home) = warmed(&place, script).await;
    let home = home.unwrap();
    assert_eq!(std::fs::read_to_string(home.join(".cache/crate")).unwrap(), "fetched\n");
    work(&prepared, "echo mine > mine").await;
    drop(prepared);
    for again in [false, true] {
        let tasks = prepare(&place, task()).await;
        match tasks.warm(&recipe(script)).await.unwrap() {
            Warmth::Warm { home: found } => assert_eq!(found.as_ref(), Some(&home), "{again}"),
            other => panic!("{other:?}"),
        }
    }
    // As long as a workspace lies over it, it stays.
    place.workspaces.tidy(true).unwrap();
    assert!(home.is_dir());
}

#[tokio::test]
async fn where_an_agent_has_been_at_work_nothing_is_put_below_it() {
    let Some(place) = place().await else { return };
    let prepared = prepare(&place, task()).await;
    prepared.begin().unwrap();
    assert!(matches!(prepared.warm(&recipe(INSTALL)).await.unwrap(), Warmth::Never));
    // Nor where the files were copied.
    let copied = place.workspaces.prepare(
        crate::support::wanted(nexus_core::department::WorkspaceMode::Clone),
        task(),
        &place.project,
        false,
    );
    assert!(matches!(copied.await.unwrap().warm(&recipe(INSTALL)).await.unwrap(), Warmth::Never));
}

#[tokio::test]
async fn one_makes_it_and_the_others_wait_or_do_it_when_that_one_gives_up() {
    let Some(place) = place().await else { return };
    let (one, two, three) = tokio::join!(prepare(&place, task()), prepare(&place, task()), prepare(&place, task()));
    let warming = to_be_made(&one, INSTALL).await;
    let recipe = recipe(INSTALL);
    let mut waiting = Box::pin(two.warm(&recipe));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    // What a tidying finds meanwhile is not given up.
    place.workspaces.tidy(true).unwrap();
    run(&warming, "echo half > half").await;
    drop(warming);
    let Warmth::ToBeMade(warming) = waiting.await.unwrap() else { panic!("nobody has made it") };
    run(&warming, INSTALL).await;
    let (kept, found) = tokio::join!(warming.keep(), three.warm(&recipe));
    assert_eq!(kept.unwrap(), None);
    assert!(matches!(found.unwrap(), Warmth::Warm { .. }));
    assert_eq!(work(&three, "ls -A | tr '\\n' ' '").await, ".git .ignored README node_modules sub");
}

#[tokio::test]
async fn what_a_killed_company_has_left_half_made_goes() {
    let Some(place) = place().await else { return };
    let prepared = prepare(&place, task()).await;
    let warming = to_be_made(&prepared, INSTALL).await;
    run(&warming, INSTALL).await;
    let left = warming.private.parent().unwrap().to_owned();
    let moved = left.with_extension("aside");
    // As if nobody had had the time to remove it, in the middle of putting it in place.
    std::fs::rename(&left, &moved).unwrap();
    drop(warming);
    for part in ["tree/half", "home/half"] {
        std::fs::create_dir_all(moved.join(part)).unwrap();
    }
    std::fs::rename(&moved, &left).unwrap();
    // The next one who makes it is not hindered, and has nothing of it.
    let warming = to_be_made(&prepared, INSTALL).await;
    run(&warming, "echo fetched > ~/fetched; echo made > made").await;
    let home = warming.keep().await.unwrap().unwrap();
    assert_eq!(std::fs::read_dir(home).unwrap().count(), 1);
    assert_eq!(work(&prepared, "ls -A | tr '\\n' ' '").await, ".git README made sub");
    // And where nobody makes it any more it goes.
    std::fs::create_dir_all(left.join("upper/half")).unwrap();
    place.workspaces.tidy(false).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn what_an_agent_commits_of_it_stays_committed() {
    let Some(place) = place().await else { return };
    let (prepared, _) = warmed(&place, "echo lock > lock; mkdir sub/made; echo x > sub/made/file").await;
    work(&prepared, "git add -A; git commit -qm all; echo more > more").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(changed(&place, &report).await, "A lock\nA more\nA sub/made/file");
    assert_eq!((report.kept, report.commit_count), (false, Some(2)));
}

#[tokio::test]
async fn a_directory_of_it_that_was_moved_and_committed_stays_committed() {
    let Some(place) = place().await else { return };
    let (prepared, _) = warmed(&place, "mkdir vendor; echo v1 > vendor/file").await;
    work(&prepared, "mv vendor sub/vendor; git add -A; git commit -qm moved").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!((changed(&place, &report).await.as_str(), report.commit_count), ("A sub/vendor/file", Some(1)));
}

#[tokio::test]
async fn it_is_no_part_of_a_directory_that_is_made_of_the_layers() {
    let Some(place) = place().await else { return };
    let task = task();
    let prepared = prepare(&place, task).await;
    let warming = to_be_made(&prepared, INSTALL).await;
    run(&warming, INSTALL).await;
    warming.keep().await.unwrap();
    work(&prepared, "echo new > new").await;
    drop(prepared);
    let wanted = crate::support::wanted(nexus_core::department::WorkspaceMode::Clone);
    let prepared = place.workspaces.prepare(wanted, task, &place.project, false).await.unwrap();
    assert!(prepared.overlay().is_none() && !prepared.root().join("node_modules").exists());
    let report = place.workspaces.finish(prepared, completed()).await;
    assert_eq!(changed(&place, &report).await, "A new");
}

#[tokio::test]
async fn directories_that_are_closed_or_read_only_are_kept() {
    let Some(place) = place().await else { return };
    let script = "mkdir -p modules/a sub/b ~/closed; echo x > modules/a/file; chmod 0555 modules/a modules; \
                  echo x > sub/b/file; chmod 0 sub/b ~/closed";
    let (prepared, _) = warmed(&place, script).await;
    assert_eq!(work(&prepared, "cat modules/a/file sub/b/file sub/file").await, "x\nx\nfile");
}

#[tokio::test]
async fn a_directory_of_it_that_was_moved_away_is_not_lost() {
    let Some(place) = place().await else { return };
    let (prepared, _) = warmed(&place, "mkdir vendor; echo v1 > vendor/file").await;
    work(&prepared, "mv vendor sub/vendor").await;
    let report = place.workspaces.finish(prepared, completed()).await;
    // A kernel that can't rename such a directory has let mv copy the files.
    match report.reason {
        Some(reason) => {
            assert!(report.kept && reason.starts_with("not committed: sub/vendor was moved there"), "{reason}");
        }
        None => assert_eq!(changed(&place, &report).await, "A sub/vendor/file"),
    }
}
