//! A department that fails too often: shown, kept stopped over a restart, and resumed by the command that is named.

use nexus_bus::{Access, Bus, Credentials, Order};
use nexus_core::id::{DepartmentName, NodeId};

use crate::support::processes::until;
use crate::support::{Company, Place, WORK, at};

/// Makes the worker that has the task panic, as only a company for tests allows.
fn panic(company: &Company, task: &str) {
    let address: serde_json::Value = serde_json::from_str(&company.read("data/company.json")).unwrap();
    let text = |name: &str| at(&address, name).as_str().unwrap().to_owned();
    let credentials = Credentials::UserPassword { user: text("user"), password: text("password") };
    let access = Access { url: text("nats"), credentials, ..Access::default() };
    let (node, department) = (NodeId::new(company.read("data/node")).unwrap(), DepartmentName::new("work").unwrap());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let bus = Bus::connect(&access, "test").await.unwrap();
        bus.order(&node, &department, &Order::Panic { task: task.parse().unwrap() }).await.unwrap();
        bus.flush().await;
    });
}

#[test]
fn a_crash_loop_stays_stopped_until_it_is_resumed() {
    let place = Place::with(&[("work", &format!("{WORK}restart = {{ max_restarts = 0 }}\n"))]);
    place.write("config/nexus.toml", "shutdown_grace = \"500ms\"\nrestart = { max_restarts = 0 }\n");
    let faults = [("NEXUS_FAULTS", "1")];
    let company = Company::up_with(&place, &[], &faults);
    let id = company.gate("open");
    panic(&company, &id);
    until("the quarantine", || company.says_of("work").filter(|work| work["state"] == "stopped"));
    let company = Company::up_with(&company.stop(), &[], &faults);

    let work = company.says_of("work").unwrap();
    assert_eq!((work["state"].as_str(), work["failures"].as_u64()), (Some("stopped"), Some(1)), "{work:#}");
    let shown = company.run(&["departments"]).done();
    for words in ["stopped since ", "failed too often", "worker-", "nexus resume work"] {
        assert!(shown.contains(words), "not said: {words}\n{shown}");
    }
    company.run(&["delegate", "true"]).fails(6, &["the department work is stopped", "nexus resume work"]);
    company.run(&["doctor"]).fails_on_stdout(9, &["nexus resume work"]);
    company.run(&["resume", "wrok"]).fails(3, &["there is no department", "did you mean work?"]);
    assert_eq!(at(&company.status(&id), "task.status"), "queued");

    let resumed = company.json(&["resume", "work"]);
    assert_eq!((at(&resumed, "state"), at(&resumed, "failures")), (&"running".into(), &0.into()));
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
    company.run(&["resume", "work"]).fails(4, &["the department work is not stopped"]);
    let company = Company::up(&company.stop());
    assert_eq!(company.says_of("work").unwrap()["state"], "running");
    company.run(&["resume", "work"]).fails(4, &["not stopped"]);
    let place = company.stop();
    place.run(&["resume", "work"]).fails(6, &["is not running"]);
}
