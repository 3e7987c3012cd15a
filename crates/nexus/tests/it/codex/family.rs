//! Agents that call each other by the company's tools: the tree they make completes, and is cancelled as a whole.

use serde_json::{Value, json};

use super::{KEY, Scene, UNCONFINED};
use crate::support::processes::{marked, until};
use crate::support::{Company, at};

const DEPARTMENTS: [&str; 3] = ["product", "engineering", "qa"];

/// Asks a department for this, and waits for it.
fn run(department: &str, description: &str) -> String {
    let arguments = json!({ "department": department, "task_description": description });
    format!("[[tool:cde_runTask|{arguments}]]")
}

/// Asks a department for this, and asks what has become of it.
fn delegate(department: &str, description: &str) -> String {
    let arguments = json!({ "department": department, "task_description": description });
    format!("[[tool:cde_delegateTask|{arguments}]] [[tool:cde_getTaskStatus|{{\"task_id\":\"{{{{task_id}}}}\"}}]]")
}

fn tree(company: &Company, root: &str) -> Vec<Value> {
    company.json(&["status", root, "--tree"]).as_array().unwrap().clone()
}

fn told(tasks: &[Value]) -> Vec<(&str, &str)> {
    tasks.iter().map(|task| (at(task, "department").as_str().unwrap(), at(task, "status").as_str().unwrap())).collect()
}

fn a_tree_completes(sandbox: &str) {
    let Some(scene) = Scene::with(&DEPARTMENTS, sandbox, KEY) else { return };
    let company = scene.up();
    let qa = "[[shell:echo tested > report]] [[text:Tested.]]";
    let engineering = format!("[[shell:echo code > code]] {} [[text:Built.]]", run("qa", qa));
    let root = company.delegate(&["-d", "product", &format!("{} [[text:Shipped.]]", run("engineering", &engineering))]);
    let answer = company.ended(&root);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "Shipped.");
    assert_eq!(at(&answer, "task.run.tool_failures"), 0, "{answer:#}");
    let tasks = tree(&company, &root);
    assert_eq!(told(&tasks), DEPARTMENTS.map(|name| (name, "completed")));
    for (child, parent) in [(1, 0), (2, 1)] {
        assert_eq!(at(&tasks[child], "parent.task_id"), at(&tasks[parent], "task_id"));
    }
    assert_eq!(at(&tasks[2], "result.output"), "Tested.");
    company.stop();
}

#[test]
fn product_asks_engineering_and_engineering_asks_qa() {
    a_tree_completes(UNCONFINED);
}

#[test]
fn confined_ones_call_each_other_too() {
    a_tree_completes("");
}

#[test]
fn cancelling_the_root_ends_every_process_of_the_tree() {
    let Some(scene) = Scene::with(&DEPARTMENTS, UNCONFINED, KEY) else { return };
    let company = scene.up();
    let qa = "[[shell:sleep 600 & echo begun]] [[slow:600]]";
    let engineering = format!("{} [[slow:600]]", delegate("qa", qa));
    let root = company.delegate(&["-d", "product", &run("engineering", &engineering)]);
    let running = DEPARTMENTS.map(|name| (name, "running"));
    let tasks = until("a tree that runs", || Some(tree(&company, &root)).filter(|tasks| told(tasks) == running));
    // One of the root; three of the middle; two of the leaf, whose second answer is slow.
    scene.asked(6);
    let marks = tasks.iter().map(|task| format!("NEXUS_TASK_ID={}", at(task, "task_id").as_str().unwrap()));
    let marks: Vec<_> = marks.collect();
    marks.iter().for_each(|mark| assert_ne!(marked(mark), [], "{mark}"));
    company.run(&["cancel", &root]).done();
    let cancelled = DEPARTMENTS.map(|name| (name, "cancelled"));
    until("a tree that is cancelled", || (told(&tree(&company, &root)) == cancelled).then_some(()));
    marks.iter().for_each(|mark| assert_eq!(marked(mark), [], "{mark}"));
    company.stop();
}
