//! Tool arguments: their types, and reading them with errors that name the argument and its right form.

use jiff::Timestamp;
use nexus_core::id::Priority;
use nexus_core::route::nearest;
use nexus_core::view::Status;
use rmcp::handler::server::common::schema_for_type;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::fault::Fault;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delegate {
    /// Complete instructions for an agent that sees nothing else. For the agent "shell": the command.
    pub task_description: String,
    /// The kind of work, such as "code_generation", "bug_fix" or "testing"; chooses the department.
    /// "code_generation" unless given. cde_listDepartments shows who takes what.
    pub task_type: Option<String>,
    /// The directory that the work is about; "." unless given.
    pub project_path: Option<String>,
    /// A JSON object with anything else the agent should know.
    pub context: Option<Map<String, Value>>,
    /// The name of the agent to use, such as "claude"; the department chooses unless given. "shell" runs the description as a
    /// command, and is never chosen: name it here, or set task_type to "command".
    pub preferred_agent: Option<String>,
    /// The name of the department to use; wins over task_type.
    pub department: Option<String>,
    /// Its urgency: an integer from 0 to 9, 9 comes first; 5 unless given.
    #[schemars(with = "Option<u8>", range(min = 0, max = 9))]
    pub priority: Option<Priority>,
    /// Any text; asked for twice with the same key, the task runs once.
    pub idempotency_key: Option<String>,
    /// The longest that one attempt may run: a whole number of seconds, at least 1.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
    /// The number of times that a failing task is tried, the first time included: an integer, at least 1.
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// Not started before this time: RFC 3339 with an offset, such as "2027-01-31T08:00:00Z".
    #[serde(default, deserialize_with = "nexus_core::due::deserialize")]
    #[schemars(with = "Option<String>", !default)]
    pub not_before: Option<Timestamp>,
    /// True: the task starts from the project's uncommitted changes too. False: it starts from the last commit. This is for
    /// agents that work in a clone or a worktree. The department decides unless given.
    pub include_uncommitted: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneTask {
    /// The task's id, or its beginning (at least 4 characters) where that fits one task only.
    pub task_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListActive {
    /// Only tasks of this department.
    pub department: Option<String>,
    /// The number of tasks to list: an integer from 1 to 1000; 100 unless given.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: next_cursor of the answer before.
    pub cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAll {
    /// Only tasks in one of these states: a list of "queued", "running", "completed", "failed" and "cancelled".
    pub status: Option<Vec<Status>>,
    /// Only tasks of this department.
    pub department: Option<String>,
    /// The number of tasks to list: an integer from 1 to 1000; 100 unless given.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: next_cursor of the answer before.
    pub cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadLog {
    /// The task's id, or its beginning (at least 4 characters) where that fits one task only.
    pub task_id: String,
    /// Where to go on: next_cursor of the answer before. From the first line unless given.
    pub cursor: Option<String>,
    /// The most lines to return: an integer from 1 to 1000; 200 unless given.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// The department that the message is for. cde_listDepartments shows them.
    pub department: String,
    /// The message: at most 8,192 bytes.
    pub text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadMessages {
    /// The department whose messages are asked for; an agent of the company may leave it out for its own.
    pub department: Option<String>,
    /// The most messages to return: an integer from 1 to 100; 20 unless given.
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
}

/// Reads a tool's arguments. The schema that the client was shown is also what errors are worded from.
pub(crate) fn read<T: DeserializeOwned + JsonSchema + 'static>(arguments: JsonObject) -> Result<T, Fault> {
    let schema = schema_for_type::<T>();
    check_names(&schema, &arguments)?;
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let name = path.split(['.', '[']).next().unwrap_or_default();
        let fault = in_words_of_json(&error.inner().to_string());
        let message = match described(&schema, name) {
            Some(form) => format!("the argument \"{path}\" is not right: {fault}. What it takes: {form}"),
            None => format!("the argument \"{path}\" is not right: {fault}"),
        };
        Fault::argument(name, &message)
    })
}

/// The client wrote JSON, and knows nothing of Rust's types.
fn in_words_of_json(error: &str) -> String {
    let words = [
        ("expected a map", "expected an object"),
        ("expected a sequence", "expected a list"),
        ("expected u8", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("invalid type: sequence", "invalid type: a list"),
        ("invalid type: map", "invalid type: an object"),
    ];
    words.iter().fold(error.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A number in an argument that a schema bounds.
pub(crate) fn limit(given: Option<u32>, default: u32) -> Result<u32, Fault> {
    limit_to(given, default, 1000)
}

pub(crate) fn limit_to(given: Option<u32>, default: u32, most: u32) -> Result<u32, Fault> {
    match given.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        other => {
            let message =
                format!("the argument \"limit\" is not right: {other} is out of range; it goes from 1 to {most}");
            Err(Fault::argument("limit", &message))
        }
    }
}

fn check_names(schema: &JsonObject, arguments: &JsonObject) -> Result<(), Fault> {
    let known: Vec<&str> = properties(schema).map(|(name, _)| name.as_str()).collect();
    if let Some(unknown) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
        let meant = nearest(unknown, &known).map(|name| format!(" Did you mean \"{name}\"?")).unwrap_or_default();
        let takes = if known.is_empty() {
            "This tool takes none.".to_owned()
        } else {
            format!("It takes: {}.", known.join(", "))
        };
        let message = format!("there is no argument \"{unknown}\".{meant} {takes}");
        return Err(Fault::argument(unknown, &message));
    }
    let mut required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = required.find(|name| !arguments.contains_key(*name)) {
        let form = described(schema, name).unwrap_or_default();
        return Err(Fault::argument(name, &format!("the argument \"{name}\" is missing. What it takes: {form}")));
    }
    Ok(())
}

fn properties(schema: &JsonObject) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn described(schema: &JsonObject, name: &str) -> Option<String> {
    let (_, property) = properties(schema).find(|(key, _)| *key == name)?;
    Some(property.get("description")?.as_str()?.replace('\n', " "))
}

#[cfg(test)]
mod tests;
