//! Commands that only look: they ask the company that runs, or, where none does, what its data directory holds. For that
//! they run its broker for a moment; no task starts by that.

use std::path::{Path, PathBuf};

use nexus_broker::{Broker, DataDir, DataDirLock, LockError};
use nexus_bus::{Bus, Client};
use nexus_core::api::ListRequest;
use nexus_runtime::{Archive, ArchiveOptions};
use tokio::time::{Instant, sleep};

use crate::cli::PlaceArgs;
use crate::company::{broker, external, history_url, source};
use crate::exit::{Code, Exit};
use crate::place::{self, A_WHILE, LOOK_AGAIN, Missed};

/// Who answers what a command asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The company that runs.
    Company,
    /// What the data directory holds: no company is up, and none starts while it is looked at.
    Archive,
}

/// Does `work` with whoever can answer.
pub(crate) async fn look<T>(
    place: &PlaceArgs,
    work: impl AsyncFnOnce(&Client, Answers) -> Result<T, Exit>,
) -> Result<T, Exit> {
    let deadline = Instant::now() + A_WHILE;
    loop {
        let missed = match place::open(place).await {
            Ok(client) => return work(&client, Answers::Company).await,
            Err(missed) => missed,
        };
        let (dir, left) = match &missed {
            Missed::NoCompany(dir) => (dir.clone(), None),
            Missed::NoAnswer { dir, pid } => (dir.clone(), Some(*pid)),
            Missed::Else(_) => return Err(place::missed(missed)),
        };
        if !dir.join("broker").is_dir() {
            return Err(place::not_running(&dir));
        }
        match DataDir::lock(&dir) {
            Ok(lock) => return alone(place, dir, lock, work).await,
            // It runs, and doesn't answer.
            Err(LockError::Held { holder, .. }) if left.is_some() && (holder.is_none() || holder == left) => {
                return Err(place::missed(missed));
            }
            // A company that starts or stops, or another look.
            Err(LockError::Held { .. }) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
            Err(error @ LockError::Held { .. }) => return Err(Exit::locked(error.to_string())),
            Err(error) => return Err(Exit::failure(error.to_string())),
        }
    }
}

async fn alone<T>(
    place: &PlaceArgs,
    dir: PathBuf,
    lock: DataDirLock,
    work: impl AsyncFnOnce(&Client, Answers) -> Result<T, Exit>,
) -> Result<T, Exit> {
    let loaded = nexus_config::load(&source(place, None)).map_err(Exit::config)?;
    // What others keep is looked at by whoever works there.
    if external(&loaded.settings).is_some() {
        return Err(place::not_running(&dir));
    }
    let (broker, access) = broker(&loaded.settings, &lock).await?;
    let looked = async {
        let bus = Bus::connect(&access, "nexus look").await?;
        let options = ArchiveOptions {
            data_dir: dir.clone(),
            history_url: history_url(&loaded.settings, &dir),
            retention: loaded.company.retention.get(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let archive =
            Archive::open(bus.clone(), options).await.map_err(|error| unreadable(&dir, &error.to_string()))?;
        let Some(archive) = archive else { return Err(place::not_running(&dir)) };
        let done = work(&Client::new(bus.clone()), Answers::Archive).await;
        bus.closing();
        archive.close().await;
        done
    };
    let done = looked.await;
    stop(broker).await;
    done
}

/// The name of a task for its company: `@` is the newest one.
pub(crate) async fn named(client: &Client, task: &str) -> Result<String, Exit> {
    if task != "@" {
        return Ok(task.to_owned());
    }
    let newest = client.list(&ListRequest { limit: Some(1), ..ListRequest::default() }).await?;
    match newest.tasks.first() {
        Some(task) => Ok(task.task_id.to_string()),
        None => Err(Exit::new(Code::NotFound, "there is no task yet").with_help("nexus delegate makes one")),
    }
}

async fn stop(broker: Option<Broker>) {
    if let Some(broker) = broker {
        broker.stop().await;
    }
}

/// Resolves when the company of the data directory has stopped in order: it takes its address away.
pub(crate) async fn stopped(place: &PlaceArgs) {
    if place.nats.is_some() {
        return std::future::pending().await;
    }
    while place::has_company(place) {
        sleep(LOOK_AGAIN).await;
    }
}

/// What is left to say of a task whose company has stopped before it ended.
pub(crate) fn waits(task: &str) -> Exit {
    Exit::new(Code::Unreachable, format!("the company has stopped; task {task} waits in its queue"))
        .with_help("it goes on with the next `nexus up`")
}

fn unreadable(dir: &Path, why: &str) -> Exit {
    Exit::failure(format!("what {} holds can't be read: {why}", dir.display()))
        .with_help("`nexus up` says more, and what can be done")
}
