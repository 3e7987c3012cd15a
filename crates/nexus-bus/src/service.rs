//! `nexus.ceo.*` as a NATS service: questions come in typed, answers go out as JSON with the service's error headers.

use async_nats::HeaderMap;
use async_nats::service::{Request, ServiceExt, endpoint::Endpoint};
use futures_util::StreamExt;
use nexus_core::api::{
    AgentRef, AnswerRequest, CancelRequest, ListRequest, MessageRequest, MoveRequest, Reply, ResumeRequest, TaskRef,
};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::bus::Bus;
use crate::envelope::is_traceparent;
use crate::error::BusError;
use crate::subject;

/// A question to the CEO.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    Submit(Box<Submission>),
    Status(TaskRef),
    List(ListRequest),
    Cancel(CancelRequest),
    Retry(TaskRef),
    Move(MoveRequest),
    /// Look at the uncommitted changes of a task's project.
    Uncommitted(TaskRef),
    Workers,
    Departments,
    /// Give a stopped department a new chance.
    Resume(ResumeRequest),
    /// Answer what a task's agent asks for.
    Answer(AnswerRequest),
    /// Leave a department a message.
    Message(MessageRequest),
    Agents,
    /// Open an agent's account.
    AgentsClear(AgentRef),
    /// The company as a whole.
    Overview,
    /// Make the read model anew from the ledger.
    Rebuild,
    Ping,
}

/// A question and the way to answer it.
#[derive(Debug)]
pub struct Ask {
    pub question: Question,
    /// The asker's W3C trace context.
    pub traceparent: Option<String>,
    pub answer: Responder,
}

/// The way to answer one question. Dropped without an answer, the asker runs into a time-out.
#[derive(Debug)]
pub struct Responder {
    request: Request,
    endpoint: &'static str,
}

/// The endpoints; they vanish when this is dropped.
#[derive(Debug)]
pub struct CeoService {
    service: Option<async_nats::service::Service>,
    _readers: Vec<AbortOnDropHandle<()>>,
}

/// Questions that may wait for the CEO; beyond it NATS holds them back and then drops them, and the asker times out.
const WAITING: usize = 1024;

const ENDPOINTS: [&str; 17] = [
    "submit",
    "status",
    "list",
    "cancel",
    "retry",
    "move",
    "uncommitted",
    "workers",
    "departments",
    "resume",
    "message",
    "answer",
    "agents",
    "agents_clear",
    "overview",
    "rebuild",
    "ping",
];

impl Bus {
    /// Answers for the CEO on `nexus.ceo.*`.
    pub async fn serve_ceo(&self, version: &str) -> Result<(CeoService, mpsc::Receiver<Ask>), BusError> {
        let refused = |error: async_nats::Error| BusError::Refused(format!("the service nexus.ceo: {error}"));
        let service = self
            .nats
            .service_builder()
            // Of its own: whoever answers is decided by the CEO's lease, never by the broker's choice among those who listen,
            // one of whom may be a process that stands still.
            .queue_group(uuid::Uuid::now_v7().simple().to_string())
            .description(
                "The CEO of a company of agents: submit, status, list, cancel, retry, move, uncommitted, workers, departments, \
                 resume, message, answer, agents, agents_clear, overview.",
            )
            .start("nexus-ceo", version)
            .await
            .map_err(refused)?;
        let group = service.group(subject::CEO);
        let (sender, asks) = mpsc::channel(WAITING);
        let mut readers = Vec::new();
        for name in ENDPOINTS {
            let endpoint = group.endpoint(name).await.map_err(refused)?;
            readers.push(AbortOnDropHandle::new(tokio::spawn(read(name, endpoint, sender.clone()))));
        }
        // The broker has the endpoints before anybody is told that there is a CEO.
        self.flush().await;
        Ok((CeoService { service: Some(service), _readers: readers }, asks))
    }
}

impl CeoService {
    /// Stops answering; questions under way can still be answered.
    pub async fn stop(mut self) {
        if let Some(service) = self.service.take()
            && let Err(error) = service.stop().await
        {
            tracing::debug!("the service nexus.ceo did not stop: {error}");
        }
    }
}

