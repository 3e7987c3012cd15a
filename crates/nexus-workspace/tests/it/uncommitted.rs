//! The user's uncommitted changes: said, or started from as a commit of its own that the work is told apart from.

use std::path::Path;

use nexus_core::department::{Wanted, WorkspaceMode};
use nexus_core::event::WorkspaceReport;
use nexus_core::id::TaskId;
use nexus_core::uncommitted::{LOOK_LIMIT, Uncommitted};
use nexus_workspace::How::{self, Already, Rebased};
use nexus_workspace::{Finish, Method, NotApplied, Prepared, WorkspaceError};

use crate::hazard::mkfifo;
use crate::support::{Place, canary, completed, git, task};

const MODES: [WorkspaceMode; 2] = [WorkspaceMode::Clone, WorkspaceMode::Worktree];

/// A file of six lines, so that two can change parts of it.
const LINES: &str = "one\ntwo\nthree\nfour\nfive\nsix\n";

fn including(mode: WorkspaceMode) -> Wanted {
    Wanted { mode, otherwise: WorkspaceMode::Copy, include_uncommitted: true }
}

async fn prepare(place: &Place, mode: WorkspaceMode, task: TaskId) -> Prepared {
    place.workspaces.prepare(including(mode), task, &place.project, false).await.unwrap()
}

/// Modified, staged, deleted, new, ignored and unchanged files.
async fn edited() -> Place {
    let place = Place::repository().await;
    for (name, text) in [("lines", LINES), ("gone", "x\n"), ("staged", "x\n"), (".gitignore", "ignored\n")] {
        place.write(name, text);
    }
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-q", "-m", "second"]).await;
    place.write("lines", &LINES.replace("one", "ONE"));
    place.write("staged", "staged\n");
    git(&place.project, &["add", "staged"]).await;
    std::fs::remove_file(place.project.join("gone")).unwrap();
    std::fs::create_dir(place.project.join("fresh")).unwrap();
    place.write("fresh/a", "new\n");
    place.write("fresh/b", "new\n");
    place.write("ignored", "ignored\n");
    place
}

/// Everything of the user's that must stay as it is; not the objects, which are added to.
async fn state(place: &Place) -> Vec<String> {
    let mut state = Vec::new();
    for args in [
        &["status", "--porcelain=v2", "--branch", "--ignored", "--untracked-files=all"][..],
        &["ls-files", "--stage", "--debug"],
        &["for-each-ref", "--exclude=refs/heads/nexus/", "--exclude=refs/nexus/"],
        &["stash", "list"],
        &["reflog"],
    ] {
        state.push(git(&place.project, args).await);
    }
    state
}

fn read(path: &Path, name: &str) -> String {
    std::fs::read_to_string(path.join(name)).unwrap_or_else(|_| "(none)".to_owned())
}

async fn report(place: &Place, prepared: Prepared) -> WorkspaceReport {
    place.workspaces.finish(prepared, completed()).await
}

#[tokio::test]
async fn they_are_left_out_and_said() {
    let place = edited().await;
    let before = state(&place).await;
    for mode in MODES {
        let prepared = place.prepare(mode, task()).await;
        let said = prepared.uncommitted().await.unwrap();
        assert_eq!((said.changes, said.elsewhere, said.included), (4, 0, false));
        assert_eq!(said.paths, ["gone", "lines", "staged", "fresh/"]);
        assert_eq!(read(&prepared.path, "lines"), LINES);
        let report = report(&place, prepared).await;
        assert_eq!((report.uncommitted, report.snapshot), (Some(said), false));
    }
    assert_eq!(state(&place).await, before);
}

#[tokio::test]
async fn a_directory_below_counts_its_own_and_those_elsewhere() {
    let place = edited().await;
    place.write("sub/file", "changed\n");
    place.write("sub/ü b", "new\n");
    let wanted = Wanted { include_uncommitted: false, ..including(WorkspaceMode::Clone) };
    let prepared = place.workspaces.prepare(wanted, task(), &place.project.join("sub"), false).await.unwrap();
    let paths = vec!["file".to_owned(), "ü b".to_owned()];
    assert_eq!(prepared.uncommitted().await, Some(Uncommitted { changes: 2, elsewhere: 4, paths, included: false }));
}

