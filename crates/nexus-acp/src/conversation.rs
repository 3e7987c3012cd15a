//! The machine with its edges: a task that writes, one that looks at files, and clocks for questions.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agent_client_protocol::v1::schema::{Error, ReadTextFileResponse, RequestId, WriteTextFileResponse};
use nexus_agents::Reader;
use nexus_core::attempt::ExitStatus;
use nexus_core::question::{NotOpen, OpenQuestion, QuestionId};
use nexus_core::run::{Said, Trouble, TroubleKind};
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

use crate::files::{FileError, Files};
use crate::machine::{Action, Brief, Look, Machine, Offers};
use crate::terminals::{Desk, Later, Open, Served, Terminals};

/// One conversation with one agent. Clones are the same one.
///
/// It is a [`Reader`] of the agent's standard output. What happens between two lines is heard by [`Conversation::late`].
#[derive(Clone)]
pub struct Conversation {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
    /// Something was said that no line has brought.
    news: Notify,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
}

struct Inner {
    machine: Machine,
    /// None once the agent's input is closed.
    sender: Option<mpsc::Sender<Vec<u8>>>,
    /// Until somebody writes them.
    messages: Option<mpsc::Receiver<Vec<u8>>>,
    looks: Option<mpsc::Sender<(RequestId, Look)>>,
    /// Commands that are run for the agent. None: it gets none, or it is over.
    desk: Option<Desk>,
    late: VecDeque<Said>,
    /// The last line of its standard error.
    last_error: String,
}

/// Messages for the agent that wait: answers to what it asks, of which it asks few at a time.
const MESSAGES: usize = 256;
/// Bytes of them. An agent that asks for more without reading it doesn't speak the protocol.
const WAITING: usize = 64 * 1024 * 1024;
/// Looks at files that wait; more are refused.
const LOOKS: usize = 32;
/// Characters of a line on standard error.
const ERROR: usize = 300;
/// Messages that were said meanwhile: of each of the few questions its answer and what follows from that, and an end.
const LATE: usize = 64;

impl Conversation {
    /// Makes one; what it says first waits for [`Conversation::connect`]. To be called within a tokio runtime.
    ///
    /// Without `files` the agent is told that it gets none from us. It has questions only where the brief's approval is to ask.
    #[must_use]
    pub fn new(brief: Brief, files: Option<Arc<dyn Files>>) -> Self {
        Self::with_terminals(brief, files, None)
    }

    /// The same, of an agent that may have commands run for it, if there is what runs them.
    #[must_use]
    pub fn with_terminals(brief: Brief, files: Option<Arc<dyn Files>>, terminals: Option<Arc<dyn Terminals>>) -> Self {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let (looks, looked) = mpsc::channel(LOOKS);
        let mut todo = Vec::new();
        let writes = files.as_ref().is_some_and(|files| files.writes());
        let offers = Offers { reads: files.is_some(), writes, terminals: terminals.is_some() };
        let inner = Inner {
            machine: Machine::new(brief, offers, &mut todo),
            sender: Some(sender),
            messages: Some(messages),
            looks: files.is_some().then_some(looks),
            desk: terminals.map(Desk::new),
            late: VecDeque::new(),
            last_error: String::new(),
        };
        let shared = Shared { inner: Mutex::new(inner), news: Notify::new(), waiting: Arc::default() };
        let conversation = Self { shared: Arc::new(shared) };
        if let Some(files) = files {
            tokio::spawn(look(files, looked, Arc::downgrade(&conversation.shared)));
        }
        conversation.perform(&mut conversation.lock(), todo, None);
        conversation
    }

    /// The agent runs, and `writer` writes to its standard input. It is dropped when that is to end, or nobody holds the
    /// conversation any more. The second one is dropped at once.
    pub fn connect(&self, writer: impl AsyncWrite + Send + Unpin + 'static) {
        if let Some(messages) = self.lock().messages.take() {
            tokio::spawn(write(writer, messages, Arc::clone(&self.shared.waiting)));
        }
    }

