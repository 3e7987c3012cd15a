//! The least that a task costs whoever keeps a ledger on NATS: an entry, taken from a queue; `started`; the program, run to its
//! end; `completed`, which expects `started` to be the last; and the entry's end. One process, one connection, no checks.
//!
//! Two things more that everybody pays for a task of nexus can be had with it: entries that another process asks for and whose end
//! it is told, and wardens that are kept. With both it is all that a task needs, in a straight line: no actors, no checks, no
//! history, no logs.

use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::PullConsumer;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;

use crate::ask::{ask, respond};
use crate::error::nats;
use crate::program::Program;
use crate::stream::{Template, emptied, open, queue, take};
use crate::tasks::until_ended;
use crate::watch::Watch;
use crate::{LoadError, Site, timing};

#[derive(Debug, Deserialize)]
pub(crate) struct Errand {
    data_dir: Site,
    command: Vec<String>,
    /// The number of errands, where they aren't asked for.
    #[serde(default)]
    count: usize,
    at_once: usize,
    /// Entries are stored when somebody asks for them, who is answered then, until standard input ends; and not by itself.
    #[serde(default)]
    asked: bool,
    /// The program is started by wardens as nexus's are, each kept for the next one.
    #[serde(default)]
    kept: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AskErrands {
    data_dir: Site,
    count: usize,
    /// So many are asked for and waited for at a time; absent: all are asked for at once.
    at_once: Option<usize>,
}

/// Entries that wait for their acknowledgement while a batch is written.
const WINDOW: usize = 64;
/// Whose entries those are that are written without being asked for; the consumer is called so too.
const OWN: &str = "errand";
/// Those that are asked for are others, as who serves them waits for them while others are measured.
const ASKED: &str = "asked";
/// Where they are asked for.
const SUBJECT: &str = "bench.errand";

/// All that work share it.
struct Workshop {
    whose: &'static str,
    consumer: PullConsumer,
    started: Template,
    completed: Template,
    program: Program,
}

impl Errand {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let (jetstream, stream) = open(&self.data_dir).await?;
        let whose = if self.asked { ASKED } else { OWN };
        let workshop = Workshop {
            whose,
            consumer: emptied(&stream, whose).await?,
            started: Template::of_event(&jetstream, "nexus.task.started").await?,
            completed: Template::of_event(&jetstream, "nexus.task.completed").await?,
            program: Program::new(&self.command, self.kept)?,
        };
        let entry = Template::of(&jetstream, "nexus.queue.*.*.*").await?;
        let at_once = self.at_once.max(1);
        if self.asked {
            let client = self.data_dir.raw().await?;
            let answers = respond(&client, SUBJECT.to_owned(), || async {
                let subject = queue(whose);
                let id = id_of(&subject).to_owned();
                entry.store(subject, Some(0)).await?;
                Ok(id.into())
            });
            let workers = try_join_all((0..at_once).map(|_| workshop.serve()));
            return tokio::select! {
                answered = answers => answered,
                Err(error) = workers => Err(error),
            };
        }
        let begun = Instant::now();
        let written = stream::iter(0..self.count)
            .map(|_| entry.store(queue(whose), Some(0)))
            .buffer_unordered(WINDOW)
            .try_for_each(|_| async { Ok(()) });
        // Those that are left over, one each for the first.
        let share = |number| self.count / at_once + usize::from(number < self.count % at_once);
        let workers = (0..at_once).map(|number| workshop.work(share(number)));
        let ((), took) = tokio::try_join!(written, try_join_all(workers))?;
        Ok(timing::figures(took.into_iter().flatten().collect(), begun.elapsed()))
    }
}

impl AskErrands {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.raw().await?;
        // The company's client asks by one connection and is told by another, too.
        let watch = Watch::begin(&self.data_dir.raw().await?, format!("bench.event.{ASKED}.*")).await?;
        until_ended(&watch, self.count, self.at_once, || async {
            Ok(String::from_utf8_lossy(&ask(&client, SUBJECT).await?).into_owned())
        })
        .await
    }
}

/// The last part of an entry's subject.
fn id_of(subject: &str) -> &str {
    subject.rsplit('.').next().unwrap_or_default()
}

impl Workshop {
    async fn work(&self, share: usize) -> Result<Vec<Duration>, LoadError> {
        let mut took = Vec::with_capacity(share);
        while took.len() < share {
            let begun = Instant::now();
            let entry = take(&self.consumer).await?;
            self.one(entry.ok_or_else(|| LoadError::Unmet("no entry was there to take".to_owned()))?).await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    /// Takes what is asked for, whenever that is.
    async fn serve(&self) -> Result<(), LoadError> {
        loop {
            if let Some(entry) = take(&self.consumer).await? {
                self.one(entry).await?;
            }
        }
    }

    async fn one(&self, entry: Message) -> Result<(), LoadError> {
        let events = format!("bench.event.{}.{}", self.whose, id_of(&entry.subject));
        let started = self.started.store(events.clone(), Some(0)).await?;
        if !self.program.run().await? {
            return Err(LoadError::Unmet("the program did not end well".to_owned()));
        }
        self.completed.store(events, Some(started)).await?;
        entry.ack().await.map_err(nats)
    }
}
