//! A workspace that takes for ever to prepare: its time counts, and it can be cancelled.

use std::time::{Duration, Instant};

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, WORK, at, git};

/// A worktree of this project is never checked out: git waits for a filter.
fn company() -> Company {
    let place = Place::with(&[("work", &WORK.replace("scratch", "worktree"))]);
    let project = place.path("project");
    place.write("project/README", "hello\n");
    place.write("project/.gitattributes", "README filter=slow\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    // A repository's own filters are not run, the user's are.
    place.write(".gitconfig", "[filter \"slow\"]\n\tsmudge = sleep 300\n");
    Company::up(&place)
}

/// The running processes of git, and of the filter that it waits for.
fn preparing(company: &Company) -> Vec<(u32, String)> {
    let all = marked(&company.text("")).into_iter();
    all.filter(|(_, command)| command.starts_with("git ") || command.contains("sleep 300")).collect()
}

#[test]
fn it_counts_against_the_wall_time() {
    let company = company();
    let id = company.delegate(&["--timeout", "1s", "--max-attempts", "1", "true"]);
    // What it would run ends at once: only preparing can take that long.
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "failed");
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("limits.wall_time"), "{error}");
    until("the end of git", || preparing(&company).is_empty().then_some(()));
}

#[test]
fn it_can_be_cancelled() {
    let company = company();
    let id = company.delegate(&["true"]);
    until("the filter", || preparing(&company).iter().any(|(_, command)| command.contains("sleep")).then_some(()));
    let begin = Instant::now();
    company.run(&["cancel", &id]).done();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(preparing(&company), []);
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
    // When the filter is mended, others can work in the repository, and so can this one.
    company.write(".gitconfig", "[filter \"slow\"]\n\tsmudge = cat\n");
    assert_eq!(company.run(&["run", "cat README"]).done(), "hello\n");
    company.run(&["retry", &id]).done();
    company.becomes(&id, "completed");
    assert_eq!(git(&company.path("project"), &["worktree", "list"]).lines().count(), 1);
}
