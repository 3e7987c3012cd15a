//! A real coding agent, the Codex CLI, against the stand-in for the model's API: what it writes, spends, is refused, and
//! leaves behind. Where `NEXUS_TEST_CODEX` doesn't name its program, nothing of this is tested.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::support::processes::{marked, until};
use crate::support::stand_in::StandIn;
use crate::support::{Company, Place, at, git};

mod accounts;
mod family;

/// The key by which the stand-in knows the account; one that begins with "bad" is refused.
const KEY: &str = "key";

const DEPARTMENT: &str = r#"
workers = 2
agents = ["codex"]
workspace.mode = "worktree"
stop = { interrupt_grace = "500ms", terminate_grace = "500ms" }
retry = { max_attempts = 3, backoff = { initial = "100ms", factor = 1.0, max = "100ms", jitter = 0.0 } }
"#;
const UNCONFINED: &str = "sandbox.level = \"none\"\n";

/// A company's place, and the model that its agents talk to.
struct Scene {
    place: Arc<Place>,
    model: StandIn,
}

impl Scene {
    /// With these departments, the way of `more`, and an account of this key; none: there is no codex here.
    fn with(departments: &[&str], more: &str, key: &str) -> Option<Self> {
        let Some(codex) = std::env::var_os("NEXUS_TEST_CODEX").map(PathBuf::from) else {
            println!("skipped: NEXUS_TEST_CODEX doesn't name a codex (tests/agents/install codex)");
            return None;
        };
        let (place, model) = (Place::with(&[]), StandIn::start());
        for name in departments {
            // Its settings are in the home, and it takes none that lie below TMPDIR.
            let tmp = format!("environment.set = {{ TMPDIR = {:?} }}\n", place.text("tmp"));
            place.department(name, &format!("{DEPARTMENT}{tmp}task_types = [{name:?}]\n{more}"));
        }
        for dir in ["tmp", ".codex"] {
            std::fs::create_dir(place.path(dir)).unwrap();
        }
        place.write(
            "config/nexus.toml",
            &format!(
                "shutdown_grace = \"500ms\"\n[agents.codex]\nkind = \"codex\"\ncommand = [{codex:?}]\nmodel = \"fake-model\"\n\
                 env = {{ FAKE_KEY = {key:?} }}\n"
            ),
        );
        place.write(
            ".codex/config.toml",
            &format!(
                "model_provider = \"fake\"\n[model_providers.fake]\nname = \"fake\"\nbase_url = \"{}/v1\"\n\
                 env_key = \"FAKE_KEY\"\nwire_api = \"responses\"\n",
                model.url()
            ),
        );
        let project = place.path("project");
        place.write("project/README", "hello\n");
        git(&project, &["init", "-q", "-b", "main"]);
        git(&project, &["config", "user.name", "Ann"]);
        git(&project, &["config", "user.email", "ann@example.org"]);
        git(&project, &["add", "."]);
        git(&project, &["commit", "-q", "-m", "first"]);
        Some(Self { place, model })
    }

    fn new(more: &str) -> Option<Self> {
        Self::with(&["work"], &format!("{UNCONFINED}{more}"), KEY)
    }

    fn up(&self) -> Company {
        Company::up(&self.place)
    }

    /// Waits until the model has been asked so often: what it answers then is under way.
    #[track_caller]
    fn asked(&self, times: u64) {
        until(&format!("request {times}"), || (self.model.requests(KEY) >= times).then_some(()));
    }
}

/// Waits until the session of a task is known.
fn session(company: &Company, task: &str) -> String {
    until("its session", || Some(company.status(task).pointer("/task/run/session")?.as_str()?.to_owned()))
}

fn status(answer: &Value) -> (&str, u64, u64) {
    let number = |path| at(answer, path).as_u64().unwrap();
    (at(answer, "task.status").as_str().unwrap(), number("task.attempt"), number("task.interruptions"))
}

/// The failure, as the ledger has it.
fn failure(company: &Company, task: &str) -> String {
    let events = company.json(&["events", "--task", task]);
    at(events.as_array().unwrap().last().unwrap(), "what.failure.kind").as_str().unwrap().to_owned()
}

