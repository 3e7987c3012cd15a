//! What a data directory knows of its company while that isn't up: questions are answered, and nothing is taken or started.

use std::path::PathBuf;
use std::sync::Arc;

use nexus_bus::{Ask, Bus, CeoService, Question};
use nexus_core::api::TaskStatus;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::view::Status;
use nexus_history::History;
use tokio_util::task::AbortOnDropHandle;

use crate::ceo::overview::{find_in, fitting, list_in};
use crate::historian::Historian;
use crate::ledger_memory::LedgerMemory;
use crate::purse::Purses;
use crate::runtime::StartError;

/// The place of a company that isn't up, and its history.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://...`.
    pub history_url: String,
    /// The time for which dead letters are kept.
    pub retention: std::time::Duration,
    pub version: String,
}

/// Answers questions about tasks on the company's own broker, until it is closed.
#[derive(Debug)]
pub struct Archive {
    historian: Arc<Historian>,
    service: CeoService,
    answering: AbortOnDropHandle<()>,
}

impl Archive {
    /// Opens it once the history holds all that the ledger does; `None`: no task was ever asked for here.
    ///
    /// # Errors
    /// When the ledger is gone or is another one than the data directory knows, or the history can't be used.
    pub async fn open(bus: Bus, options: ArchiveOptions) -> Result<Option<Self>, StartError> {
        let mut memory = LedgerMemory::read(&options.data_dir);
        let history = History::open(&options.history_url).await?;
        if let Some(ledger) = history.ledger().await? {
            memory.folded(&ledger, history.position().await?);
        }
        let found = bus.ledger().await?;
        memory.check(found.as_ref())?;
        let Some(found) = found else { return Ok(None) };
        let purses = Arc::new(Purses::default());
        let historian = Historian::start(bus.clone(), history, &found.identity, options.retention, purses).await?;
        historian.caught_up().await;
        let historian = Arc::new(historian);
        let (service, mut asks) = bus.serve_ceo(&options.version).await?;
        let known = Arc::clone(&historian);
        let answering = tokio::spawn(async move {
            while let Some(ask) = asks.recv().await {
                answer(&known, &bus, ask).await;
            }
        });
        Ok(Some(Self { historian, service, answering: AbortOnDropHandle::new(answering) }))
    }

    /// Closes it; its broker is no longer needed then.
    pub async fn close(self) {
        self.service.stop().await;
        drop(self.answering);
        self.historian.close().await;
    }
}

async fn answer(historian: &Historian, bus: &Bus, ask: Ask) {
    let Ask { question, answer, .. } = ask;
    match question {
        Question::Status(task) => answer.reply(status(historian, bus, &task.task_id).await).await,
        Question::List(request) => answer.reply(list_in(historian, &request).await).await,
        _ => {
            let refusal = Refusal::new(RefusalKind::Stopped, "no company is up here: somebody only looks at its tasks");
            answer.reply::<()>(Err(refusal.with_help("start it with `nexus up`"))).await;
        }
    }
}

async fn status(historian: &Historian, bus: &Bus, task: &str) -> Result<TaskStatus, Refusal> {
    let task = fitting(find_in(historian, bus, task).await?, bus.payload_limit());
    let waits = match task.status {
        Status::Queued => Some("no company is up; it goes on with the next `nexus up`"),
        Status::Running => Some("its company ended without a word; the next `nexus up` puts it back into the queue"),
        _ => None,
    };
    Ok(TaskStatus { task, live: None, waits: waits.map(str::to_owned) })
}
