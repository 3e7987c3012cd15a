//! The answers of `nexus agents` and `nexus departments` about accounts and budgets.

use crate::support::processes::until;
use crate::support::{Company, WORK, at};

#[test]
fn agents_are_listed_and_a_budget_that_is_used_up_is_said() {
    let company = Company::with(&[("work", &format!("{WORK}\nbudget.wall_time = \"1s\"\n"))]);
    let agents = company.json(&["agents"]);
    let shell = at(&agents, "agents").as_array().unwrap().iter().find(|agent| agent["name"] == "shell").unwrap();
    assert_eq!(
        (&shell["state"], &shell["departments"][0], &shell["installed"]),
        (&"open".into(), &"work".into(), &true.into())
    );
    let said = company.run(&["agents"]).done();
    assert!(said.lines().any(|line| line.starts_with("shell") && line.contains("open")), "{said}");
    company.run(&["agents", "clear", "nobody"]).fails(3, &["Invalid agent type: nobody"]);
    assert_eq!(company.run(&["agents", "clear", "shell"]).done(), "shell is open\n");

    let task = company.delegate(&["sleep 1.1"]);
    let words = "its budget of today is used up (the department work has used up its budget of 1s of agents' time)";
    until("a department that waits", || {
        let said = company.run(&["departments"]).done();
        said.contains(&format!("work: takes no work: {words}")).then_some(())
    });
    let waiting = company.delegate(&["true"]);
    assert!(company.run(&["status", &waiting]).done().contains(words));
    company.department("work", &format!("{WORK}\nbudget.wall_time = \"1h\"\n"));
    company.becomes(&task, "completed");
    company.becomes(&waiting, "completed");
    company.stop();
}

#[test]
fn a_task_s_time_is_a_budget_of_all_its_attempts() {
    let policy = r#"
        limits.task_time = "3s"
        retry = { max_attempts = 9, backoff = { initial = "1ms", factor = 1.0, max = "1ms", jitter = 0.0 } }
    "#;
    let company = Company::with(&[("work", &format!("{WORK}\n{policy}"))]);
    let task = company.delegate(&["sleep 1.3; exit 1"]);
    let failed = company.becomes(&task, "failed");
    let words = "the task has used up its budget of 3s of agents' time (limits)";
    assert_eq!(at(&failed, "task.error"), words, "{failed}");
    // Two failed in time; a busy machine may have used all of it in the second one.
    let attempts = at(&failed, "task.attempt").as_u64().unwrap();
    assert!((2..=3).contains(&attempts), "{failed}");
    let said = company.run(&["logs", &task]).done();
    let words = ["% of its budget of 3s of agents' time", "has used up its budget of 3s of agents' time"];
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
    company.stop();
}