async fn read(name: &'static str, mut endpoint: Endpoint, sender: mpsc::Sender<Ask>) {
    while let Some(request) = endpoint.next().await {
        let header = request.message.headers.as_ref().and_then(|headers| headers.get("traceparent"));
        let traceparent = header.map(|value| value.as_str().to_owned()).filter(|text| is_traceparent(text));
        let payload = request.message.payload.clone();
        let answer = Responder { request, endpoint: name };
        match parse(name, &payload) {
            Ok(question) => {
                if sender.send(Ask { question, traceparent, answer }).await.is_err() {
                    return;
                }
            }
            Err(refusal) => answer.reply::<()>(Err(refusal)).await,
        }
    }
}

fn parse(name: &str, payload: &[u8]) -> Result<Question, Refusal> {
    fn json<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
        let payload = if payload.is_empty() { b"{}" } else { payload };
        serde_json::from_slice(payload).map_err(|error| {
            Refusal::invalid(format!("the request is not what this endpoint takes: {error}"))
                .with_help("docs/schema/ has the JSON schema of every request")
        })
    }
    Ok(match name {
        "submit" => Question::Submit(Box::new(json(payload)?)),
        "status" => Question::Status(json(payload)?),
        "list" => Question::List(json(payload)?),
        "cancel" => Question::Cancel(json(payload)?),
        "retry" => Question::Retry(json(payload)?),
        "move" => Question::Move(json(payload)?),
        "uncommitted" => Question::Uncommitted(json(payload)?),
        "workers" => Question::Workers,
        "departments" => Question::Departments,
        "resume" => Question::Resume(json(payload)?),
        "answer" => Question::Answer(json(payload)?),
        "message" => Question::Message(json(payload)?),
        "agents" => Question::Agents,
        "agents_clear" => Question::AgentsClear(json(payload)?),
        "overview" => Question::Overview,
        "rebuild" => Question::Rebuild,
        "ping" => Question::Ping,
        other => return Err(Refusal::new(RefusalKind::Internal, format!("no endpoint {other}"))),
    })
}

impl Responder {
    /// Sends the answer; a refusal also sets NATS's service error headers.
    pub async fn reply<T: Serialize>(self, result: Result<T, Refusal>) {
        let headers = result.as_ref().err().map(headers_of).unwrap_or_default();
        let payload = serde_json::to_vec(&Reply::from(result)).unwrap_or_default();
        let bytes = payload.len();
        let Err(error) = self.request.respond_with_headers(Ok(payload.into()), headers).await else { return };
        tracing::debug!("an answer could not be sent: {error}");
        // Silence would be taken for a company that is gone.
        let refusal =
            Refusal::new(RefusalKind::Limit, format!("the answer has {bytes} bytes, more than NATS takes: {error}"));
        let refusal = refusal.with_help(match self.endpoint {
            "list" => "ask for fewer at a time (--limit), or raise max_payload of the server",
            _ => "raise max_payload of the server",
        });
        let headers = headers_of(&refusal);
        let payload = serde_json::to_vec(&Reply::<()>::from(Err(refusal))).unwrap_or_default();
        if let Err(error) = self.request.respond_with_headers(Ok(payload.into()), headers).await {
            tracing::debug!("nor could that be said: {error}");
        }
    }
}

/// NATS's headers of a service's error.
fn headers_of(refusal: &Refusal) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Service-Error", refusal.message.replace(['\r', '\n'], " ").as_str());
    headers.insert("Nats-Service-Error-Code", code(refusal.kind));
    headers
}

/// HTTP's codes, as NATS services use them by convention.
const fn code(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::InvalidInput
        | RefusalKind::UnknownDepartment
        | RefusalKind::UnknownAgent
        | RefusalKind::AgentNotInDepartment
        | RefusalKind::Ambiguous => "400",
        RefusalKind::NotFound => "404",
        RefusalKind::Forbidden => "403",
        RefusalKind::Conflict | RefusalKind::Limit | RefusalKind::NoAgent => "409",
        RefusalKind::Busy => "429",
        RefusalKind::StorageFull => "507",
        RefusalKind::TimedOut => "504",
        RefusalKind::Stopped | RefusalKind::Unreachable => "503",
        RefusalKind::NewerVersion => "501",
        RefusalKind::Internal => "500",
    }
}
