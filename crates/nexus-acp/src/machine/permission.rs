//! Permissions: what is asked, who decides, and which of the options says that.

use agent_client_protocol::v1::schema::{
    PermissionOption, PermissionOptionKind, RequestId, RequestPermissionOutcome, RequestPermissionRequest,
    RequestPermissionResponse, SelectedPermissionOutcome, ToolCallUpdate,
};
use nexus_core::department::Approval;
use nexus_core::question::{NotOpen, OpenQuestion, QuestionId, pick};
use nexus_core::run::Said;
use serde_json::Value;

use super::{Action, Machine, QUESTIONS};
use crate::talk;
use crate::wire;

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Open {
    id: RequestId,
    tool: ToolCallUpdate,
    options: Vec<PermissionOption>,
    pub(super) what: String,
}

impl Open {
    pub(super) fn cancelled(&self) -> Vec<u8> {
        response(&self.id, RequestPermissionOutcome::Cancelled)
    }
}

fn response(id: &RequestId, outcome: RequestPermissionOutcome) -> Vec<u8> {
    let response = serde_json::to_value(RequestPermissionResponse::new(outcome));
    wire::answer(id, Ok(response.unwrap_or(Value::Null)))
}

impl Machine {
    /// The questions that are open, the oldest first.
    pub(crate) fn questions(&self) -> Vec<OpenQuestion> {
        let open =
            |(question, open): (&QuestionId, &Open)| OpenQuestion { question: *question, what: open.what.clone() };
        self.questions.iter().map(open).collect()
    }

    /// Answers a question, and returns it.
    pub(crate) fn answer(
        &mut self,
        named: Option<QuestionId>,
        allow: bool,
        todo: &mut Vec<Action>,
    ) -> Result<OpenQuestion, NotOpen> {
        let has_asked = self.brief.has_asked || self.numbers > 1;
        let picked = pick(self.questions(), named, has_asked)?;
        if let Some(open) = self.questions.remove(&picked.question) {
            self.settle(Some(picked.question), open, allow, todo);
        }
        Ok(picked)
    }

    pub(super) fn permission(&mut self, id: RequestId, request: RequestPermissionRequest, todo: &mut Vec<Action>) {
        let what = talk::words(&request.tool_call);
        let open = Open { id, tool: request.tool_call, options: request.options, what };
        if self.cancelled {
            todo.push(Action::Send(open.cancelled()));
            return;
        }
        match self.brief.approval {
            Approval::Allow => self.settle(None, open, true, todo),
            Approval::Reject => self.settle(None, open, false, todo),
            Approval::Ask if self.questions.len() >= QUESTIONS => self.settle(None, open, false, todo),
            Approval::Ask => {
                self.numbers = self.numbers.saturating_add(1);
                let question = QuestionId { run: self.brief.mark, number: self.numbers };
                todo.push(Action::Say(Said::Asks(OpenQuestion { question, what: open.what.clone() })));
                todo.push(Action::Await(question, self.brief.patience));
                self.questions.insert(question, open);
            }
        }
    }

    pub(super) fn settle(&mut self, question: Option<QuestionId>, open: Open, allow: bool, todo: &mut Vec<Action>) {
        let outcome = choose(&open.options, allow);
        // One that has no such option isn't allowed by it.
        let allowed = allow && matches!(outcome, RequestPermissionOutcome::Selected(_));
        todo.push(Action::Send(response(&open.id, outcome)));
        todo.push(Action::Say(Said::Asked { question, what: open.what.clone(), allowed }));
        if allowed {
            self.talk.begin(&open.tool, todo);
        } else {
            self.talk.denied(todo);
            self.denied = Some(open.what);
        }
    }
}

/// By what an option does, as its name and id are the agent's own. For this time, if there is a choice.
pub(super) fn choose(options: &[PermissionOption], allow: bool) -> RequestPermissionOutcome {
    use PermissionOptionKind::{AllowAlways, AllowOnce, RejectAlways, RejectOnce};
    let kinds = if allow { [AllowOnce, AllowAlways] } else { [RejectOnce, RejectAlways] };
    let chosen = kinds.iter().find_map(|kind| options.iter().find(|option| option.kind == *kind));
    chosen.map_or(RequestPermissionOutcome::Cancelled, |option| {
        RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(option.option_id.clone()))
    })
}
