//! Prompts, whole.

use jiff::Timestamp;
use nexus_core::agent::AgentKind;
use nexus_core::id::{Priority, TaskId};
use nexus_core::role::VARIABLES;
use serde_json::json;

use super::*;

fn task() -> Task {
    Task {
        id: TaskId::from_idempotency_key("x"),
        department: DepartmentName::new("engineering").unwrap(),
        description: "Fix the {{ login }} test".to_owned(),
        task_type: "bug_fix".to_owned(),
        project_path: "/p".to_owned(),
        context: None,
        preferred_agent: None,
        priority: Priority::default(),
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: Timestamp::UNIX_EPOCH,
        traceparent: None,
        parent: None,
    }
}

/// Of this kind and with this role, as an agent on a branch is told it.
fn told(kind: AgentKind, role: Option<&str>, task: &Task) -> Result<String, Failure> {
    told_of(None, kind, role, task)
}

/// The same, where the user has uncommitted changes.
fn told_of(
    uncommitted: Option<&Uncommitted>,
    kind: AgentKind,
    role: Option<&str>,
    task: &Task,
) -> Result<String, Failure> {
    let of = |description: &str, role: Option<&str>| Department {
        description: description.to_owned(),
        role: role.map(str::to_owned),
        ..Department::default()
    };
    let policy = of("Writes code.", role);
    let departments: BTreeMap<_, _> =
        [("engineering", &policy), ("product", &of("Plans.", None)), ("qa", &of("Tests.", None))]
            .into_iter()
            .map(|(name, department)| (DepartmentName::new(name).unwrap(), Arc::new(department.clone())))
            .collect();
    let setting = Setting {
        workspace: Path::new("/w"),
        branch: Some("nexus/1"),
        departments: &departments,
        uncommitted,
        messages: &["- product, 12:01:\n  > the release is on Friday".to_owned()],
    };
    compose(&AgentSpec::of(kind), &policy, task, &setting)
}

#[test]
fn the_role_comes_before_the_task() {
    let told = |role| told(AgentKind::Claude, role, &task()).unwrap();
    let separated = "\n\n---\n\n# Your task\n\nFix the {{ login }} test";
    for (role, wanted) in [
        ("Be brief.\n", "Be brief."),
        ("{{ department }}: {{ description }} ({{ task_type }})", "engineering: Writes code. (bug_fix)"),
        ("In {{ workspace }}{% if branch %} on {{ branch }}{% endif %}.", "In /w on nexus/1."),
        ("Others:\n{{ departments }}", "Others:\n- product: Plans.\n- qa: Tests."),
        ("{{ messages }}", "- product, 12:01:\n  > the release is on Friday"),
        ("{{ '{{' }} {% if not branch %}x{% else %}y{% endif %}", "{{ y"),
    ] {
        assert_eq!(told(Some(role)), format!("{wanted}{separated}"));
    }
    assert_eq!(told(Some(" \n")), "Fix the {{ login }} test");
    assert_eq!(told(None), "Fix the {{ login }} test");
}

#[test]
fn a_command_gets_its_task_unchanged() {
    let context = json!({ "issue": 12 }).as_object().cloned();
    let task = Task { context, ..task() };
    assert_eq!(told(AgentKind::Command, Some("Be brief."), &task).unwrap(), task.description);
}

#[test]
fn uncommitted_changes_are_a_line_at_the_end() {
    let changes = Uncommitted { changes: 2, paths: vec!["a".to_owned(), "b".to_owned()], ..Uncommitted::default() };
    let told = told_of(Some(&changes), AgentKind::Claude, None, &task()).unwrap();
    let line = "\n\nNote: the user has 2 uncommitted changes in the project (a, b). They are not in your workspace, which \
                starts from the last commit.";
    assert_eq!(told, format!("{}{line}", task().description));
    let told = told_of(Some(&changes), AgentKind::Command, None, &task()).unwrap();
    assert_eq!(told, task().description);
}

#[test]
fn the_context_follows_the_task() {
    let context = json!({ "issue": 12 }).as_object().cloned();
    let task = Task { context, ..task() };
    let told = told(AgentKind::Acp, None, &task).unwrap();
    assert_eq!(told, "Fix the {{ login }} test\n\n# Context\n\n```json\n{\n  \"issue\": 12\n}\n```");
}

#[test]
fn every_variable_that_the_check_knows_is_filled_in() {
    for (name, _) in VARIABLES {
        let role = format!("{{{{ {name} }}}}");
        assert!(nexus_core::role::check(&role).is_ok());
        assert!(told(AgentKind::Codex, Some(&role), &task()).is_ok(), "{name}");
    }
    let failure = told(AgentKind::Codex, Some("{{ nobody }}"), &task()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Spawn);
    assert!(failure.message.starts_with("the role of engineering can't be filled in: "), "{}", failure.message);
}
