//! An agent's requests for a command that its client runs.

use agent_client_protocol::v1::schema::{
    CreateTerminalRequest, KillTerminalRequest, ReleaseTerminalRequest, TerminalId, TerminalOutputRequest,
    WaitForTerminalExitRequest,
};
use agent_client_protocol::{Error, JsonRpcMessage};
use serde_json::Value;

/// A request of one command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Want {
    Create(Box<CreateTerminalRequest>),
    Output(String),
    Wait(String),
    Kill(String),
    Release(String),
}

/// None: it is about something else.
pub(super) fn read(method: &str, params: &Value) -> Option<Result<Want, Error>> {
    let id = |id: TerminalId| id.0.to_string();
    Some(if CreateTerminalRequest::matches_method(method) {
        CreateTerminalRequest::parse_message(method, params).map(|create| Want::Create(Box::new(create)))
    } else if TerminalOutputRequest::matches_method(method) {
        TerminalOutputRequest::parse_message(method, params).map(|asked| Want::Output(id(asked.terminal_id)))
    } else if WaitForTerminalExitRequest::matches_method(method) {
        WaitForTerminalExitRequest::parse_message(method, params).map(|asked| Want::Wait(id(asked.terminal_id)))
    } else if KillTerminalRequest::matches_method(method) {
        KillTerminalRequest::parse_message(method, params).map(|asked| Want::Kill(id(asked.terminal_id)))
    } else if ReleaseTerminalRequest::matches_method(method) {
        ReleaseTerminalRequest::parse_message(method, params).map(|asked| Want::Release(id(asked.terminal_id)))
    } else {
        return None;
    })
}
