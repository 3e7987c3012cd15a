//! One conversation as a pure machine: what the agent sends goes in, what is to be sent, said, looked up and asked comes out.
//!
//! The way is always the same: `initialize`, a session (with a login before it, if the agent asks for one), one prompt, and
//! the end of input.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::schema::{
    CancelNotification, ClientCapabilities, Error, ErrorCode, FileSystemCapabilities, Implementation,
    InitializeRequest, ReadTextFileRequest, RequestId, RequestPermissionRequest, SessionNotification,
    WriteTextFileRequest,
};
use agent_client_protocol::{JsonRpcMessage, JsonRpcRequest};
use nexus_agents::ToolServer;
use nexus_core::department::Approval;
use nexus_core::question::{QuestionId, RunMark};
use nexus_core::run::{Ending, Said, Trouble, TroubleKind};
use serde_json::{Value, json};

use crate::talk::Talk;
use crate::wire::{self, Frame};

mod ending;
mod hello;
mod permission;
mod session;
mod terminal;
#[cfg(test)]
mod tests;

use hello::Hello;
use permission::Open;
pub(crate) use terminal::Want;

/// The subject of a conversation.
#[derive(Clone, Debug)]
pub struct Brief {
    /// All that the agent is told.
    pub prompt: String,
    /// Where it works, as it sees it; absolute.
    pub cwd: PathBuf,
    pub servers: Vec<ToolServer>,
    /// The session to go on with.
    pub resume: Option<String>,
    pub approval: Approval,
    /// The names of the variables in the agent's environment that aren't empty: how it may sign in by itself.
    pub variables: Vec<String>,
    /// The longest wait of a question for its answer, which is a no then.
    pub patience: Duration,
    /// The first part of its questions' ids: another mark than that of any other run.
    pub mark: RunMark,
    /// Earlier runs may have asked for something too.
    pub has_asked: bool,
}

/// An action to take.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// A line for the agent's standard input.
    Send(Vec<u8>),
    Say(Said),
    Look(RequestId, Look),
    Terminal(RequestId, Want),
    /// A question is open from now on, and waits for so long.
    Await(QuestionId, Duration),
    /// The end of the agent's standard input.
    Close,
}

/// An agent's request for a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Look {
    /// Of one that isn't there: nothing is in it, rather than that it isn't there.
    Read {
        read: ReadTextFileRequest,
        missing_is_empty: bool,
    },
    Write(WriteTextFileRequest),
}

/// The request to the agent that isn't answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    Login,
    /// A session that is new, or an old one.
    New,
    Old,
    Prompt,
    /// Nothing: it is over.
    Over,
}

/// Bytes that are shown of a line that is no message.
const PLAIN: usize = 16 * 1024;
/// Questions that are open at a time; more are refused.
const QUESTIONS: usize = 8;

/// The offers to an agent: the workspace's files, and commands that are run for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offers {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    pub(crate) terminals: bool,
}

#[derive(Debug)]
pub(crate) struct Machine {
    brief: Brief,
    writes: bool,
    terminals: bool,
    step: Step,
    /// The number of our last request, the only one that is ever open.
    asked: i64,
    hello: Hello,
    has_logged_in: bool,
    session: Option<String>,
    cancelled: bool,
    talk: Talk,
    /// Those that are open: nobody else keeps any.
    questions: BTreeMap<QuestionId, Open>,
    /// The number of all that were.
    numbers: u32,
    /// The last of what it was not allowed to do.
    denied: Option<String>,
}

impl Machine {
    /// `offers`: what the agent may have from us.
    pub(crate) fn new(brief: Brief, offers: Offers, todo: &mut Vec<Action>) -> Self {
        let Offers { reads, writes, terminals } = offers;
        let mut machine = Self {
            brief,
            writes,
            terminals,
            step: Step::Hello,
            asked: 0,
            hello: Hello::default(),
            has_logged_in: false,
            session: None,
            cancelled: false,
            talk: Talk::default(),
            questions: BTreeMap::new(),
            numbers: 0,
            denied: None,
        };
        let fs = FileSystemCapabilities::new().read_text_file(reads).write_text_file(writes);
        let hello = InitializeRequest::new(ProtocolVersion::V1)
            .client_capabilities(ClientCapabilities::new().fs(fs).terminal(terminals))
            .client_info(Implementation::new("nexus", env!("CARGO_PKG_VERSION")));
        machine.ask(Step::Hello, &hello, todo);
        machine
    }

