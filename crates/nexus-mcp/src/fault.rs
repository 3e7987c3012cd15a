//! A tool's error: a JSON object with a sentence that says what to do, as text and marked `isError`.
//!
//! It is never `structuredContent`: clients hold that against the tool's `outputSchema`, which describes success. Those that
//! do so for errors too would throw instead of handing on the message.

use nexus_core::refusal::{Refusal, RefusalKind};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

/// A tool's error, as the object that the client gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault(Value);

impl Fault {
    /// An argument that is not right. `argument` is the name that the client used.
    pub(crate) fn argument(argument: &str, message: &str) -> Self {
        Self(json!({ "status": "error", "message": message, "kind": "invalid_input", "argument": argument }))
    }

    /// A refusal of a question about one task.
    pub(crate) fn about(task: &str, refusal: &Refusal) -> Self {
        let mut object = shape(refusal);
        object["task_id"] = task.into();
        if refusal.kind == RefusalKind::NotFound {
            object["message"] = "Task not found".into();
        }
        Self(object)
    }

    /// As [`Fault::about`]; an unknown task is a status of its own for whoever asks for one.
    pub(crate) fn status_of(task: &str, refusal: &Refusal) -> Self {
        let Self(mut object) = Self::about(task, refusal);
        if refusal.kind == RefusalKind::NotFound {
            object["status"] = "not_found".into();
            object["message"] = "Task not found. Check the id: it may be mistyped, or the task may be older than the \
                 history that is kept. cde_listTasks lists every task that is."
                .into();
        }
        Self(object)
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        error(&self.0)
    }
}

/// An error result, with its JSON as text.
pub(crate) fn error(value: &Value) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(value.to_string())])
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self(shape(&refusal))
    }
}

fn shape(refusal: &Refusal) -> Value {
    json!({ "status": "error", "message": sentence(refusal), "kind": refusal.kind })
}

/// The refusal and its way out as one text.
pub(crate) fn sentence(refusal: &Refusal) -> String {
    match &refusal.help {
        Some(help) => format!("{}; {help}", refusal.message.trim_end_matches('.')),
        None => refusal.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_shape() {
        let unknown_agent =
            Refusal::new(RefusalKind::UnknownAgent, "Invalid agent type: gpt. Valid options: claude, shell");
        let busy = Refusal::new(RefusalKind::Busy, "the queue of qa is full").with_help("try again in a minute");
        let missing = Refusal::not_found("0198");
        let ended = Refusal::new(RefusalKind::Conflict, "the task has ended: completed");
        insta::assert_json_snapshot!([
            ("delegate, unknown agent", Fault::from(unknown_agent).0),
            ("delegate, busy", Fault::from(busy).0),
            ("status, unknown task", Fault::status_of("0198", &missing).0),
            ("cancel, unknown task", Fault::about("0198", &missing).0),
            ("cancel, ended", Fault::about("0198", &ended).0),
            ("status, ended", Fault::status_of("0198", &ended).0),
            ("argument", Fault::argument("priority", "it must be 0 to 9").0),
        ]);
    }

    #[test]
    fn a_fault_is_text_alone() {
        let fault = Fault::from(Refusal::invalid("no"));
        let result = fault.clone().into_result();
        assert_eq!((result.is_error, result.structured_content), (Some(true), None));
        let text: Value = serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap();
        assert_eq!(text, fault.0);
    }
}
