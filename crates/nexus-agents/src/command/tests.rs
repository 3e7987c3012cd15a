use super::*;
use jiff_timestamp::at;
use nexus_core::id::{DepartmentName, Priority, TaskId};
use nexus_core::task::Task;

mod jiff_timestamp {
    /// A fixed time, by way of the type's own text form.
    pub(super) fn at<T: std::str::FromStr>() -> T {
        "2026-01-01T00:00:00Z".parse().unwrap_or_else(|_| unreachable!("a valid time"))
    }
}

fn entry() -> QueueEntry {
    QueueEntry::first(Task {
        id: TaskId::from_idempotency_key("x"),
        department: DepartmentName::new("qa").unwrap(),
        description: "say \"hi\"; $(rm)".into(),
        task_type: "t".into(),
        project_path: "/".into(),
        context: serde_json::from_str(r#"{"a":1}"#).unwrap(),
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: at(),
        traceparent: None,
        parent: None,
    })
}

fn check(prompt: PromptVia, test: impl FnOnce(Launch)) {
    let spec = AgentSpec { prompt, ..AgentSpec::shell() };
    test(launch(&spec, &entry().task.description, PathBuf::from("/p")).unwrap());
}

#[test]
fn the_prompt_goes_where_the_agent_wants_it_and_nowhere_else() {
    let description = entry().task.description;
    check(PromptVia::Arg, |launch| {
        assert_eq!((launch.program.as_str(), launch.args), ("sh", vec!["-c".to_owned(), description.clone()]));
        assert_eq!((launch.stdin, launch.prompt_file), (None, None));
    });
    check(PromptVia::Stdin, |launch| {
        assert_eq!((launch.stdin.as_ref(), launch.args.len()), (Some(&description), 1));
    });
    check(PromptVia::None, |launch| {
        assert_eq!((launch.stdin, launch.prompt_file, launch.args), (None, None, vec!["-c".to_owned()]));
        assert!(launch.env.is_empty());
    });
    check(PromptVia::File, |launch| {
        assert_eq!(launch.prompt_file, Some((PathBuf::from("/p"), description.clone())));
        assert!(launch.env.contains(&("NEXUS_PROMPT_FILE".into(), "/p".into())));
        assert_eq!((launch.stdin, launch.args.len()), (None, 1));
    });
}

#[test]
fn an_agent_is_told_its_task() {
    let env = variables(&AgentSpec::shell(), &entry(), Path::new("/w"));
    let get = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!(get("NEXUS_TASK_ID"), Some(entry().task.id.to_string().as_str()));
    assert_eq!(get("NEXUS_ATTEMPT"), Some("1"));
    assert_eq!(get("NEXUS_WORKSPACE"), Some("/w"));
    assert_eq!(get("NEXUS_CONTEXT"), Some(r#"{"a":1}"#));
}
