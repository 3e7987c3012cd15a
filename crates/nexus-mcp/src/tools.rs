//! The tools: what each is called, says of itself and takes, and which function answers it.

mod company;
mod messages;
mod submit;
mod tasks;

use std::sync::{Arc, LazyLock};

use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::schema;
use rmcp::RoleServer;
use rmcp::handler::server::common::{schema_for_input, schema_for_output, schema_for_type};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Cancelled, Delegated, DepartmentList, Log, MessageList, Sent, Stats, TaskAnswer, TaskList};
use crate::args::{self, Delegate, ListActive, ListAll, Nothing, OneTask, ReadLog, ReadMessages, SendMessage};
use crate::fault::Fault;
use crate::server::Server;

/// Every tool, in the order in which a client is shown them.
pub(crate) fn list() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(all);
    &TOOLS
}

/// Tools in which an agent of the company has no part.
const NOT_FOR_AGENTS: [&str; 1] = ["cde_getWorkerStats"];

/// Those that a client is offered: an agent of the company, or anybody else.
pub(crate) fn offered(is_agent: bool) -> impl Iterator<Item = &'static Tool> {
    list().iter().filter(move |tool| !(is_agent && NOT_FOR_AGENTS.contains(&tool.name.as_ref())))
}

/// Calls a tool by its name; none: there is no such tool.
pub(crate) async fn call(
    server: &Server,
    name: &str,
    arguments: JsonObject,
    context: &RequestContext<RoleServer>,
) -> Option<CallToolResult> {
    if server.scope.is_some() && NOT_FOR_AGENTS.contains(&name) {
        return None;
    }
    let result = match name {
        "cde_delegateTask" => with(arguments, |args| submit::delegate(server, args)).await,
        "cde_runTask" => match args::read(arguments) {
            Ok(args) => submit::run(server, args, context).await,
            Err(fault) => Err(fault),
        },
        "cde_retryTask" => with(arguments, |args| submit::retry(server, args)).await,
        "cde_getTaskStatus" => with(arguments, |args| tasks::status(server, args)).await,
        "cde_getTaskLog" => with(arguments, |args| tasks::log(server, args)).await,
        "cde_cancelTask" => with(arguments, |args| tasks::cancel(server, args)).await,
        "cde_listActiveTasks" => with(arguments, |args| tasks::list_active(server, args)).await,
        "cde_listTasks" => with(arguments, |args| tasks::list_all(server, args)).await,
        "cde_listDepartments" => with(arguments, |args| company::departments(server, args)).await,
        "cde_sendMessage" => with(arguments, |args| messages::send(server, args)).await,
        "cde_readMessages" => with(arguments, |args| messages::read(server, args)).await,
        "cde_getWorkerStats" => with(arguments, |args| company::workers(server, args)).await,
        _ => return None,
    };
    Some(result.unwrap_or_else(Fault::into_result))
}

async fn with<A, T, F>(arguments: JsonObject, tool: impl FnOnce(A) -> F) -> Result<CallToolResult, Fault>
where
    A: serde::de::DeserializeOwned + JsonSchema + 'static,
    T: Serialize,
    F: Future<Output = Result<T, Fault>>,
{
    let answer = tool(args::read(arguments)?).await?;
    Ok(CallToolResult::structured(value(&answer)?))
}

fn value(answer: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(answer)
        .map_err(|error| Refusal::new(RefusalKind::Internal, format!("the answer can't be written: {error}")).into())
}

/// The effect of a tool on the company: hints for a client that asks its user before some of them.
#[derive(Clone, Copy)]
enum Effect {
    Reads,
    /// Leaves a note within the company.
    Notes,
    /// Has an agent work: what that does is up to the task, and may well reach the world or end things in it.
    Works,
    /// Ends what runs; doing it twice ends nothing more.
    Ends,
}

