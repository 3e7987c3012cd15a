//! Commands that an agent has its client run: what serves them is given by whoever starts the agent; here they have numbers,
//! are bounded, and end with the conversation.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use agent_client_protocol::v1::schema::{
    CreateTerminalRequest, CreateTerminalResponse, Error, KillTerminalResponse, ReleaseTerminalResponse,
    TerminalExitStatus, TerminalOutputResponse, WaitForTerminalExitResponse,
};
use nexus_core::attempt::ExitStatus;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::machine::Want;

/// A result that comes later.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The runner of an agent's commands.
pub trait Terminals: Send + Sync + 'static {
    /// Starts one. It may be started though nobody waits for this any more: it is ended when what comes of this is dropped.
    ///
    /// # Errors
    /// Why not, for the agent.
    fn create(&self, errand: Errand) -> Later<Result<Box<dyn Terminal>, String>>;
}

/// A command that runs, or has run. Dropped, it is killed.
pub trait Terminal: Send + Sync + 'static {
    fn output(&self) -> Printed;

    /// Ready when it has ended, and all that it printed is known.
    fn ended(&self) -> Later<ExitStatus>;

    /// Ends it; what it has printed stays.
    fn kill(&self);
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    pub command: String,
    pub args: Vec<String>,
    /// Added to the agent's own.
    pub env: Vec<(String, String)>,
    /// None: the workspace.
    pub cwd: Option<PathBuf>,
    /// Bytes of its output that are kept, the last ones.
    pub keep: usize,
}

/// The output of a command so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    pub text: String,
    /// It is the end of more.
    pub truncated: bool,
    /// Its end, if it has ended.
    pub exit: Option<ExitStatus>,
}

/// Commands that are open at a time; more are refused.
const OPEN: usize = 16;
/// Answers that are waited for: the starts and the ends of commands. More are refused.
const WAITS: usize = 64;
/// The most that is kept of a command's output, in bytes, whatever the agent asks for.
const KEPT: usize = 1024 * 1024;

/// The commands of one conversation.
pub(crate) struct Desk {
    terminals: Arc<dyn Terminals>,
    open: HashMap<String, Open>,
    numbers: u64,
    places: Arc<Semaphore>,
    waits: Arc<Semaphore>,
}

/// A command that the agent knows by its number.
pub(crate) struct Open {
    terminal: Box<dyn Terminal>,
    _place: OwnedSemaphorePermit,
}

/// The answer to give.
pub(crate) enum Served {
    Now(Result<Value, Error>),
    Start(Later<Result<Open, String>>),
    Later(Later<Result<Value, Error>>),
}

impl Desk {
    pub(crate) fn new(terminals: Arc<dyn Terminals>) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { terminals, open: HashMap::new(), numbers: 0, places: semaphore(OPEN), waits: semaphore(WAITS) }
    }

    pub(crate) fn serve(&mut self, want: Want) -> Served {
        let (id, deed): (String, fn(&mut Self, &str) -> Served) = match want {
            Want::Create(request) => return self.create(*request),
            Want::Output(id) => (id, |desk, id| desk.output(id)),
            Want::Wait(id) => (id, |desk, id| desk.wait(id)),
            Want::Kill(id) => (id, |desk, id| {
                desk.open.get(id).into_iter().for_each(|open| open.terminal.kill());
                answer(serde_json::to_value(KillTerminalResponse::new()))
            }),
            Want::Release(id) => (id, |desk, id| {
                desk.open.remove(id);
                answer(serde_json::to_value(ReleaseTerminalResponse::new()))
            }),
        };
        if self.open.contains_key(&id) {
            deed(self, &id)
        } else {
            Served::Now(Err(Error::invalid_params().data(json!(format!("there is no terminal {id}")))))
        }
    }

    /// A command was started: its number, as the answer.
    pub(crate) fn started(&mut self, open: Open) -> Result<Value, Error> {
        self.numbers += 1;
        let id = format!("terminal-{}", self.numbers);
        let response = serde_json::to_value(CreateTerminalResponse::new(id.clone()));
        self.open.insert(id, open);
        response.map_err(Error::into_internal_error)
    }

    fn create(&self, request: CreateTerminalRequest) -> Served {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let why = format!("{OPEN} terminals are open, as many as may be: release one");
            return Served::Now(Err(Error::invalid_params().data(json!(why))));
        };
        let wanted = request.output_byte_limit.and_then(|limit| usize::try_from(limit).ok());
        let errand = Errand {
            command: request.command,
            args: request.args,
            env: request.env.into_iter().map(|variable| (variable.name, variable.value)).collect(),
            cwd: request.cwd,
            keep: wanted.unwrap_or(KEPT).min(KEPT),
        };
        let starting = self.terminals.create(errand);
        Served::Start(Box::pin(async move { Ok(Open { terminal: starting.await?, _place: place }) }))
    }

    fn output(&self, id: &str) -> Served {
        let printed = self.open.get(id).map(|open| open.terminal.output()).unwrap_or_default();
        let exit = printed.exit.map(status);
        let response = TerminalOutputResponse::new(printed.text, printed.truncated).exit_status(exit);
        answer(serde_json::to_value(response))
    }

    fn wait(&self, id: &str) -> Served {
        let Ok(wait) = Arc::clone(&self.waits).try_acquire_owned() else {
            return Served::Now(Err(Error::internal_error().data(json!("too many waits at once"))));
        };
        let Some(ended) = self.open.get(id).map(|open| open.terminal.ended()) else {
            return Served::Now(Err(Error::internal_error()));
        };
        Served::Later(Box::pin(async move {
            let exit = ended.await;
            drop(wait);
            serde_json::to_value(WaitForTerminalExitResponse::new(status(exit))).map_err(Error::into_internal_error)
        }))
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

fn answer(response: serde_json::Result<Value>) -> Served {
    Served::Now(response.map_err(Error::into_internal_error))
}

fn status(exit: ExitStatus) -> TerminalExitStatus {
    match exit {
        // What is below zero is no code that a program can end with.
        ExitStatus::Code(code) => TerminalExitStatus::new().exit_code(u32::try_from(code).unwrap_or(u32::MAX)),
        ExitStatus::Signal(signal) => TerminalExitStatus::new().signal(name(signal)),
    }
}

/// As programs call it; a number has none where it isn't one of the usual.
fn name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        6 => "SIGABRT",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        other => return other.to_string(),
    };
    name.to_owned()
}
