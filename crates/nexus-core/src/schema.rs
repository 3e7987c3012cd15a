//! The JSON schemas of everything that goes over NATS, generated from the types; `docs/schema/` holds them for others.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

use crate::account::AccountRecord;
use crate::api::{
    Accepted, AgentInfo, AgentRef, Agents, AnswerRequest, Answered, CancelRequest, Cancelled, DeadLetter,
    DepartmentInfo, Departments, ListRequest, MessageRequest, MoveRequest, ProjectChanges, Reply, ResumeRequest,
    TaskPage, TaskRef, TaskStatus, WorkerStats,
};
use crate::dead::DeadTask;
use crate::event::Event;
use crate::lease::Holder;
use crate::log::LogChunk;
use crate::message::Message;
use crate::overview::Overview;
use crate::prompt::PromptRecord;
use crate::staff::StaffRecord;
use crate::task::{QueueEntry, Submission};

/// Each payload's name and schema; `docs/schema/<name>.json` is its file.
///
/// The endpoints of `nexus.ceo.*` have `ceo_<endpoint>_request` and `ceo_<endpoint>_reply`; `submit` takes a `submission`,
/// and `workers`, `departments`, `agents`, `overview`, `rebuild` and `ping` take nothing.
#[must_use]
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("submission", taken::<Submission>()),
        ("queue_entry", given::<QueueEntry>()),
        ("event", given::<Event>()),
        ("log_chunk", given::<LogChunk>()),
        ("prompt_record", given::<PromptRecord>()),
        ("dead_letter", given::<DeadLetter>()),
        ("dead_task", given::<DeadTask>()),
        ("staff_record", given::<StaffRecord>()),
        ("account_record", given::<AccountRecord>()),
        ("lease_holder", given::<Holder>()),
        ("message", given::<Message>()),
        ("ceo_submit_reply", given::<Reply<Accepted>>()),
        ("ceo_status_request", taken::<TaskRef>()),
        ("ceo_status_reply", given::<Reply<TaskStatus>>()),
        ("ceo_list_request", taken::<ListRequest>()),
        ("ceo_list_reply", given::<Reply<TaskPage>>()),
        ("ceo_cancel_request", taken::<CancelRequest>()),
        ("ceo_cancel_reply", given::<Reply<Cancelled>>()),
        ("ceo_retry_request", taken::<TaskRef>()),
        ("ceo_retry_reply", given::<Reply<Accepted>>()),
        ("ceo_move_request", taken::<MoveRequest>()),
        ("ceo_move_reply", given::<Reply<Accepted>>()),
        ("ceo_uncommitted_request", taken::<TaskRef>()),
        ("ceo_uncommitted_reply", given::<Reply<ProjectChanges>>()),
        ("ceo_workers_reply", given::<Reply<WorkerStats>>()),
        ("ceo_departments_reply", given::<Reply<Departments>>()),
        ("ceo_resume_request", taken::<ResumeRequest>()),
        ("ceo_resume_reply", given::<Reply<DepartmentInfo>>()),
        ("ceo_answer_request", taken::<AnswerRequest>()),
        ("ceo_answer_reply", given::<Reply<Answered>>()),
        ("ceo_message_request", taken::<MessageRequest>()),
        ("ceo_message_reply", given::<Reply<Message>>()),
        ("ceo_agents_reply", given::<Reply<Agents>>()),
        ("ceo_agents_clear_request", taken::<AgentRef>()),
        ("ceo_agents_clear_reply", given::<Reply<AgentInfo>>()),
        ("ceo_overview_reply", given::<Reply<Overview>>()),
        ("ceo_rebuild_reply", given::<Reply<u64>>()),
        ("ceo_ping_reply", given::<Reply<()>>()),
    ]
}

/// The schema of a payload that others send.
fn taken<T: JsonSchema>() -> Value {
    schema::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of a payload that others read: a field that is always written is required.
fn given<T: JsonSchema>() -> Value {
    schema::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value();
    if let Some(schema) = schema.as_object_mut() {
        drop_number_formats(schema);
    }
    schema
}

/// Takes the formats of numbers, such as `uint32`, out of a schema. JSON Schema defines none, and validators warn of each.
///
/// A number's bounds stay: `minimum` and `maximum` say all that a reader can check.
pub fn drop_number_formats(schema: &mut Map<String, Value>) {
    // A property may be called `format` too, but its value is a schema and no text.
    let of_a_number = |value: &Value| value.as_str().is_some_and(|format| NUMBER_FORMATS.contains(&format));
    schema.retain(|key, value| key != "format" || !of_a_number(value));
    for value in schema.values_mut() {
        match value {
            Value::Object(inner) => drop_number_formats(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(drop_number_formats),
            _ => {}
        }
    }
}

/// Every format that schemars gives a number.
const NUMBER_FORMATS: [&str; 14] = [
    "int", "int8", "int16", "int32", "int64", "int128", "uint", "uint8", "uint16", "uint32", "uint64", "uint128",
    "float", "double",
];

#[cfg(test)]
mod tests;