#[tokio::test]
async fn where_there_are_none_nothing_is_said() {
    let place = Place::repository().await;
    for wanted in
        [including(WorkspaceMode::Clone), Wanted { include_uncommitted: false, ..including(WorkspaceMode::Clone) }]
    {
        let prepared = place.workspaces.prepare(wanted, task(), &place.project, false).await.unwrap();
        assert_eq!(prepared.uncommitted().await, None);
        let report = report(&place, prepared).await;
        assert_eq!((report.uncommitted, report.snapshot, report.kept), (None, false, false));
    }
    place.write("README", "changed\n");
    for mode in [WorkspaceMode::Copy, WorkspaceMode::InPlace, WorkspaceMode::Scratch] {
        let (prepared, id) = (place.prepare(mode, task()).await, task());
        assert_eq!(prepared.uncommitted().await, None, "{mode:?}");
        assert_eq!(place.workspaces.uncommitted(including(mode), id, &place.project).await, None, "{mode:?}");
    }
    assert_eq!(git(&place.project, &["for-each-ref", "refs/nexus"]).await, "");
}

#[tokio::test]
async fn each_look_sees_what_is_there_by_then() {
    let place = Place::repository().await;
    let look = async |id| place.workspaces.uncommitted(including(WorkspaceMode::Clone), id, &place.project).await;
    assert_eq!(look(task()).await, None);
    place.write("README", "changed\n");
    assert_eq!(look(task()).await.map(|found| found.changes), Some(1));
    place.write("new", "new\n");
    let id = task();
    assert_eq!(look(id).await.map(|found| found.changes), Some(2));
    // The attempt takes the look that its submission has made, and the next one looks again.
    place.write("newer", "new\n");
    assert_eq!(look(id).await.map(|found| found.changes), Some(2));
    assert_eq!(look(id).await.map(|found| found.changes), Some(3));
}

#[tokio::test]
async fn a_look_ends_in_time_though_git_does_not() {
    let place = edited().await;
    // Git opens it as the first thing it does, and waits for a writer.
    let pipe = place.directory.path().join("pipe");
    mkfifo(&pipe).await;
    let config = place.project.join(".git/config");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}[include]\n\tpath = {}\n", pipe.display())).unwrap();
    let look = place.workspaces.uncommitted(including(WorkspaceMode::Clone), task(), &place.project);
    let found = tokio::time::timeout(LOOK_LIMIT * 5, look).await.expect("git is not waited for");
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_task_starts_from_them_and_its_result_leaves_them_out() {
    for mode in MODES {
        let place = edited().await;
        let (before, id) = (state(&place).await, task());
        let prepared = prepare(&place, mode, id).await;
        assert_eq!(read(&prepared.path, "lines"), LINES.replace("one", "ONE"));
        for (name, text) in [("staged", "staged\n"), ("fresh/b", "new\n"), ("gone", "(none)"), ("ignored", "(none)")] {
            assert_eq!(read(&prepared.path, name), text, "{mode:?}");
        }
        assert_eq!(git(&prepared.path, &["status", "--porcelain"]).await, "", "{mode:?}");
        let subject = git(&prepared.path, &["log", "-1", "--format=%s|%an"]).await;
        assert!(subject.starts_with("Uncommitted changes of 2"), "{subject}");
        assert!(subject.contains(&format!(", as task {id} found them|")), "{subject}");
        let said = prepared.uncommitted().await.unwrap();
        assert_eq!((said.changes, said.included), (5, true));
        std::fs::write(prepared.path.join("lines"), LINES.replace("one", "ONE").replace("six", "SIX")).unwrap();
        let report = report(&place, prepared).await;
        assert_eq!(state(&place).await, before, "{mode:?}");
        assert!(report.snapshot && !report.kept, "{report:?}");
        assert_eq!(
            (report.commit_count, report.commits.len(), report.diff.map(|diff| diff.files)),
            (Some(1), 1, Some(1))
        );
        let base = report.base.as_deref();
        let parent = git(&place.project, &["rev-parse", &format!("{}^", base.unwrap())]).await;
        assert_eq!(parent, git(&place.project, &["rev-parse", "HEAD"]).await);
        let patch =
            place.workspaces.diff(id, &place.project, base, report.head.as_deref(), false).await.unwrap().unwrap();
        let text = String::from_utf8(patch.text).unwrap();
        assert!(text.contains("+SIX") && !text.contains("+ONE") && !text.contains("fresh"), "{text}");
        // The branch keeps it, and no other ref is left.
        assert_eq!(git(&place.project, &["for-each-ref", "refs/nexus"]).await, "");
        assert_eq!(place.left(), 0);
    }
}