    /// Messages without a line of their own: a question was answered, or nobody has. To be dropped and called again at will.
    pub async fn late(&self) -> Vec<Said> {
        loop {
            let news = self.shared.news.notified();
            let late: Vec<_> = self.lock().late.drain(..).collect();
            if !late.is_empty() {
                return late;
            }
            news.await;
        }
    }

    /// The questions that are open, the oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<OpenQuestion> {
        self.lock().machine.questions()
    }

    /// Answers a question, and returns it: the one that is named, or the only one that the task has ever asked.
    pub fn answer(&self, named: Option<QuestionId>, allow: bool) -> Result<OpenQuestion, NotOpen> {
        let mut inner = self.lock();
        let mut todo = Vec::new();
        let answered = inner.machine.answer(named, allow, &mut todo);
        self.perform(&mut inner, todo, None);
        answered
    }

    /// Asks the agent to stop. When it has, its standard input is closed; that it ever does is not to be relied on.
    pub fn cancel(&self) {
        let mut inner = self.lock();
        let mut todo = Vec::new();
        inner.machine.cancel(&mut todo);
        self.perform(&mut inner, todo, None);
    }

    /// True if the agent's input is closed: nothing more is asked of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().sender.is_none()
    }

    fn perform(&self, inner: &mut Inner, todo: Vec<Action>, mut said: Option<&mut Vec<Said>>) {
        let mut todo = VecDeque::from(todo);
        while let Some(action) = todo.pop_front() {
            let mut more = Vec::new();
            match action {
                Action::Say(say) => match &mut said {
                    Some(said) => said.push(say),
                    None => {
                        if inner.late.len() < LATE {
                            inner.late.push_back(say);
                        }
                        self.shared.news.notify_one();
                    }
                },
                Action::Send(line) => {
                    if !self.send(inner, line) {
                        let message = "it doesn't read the answers to what it asks";
                        inner.machine.fail(Trouble::new(TroubleKind::Protocol, message), &mut more);
                    }
                }
                Action::Look(id, look) => {
                    let refused = match &inner.looks {
                        Some(looks) => looks.try_send((id, look)).err().map(mpsc::error::TrySendError::into_inner),
                        None => Some((id, look)),
                    };
                    if let Some((id, _)) = refused {
                        let error = Error::internal_error().data(json!("too many files at once"));
                        let error = if inner.looks.is_some() { error } else { Error::method_not_found() };
                        Machine::looked(&id, Err(error), &mut more);
                    }
                }
                Action::Await(question, patience) => {
                    tokio::spawn(give_up(Arc::downgrade(&self.shared), patience, question));
                }
                Action::Terminal(id, want) => {
                    let served = match &mut inner.desk {
                        Some(desk) => desk.serve(want),
                        None => Served::Now(Err(Error::method_not_found())),
                    };
                    let shared = Arc::downgrade(&self.shared);
                    match served {
                        Served::Now(result) => Machine::looked(&id, result, &mut more),
                        Served::Start(starting) => drop(tokio::spawn(begin(starting, id, shared))),
                        Served::Later(later) => drop(tokio::spawn(reply(later, id, shared))),
                    }
                }
                Action::Close => (inner.sender, inner.looks, inner.desk) = (None, None, None),
            }
            more.into_iter().rev().for_each(|action| todo.push_front(action));
        }
    }

    /// False when the agent has left too much unread.
    fn send(&self, inner: &mut Inner, line: Vec<u8>) -> bool {
        // Where nobody writes any more it doesn't read, and will be gone soon.
        let Some(sender) = inner.sender.as_ref().filter(|sender| !sender.is_closed()) else { return true };
        let (waiting, length) = (&self.shared.waiting, line.len());
        // Whatever its size, one message is always taken.
        let before = waiting.fetch_add(length, Ordering::Relaxed);
        if before > 0 && before + length > WAITING {
            return false;
        }
        match sender.try_send(line) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").finish_non_exhaustive()
    }
}

