//! Agents that speak the Agent Client Protocol, by one that plays scripts: permissions, the workspace's files,
//! commands that are run for it, cancel, resume.

use std::sync::Arc;

use serde_json::Value;

use crate::support::processes::{assert_none, until};
use crate::support::{Company, Place, WORK, at, git};

/// A place whose department works by the scripted agent, in the way of `more`.
fn place(more: &str) -> Arc<Place> {
    place_of(&format!("{more}\n{WORK}"))
}

fn place_of(department: &str) -> Arc<Place> {
    let place = Place::with(&[]);
    place.department("work", &format!("agents = [\"scripted\"]\n{department}"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted_acp.py");
    let agent = format!("[agents.scripted]\nkind = \"acp\"\ncommand = [\"python3\", \"{script}\"]\n");
    place.write("config/nexus.toml", &format!("shutdown_grace = \"300ms\"\n{agent}"));
    place
}

fn company(more: &str) -> Company {
    Company::up(&place(more))
}

fn play(company: &Company, script: &str) -> Value {
    let id = company.delegate(&["--max-attempts", "1", script]);
    company.ended(&id)
}

#[test]
fn what_it_says_and_spends_is_known() {
    let company = company("");
    let answer = play(&company, "@say hello\n@say there");
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "hello\nthere\n");
    assert_eq!(at(&answer, "task.run.session"), "acp-session-1");
    assert_eq!((at(&answer, "task.run.tokens.input"), at(&answer, "task.run.tokens.output")), (&70.into(), &7.into()));
    let workspace = at(&answer, "task.result.workspace.path").as_str().unwrap();
    let servers: Value = serde_json::from_slice(&std::fs::read(format!("{workspace}/servers.json")).unwrap()).unwrap();
    assert_eq!(at(&servers, "0.name"), "nexus", "it gets the company's tools");
}

#[test]
fn files_are_those_of_the_workspace_alone() {
    let company = company("");
    let outside = company.text("outside");
    company.write("outside", "secret");
    let script =
        format!("@write note.txt words\n@read note.txt\n@write {outside} gone\n@read {outside}\n@read ../../log");
    let answer = play(&company, &script);
    assert_eq!(at(&answer, "task.result.output"), "written\nwords\nrefused\nrefused\nrefused\n", "{answer:#}");
    assert_eq!(company.read("outside"), "secret");
}

#[test]
fn the_workspace_is_the_one_that_was_made_whatever_the_agent_puts_in_its_place() {
    let company = Company::up(&place_of(&WORK.replace("\"scratch\"", "\"clone\"")));
    let project = company.path("project");
    std::fs::create_dir_all(project.join("sub")).unwrap();
    std::fs::write(project.join("sub/file"), "words").unwrap();
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["add", "-A"]);
    git(&project, &["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "first"]);
    std::fs::create_dir(company.path("keys")).unwrap();
    company.write("keys/secret", "secret");
    let keys = company.text("keys");
    let script = format!("@read file\n@swap {keys}\n@read secret\n@write new evil\n@read file");
    let id = company.delegate(&["--max-attempts", "1", "--project", project.join("sub").to_str().unwrap(), &script]);
    let answer = company.ended(&id);
    let said = at(&answer, "task.result.output").as_str().unwrap();
    assert!(said.starts_with("words\nswapped\nrefused\n") && said.ends_with("words\n"), "{answer:#}");
    assert_eq!(std::fs::read_dir(company.path("keys")).unwrap().count(), 1);
}

#[test]
fn permissions_are_answered_by_policy() {
    for (approval, answered, denied) in [("allow", "a-1", 0), ("reject", "r-1", 1)] {
        let company = company(&format!("approval = \"{approval}\""));
        let answer = play(&company, "@ask run `make install`");
        assert_eq!(at(&answer, "task.result.output"), format!("answered {answered}\n").as_str(), "{answer:#}");
        let said = answer.pointer("/task/run/denied").and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(said, denied, "{approval}");
    }
}

#[test]
fn a_person_is_asked_and_answers() {
    let company = company("approval = \"ask\"");
    for (answer, answered) in [("allow", "a-1"), ("reject", "r-1")] {
        let task = company.delegate(&["@ask run `make install`"]);
        let asks = until("the question", || Some(company.status(&task).pointer("/live/asks")?.as_str()?.to_owned()));
        assert!(asks.contains("make install"), "{asks}");
        let shown = company.run(&["status", &task]).done();
        assert!(shown.contains(&format!("nexus answer {task} allow")), "{shown}");
        let said = company.run(&["answer", &task, answer]).done();
        assert!(said.contains("make install"), "{said}");
        let ended = company.ended(&task);
        assert_eq!(at(&ended, "task.result.output"), format!("answered {answered}\n").as_str(), "{ended:#}");
        company.run(&["answer", &task, answer]).fails(4, &["is completed; its agent asks for nothing"]);
    }
    company.run(&["answer", "0198aaaa", "allow"]).fails(3, &["there is no task 0198aaaa"]);
}

#[test]
fn an_answer_is_for_the_question_that_was_shown_and_for_no_other() {
    let company = company("approval = \"ask\"");
    let task = company.delegate(&["@ask run `make test`\n@ask run `make install`"]);
    let asks = |what: &str| {
        until("the question", || {
            let live = company.status(&task);
            let open =
                live.pointer("/live/questions/0").filter(|open| at(open, "what").as_str().unwrap().contains(what))?;
            Some(at(open, "question").as_str().unwrap().to_owned())
        })
    };
    let first = asks("make test");
    company.run(&["answer", &task, "reject", "--question", &first]).done();
    // Somebody who has seen only the first one says yes, late.
    let second = asks("make install");
    let shown = company.run(&["status", &task]).done();
    assert!(shown.contains(&format!("nexus answer {task} allow --question {second}")), "{shown}");
    let way_out = format!("nexus answer {task} allow --question {second}");
    let late = company.run(&["answer", &task, "allow", "--question", &first]);
    late.fails(4, &["is not open", &way_out, "make install"]);
    company.run(&["answer", &task, "allow"]).fails(4, &["name the question", &way_out]);
    company.run(&["answer", &task, "allow", "--question", "none"]).fails(2, &["is no question"]);
    assert_eq!(asks("make install"), second, "it still waits");
    let said: Value =
        serde_json::from_str(&company.run(&["-o", "json", "answer", &task, "allow", "--question", &second]).done())
            .unwrap();
    assert_eq!(at(&said, "question"), second.as_str());
    let ended = company.ended(&task);
    assert!(at(&ended, "task.result.output").as_str().unwrap().ends_with("answered a-1\n"), "{ended:#}");
    assert_eq!(ended.pointer("/task/run/questions"), None, "none is open");
    let log = company.run(&["logs", &task]).done();
    for line in [&format!("asks ({second}): run `make install`"), "answered r-1", "answered a-1"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn who_waits_for_a_person_is_not_idle() {
    let company = company("approval = \"ask\"\nlimits.idle_time = \"1s\"");
    let gate = company.text("gate");
    let task = company.delegate(&["--max-attempts", "1", "@ask run `make install`"]);
    until("the question", || company.status(&task).pointer("/live/asks")?.as_str().map(drop));
    // Longer than it may be idle: as long as another task takes that is.
    let idle = company.delegate(&["--max-attempts", "1", &format!("@await {gate}")]);
    let ended = company.ended(&idle);
    assert!(at(&ended, "task.error").as_str().unwrap().contains("limits.idle_time"), "{ended:#}");
    company.run(&["answer", &task, "allow"]).done();
    assert_eq!(at(&company.ended(&task), "task.status"), "completed");
}

#[test]
fn it_is_cancelled_in_its_own_words_and_an_interrupted_one_goes_on() {
    let place = place("");
    let company = Company::up(&place);
    let gate = company.text("gate");
    let script = format!("@touch {gate}.ready\n@await {gate}\n@say done");
    let ready = || std::path::Path::new(&format!("{gate}.ready")).exists().then_some(());
    let task = company.delegate(&[&script]);
    until("the agent", ready);
    company.run(&["cancel", &task]).done();
    assert_none(&company.path("data/workspaces"));
    std::fs::remove_file(format!("{gate}.ready")).unwrap();
    let task = company.delegate(&[&script]);
    until("the agent", ready);
    until("its session", || company.status(&task).pointer("/task/run/session").cloned());
    let company = Company::up(&company.stop());
    company.open("gate");
    let answer = company.ended(&task);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!((at(&answer, "task.attempt"), at(&answer, "task.run.resumed")), (&1.into(), &true.into()));
}

#[test]
fn commands_are_run_for_it_in_its_workspace() {
    let company = company("environment.set = { WORD = \"hello\" }");
    let script = "@terminal echo $WORD; echo oops >&2; exit 3
        @terminal touch made; basename $PWD; kill -9 $$
        @terminal ls made; sleep 1000 & echo $NEXUS_TASK_ID";
    let script = script.replace("\n        ", "\n");
    let answer = play(&company, &script);
    let id = at(&answer, "task.task_id").as_str().unwrap();
    let said = at(&answer, "task.result.output").as_str().unwrap();
    let lines: Vec<_> = said.lines().collect();
    // Between two streams there is no order.
    assert!(matches!(lines[..2], ["hello", "oops [3]"] | ["oops", "hello [3]"]), "{answer:#}");
    assert!(lines[2].ends_with(" [SIGKILL]"), "{said}");
    assert_eq!(lines[3..], ["made", &format!("{id} [0]")], "{said}");
    assert_none(&company.path("data/workspaces"));
}

/// In the ways in which commands of the client's are not what the department allows, they are the agent's own.
#[test]
fn commands_are_run_for_it_only_where_all_is_allowed() {
    for (more, offered) in [
        ("", true),
        ("approval = \"reject\"", false),
        ("approval = \"ask\"", false),
        ("limits = { memory = \"2 GiB\" }", false),
    ] {
        let answer = play(&company(more), "@terminal echo did");
        let said = at(&answer, "task.result.output").as_str().unwrap();
        assert_eq!(said.trim(), if offered { "did [0]" } else { "no terminal: terminal/create" }, "{more}");
    }
}

/// The files and the hosts that its department allows, and no others.
#[cfg(target_os = "linux")]
#[test]
fn commands_that_are_run_for_it_are_confined_as_it_is() {
    let (listed, other) = (crate::network::mirror(), crate::network::mirror());
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let sandbox = format!("sandbox.read = [\"{fixtures}\"]\nsandbox.network = [\"{listed}\"]");
    let company = Company::up(&place_of(&WORK.replace("sandbox.level = \"none\"", &sandbox)));
    let data = company.path("data").canonicalize().unwrap();
    let data = data.display();
    let get = |host| format!("python3 -c 'import urllib.request as it; print(it.urlopen(\"http://{host}/\").status)'");
    let script = format!(
        "@terminal cat {data}/company.json >/dev/null 2>&1 || echo no; touch {data}/evil 2>/dev/null; echo in > in; cat in
@terminal {} 2>&1 | tail -n 1
@terminal {} >/dev/null 2>&1 || echo no",
        get(listed),
        get(other)
    );
    let answer = play(&company, &script);
    assert_eq!(at(&answer, "task.result.output"), "no\nin [0]\n200 [0]\nno [0]\n", "{answer:#}");
    assert!(!company.path("data/evil").exists());
    assert_ne!(at(&answer, "task.result.protection.sandbox"), "none");
}

/// Else it could ask for any path whether something is there.
#[cfg(target_os = "linux")]
#[test]
fn what_is_out_of_its_reach_it_is_told_nothing_of() {
    let read = format!("sandbox.read = [\"{}/tests/fixtures\"]", env!("CARGO_MANIFEST_DIR"));
    let place = place_of(&WORK.replace("sandbox.level = \"none\"", &read));
    let company = Company::up(&place);
    let (there, not_there) = (company.text("there"), company.text("notthere"));
    std::fs::write(&there, "no program\n").unwrap();
    std::fs::create_dir(format!("{there}-dir")).unwrap();
    let script = format!("@program {there}\n@program {not_there}\n@directory {there}-dir\n@directory {not_there}-dir");
    let answer = play(&company, &script);
    let said = at(&answer, "task.result.output").as_str().unwrap();
    let alike: Vec<_> = said.lines().map(|line| line.replace("notthere", "there")).collect();
    if at(&answer, "task.result.protection.sandbox") == "none" {
        return;
    }
    assert_eq!(alike.len(), 4, "{said}");
    assert!(alike[0] == alike[1] && alike[0].ends_with("is no program that can be run here"), "{said}");
    assert!(alike[2] == alike[3] && alike[2].contains("is no directory in the workspace"), "{said}");
}

#[test]
fn commands_that_are_run_for_it_end_with_it() {
    let company = company("");
    let marked = |task: &str| crate::support::processes::marked(&format!("NEXUS_TASK_ID={task}"));
    let gate = company.text("gate");
    // Deaf to all that can be heard, and a child that is too.
    let leave = format!("@leave trap '' INT TERM; (sleep 1000) & touch {gate}.left; while :; do sleep 1; done");
    let left = || std::path::Path::new(&format!("{gate}.left")).exists().then_some(());
    let task = company.delegate(&[&format!("{leave}\n@await {gate}.left\n@say done")]);
    let answer = company.ended(&task);
    assert_eq!(at(&answer, "task.result.output"), "done\n", "{answer:#}");
    assert_eq!(marked(&task), []);
    std::fs::remove_file(format!("{gate}.left")).unwrap();
    let task = company.delegate(&[&format!("{leave}\n@await {gate}")]);
    until("the command", left);
    assert!(marked(&task).len() > 2, "the agent and its command are there");
    company.run(&["cancel", &task]).done();
    assert_eq!(marked(&task), []);
    assert_eq!(at(&company.ended(&task), "task.status"), "cancelled");
}