fn all() -> Vec<Tool> {
    use Effect::{Ends, Notes, Reads, Works};
    vec![
        tool::<Delegate, Delegated>(
            "cde_delegateTask",
            "Delegate a task",
            "Hand a task to the company's agents. Answers at once with a task_id and never waits for the work: ask \
             cde_getTaskStatus for the result. Tasks run in parallel and survive restarts.",
            Works,
        ),
        tool::<Delegate, TaskAnswer>(
            "cde_runTask",
            "Run a task and wait",
            "As cde_delegateTask, but waits until the task has ended and answers with its state and result, reporting \
             progress meanwhile. If you stop waiting, the task goes on. For long work prefer cde_delegateTask.",
            Works,
        ),
        tool::<OneTask, TaskAnswer>(
            "cde_getTaskStatus",
            "State of a task",
            "State, result and error of one task: queued, running, completed, failed or cancelled.",
            Reads,
        ),
        tool::<ReadLog, Log>(
            "cde_getTaskLog",
            "Output of a task",
            "Lines that a task has printed, while it runs and after. Pass next_cursor back for what follows; complete \
             is true when there is no more to come.",
            Reads,
        ),
        tool::<ListActive, TaskList>(
            "cde_listActiveTasks",
            "Active tasks",
            "Tasks that wait or run, newest first.",
            Reads,
        ),
        tool::<ListAll, TaskList>(
            "cde_listTasks",
            "All tasks",
            "Tasks in any state, finished ones too, newest first.",
            Reads,
        ),
        tool::<OneTask, Cancelled>(
            "cde_cancelTask",
            "Cancel a task",
            "Cancel a task that waits or runs. Answers when none of its processes is alive.",
            Ends,
        ),
        tool::<OneTask, Delegated>(
            "cde_retryTask",
            "Retry a task",
            "Put a failed or cancelled task back on the queue, with its attempts counted from the start.",
            Works,
        ),
        tool::<Nothing, DepartmentList>(
            "cde_listDepartments",
            "Departments",
            "The company's departments: what they do, their agents and task types, their workers and queues.",
            Reads,
        ),
        tool::<SendMessage, Sent>(
            "cde_sendMessage",
            "Leave a message",
            "Leave a department a message. It starts no work: whoever works there next is shown the newest messages.",
            Notes,
        ),
        tool::<ReadMessages, MessageList>(
            "cde_readMessages",
            "Messages of a department",
            "The newest messages that a department was left, the oldest of them first.",
            Reads,
        ),
        tool::<Nothing, Stats>(
            "cde_getWorkerStats",
            "Workers",
            "Every worker: whether it is busy and with what, its process, and how its tasks ended.",
            Reads,
        ),
    ]
}

fn tool<A: JsonSchema + 'static, T: JsonSchema + 'static>(
    name: &'static str,
    title: &str,
    description: &'static str,
    effect: Effect,
) -> Tool {
    let hints = ToolAnnotations::with_title(title);
    let hints = match effect {
        Effect::Reads => hints.read_only(true).destructive(false).idempotent(true).open_world(false),
        Effect::Notes => hints.read_only(false).destructive(false).idempotent(false).open_world(false),
        Effect::Works => hints.read_only(false).destructive(true).idempotent(false).open_world(true),
        Effect::Ends => hints.read_only(false).destructive(true).idempotent(true).open_world(false),
    };
    let input = schema_for_input::<A>().unwrap_or_else(|_| schema_for_type::<A>());
    let mut input = without_number_formats(&input);
    // Some clients refuse a schema without it, even of a tool that takes nothing.
    input.entry("properties").or_insert_with(|| json!({}));
    Tool::new(name, description, input)
        .with_title(title)
        .with_annotations(hints)
        .with_raw_output_schema(Arc::new(without_number_formats(&schema_for_output::<T>())))
}

fn without_number_formats(schema: &JsonObject) -> JsonObject {
    let mut schema = schema.clone();
    schema::drop_number_formats(&mut schema);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_are_shown() {
        insta::assert_json_snapshot!(list());
    }

    #[test]
    fn schemas_are_objects_without_loose_ends() {
        for tool in list() {
            assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
            assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
            assert_eq!(tool.output_schema.as_ref().unwrap()["type"], "object", "{}", tool.name);
        }
    }

    #[test]
    fn formats_are_those_that_validators_know() {
        let shown = serde_json::to_string(list()).unwrap();
        let formats: std::collections::BTreeSet<&str> =
            shown.split("\"format\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(formats.iter().all(|format| ["uuid", "date-time"].contains(format)), "{formats:?}");
    }
}
