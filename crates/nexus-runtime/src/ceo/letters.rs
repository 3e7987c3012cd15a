//! Work asked for by publishing: the inbox, and subjects that departments have triggers on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{Letter, Letters};
use nexus_core::api::Accepted;
use nexus_core::company::Company;
use nexus_core::department::Trigger;
use nexus_core::id::DepartmentName;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use nexus_core::trigger;
use ractor::ActorRef;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::{CeoMsg, submit};
use crate::node::Node;
use fill::fill;

mod fill;

/// Whoever brings letters to the CEO.
#[derive(Debug)]
pub(super) struct Post {
    node: Arc<Node>,
    ceo: ActorRef<CeoMsg>,
    inbox: Option<AbortOnDropHandle<()>>,
    triggers: BTreeMap<(DepartmentName, usize), (Listened, AbortOnDropHandle<()>)>,
}

/// A trigger, and whether its description is run as a command.
type Listened = (Trigger, bool);

/// Wait before a letter that can't be taken now is brought again, and before a lost inbox is opened again.
const AGAIN: Duration = Duration::from_secs(2);

impl Post {
    pub(super) fn open(node: Arc<Node>, ceo: ActorRef<CeoMsg>) -> Self {
        let inbox = tokio::spawn(inbox(Arc::clone(&node), ceo.clone()));
        Self { node, ceo, inbox: Some(AbortOnDropHandle::new(inbox)), triggers: BTreeMap::new() }
    }

    /// Listens where the company's departments have triggers, and nowhere else. Each of the returned resolves when a new
    /// trigger listens: what is published before that is not heard.
    pub(super) fn follow(&mut self, company: &Company) -> Vec<oneshot::Receiver<()>> {
        let mut new = Vec::new();
        let mut wanted = BTreeMap::new();
        for (name, department) in &company.departments {
            for (n, trigger) in department.on.iter().enumerate() {
                let is_command = trigger::is_command(trigger, department, &company.agents);
                wanted.insert((name.clone(), n), (trigger.clone(), is_command));
            }
        }
        self.triggers.retain(|key, (trigger, _)| wanted.get(key) == Some(trigger));
        for (key, trigger) in wanted {
            let (node, ceo) = (&self.node, &self.ceo);
            self.triggers.entry(key.clone()).or_insert_with(|| {
                let (listens, ready) = oneshot::channel();
                new.push(ready);
                let listening = listen(Arc::clone(node), ceo.clone(), key.0, trigger.clone(), listens);
                (trigger, AbortOnDropHandle::new(tokio::spawn(listening)))
            });
        }
        new
    }

    pub(super) fn close(&mut self) {
        self.inbox = None;
        self.triggers.clear();
    }
}

