//! The one door in: what the CLI, MCP and the page ask of a company.

use std::time::Duration;

use async_nats::{HeaderMap, Message as NatsMessage, Request, RequestError, StatusCode};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nexus_core::api::{
    Accepted, AgentInfo, AgentRef, Agents, AnswerRequest, Answered, CancelRequest, Cancelled, DepartmentInfo,
    Departments, ListRequest, MessageRequest, MoveRequest, ProjectChanges, Reply, ResumeRequest, TaskPage, TaskRef,
    TaskStatus, WorkerStats,
};
use nexus_core::event::Event;
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::message::Message;
use nexus_core::overview::Overview;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::dead::Dead;
use crate::envelope::new_traceparent;
use crate::subject;

mod follow;
mod pages;

pub use pages::LogPage;

/// A connection to a company, by way of its NATS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    bus: Bus,
    places: pages::Places,
    /// The longest time without a connection until a company counts as gone; none: it is waited for as for any answer.
    gone_after: Option<Duration>,
}

/// The longest wait for most answers. The CEO answers from memory or SQL, so this is about a machine under load.
const PATIENCE: Duration = Duration::from_secs(15);
/// Wait before a question is asked again. Some five of them may be open at once.
const AGAIN: Duration = Duration::from_secs(3);
/// A cancel is answered when the processes are gone: after both graces of its department at the latest.
const CANCEL_PATIENCE: Duration = Duration::from_secs(180);
/// A question that was heard, and what became of it isn't known.
const UNANSWERED: &str = "the company did not answer in time";
/// The same, of one whose connection was lost meanwhile.
const LOST: &str = "the company has gone before it answered: the connection to its NATS is lost";
/// Making the history anew reads the whole ledger.
const REBUILD_PATIENCE: Duration = Duration::from_secs(3600);

