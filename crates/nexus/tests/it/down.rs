//! `nexus down`, and what `nexus status` says of a company as a whole.

use serde_json::json;

use crate::support::processes::until;
use crate::support::{Company, Place, at};

#[test]
fn it_stops_the_company_and_says_what_went_back_to_the_queue() {
    let place = Place::new();
    let mut company = Company::up(&place);
    let ids = [company.gate("open"), company.gate("open")];
    let down = company.json(&["down"]);
    assert_eq!(at(&down, "was_up"), true);
    assert_eq!(at(&down, "pid"), company.pid());
    let mut put_back: Vec<_> = at(&down, "put_back").as_array().unwrap().clone();
    put_back.sort_by_key(ToString::to_string);
    let mut expected = ids.map(|id| json!(id));
    expected.sort_by_key(ToString::to_string);
    assert_eq!(put_back, expected);
    assert_eq!(company.wait(), Some(0));
    assert!(company.read("log").contains("stopped; 2 tasks went back to the queue"), "{}", company.read("log"));
    assert!(!place.path("data/company.json").exists());
}

#[test]
fn it_says_so_when_none_runs() {
    let place = Place::new();
    assert_eq!(place.run(&["down"]).done(), format!("no company is running at {}\n", place.text("data")));
    // An address that a killed company has left is nobody's any more, whoever has got its pid.
    let place = Company::up(&place).kill();
    let address = place.read("data/company.json");
    let pid = at(&serde_json::from_str(&address).unwrap(), "pid").to_string();
    place.write("data/company.json", &address.replace(&pid, &std::process::id().to_string()));
    assert_eq!(at(&place.json(&["down"]), "was_up"), false);
    Company::up(&place).stop();
}

#[test]
fn a_company_that_is_only_starting_is_stopped_too() {
    let place = Place::new();
    let mut up = place.follow(&["up", "--listen", "127.0.0.1:0"]);
    until("its lock", || place.path("data/lock").exists().then_some(()));
    let down = place.json(&["down"]);
    assert!(up.line().starts_with("nexus ready "));
    up.ends();
    assert_eq!(at(&down, "was_up"), true);
}

#[test]
#[cfg(target_os = "linux")]
fn a_company_of_another_container_is_not_looked_for_here() {
    let place = Place::new();
    let company = Company::up(&place);
    let address = company.read("data/company.json");
    let stranger = std::process::id().to_string();
    let pid = company.pid().to_string();
    place.write("data/company.json", &address.replace(&pid, &stranger));
    let lock = place.path("data/lock");
    std::fs::write(&lock, format!("{stranger}\n")).unwrap();
    place.run(&["down"]).fails(1, &["is no process of this system", "in a container"]);
    std::fs::write(&lock, format!("{pid}\n")).unwrap();
    place.write("data/company.json", &address);
    place.run(&["down"]).done();
}

#[test]
fn an_interrupt_meanwhile_hurries() {
    let place = Place::new();
    place.write("config/nexus.toml", "shutdown_grace = \"10m\"\n");
    let mut company = Company::up(&place);
    company.gate("never");
    let down = place.start(&["down"]);
    until("the refusal of work", || (company.run(&["delegate", "true"]).code == Some(6)).then_some(()));
    assert!(company.wait_now().is_none());
    down.signal(rustix::process::Signal::INT);
    let down = down.end();
    assert!(down.stderr.contains("its agents are not waited for"), "{down:?}");
    assert!(down.done().contains("1 task went back to the queue"));
    assert_eq!(company.wait(), Some(0));
}

#[test]
fn a_run_s_company_is_not_stopped_under_its_run() {
    let place = Place::new();
    let run = place.start(&["run", &format!("until [ -e {} ]; do sleep 0.02; done", place.text("open"))]);
    until("the run's company", || (place.run(&["health"]).code == Some(0)).then_some(()));
    place.run(&["down"]).fails(4, &["`nexus run`", "nexus cancel"]);
    place.write("open", "");
    let ran = run.end();
    assert!(ran.stderr.contains("next     nexus logs "), "{ran:?}");
    ran.done();
}

#[test]
fn whoever_follows_a_task_is_told_that_the_company_has_stopped() {
    let place = Place::new();
    let mut company = Company::up(&place);
    let id = company.gate("never");
    let logs = place.start(&["logs", "-f", &id]);
    let mut run = place.start(&["run", "until [ -e never ]; do sleep 0.02; done"]);
    let task = run.says();
    let task = task.split_whitespace().nth(1).unwrap();
    company.becomes(task, "running");
    place.run(&["down"]).done();
    assert_eq!(company.wait(), Some(0));
    for (follower, task) in [(logs, id.as_str()), (run, task)] {
        let said = follower.end().fails(6, &[&format!("the company has stopped; task {task} waits in its queue")]);
        assert!(said.contains("the next `nexus up`") && !said.contains("lost the connection"), "{said}");
    }
}

#[test]
fn other_programs_words_for_it_are_known() {
    Place::new().run(&["stop"]).fails(2, &["a similar subcommand exists: 'down'"]);
}

#[test]
fn the_overview_says_where_it_runs_and_what_it_does() {
    let place = Place::new();
    place
        .run(&["status"])
        .fails(6, &["no company is up at ", "nexus up --detach", &place.text("data"), &place.text("config")]);
    let company = Company::up(&place);
    let failed = company.delegate(&["--max-attempts", "1", "exit 3"]);
    company.becomes(&failed, "failed");
    company.gate("open");
    let answer = company.json(&["status"]);
    assert_eq!(at(&answer, "process.pid"), company.pid());
    for (name, value) in [("data_dir", "data"), ("config_dir", "config"), ("log", "log")] {
        assert_eq!(at(&answer, &format!("process.{name}")), &company.text(value));
    }
    assert!(company.ready.contains(at(&answer, "process.mcp").as_str().unwrap()));
    let work = at(&answer, "departments.0");
    for (name, value) in
        [("name", json!("work")), ("workers", json!(2)), ("busy", json!(1)), ("failed_today", json!(1))]
    {
        assert_eq!(work[name], value, "{name}");
    }
    let said = company.run(&["status"]).done();
    for words in
        ["is up (pid ", "  web      http://127.0.0.1:", "  log      ", "work        running  1/2", "FAILED TODAY"]
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let log = company.run(&["logs", "--company"]).done();
    assert!(log.contains("failed after ") && log.contains("exit"), "{log}");
    company.open("open");
}

#[test]
fn times_are_local_and_have_their_date() {
    let company = Company::up_with(&Place::new(), &[], &[("TZ", "UTC-14")]);
    let id = company.delegate(&["true"]);
    company.becomes(&id, "completed");
    let utc = at(&company.json(&["events"]), "0.at").as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let events = |zone: &str| {
        let ran = company.nexus(&["events"]).env("TZ", zone).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    let zone = |hours| jiff::tz::TimeZone::fixed(jiff::tz::offset(hours));
    for (name, hours) in [("UTC-9", 9), ("UTC+11", -11)] {
        let local = utc.to_zoned(zone(hours)).strftime("%H:%M:%S").to_string();
        let said = events(name);
        assert!(said.starts_with(&local) || said.split_once(' ').unwrap().1.starts_with(&local), "{local}: {said}");
    }
    let local = utc.to_zoned(zone(14)).strftime("%Y-%m-%d %H:").to_string();
    assert!(company.read("log").contains(&local), "{local}\n{}", company.read("log"));
}