    /// Takes one line of its standard output.
    pub(crate) fn line(&mut self, line: &[u8], todo: &mut Vec<Action>) {
        match wire::read(line) {
            Some(Frame::Notification { method, params }) => self.told(&method, &params, todo),
            Some(Frame::Request { id, method, params }) => self.asked_by_agent(id, &method, &params, todo),
            Some(Frame::Answer { id, result }) => {
                // Another one's is nobody's.
                if id == RequestId::Number(self.asked) && self.step != Step::Over {
                    self.answered(result, todo);
                }
            }
            None if line.trim_ascii().is_empty() => {}
            None => {
                let line = &line[..line.len().min(PLAIN)];
                todo.push(Action::Say(Said::Plain(String::from_utf8_lossy(line).into_owned())));
            }
        }
    }

    /// The whole is to end. Returns at once; the prompt's answer closes the agent's input.
    pub(crate) fn cancel(&mut self, todo: &mut Vec<Action>) {
        if self.cancelled || self.step == Step::Over {
            return;
        }
        self.cancelled = true;
        for (id, open) in std::mem::take(&mut self.questions) {
            todo.push(Action::Send(open.cancelled()));
            todo.push(Action::Say(Said::Withdrawn(id)));
        }
        match (&self.session, self.step) {
            (Some(session), Step::Prompt) => {
                todo.push(Action::Send(wire::notification(&CancelNotification::new(session.clone()))));
            }
            _ => self.end(todo),
        }
    }

    /// The result of a look at a file, or of a command.
    pub(crate) fn looked(id: &RequestId, result: Result<Value, Error>, todo: &mut Vec<Action>) {
        todo.push(Action::Send(wire::answer(id, result)));
    }

    /// It is of no use to go on.
    pub(crate) fn fail(&mut self, trouble: Trouble, todo: &mut Vec<Action>) {
        if self.step != Step::Over {
            self.talk.finish(todo);
            todo.push(Action::Say(Said::Ended(Ending::Failed(trouble))));
            self.end(todo);
        }
    }

    /// The agent has gone: what that means, where it hasn't said how it ended.
    pub(crate) fn gone(&mut self, last_error: &str, todo: &mut Vec<Action>) {
        let doing = match self.step {
            Step::Over => return,
            _ if self.cancelled => return self.end(todo),
            Step::Hello => "said what it is",
            Step::Login => "signed in",
            Step::New | Step::Old => "opened a session",
            Step::Prompt => "answered its prompt",
        };
        let mut message = format!("it ended before it had {doing}");
        if !last_error.is_empty() {
            message = format!("{message}: {last_error}");
        }
        let mut trouble = ending::classify(None, last_error, TroubleKind::Crash);
        trouble.message = message;
        self.fail(trouble, todo);
    }

    fn end(&mut self, todo: &mut Vec<Action>) {
        self.step = Step::Over;
        let withdrawn = std::mem::take(&mut self.questions).into_keys();
        todo.extend(withdrawn.map(|id| Action::Say(Said::Withdrawn(id))));
        todo.push(Action::Close);
    }

    fn ask<R: JsonRpcRequest>(&mut self, step: Step, request: &R, todo: &mut Vec<Action>) {
        self.ask_raw(step, request.method(), &wire::params(request), todo);
    }

    fn ask_raw(&mut self, step: Step, method: &str, params: &Value, todo: &mut Vec<Action>) {
        self.asked += 1;
        self.step = step;
        todo.push(Action::Send(wire::request(self.asked, method, params)));
    }

    fn answered(&mut self, result: Result<Value, Error>, todo: &mut Vec<Action>) {
        if self.cancelled {
            return self.end(todo);
        }
        let result = match (self.step, result) {
            (_, Ok(result)) => result,
            (Step::New | Step::Old, Err(error)) if error.code == ErrorCode::AuthRequired && !self.has_logged_in => {
                return self.log_in(todo);
            }
            // Qwen Code says that it can, and can't.
            (Step::Old, Err(error)) if error.code == ErrorCode::MethodNotFound && self.hello.resumes => {
                self.hello.resumes = false;
                return self.open(todo);
            }
            (Step::Old, Err(error)) => {
                let session = self.brief.resume.take().unwrap_or_default();
                let warning =
                    format!("could not go on with its session {session} ({}); a new one is begun", error.message);
                todo.push(Action::Say(Said::Anew(warning)));
                return self.open(todo);
            }
            (step, Err(error)) => return self.refused(step, &error, todo),
        };
        match self.step {
            Step::Hello => match Hello::read(&result) {
                Ok(hello) => {
                    self.hello = hello;
                    self.open(todo);
                }
                Err(message) => self.fail(Trouble::new(TroubleKind::Protocol, message), todo),
            },
            Step::Login => self.open(todo),
            Step::New => match result.get("sessionId").and_then(Value::as_str) {
                Some(session) => self.opened(session.to_owned(), &result, todo),
                None => {
                    self.fail(Trouble::new(TroubleKind::Protocol, "it opened a session that has no sessionId"), todo);
                }
            },
            Step::Old => {
                let session = self.brief.resume.clone().unwrap_or_default();
                self.opened(session, &result, todo);
            }
            Step::Prompt => {
                self.talk.finish(todo);
                match ending::of_prompt(&result, &self.talk, todo) {
                    Some(ending) => {
                        todo.push(Action::Say(Said::Ended(ending)));
                        self.end(todo);
                    }
                    None => self.stopped_by_itself(todo),
                }
            }
            Step::Over => {}
        }
    }