impl Client {
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self { bus, places: pages::Places::default(), gone_after: None }
    }

    /// Takes a company for gone whose connection is lost for longer than this, and doesn't wait for it as for one that is slow.
    /// For a client outside of the company, whose connection ends with it.
    #[must_use]
    pub fn gone_after(self, limit: Duration) -> Self {
        Self { gone_after: Some(limit), ..self }
    }

    pub(crate) const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Puts work on the ledger. The answer means that it is there; it never waits for the work.
    pub async fn submit(&self, submission: &Submission) -> Result<Accepted, Refusal> {
        // Refused here rather than by NATS, which only knows "too large".
        nexus_core::route::check(submission)?;
        let (answer, look) = match submission.keyed_id() {
            Some(id) => {
                let look = format!("nexus status {id}");
                (self.ask_again("submit", submission).await, look)
            }
            None => (self.ask("submit", submission, PATIENCE).await, "nexus list".to_owned()),
        };
        answer.map_err(|refusal| match [UNANSWERED, LOST].contains(&refusal.message.as_str()) {
            true => {
                refusal.with_help(format!("it may have taken the task all the same: `{look}` tells, once it answers"))
            }
            false => refusal,
        })
    }

    /// The status of a task, named by its id or an unambiguous prefix.
    pub async fn status(&self, task: &str) -> Result<TaskStatus, Refusal> {
        self.ask_again("status", &TaskRef { task_id: task.to_owned() }).await
    }

    /// Tasks, newest first.
    pub async fn list(&self, request: &ListRequest) -> Result<TaskPage, Refusal> {
        self.ask_again("list", request).await
    }

    /// Cancels a task; answers when no process of it is alive.
    pub async fn cancel(&self, request: &CancelRequest) -> Result<Cancelled, Refusal> {
        self.ask("cancel", request, CANCEL_PATIENCE).await
    }

    /// Puts a failed or cancelled task back on the queue.
    pub async fn retry(&self, task: &str) -> Result<Accepted, Refusal> {
        self.ask("retry", &TaskRef { task_id: task.to_owned() }, PATIENCE).await
    }

    /// Puts a task that waits on the queue of another department.
    pub async fn move_task(&self, request: &MoveRequest) -> Result<Accepted, Refusal> {
        self.ask("move", request, PATIENCE).await
    }

    /// The newest dead letters, at most `limit`, the oldest of them first.
    pub async fn dead(&self, limit: usize) -> Result<Vec<Dead>, Refusal> {
        Ok(self.bus.dead(limit).await?)
    }

    /// Looks at the uncommitted changes of a task's project, which its agent doesn't see or starts from. It takes two seconds
    /// at most in a big repository, and milliseconds in others; nothing is known of them where there is no answer by `limit`.
    pub async fn uncommitted(&self, task: TaskId, limit: Duration) -> Option<ProjectChanges> {
        let question = TaskRef { task_id: task.to_string() };
        self.ask("uncommitted", &question, limit).await.ok()
    }

    pub async fn workers(&self) -> Result<WorkerStats, Refusal> {
        self.ask_again("workers", &serde_json::json!({})).await
    }

    pub async fn departments(&self) -> Result<Departments, Refusal> {
        self.ask_again("departments", &serde_json::json!({})).await
    }

    /// Gives a stopped department a new chance, on the node whose CEO answers; its tasks that wait are done then.
    pub async fn resume(&self, department: &str) -> Result<DepartmentInfo, Refusal> {
        self.ask("resume", &ResumeRequest { department: department.to_owned() }, PATIENCE).await
    }

    /// Answers the permission that a task's agent has asked for, and waits for; answers with what that was.
    pub async fn answer(&self, request: &AnswerRequest) -> Result<Answered, Refusal> {
        self.ask("answer", request, PATIENCE).await
    }

    /// Leaves a department a message, for whoever works there next; answers with the message as it is kept.
    pub async fn send_message(&self, request: &MessageRequest) -> Result<Message, Refusal> {
        nexus_core::message::check(&request.text)?;
        self.ask("message", request, PATIENCE).await
    }

    /// The newest messages of a department, at most `limit`, the oldest of them first.
    pub async fn messages(&self, department: &str, limit: u32) -> Result<Vec<Message>, Refusal> {
        let departments = self.departments().await?.departments;
        let Some(known) = departments.iter().find(|info| info.name.as_str() == department) else {
            let names: Vec<_> = departments.iter().map(|info| info.name.as_str()).collect();
            return Err(nexus_core::route::no_such_department(department, &names));
        };
        Ok(self.bus.messages(&known.name, limit).await?)
    }

    /// The same, of a department that need not be one of the company's any more.
    pub async fn messages_left(&self, department: &DepartmentName, limit: u32) -> Result<Vec<Message>, Refusal> {
        Ok(self.bus.messages(department, limit).await?)
    }

    /// The agents: whether each can work, and what it has spent today.
    pub async fn agents(&self) -> Result<Agents, Refusal> {
        self.ask_again("agents", &serde_json::json!({})).await
    }

    /// Opens the account of an agent that a rate limit has closed, or a login that was not accepted.
    pub async fn agents_clear(&self, agent: &str) -> Result<AgentInfo, Refusal> {
        self.ask("agents_clear", &AgentRef { agent: agent.to_owned() }, PATIENCE).await
    }

    /// The company as a whole: where it runs, and the work of its departments.
    pub async fn overview(&self) -> Result<Overview, Refusal> {
        self.ask_again("overview", &serde_json::json!({})).await
    }

    /// Makes the read model anew from the ledger; answers with the number of tasks in it.
    pub async fn rebuild(&self) -> Result<u64, Refusal> {
        self.ask("rebuild", &serde_json::json!({}), REBUILD_PATIENCE).await
    }

    /// Follows the events of one task or (`None`) of all, from now on. The channel is bounded: a follower that falls
    /// behind by more than it holds misses events, as with any live subscription; the ledger has them all.
    pub async fn follow_events(&self, task: Option<TaskId>) -> Result<mpsc::Receiver<Event>, Refusal> {
        follow::events(&self.bus, task).await
    }

    /// The newest events, at most `limit`, of one task or (`None`) of all, the oldest of them first.
    pub async fn past_events(&self, task: Option<TaskId>, limit: usize) -> Result<Vec<Event>, Refusal> {
        follow::past(&self.bus, task, limit).await
    }

    /// Waits until a task has ended, or the time is up, and returns what is known of it then.
    pub async fn wait(&self, task: &str, limit: Option<Duration>) -> Result<TaskStatus, Refusal> {
        follow::wait(self, task, limit).await
    }

    /// True when a CEO answers within a second.
    pub async fn is_ready(&self) -> bool {
        self.ask::<_, ()>("ping", &serde_json::json!({}), Duration::from_secs(1)).await.is_ok()
    }

    /// True while there is a connection to the broker.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }

    /// From now on a lost connection is as it should be, and nothing is said of it.
    pub fn closing(&self) {
        self.bus.closing();
    }

    /// Version of the broker.
    #[must_use]
    pub fn broker_version(&self) -> String {
        self.bus.server_version()
    }

    /// Asks what changes nothing however often it is asked. The CEO that heard it may have stopped since, and another one
    /// taken over: it is asked again while the first question is still open, and whoever answers first is believed.
    async fn ask_again<Q: Serialize, A: DeserializeOwned>(&self, what: &str, question: &Q) -> Result<A, Refusal> {
        let mut asked = FuturesUnordered::new();
        let began = tokio::time::Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            if left > AGAIN || asked.is_empty() {
                asked.push(self.ask(what, question, left));
            }
            let mut last = None;
            let answered = async {
                while let Some(answer) = asked.next().await {
                    match answer {
                        // One that wasn't heard says nothing of the others.
                        Err(refusal) if refusal.kind == RefusalKind::Unreachable => last = Some(refusal),
                        answer => return Some(answer),
                    }
                }
                None
            };
            match tokio::time::timeout(AGAIN, answered).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => return Err(last.unwrap_or_else(nobody)),
                Err(_) => {}
            }
        }
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        what: &str,
        question: &Q,
        patience: Duration,
    ) -> Result<A, Refusal> {
        let internal = |error: serde_json::Error| Refusal::new(RefusalKind::Internal, format!("{what}: {error}"));
        let payload = serde_json::to_vec(question).map_err(internal)?;
        let bytes = payload.len();
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", new_traceparent());
        let request = Request::new().headers(headers).payload(payload.into()).timeout(Some(patience));
        let answer = match self.gone_after {
            None => self.send(what, request).await,
            Some(limit) => {
                let lost =
                    |message| Refusal::new(RefusalKind::Unreachable, message).with_help("start it with `nexus up`");
                // What isn't sent is not done later, when there is a connection again.
                tokio::select! {
                    biased;
                    () = self.bus.connected() => {}
                    () = self.bus.away_for(limit) => {
                        return Err(lost("the company is gone: nothing listens where its NATS was"));
                    }
                }
                tokio::select! {
                    answer = self.send(what, request) => answer,
                    () = self.bus.away_for(limit) => return Err(lost(LOST)),
                }
            }
        };
        let answer = answer.map_err(|error| match error.kind() {
            async_nats::RequestErrorKind::NoResponders => nobody(),
            async_nats::RequestErrorKind::MaxPayloadExceeded => {
                crate::error::BusError::TooLong { bytes, limit: self.bus.payload_limit() }.into()
            }
            async_nats::RequestErrorKind::TimedOut => Refusal::new(RefusalKind::Unreachable, UNANSWERED)
                .with_help("it may be stopping or overloaded; `nexus doctor` looks at it"),
            _ => Refusal::new(RefusalKind::Unreachable, format!("the company could not be asked: {error}")),
        })?;
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(nobody());
        }
        serde_json::from_slice::<Reply<A>>(&answer.payload).map_err(internal)?.into()
    }

    async fn send(&self, what: &str, request: Request) -> Result<NatsMessage, RequestError> {
        self.bus.nats.send_request(format!("{}.{what}", subject::CEO), request).await
    }
}

fn nobody() -> Refusal {
    Refusal::new(RefusalKind::Unreachable, "no company answers on this NATS")
        .with_help("it may be starting or stopping: `nexus doctor` tells; or start one with `nexus up`, or name another with --data-dir or --nats")
}