#[tokio::test]
async fn the_next_attempt_starts_from_the_same_one_after_a_gc() {
    for mode in MODES {
        let place = edited().await;
        let id = task();
        let prepared = prepare(&place, mode, id).await;
        let first = git(&prepared.path, &["rev-parse", "HEAD"]).await;
        let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
        assert!(report.snapshot && !report.kept && report.branch.is_none(), "{report:?}");
        place.write("lines", "something else\n");
        git(&place.project, &["gc", "-q", "--prune=now"]).await;
        let prepared = prepare(&place, mode, id).await;
        assert_eq!(git(&prepared.path, &["rev-parse", "HEAD"]).await, first, "{mode:?}");
        assert_eq!(prepared.uncommitted().await.map(|said| (said.changes, said.included)), Some((5, true)));
        place.workspaces.finish(prepared, Finish::Unfinished).await;
        // Nothing needs it when the task is cleaned up after.
        assert!(place.workspaces.has(id));
        let sweep = place.workspaces.sweep(id, &place.project).await.unwrap();
        sweep.clean(report.base.as_deref(), false).await.unwrap();
        assert_eq!(git(&place.project, &["for-each-ref", "refs/nexus", "refs/heads/nexus"]).await, "");
        assert!(!place.workspaces.has(id));
    }
}

/// A task that has changed a file, having started from what is not committed.
async fn done(place: &Place, name: &str, text: &str) -> (TaskId, String) {
    let id = task();
    let prepared = prepare(place, WorkspaceMode::Clone, id).await;
    std::fs::write(prepared.path.join(name), text).unwrap();
    let report = report(place, prepared).await;
    assert!(report.snapshot, "{report:?}");
    (id, report.base.unwrap())
}

async fn apply(place: &Place, (id, base): &(TaskId, String), method: Method) -> Result<How, NotApplied> {
    let head = git(&place.project, &["rev-parse", "HEAD"]).await;
    let before = state(place).await;
    let applied = place.workspaces.apply(*id, &place.project, Some(base), method).await;
    match &applied {
        Ok(applied) => assert_eq!(git(&place.project, &["rev-parse", "HEAD"]).await, applied.to),
        Err(_) => assert_eq!(state(place).await, before),
    }
    let snapshots = git(&place.project, &["log", "--format=%s", "--grep=^Uncommitted changes of"]).await;
    assert_eq!(snapshots, "");
    assert!(!place.project.join(".git/index.lock").exists() && !place.project.join(".git/nexus-index").exists());
    applied.map(|applied| {
        assert!(applied.how == Already || applied.from == head);
        applied.how
    })
}

const METHODS: [Method; 2] = [Method::Merge, Method::Rebase];

#[tokio::test]
async fn apply_brings_the_work_without_the_edits() {
    for method in METHODS {
        for has_gone_on in [false, true] {
            let place = edited().await;
            let status = git(&place.project, &["status", "--porcelain"]).await;
            let task = done(&place, "README", "from the agent\n").await;
            if has_gone_on {
                git(&place.project, &["commit", "-q", "-m", "the user's", "--only", "sub/file", "--allow-empty"]).await;
            }
            assert_eq!(apply(&place, &task, method).await.unwrap(), Rebased);
            assert_eq!(git(&place.project, &["show", "--format=", "--name-only", "HEAD"]).await, "README");
            assert_eq!(read(&place.project, "README"), "from the agent\n");
            assert_eq!(git(&place.project, &["status", "--porcelain"]).await, status);
            assert_eq!(apply(&place, &task, method).await.unwrap(), Already);
        }
    }
}

