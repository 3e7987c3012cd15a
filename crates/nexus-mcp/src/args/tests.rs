//! Arguments that are right, and what is said of those that aren't.

use serde_json::json;

use super::*;

fn object(value: Value) -> JsonObject {
    value.as_object().cloned().unwrap()
}

fn refused<T: DeserializeOwned + JsonSchema + std::fmt::Debug + 'static>(value: Value) -> Value {
    told(read::<T>(object(value)).unwrap_err())
}

/// The object that a client reads out of an error's text.
fn told(fault: Fault) -> Value {
    let result = fault.into_result();
    serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap()
}

#[test]
fn only_the_description_is_needed() {
    let args: Delegate = read(object(json!({ "task_description": "x" }))).unwrap();
    assert_eq!((args.task_description.as_str(), args.priority, args.context), ("x", None, None));
}

#[test]
fn null_is_the_same_as_absent() {
    let args: Delegate = read(object(json!({
        "task_description": "x", "context": null, "preferred_agent": null, "priority": null, "not_before": null,
        "task_type": null, "project_path": null,
    })))
    .unwrap();
    assert!(args.task_type.is_none() && args.not_before.is_none());
}

#[test]
fn everything_is_read() {
    let args: Delegate = read(object(json!({
        "task_description": "x", "task_type": "bug_fix", "project_path": "/tmp", "context": { "a": [1] },
        "preferred_agent": "shell", "department": "qa", "priority": 9, "idempotency_key": "k",
        "timeout_seconds": 60, "max_attempts": 2, "not_before": "2027-01-31T08:00:00+01:00",
    })))
    .unwrap();
    assert_eq!(args.priority.map(Priority::get), Some(9));
    assert_eq!(args.not_before.unwrap().to_string(), "2027-01-31T07:00:00Z");
    assert_eq!(args.context.unwrap()["a"], json!([1]));
}

#[test]
fn errors_name_the_argument_and_its_form() {
    let with = |name: &str, value: Value| {
        let mut arguments = json!({ "task_description": "x" });
        arguments[name] = value;
        refused::<Delegate>(arguments)
    };
    insta::assert_json_snapshot!([
        refused::<Delegate>(json!({})),
        with("task_description", json!(5)),
        with("context", json!("text")),
        with("context", json!([1])),
        with("priority", json!(11)),
        with("priority", json!(-1)),
        with("priority", json!(300)),
        with("priority", json!("high")),
        with("not_before", json!("tomorrow")),
        with("not_before", json!("2027-01-31T08:00:00")),
        with("timeout_seconds", json!(1.5)),
        with("prefered_agent", json!("shell")),
        refused::<OneTask>(json!({ "task_id": 7 })),
        refused::<ListAll>(json!({ "status": ["done"] })),
        refused::<ListAll>(json!({ "status": "failed" })),
        refused::<Nothing>(json!({ "verbose": true })),
        told(limit(Some(0), 100).unwrap_err()),
    ]);
}
