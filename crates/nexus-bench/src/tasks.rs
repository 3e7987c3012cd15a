//! Asking the CEO for tasks, and waiting for their end.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nexus_bus::Client;
use nexus_core::task::Submission;
use serde::Deserialize;
use serde_json::Value;

use crate::watch::Watch;
use crate::{LoadError, Site, timing};

/// Submissions that wait for their answer while a batch is asked for.
const WINDOW: usize = 64;
/// The longest time that a task may take: only a fault reaches it.
const LONGEST: Duration = Duration::from_secs(120);

/// The tasks that are asked for.
#[derive(Debug, Deserialize)]
struct Work {
    data_dir: Site,
    department: String,
    #[serde(default = "nothing")]
    description: String,
    project: String,
    count: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Submit {
    #[serde(flatten)]
    work: Work,
    in_flight: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    work: Work,
    /// So many are asked for and waited for at a time; absent: all are asked for at once.
    at_once: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Drain {
    data_dir: Site,
    department: String,
    seconds: f64,
}

/// A task that every agent can do, a shell too.
fn nothing() -> String {
    "/bin/true".to_owned()
}

impl Work {
    fn submission(&self) -> Submission {
        let (department, project_path) = (Some(self.department.clone()), self.project.clone());
        Submission { department, project_path, ..Submission::new(self.description.as_str()) }
    }
}

fn events_of(department: &str) -> String {
    format!("nexus.event.{department}.*")
}

async fn submit(client: &Client, submission: &Submission) -> Result<String, LoadError> {
    Ok(client.submit(submission).await?.task_id.to_string())
}

impl Submit {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let (client, submission) = (self.work.data_dir.client().await?, self.work.submission());
        timing::repeat(self.work.count, self.in_flight, |_| async { submit(&client, &submission).await.map(drop) })
            .await
    }
}

impl Run {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let Work { data_dir, department, count, .. } = &self.work;
        let (client, submission) = (data_dir.client().await?, self.work.submission());
        let watch = Watch::begin(&data_dir.raw().await?, events_of(department)).await?;
        until_ended(&watch, *count, self.at_once, || submit(&client, &submission)).await
    }
}

/// Asks for tasks and waits for the end of each: for so many at a time, or for all at once.
pub(crate) async fn until_ended<F>(
    watch: &Watch,
    count: usize,
    at_once: Option<usize>,
    submit: impl Fn() -> F,
) -> Result<Value, LoadError>
where
    F: Future<Output = Result<String, LoadError>>,
{
    if let Some(at_once) = at_once {
        return timing::repeat(count, at_once, |_| async {
            let id = submit().await?;
            watch.end_of(&id, LONGEST).await.map(drop)
        })
        .await;
    }
    let begun = Instant::now();
    let asked = stream::iter(0..count).map(|_| async {
        let asked = Instant::now();
        Ok::<_, LoadError>((submit().await?, asked))
    });
    let asked: Vec<_> = asked.buffer_unordered(WINDOW).try_collect().await?;
    let (mut took, mut last) = (Vec::with_capacity(asked.len()), begun);
    for (id, asked) in asked {
        let ended = watch.end_of(&id, LONGEST).await?;
        took.push(ended - asked);
        last = last.max(ended);
    }
    Ok(timing::figures(took, last - begun))
}

impl Drain {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let watch = Watch::begin(&self.data_dir.raw().await?, events_of(&self.department)).await?;
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs_f64(self.seconds)).await;
        let (count, whole) = (watch.completed(), begun.elapsed());
        Ok(serde_json::json!({ "count": count, "rate": timing::rate(count, whole) }))
    }
}
