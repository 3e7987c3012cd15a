//! Where an attempt works, and what is left of it.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::support::{Company, Place, WORK, at, git};

fn company(mode: &str) -> Company {
    company_at(&Place::with(&[("work", &WORK.replace("scratch", mode))]))
}

fn company_at(place: &Arc<Place>) -> Company {
    let project = place.path("project");
    place.write("project/README", "hello\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    Company::up(place)
}

fn run(company: &Company, command: &str) -> (String, Value) {
    let id = company.delegate(&[command]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    (id, at(&answer, "task.result.workspace").clone())
}

#[test]
fn a_commit_is_on_the_task_s_branch() {
    let company = company("worktree");
    let commit = "echo new > file && git add file && git commit -q -m 'by the agent'";
    let (id, workspace) = run(&company, commit);
    let branch = format!("nexus/{id}");
    let project = company.path("project");
    assert_eq!(workspace["branch"], branch.as_str());
    assert_eq!(workspace["kept"], false);
    assert!(!Path::new(workspace["path"].as_str().unwrap()).exists());
    assert_eq!(git(&project, &["log", "-1", "--format=%s", &branch]), "by the agent\n");
    assert_eq!(git(&project, &["show", &format!("{branch}:file")]), "new\n");
    assert_eq!(git(&project, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
}

#[test]
fn a_clean_one_leaves_nothing() {
    let company = company("worktree");
    let (id, workspace) = run(&company, "cat README");
    assert_eq!(workspace["kept"], false);
    assert!(workspace.get("branch").is_none_or(Value::is_null), "{workspace:#}");
    let project = company.path("project");
    assert_eq!(git(&project, &["branch", "--list", &format!("nexus/{id}")]), "");
    assert_eq!(git(&project, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_dirty_one_is_kept() {
    let company = company("worktree\"\nworkspace.commit = false # \"");
    let (_, workspace) = run(&company, "echo changed > README; echo new > file");
    assert_eq!(workspace["kept"], true);
    assert_eq!(workspace["changed_files"], 2);
    let path = Path::new(workspace["path"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(path.join("README")).unwrap(), "changed\n");
    assert_eq!(company.read("project/README"), "hello\n");
}

#[test]
fn what_an_agent_leaves_is_committed() {
    for mode in ["worktree", "clone"] {
        let company = company(mode);
        let (id, workspace) = run(&company, "echo changed > README; echo new > file # for the user\ntrue");
        assert_eq!(workspace["kept"], false, "{workspace:#}");
        assert_eq!(workspace["commit_count"], 1);
        assert_eq!(workspace["diff"], serde_json::json!({ "files": 2, "insertions": 2, "deletions": 1 }));
        let subject = "echo changed > README; echo new > file # for the user";
        assert_eq!(workspace["commits"][0]["subject"], subject);
        let branch = format!("nexus/{id}");
        let project = company.path("project");
        let said = git(&project, &["log", "-1", "--format=%an <%ae>|%(trailers:key=Nexus-Task,valueonly)", &branch]);
        assert_eq!(said.trim(), format!("Ann <ann@example.org>|{id}"));
        assert_eq!(workspace["head"], git(&project, &["rev-parse", &branch]).trim());
        assert_eq!(workspace["base"], git(&project, &["rev-parse", "main"]).trim());
        assert_eq!(git(&project, &["status", "--porcelain"]), "");
        let said = company.run(&["status", &id]).done();
        assert!(said.contains(&format!("{branch}: 1 commit, 2 files, +2 -1")), "{said}");
    }
}

#[test]
fn what_a_failed_attempt_leaves_stays_as_it_is() {
    let company = company("clone");
    let id = company.delegate(&["--max-attempts", "1", "echo half > README; exit 3"]);
    let answer = company.ended(&id);
    let workspace = at(&answer, "task.result.workspace");
    assert_eq!((&workspace["kept"], &workspace["changed_files"]), (&true.into(), &1.into()), "{workspace:#}");
    let said = company.run(&["diff", &id]).done();
    assert!(said.contains("-hello\n+half\n"), "{said}");
    let cleaned = company.json(&["clean"]);
    assert_eq!(at(&cleaned, "tasks.0.workspace.reason"), "1 file is not committed");
    let path = company.run(&["path", &id]).done();
    assert_eq!(std::fs::read_to_string(Path::new(path.trim_end()).join("README")).unwrap(), "half\n");
}

#[test]
fn twenty_agents_on_one_repository_at_once() {
    for mode in ["worktree", "clone"] {
        let place = Place::with(&[("work", &WORK.replace("scratch", mode).replace("workers = 2", "workers = 20"))]);
        let company = company_at(&place);
        let project = company.path("project");
        let before =
            (std::fs::read(project.join(".git/index")).unwrap(), std::fs::read(project.join(".git/config")).unwrap());
        let ids: Vec<_> = (0..20)
            .map(|n| {
                // Half of them leave their last step to the company.
                let last = if n % 2 == 0 { "git add b && git commit -qm two" } else { "true" };
                company
                    .delegate(&[&format!("echo {n} > a && git add a && git commit -qm one && echo {n} > b && {last}")])
            })
            .collect();
        for id in &ids {
            let answer = company.ended(id);
            assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
            assert_eq!(at(&answer, "task.attempt"), 1, "{answer:#}");
            let workspace = at(&answer, "task.result.workspace");
            assert_eq!((&workspace["kept"], &workspace["commit_count"]), (&false.into(), &2.into()), "{workspace:#}");
        }
        for (n, id) in ids.iter().enumerate() {
            for file in ["a", "b"] {
                assert_eq!(git(&project, &["show", &format!("nexus/{id}:{file}")]), format!("{n}\n"));
            }
        }
        let branches = git(&project, &["branch", "--list", "nexus/*"]);
        assert_eq!(branches.lines().count(), 20, "{branches}");
        assert_eq!(git(&project, &["worktree", "list"]).lines().count(), 1);
        assert_eq!(git(&project, &["fsck", "--no-dangling"]), "");
        assert_eq!(git(&project, &["status", "--porcelain"]), "");
        let now =
            (std::fs::read(project.join(".git/index")).unwrap(), std::fs::read(project.join(".git/config")).unwrap());
        assert!(before == now, "the user's index or configuration was touched");
    }
}

#[test]
fn a_result_is_looked_at_applied_and_cleaned_up() {
    let company = company("clone");
    let project = company.path("project");
    let (id, _) = run(&company, "echo new > file");
    let said = company.run(&["diff", &id]).done();
    assert!(said.starts_with("diff --git a/file b/file\n") && said.contains("\n+new\n"), "{said}");
    assert_eq!(company.run(&["diff", &id, "--stat"]).done(), " file | 1 +\n 1 file changed, 1 insertion(+)\n");
    assert_eq!(at(&company.json(&["diff", &id]), "diff.insertions"), 1);
    // Without what the clone's layers lay over, which not every machine has.
    let clean = |args: &[&str]| {
        let said = company.run(args).done();
        said.lines()
            .filter(|line| !line.contains(" prepared checkout"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    assert_eq!(clean(&["clean"]), format!("kept      branch nexus/{id}: 1 commit of it is on no other branch\n"));

    company.write("project/file", "mine\n");
    company.run(&["apply", &id]).fails(4, &["changes of yours", "file", "nothing was changed"]);
    assert_eq!(company.read("project/file"), "mine\n");
    std::fs::remove_file(project.join("file")).unwrap();
    let said = company.run(&["apply", &id]).done();
    assert_eq!(said, format!("applied  nexus/{id} to main (fast-forward): 1 file, +1 -0\n"));
    assert_eq!(company.read("project/file"), "new\n");
    assert_eq!(at(&company.json(&["apply", &id]), "how"), "already");

    let would = clean(&["clean", "--dry-run"]);
    assert_eq!(would, format!("would go  branch nexus/{id}: other branches have all of it\n"));
    assert!(clean(&["clean"]).starts_with("removed   branch"));
    assert_eq!(clean(&["clean"]), "nothing to clean up\n");
    assert_eq!(git(&project, &["branch", "--list"]), "* main\n");
    // What it was is still to be seen.
    assert!(company.run(&["diff", &id]).done().contains("+new"));
}

#[test]
fn the_method_is_the_company_s_or_the_command_s() {
    let company = company("clone");
    let project = company.path("project");
    company.write("config/nexus.toml", "shutdown_grace = \"500ms\"\n[apply]\nmethod = \"rebase\"\n");
    let ids: Vec<_> = (0..3).map(|n| run(&company, &format!("echo {n} > file{n}; echo {n} > all")).0).collect();
    assert_eq!(at(&company.json(&["apply", &ids[0]]), "how"), "fast_forward");
    company.run(&["apply", &ids[1]]).fails(4, &["same lines", ": all\n", "nothing was changed", "git merge"]);
    let (other, _) = run(&company, "echo other > other");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "the user's"]);
    assert_eq!(at(&company.json(&["apply", &other]), "how"), "rebase");
    let (third, _) = run(&company, "echo third > third");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "the user's"]);
    assert_eq!(at(&company.json(&["apply", "--merge", &third]), "how"), "merge");
}

#[test]
fn what_runs_is_left_alone() {
    let company = company("worktree");
    let id =
        company.delegate(&[&format!("echo new > file; until [ -e {} ]; do sleep 0.02; done", company.text("gate"))]);
    company.becomes(&id, "running");
    company.run(&["apply", &id]).fails(4, &["running"]);
    let cleaned = company.run(&["clean", &id]).done();
    assert_eq!(cleaned, format!("kept      task {id}: the task is running\n"));
    company.open("gate");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
}

#[test]
fn a_repository_that_git_refuses_keeps_nobody_else_s() {
    let company = company("clone");
    let other = company.path("other");
    git(&company.path("project"), &["clone", "-q", &company.text("project"), &company.text("other")]);
    let mut ids = Vec::new();
    for (file, project) in [("a", "project"), ("b", "other"), ("c", "project")] {
        let id = company.delegate(&["--project", &company.text(project), &format!("echo new > {file}")]);
        assert_eq!(at(&company.ended(&id), "task.status"), "completed");
        company.run(&["apply", &id]).done();
        ids.push(id);
    }
    std::fs::write(other.join(".git/config"), "no setting\n").unwrap();
    let cleaned = company.run(&["clean", &ids[0], &ids[1], &ids[2]]).done();
    let lines: Vec<&str> = cleaned.lines().collect();
    assert_eq!(lines.len(), 3, "{cleaned}");
    assert!(lines[0].starts_with(&format!("removed   branch nexus/{}", ids[0])), "{cleaned}");
    assert!(lines[1].starts_with(&format!("kept      task {}: git could not", ids[1])), "{cleaned}");
    assert!(lines[2].starts_with(&format!("removed   branch nexus/{}", ids[2])), "{cleaned}");
}

#[test]
fn without_a_repository_there_is_nothing_to_apply() {
    let company = Company::up(&Place::with(&[("work", &WORK.replace("scratch", "in_place"))]));
    let (id, _) = run(&company, "echo x > file");
    company.run(&["diff", &id]).fails(3, &["no branch", "git diff"]);
    company.run(&["apply", &id]).fails(4, &["in no git repository"]);
    company.run(&["diff", "00000000-0000-7000-8000-000000000000"]).fails(3, &[]);
}

#[test]
fn an_empty_directory_is_removed_when_it_is_still_empty() {
    let company = company("scratch");
    let (_, workspace) = run(&company, "ls -A | wc -l | grep -qx ' *0'");
    assert_eq!(workspace["kept"], false);
    let (_, workspace) = run(&company, "echo x > file");
    assert_eq!(workspace["kept"], true);
    assert!(Path::new(workspace["path"].as_str().unwrap()).join("file").exists());
}

#[test]
fn in_place_is_the_project_itself() {
    let company = company("in_place");
    run(&company, "echo x > file");
    assert_eq!(company.read("project/file"), "x\n");
}

#[test]
fn a_copy_leaves_the_project_alone() {
    let company = company("copy");
    let (id, workspace) = run(&company, "cat README && echo x > file");
    assert!(!company.path("project/file").exists());
    assert_eq!(workspace["kept"], true);
    let next = format!("next       diff -ru {} {} · ", company.text("project"), workspace["path"].as_str().unwrap());
    let said = company.run(&["status", &id]).done();
    assert!(said.contains(&next), "{next}: {said}");
}