    /// Nobody has cancelled it. Codex ends its turn so when it isn't allowed what it asks for.
    fn stopped_by_itself(&mut self, todo: &mut Vec<Action>) {
        match self.denied.take() {
            Some(what) => {
                let why = format!("it ended its turn when it was not allowed to: {what}");
                todo.push(Action::Say(Said::Ended(Ending::Refused(why))));
                self.end(todo);
            }
            None => self.fail(Trouble::new(TroubleKind::Crash, "it cancelled its turn by itself"), todo),
        }
    }

    fn refused(&mut self, step: Step, error: &Error, todo: &mut Vec<Action>) {
        let mut trouble =
            ending::of_error(error, if step == Step::Prompt { TroubleKind::Model } else { TroubleKind::Protocol });
        let doing = match step {
            Step::Hello => "initialize",
            Step::Login => "authenticate",
            Step::New | Step::Old => "open a session",
            Step::Prompt | Step::Over => "",
        };
        if step == Step::Login || error.code == ErrorCode::AuthRequired {
            trouble.kind = TroubleKind::Authentication;
            trouble.message = format!("{}; {}", trouble.message, self.hello.how_to_log_in());
        }
        if !doing.is_empty() {
            trouble.message = format!("it would not {doing}: {}", trouble.message);
        }
        self.fail(trouble, todo);
    }

    /// A notification. One that isn't known says nothing.
    fn told(&mut self, method: &str, params: &Value, todo: &mut Vec<Action>) {
        // What it tells while it opens an old session is what was said then.
        if !SessionNotification::matches_method(method) || self.session.is_none() {
            return;
        }
        if let Ok(told) = SessionNotification::parse_message(method, params)
            && self.session.as_deref() == Some(&*told.session_id.0)
        {
            self.talk.hear(told.update, todo);
        }
    }

    fn asked_by_agent(&mut self, id: RequestId, method: &str, params: &Value, todo: &mut Vec<Action>) {
        if self.step == Step::Over {
            // Its input is closed: there is no way to answer.
            return;
        }
        if RequestPermissionRequest::matches_method(method) {
            return match RequestPermissionRequest::parse_message(method, params) {
                Ok(request) => self.permission(id, request, todo),
                Err(error) => Self::looked(&id, Err(bad(&error)), todo),
            };
        }
        if self.terminals
            && let Some(want) = terminal::read(method, params)
        {
            return match want {
                Ok(want) => todo.push(Action::Terminal(id, want)),
                Err(error) => Self::looked(&id, Err(bad(&error)), todo),
            };
        }
        let look = if ReadTextFileRequest::matches_method(method) {
            let missing_is_empty = self.hello.takes_missing_for_failed();
            ReadTextFileRequest::parse_message(method, params).map(|read| Look::Read { read, missing_is_empty })
        } else if WriteTextFileRequest::matches_method(method) {
            if !self.writes {
                let error = Error::invalid_params().data(json!("this conversation only reads"));
                return Self::looked(&id, Err(error), todo);
            }
            WriteTextFileRequest::parse_message(method, params).map(Look::Write)
        } else {
            let error = Error::method_not_found().data(json!(method));
            return Self::looked(&id, Err(error), todo);
        };
        match look {
            Ok(look) => todo.push(Action::Look(id, look)),
            Err(error) => Self::looked(&id, Err(bad(&error)), todo),
        }
    }
}

/// Says what of it can't be understood.
fn bad(error: &agent_client_protocol::Error) -> Error {
    Error::invalid_params().data(json!(error.to_string()))
}