#[tokio::test]
async fn work_beside_an_edit_is_merged_into_the_edited_file() {
    for (staged, went_on) in [(false, false), (true, false), (false, true)] {
        let place = edited().await;
        let with_edit = LINES.replace("one", "ONE");
        let task = done(&place, "lines", &with_edit.replace("six", "SIX")).await;
        if staged {
            git(&place.project, &["add", "lines"]).await;
        }
        let now = if went_on { with_edit.replace("three", "THREE") } else { with_edit };
        place.write("lines", &now);
        let status = git(&place.project, &["status", "--porcelain"]).await;
        assert_eq!(apply(&place, &task, Method::Merge).await.unwrap(), Rebased);
        assert_eq!(git(&place.project, &["show", "HEAD:lines"]).await, LINES.replace("six", "SIX").trim_end());
        assert_eq!(read(&place.project, "lines"), now.replace("six", "SIX"));
        assert_eq!(git(&place.project, &["status", "--porcelain"]).await, status, "{staged} {went_on}");
        let index = if staged { now.replace("six", "SIX") } else { LINES.replace("six", "SIX") };
        assert_eq!(git(&place.project, &["show", ":lines"]).await, index.trim_end());
        assert_eq!(apply(&place, &task, Method::Merge).await.unwrap(), Already);
    }
}

#[tokio::test]
async fn work_on_top_of_an_edit_needs_it_committed_first() {
    for method in METHODS {
        for (name, text) in [("lines", LINES.replace("one", "ONE, changed")), ("fresh/a", "changed\n".to_owned())] {
            let place = edited().await;
            let task = done(&place, name, &text).await;
            let refused = apply(&place, &task, method).await.unwrap_err();
            let NotApplied::Inseparable { files, .. } = &refused else { panic!("{refused:?}") };
            assert_eq!(files, &[name.to_owned()]);
            assert!(refused.to_string().contains(name), "{refused}");
            git(&place.project, &["add", "--all"]).await;
            git(&place.project, &["commit", "-q", "-m", "the user's edits"]).await;
            assert_eq!(apply(&place, &task, method).await.unwrap(), Rebased);
            assert_eq!(read(&place.project, name), text);
            assert_eq!(git(&place.project, &["status", "--porcelain"]).await, "");
        }
    }
}