/// A file, on a branch, and all that is told of it.
fn writes_a_file(sandbox: &str, held_by: &[&str]) {
    let Some(scene) = Scene::with(&["work"], sandbox, KEY) else { return };
    let company = scene.up();
    let task = company.delegate(&[
        "[[usage:1000,50]] [[shell:printf hi > hello.txt]] [[usage:2000,60,500]] [[write:more.txt|more]] \
         [[text:All done.]]",
    ]);
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("completed", 1, 0), "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "All done.");
    let protection = at(&answer, "task.result.protection.sandbox").as_str().unwrap();
    assert!(held_by.contains(&protection), "{protection}");
    let run = at(&answer, "task.run");
    let counted = ["tokens.input", "tokens.output", "tokens.cached", "turns", "tool_calls", "tool_failures"];
    let counted = counted.map(|path| at(run, path).as_u64().unwrap());
    // Three calls of the model: 1000 and 50, and 2000 and 60 twice.
    assert_eq!(counted, [5000, 170, 1000, 3, 2, 0], "{run:#}");
    assert_eq!(at(run, "session").as_str().unwrap().len(), 36);
    assert_eq!(scene.model.requests(KEY), 3);

    let (branch, project) = (format!("nexus/{task}"), company.path("project"));
    let workspace = at(&answer, "task.result.workspace");
    assert_eq!((&workspace["branch"], &workspace["commit_count"]), (&branch.as_str().into(), &1.into()));
    assert_eq!(git(&project, &["show", &format!("{branch}:hello.txt")]), "hi");
    assert_eq!(git(&project, &["show", &format!("{branch}:more.txt")]).trim(), "more");
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
    assert!(!Path::new(workspace["path"].as_str().unwrap()).exists());
    assert_eq!(marked(&format!("NEXUS_TASK_ID={task}")), []);
    company.stop();
}

#[test]
fn a_file_is_on_the_task_s_branch_and_its_tokens_are_counted() {
    writes_a_file(UNCONFINED, &["none"]);
}

#[test]
fn a_confined_one_works_too() {
    writes_a_file("", &["namespaces", "landlock"]);
}

#[test]
fn what_it_commits_in_a_clone_comes_back() {
    let Some(scene) = Scene::with(&["work"], "", KEY) else { return };
    let work = scene.place.read("config/departments/work.toml");
    scene.place.department("work", &work.replace("\"worktree\"", "\"clone\""));
    let company = scene.up();
    let commit = "[[shell:printf hi > hello.txt; git add hello.txt; git commit -q -m 'by the agent']] [[text:Done.]]";
    let task = company.delegate(&[commit]);
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("completed", 1, 0), "{answer:#}");
    assert_eq!(at(&answer, "task.result.workspace.commits.0.subject"), "by the agent");
    let (branch, project) = (format!("nexus/{task}"), company.path("project"));
    assert_eq!(git(&project, &["log", "--format=%s", &format!("main..{branch}")]), "by the agent\n");
    assert_eq!(git(&project, &["show", &format!("{branch}:hello.txt")]), "hi");
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
    company.stop();
}

#[test]
fn a_cancel_leaves_no_process() {
    let Some(scene) = Scene::new("") else { return };
    let company = scene.up();
    let task = company.delegate(&["[[shell:sleep 600 & echo begun]] [[slow:600]]"]);
    scene.asked(2);
    assert_ne!(marked(&format!("NEXUS_TASK_ID={task}")), []);
    let answer = company.json(&["cancel", &task]);
    assert_eq!(at(&answer, "was"), "running");
    assert_eq!(marked(&format!("NEXUS_TASK_ID={task}")), []);
    assert_eq!(at(&company.status(&task), "task.status"), "cancelled");
    company.stop();
}

#[test]
fn it_goes_on_with_its_session_after_a_stop() {
    let Some(scene) = Scene::new("") else { return };
    let company = scene.up();
    let gate = scene.place.text("gate");
    let wait = format!("echo begun > begun; until [ -e {gate} ]; do sleep 0.05; done");
    let task =
        company.delegate(&[&format!("[[usage:1000,10]] [[shell:echo one > one]] [[shell:{wait}]] [[text:Done.]]")]);
    let session = session(&company, &task);
    until("two turns", || (company.status(&task).pointer("/live/run/tokens/input")? == 2000).then_some(()));
    company.stop();
    let company = scene.up();
    company.open("gate");
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("completed", 1, 1), "{answer:#}");
    let run = at(&answer, "task.run");
    assert_eq!((at(run, "session"), at(run, "resumed")), (&session.as_str().into(), &true.into()));
    // The session's five turns: two before, three in this run.
    assert_eq!((at(&answer, "task.spent.tokens"), at(run, "tokens.input")), (&2020.into(), &3000.into()), "{answer:#}");
    let log = company.run(&["logs", &task]).done();
    assert!(log.contains(&format!("goes on with the session {session}")), "{log}");
    // In the same workspace: what was there is there.
    assert_eq!(git(&company.path("project"), &["show", &format!("nexus/{task}:one")]), "one\n");
    company.stop();
}
