//! Work waits visibly or not at all: departments that are gone, types that nobody or several list, dead letters.

use crate::support::processes::until;
use crate::support::{Company, Place, WORK, at};

#[test]
fn work_of_a_department_that_is_gone_is_seen_and_can_be_moved() {
    let one = WORK.replace("workers = 2", "workers = 1");
    let company = Company::with(&[("work", WORK), ("docs", one.as_str())]);
    let busy = company.delegate(&["-d", "docs", &format!("until [ -e {} ]; do sleep 0.02; done", company.text("go"))]);
    company.becomes(&busy, "running");
    let waiting = company.delegate(&["-d", "docs", "echo moved"]);
    company.run(&["move", &busy, "-d", "work"]).fails(4, &["is running", "only a task that waits can be moved"]);
    std::fs::remove_file(company.path("config/departments/docs.toml")).unwrap();
    let ways = format!(
        "there is no department \"docs\" now: put its file back, nexus move {waiting} --department X, or nexus cancel {waiting}"
    );
    until("a status that says so", || company.run(&["status", &waiting]).done().contains(&ways).then_some(()));
    company.open("go");
    company.ended(&busy);
    until("a row", || company.says_of("docs").filter(|docs| docs["state"] == "gone" && docs["queued"] == 1));
    let said = company.run(&["departments"]).done();
    assert!(said.contains("put departments/docs.toml back"), "{said}");
    let said = company.run(&["doctor"]).done();
    assert!(said.contains("warn  departments docs is gone: there is no such department now"), "{said}");

    company.run(&["move", &waiting, "-d", "wrok"]).fails(3, &["there is no department \"wrok\"", "did you mean work?"]);
    assert_eq!(company.run(&["move", &waiting, "-d", "work"]).done(), format!("moved  {waiting} to work\n"));
    let answer = company.ended(&waiting);
    assert_eq!(
        (at(&answer, "task.status"), at(&answer, "task.department"), at(&answer, "task.result.output")),
        (&"completed".into(), &"work".into(), &"moved\n".into())
    );
    company.run(&["move", &waiting, "-d", "work"]).fails(4, &["is completed"]);
    until("no row", || company.says_of("docs").is_none().then_some(()));
    // Nothing of it is left there.
    company.department("docs", &one);
    until("a department that is back", || company.says_of("docs").filter(|docs| docs["state"] == "running"));
    assert_eq!(company.run(&["run", "-d", "docs", "echo back"]).done(), "back\n");
    assert_eq!(at(&company.status(&waiting), "task.attempt"), 1);
}

#[test]
fn what_waits_for_its_time_is_moved_with_it() {
    let company = Company::with(&[("work", WORK), ("docs", WORK)]);
    let later = company.delegate(&["-d", "docs", "--not-before", "2100-01-01T00:00:00Z", "echo late"]);
    company.run(&["move", &later, "-d", "work"]).done();
    let answer = company.status(&later);
    assert_eq!((at(&answer, "task.department"), at(&answer, "task.status")), (&"work".into(), &"queued".into()));
    company.run(&["move", &later, "-d", "docs"]).done();
    assert_eq!(at(&company.status(&later), "task.department"), "docs");
    company.run(&["cancel", &later]).done();
}

#[test]
fn a_type_or_a_department_that_there_is_not_is_said() {
    let company = Company::with(&[("work", &format!("task_types = [\"writing\"]\n{WORK}"))]);
    let said = company.run(&["delegate", "-t", "writting", "true"]);
    let note = "no department lists the type \"writting\" (did you mean \"writing\"?): it goes to work";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    assert_eq!(company.run(&["delegate", "-t", "writing", "true"]).stderr, "");
    company.run(&["list", "--department", "wrok"]).fails(3, &["there is no department \"wrok\"", "did you mean work?"]);
}

#[test]
fn a_type_that_two_list_and_a_default_that_moves_are_said() {
    let department = format!("task_types = [\"writing\"]\n{WORK}");
    let place = Place::with(&[("work", department.as_str())]);
    let company = Company::up(&place);
    assert_eq!(company.run(&["config", "check"]).stderr, "");
    company.department("boss", &department);
    let twice = "the type \"writing\" is listed by boss and work: boss gets it, as the first by name";
    until("both in the log", || {
        let log = company.read("log");
        (log.contains("the default department is now boss (was work)") && log.contains(twice)).then_some(())
    });
    let said = company.run(&["config", "check"]);
    assert!(said.stderr.contains(twice), "{}", said.stderr);
    assert!(at(&company.json(&["config", "check"]), "warnings.0").as_str().unwrap().contains(twice));
}

#[test]
fn dead_letters_are_listed() {
    let company = Company::new();
    assert_eq!(company.run(&["dead"]).done(), "there are no dead letters\n");
    let id = company.delegate(&["exit 3"]);
    company.ended(&id);
    let said = until("a dead letter", || Some(company.run(&["dead"]).done()).filter(|said| said.contains(&id)));
    for words in
        [&*format!("task {id} of work"), "failed after 1 attempt: ", "exit code 3", &format!("nexus retry {id}")]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(at(&company.json(&["dead"]), "0.task.id"), id.as_str());
}