impl Reader for Conversation {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let mut inner = self.lock();
        said.extend(inner.late.drain(..));
        let mut todo = Vec::new();
        inner.machine.line(line, &mut todo);
        self.perform(&mut inner, todo, Some(said));
    }

    fn error_line(&mut self, line: &[u8], _said: &mut Vec<Said>) {
        let line = String::from_utf8_lossy(line);
        if !line.trim().is_empty() {
            self.lock().last_error = line.trim().chars().take(ERROR).collect();
        }
    }

    fn finish(&mut self, _exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        let mut inner = self.lock();
        said.extend(inner.late.drain(..));
        let mut todo = Vec::new();
        let last_error = std::mem::take(&mut inner.last_error);
        inner.machine.gone(&last_error, &mut todo);
        self.perform(&mut inner, todo, Some(said));
    }
}

/// Writes until there is nothing more to be said; then the agent's input ends.
async fn write(
    mut writer: impl AsyncWrite + Send + Unpin + 'static,
    mut messages: mpsc::Receiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(line) = messages.recv().await {
        let written = async {
            writer.write_all(&line).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            tracing::trace!(%error, "an agent doesn't read any more");
            return;
        }
        waiting.fetch_sub(line.len(), Ordering::Relaxed);
    }
    let _ = writer.shutdown().await;
}

/// One look after the other: two writes of one file happen in the order in which they were asked for.
async fn look(files: Arc<dyn Files>, mut looks: mpsc::Receiver<(RequestId, Look)>, shared: Weak<Shared>) {
    while let Some((id, look)) = looks.recv().await {
        let files = Arc::clone(&files);
        let looked = tokio::task::spawn_blocking(move || serve(&*files, &look)).await;
        // An error means that the runtime shuts down.
        let result = looked.unwrap_or_else(|error| Err(Error::internal_error().data(json!(error.to_string()))));
        let Some(shared) = shared.upgrade() else { return };
        let conversation = Conversation { shared };
        let mut todo = Vec::new();
        Machine::looked(&id, result, &mut todo);
        conversation.perform(&mut conversation.lock(), todo, None);
    }
}

/// Dropped where nobody is left to have it, a command is ended.
async fn begin(starting: Later<Result<Open, String>>, id: RequestId, shared: Weak<Shared>) {
    let started = starting.await;
    let Some(shared) = shared.upgrade() else { return };
    let conversation = Conversation { shared };
    let mut inner = conversation.lock();
    let result = match (started, &mut inner.desk) {
        (Ok(open), Some(desk)) => desk.started(open),
        (Ok(_), None) => return,
        (Err(why), _) => Err(Error::invalid_params().data(json!(why))),
    };
    let mut todo = Vec::new();
    Machine::looked(&id, result, &mut todo);
    conversation.perform(&mut inner, todo, None);
}

async fn reply(later: Later<Result<Value, Error>>, id: RequestId, shared: Weak<Shared>) {
    let result = later.await;
    let Some(shared) = shared.upgrade() else { return };
    let conversation = Conversation { shared };
    let mut todo = Vec::new();
    Machine::looked(&id, result, &mut todo);
    conversation.perform(&mut conversation.lock(), todo, None);
}

fn serve(files: &dyn Files, look: &Look) -> Result<Value, Error> {
    let result = match look {
        Look::Read { read, missing_is_empty } => {
            let text = files.read(&read.path, read.line, read.limit);
            let text = match text {
                Err(FileError::NotFound(_)) if *missing_is_empty => Ok(String::new()),
                text => text,
            };
            text.map(|text| serde_json::to_value(ReadTextFileResponse::new(text)))
        }
        Look::Write(write) => {
            let written = files.write(Path::new(&write.path), &write.content);
            written.map(|()| serde_json::to_value(WriteTextFileResponse::new()))
        }
    };
    let result = result.map_err(|error| match error {
        FileError::NotFound(path) => Error::resource_not_found(Some(path.display().to_string())),
        FileError::Refused(why) => Error::invalid_params().data(json!(why)),
        FileError::Failed(why) => Error::internal_error().data(json!(why)),
    })?;
    result.map_err(Error::into_internal_error)
}

/// Silence is a no.
async fn give_up(shared: Weak<Shared>, patience: Duration, question: QuestionId) {
    tokio::time::sleep(patience).await;
    if let Some(shared) = shared.upgrade() {
        // It was answered before, or is withdrawn.
        let _ = Conversation { shared }.answer(Some(question), false);
    }
}