async fn inbox(node: Arc<Node>, ceo: ActorRef<CeoMsg>) {
    loop {
        match node.bus.inbox().await {
            Ok(letters) => {
                let read = |letter: &Letter| {
                    let department = letter.subject.strip_prefix("nexus.inbox.").unwrap_or_default();
                    submission(letter, department)
                };
                bring(&node, &ceo, letters, "inbox", read).await;
            }
            Err(error) => tracing::warn!("the inbox could not be opened yet: {error}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(
    node: Arc<Node>,
    ceo: ActorRef<CeoMsg>,
    department: DepartmentName,
    (trigger, is_command): Listened,
    listens: oneshot::Sender<()>,
) {
    let mut listens = Some(listens);
    loop {
        match node.bus.listen(&trigger.subject).await {
            Ok(letters) => {
                // Nobody may be waiting for it.
                let _ = listens.take().map(|listens| listens.send(()));
                let read = |letter: &Letter| triggered(letter, &department, &trigger, is_command);
                bring(&node, &ceo, letters, department.as_str(), read).await;
            }
            Err(error) => tracing::warn!(%department, "can't listen on {} yet: {error}", trigger.subject),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Brings letters one after the other; what is no work goes to the dead letters, with the reason.
async fn bring(
    node: &Node,
    ceo: &ActorRef<CeoMsg>,
    mut letters: Letters,
    what: &str,
    read: impl Fn(&Letter) -> Result<Submission, Refusal>,
) {
    while let Some(letter) = letters.next().await {
        if !node.reigns.now() {
            // Another node's CEO hears the same, or gets what is kept.
            letter.put_back(Duration::ZERO).await;
            continue;
        }
        let submission = read(&letter);
        let result = match &submission {
            Ok(submission) => ask(ceo, submission.clone(), letter.traceparent.clone()).await,
            Err(refusal) => Err(refusal.clone()),
        };
        match result {
            Ok(accepted) => {
                tracing::info!(task = %accepted.task_id, "{} became a task of {}", letter.subject, accepted.department);
                letter.taken().await;
            }
            // Not the letter's fault: it waits, where something keeps it.
            Err(refusal) if is_passing(refusal.kind) => {
                tracing::debug!("{} waits: {refusal}", letter.subject);
                match submission {
                    Ok(submission) if !letter.is_kept() => keep(node, what, &letter, &submission).await,
                    _ => letter.put_back(AGAIN).await,
                }
            }
            Err(refusal) => {
                tracing::warn!("{} is no work and goes to the dead letters: {refusal}", letter.subject);
                let now = Timestamp::now();
                match node.bus.bury(&token(what, &letter), &letter.subject, &letter.payload, refusal, now).await {
                    Ok(()) => letter.taken().await,
                    Err(error) => {
                        tracing::error!("a dead letter could not be kept: {error}");
                        letter.put_back(AGAIN).await;
                    }
                }
            }
        }
    }
}

/// A message of another subject can't be put back: what it asks for goes into its department's inbox.
async fn keep(node: &Node, department: &str, letter: &Letter, submission: &Submission) {
    if let Err(error) = node.bus.post(department, submission, submission.idempotency_key.as_deref()).await {
        tracing::error!("{} could not be kept and is lost: {error}", letter.subject);
    }
}

/// The department that a letter was for, as a subject's token.
fn token(what: &str, letter: &Letter) -> String {
    letter.subject.strip_prefix("nexus.inbox.").unwrap_or(what).to_owned()
}

async fn ask(ceo: &ActorRef<CeoMsg>, submission: Submission, traceparent: Option<String>) -> Result<Accepted, Refusal> {
    let stopped = || Refusal::new(RefusalKind::Stopped, "the CEO is being restarted");
    let (reply, answer) = oneshot::channel();
    let order = submit::Order { submission, traceparent };
    ceo.cast(CeoMsg::Submit(Box::new(order), reply)).map_err(|_| stopped())?;
    answer.await.map_err(|_| stopped())?
}

const fn is_passing(kind: RefusalKind) -> bool {
    use RefusalKind::{Busy, Stopped, StorageFull, TimedOut, Unreachable};
    matches!(kind, Busy | StorageFull | Stopped | Unreachable | TimedOut)
}

/// A letter's payload as a submission: the JSON itself, or the `data` of a CloudEvent in structured mode.
fn submission(letter: &Letter, department: &str) -> Result<Submission, Refusal> {
    let help = "the payload is a JSON object with at least \"description\"; docs/schema/submission.json has all of it";
    let refused = |error: serde_json::Error| {
        Refusal::invalid(format!("what {} holds is not a submission: {error}", letter.subject)).with_help(help)
    };
    let mut value: Value = serde_json::from_slice(&letter.payload).map_err(refused)?;
    let mut id = letter.id.clone();
    if value.get("specversion").is_some() && value.get("data").is_some() {
        id = id.or_else(|| value.get("id").and_then(Value::as_str).map(str::to_owned));
        value = value.get_mut("data").map(Value::take).unwrap_or_default();
    }
    let mut submission: Submission = serde_json::from_value(value).map_err(refused)?;
    submission.department = Some(department.to_owned());
    // The same message twice is the same task, also long after the stream has forgotten its id.
    let id = id.or_else(|| letter.place.clone());
    submission.idempotency_key = submission.idempotency_key.or_else(|| id.map(|id| format!("{}#{id}", letter.subject)));
    Ok(submission)
}

fn triggered(
    letter: &Letter,
    department: &DepartmentName,
    trigger: &Trigger,
    is_command: bool,
) -> Result<Submission, Refusal> {
    let data: Value = if letter.payload.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&letter.payload)
            .map_err(|error| Refusal::invalid(format!("what {} holds is not JSON: {error}", letter.subject)))?
    };
    let description = fill(&trigger.description, data, &letter.subject, is_command).map_err(|error| {
        Refusal::invalid(format!("the description of the trigger on {} in {department}: {error:#}", trigger.subject))
    })?;
    let mut submission = Submission::new(description);
    submission.department = Some(department.to_string());
    submission.task_type.clone_from(&trigger.task_type);
    submission.project_path.clone_from(&trigger.project_path);
    submission.preferred_agent = trigger.agent.as_ref().map(ToString::to_string);
    submission.priority = trigger.priority;
    // One of its own where it brings none: it may be asked for twice, when it isn't known whether the first time worked.
    let id = letter.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    submission.idempotency_key = Some(format!("{}#{id}", letter.subject));
    Ok(submission)
}