#[tokio::test]
async fn a_partly_staged_file_is_not_touched() {
    let place = edited().await;
    git(&place.project, &["add", "lines"]).await;
    place.write("lines", &LINES.replace("one", "ONE").replace("three", "THREE"));
    let task =
        done(&place, "lines", &LINES.replace("one", "ONE").replace("three", "THREE").replace("six", "SIX")).await;
    let refused = apply(&place, &task, Method::Rebase).await.unwrap_err();
    let NotApplied::InTheWay { files, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(files, &["lines".to_owned()]);
}

#[tokio::test]
async fn merges_of_the_agent_s_come_as_one_commit() {
    let place = edited().await;
    let id = task();
    let prepared = prepare(&place, WorkspaceMode::Clone, id).await;
    let commit = async |name: &str| {
        std::fs::write(prepared.path.join(name), "work\n").unwrap();
        git(&prepared.path, &["add", name]).await;
        git(&prepared.path, &["commit", "-q", "-m", name]).await;
    };
    git(&prepared.path, &["checkout", "-q", "-b", "side"]).await;
    commit("side").await;
    git(&prepared.path, &["checkout", "-q", "-"]).await;
    commit("straight").await;
    git(&prepared.path, &["merge", "-q", "--no-commit", "side"]).await;
    commit("resolution").await;
    let base = report(&place, prepared).await.base.unwrap();
    let task = (id, base.clone());
    assert_eq!(apply(&place, &task, Method::Merge).await.unwrap(), Rebased);
    let names = git(&place.project, &["show", "--format=%s", "--name-only", "HEAD"]).await;
    assert_eq!(names, format!("Work of task {id}\n\nresolution\nside\nstraight"));
    assert_eq!(apply(&place, &task, Method::Merge).await.unwrap(), Already);
    let sweep = place.workspaces.sweep(id, &place.project).await.unwrap();
    assert!(sweep.clean(Some(&base), false).await.unwrap().branch.unwrap().removed);
}

#[tokio::test]
async fn a_branch_whose_work_is_applied_can_go() {
    let place = edited().await;
    let (id, base) = done(&place, "lines", &LINES.replace("one", "ONE").replace("six", "SIX")).await;
    let clean = async || {
        let sweep = place.workspaces.sweep(id, &place.project).await.unwrap();
        sweep.clean(Some(&base), false).await.unwrap().branch.unwrap()
    };
    let left = clean().await;
    assert_eq!((left.removed, left.reason.as_str()), (false, "1 commit of it is on no other branch"));
    apply(&place, &(id, base.clone()), Method::Merge).await.unwrap();
    let left = clean().await;
    assert!(left.removed, "{left:?}");
    assert_eq!(git(&place.project, &["for-each-ref", "refs/heads/nexus", "refs/nexus"]).await, "");
}

#[tokio::test]
async fn what_can_t_be_started_from_is_refused_with_its_name() {
    let place = edited().await;
    let (sign, script) = canary(&place);
    place.write(".gitattributes", "*.secret filter=crypt\n");
    place.write("a.secret", "plain\n");
    git(&place.project, &["config", "filter.crypt.clean", &script]).await;
    git(&place.project, &["config", "filter.crypt.required", "true"]).await;
    git(&place.project, &["config", "core.fsmonitor", &script]).await;
    std::fs::copy(&script, place.project.join(".git/hooks/reference-transaction")).unwrap();
    // Looking runs nothing either.
    let found = place.workspaces.uncommitted(including(WorkspaceMode::Clone), task(), &place.project).await;
    assert_eq!(found.map(|found| found.changes), Some(6));
    let refused =
        place.workspaces.prepare(including(WorkspaceMode::Clone), task(), &place.project, false).await.unwrap_err();
    assert!(matches!(&refused, WorkspaceError::Uncommitted { .. }), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("a.secret has to pass your git filter `crypt`"), "{said}");
    assert!(!sign.exists(), "{}", read(&sign, ""));
    std::fs::remove_file(place.project.join("a.secret")).unwrap();
    prepare(&place, WorkspaceMode::Clone, task()).await;
    assert!(!sign.exists());
}

#[tokio::test]
async fn an_edit_in_the_second_of_the_commit_is_seen() {
    let place = Place::repository().await;
    git(&place.project, &["config", "core.trustctime", "false"]).await;
    let time = std::fs::metadata(place.project.join("README")).unwrap().modified().unwrap();
    place.write("README", "HELLO\n");
    for name in ["README", ".git/index"] {
        std::fs::File::options().write(true).open(place.project.join(name)).unwrap().set_modified(time).unwrap();
    }
    let prepared = prepare(&place, WorkspaceMode::Clone, task()).await;
    assert_eq!(read(&prepared.path, "README"), "HELLO\n");
}

#[tokio::test]
async fn line_ends_and_a_data_directory_within_are_no_obstacle() {
    let place = edited().await;
    git(&place.project, &["config", "core.autocrlf", "true"]).await;
    git(&place.project, &["config", "core.safecrlf", "true"]).await;
    let workspaces = nexus_workspace::Workspaces::new(place.project.join("data/workspaces"));
    std::fs::create_dir_all(place.project.join("data")).unwrap();
    place.write("data/ledger", "the company's\n");
    let prepared = workspaces.prepare(including(WorkspaceMode::Clone), task(), &place.project, false).await.unwrap();
    assert_eq!(prepared.uncommitted().await.map(|said| said.changes), Some(5));
    assert!(!prepared.path.join("data").exists());
}
