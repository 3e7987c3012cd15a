//! `--ledger`: a company with many tasks on its ledger is killed; how soon is it ready, and at work, again?

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexus_core::api::ListRequest;
use nexus_core::task::Submission;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::cli::{Mode, Options};
use crate::company::{Company, Node};
use crate::error::HarnessError;
use crate::faults::Fault;
use crate::mark::{self, Moment};
use crate::run::{self, Sweep};
use crate::site::Site;
use crate::story::Story;
use crate::work::{DEPARTMENTS, Plan, WORKERS};

/// Submissions on their way at once, as measured to be the fastest for one client.
const IN_FLIGHT: u64 = 64;
/// Far longer than anything here takes: only a fault reaches it.
const LIMIT: Duration = Duration::from_secs(300);
/// The word in nexus's log that its history is begun again.
const REBUILT: &str = "anew";

/// The measurements.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) tasks: u64,
    pub(crate) submissions_per_second: f64,
    /// From the start after a SIGKILL until it is ready.
    pub(crate) ready_ms: u128,
    /// From there until the first task that was running runs again; 0 when that was before.
    pub(crate) first_requeued_ms: u128,
    /// Tasks that the history knows as soon as the company is ready.
    pub(crate) known: u64,
    /// The history went on where it was, and was not made anew.
    pub(crate) continued: bool,
    pub(crate) complaints: Vec<String>,
}

/// Fills a company with `tasks` tasks, kills it and starts it again.
pub(crate) async fn ledger(tasks: u64, options: &Options) -> Result<Measured, HarnessError> {
    let dir = tempfile::Builder::new().prefix("nexus-chaos-").tempdir().map_err(HarnessError::io("a directory"))?;
    let root = dir.path().canonicalize().map_err(HarnessError::io("a directory"))?;
    let site = Site::new(root)?;
    let _swept = Sweep(site.clone());
    let story = Story::new(&site.log("run"))?;
    run::configure(&site)?;
    // On the machine's own disk: a small one that can be filled has no room for it.
    let options = Options { only: vec![Fault::KillNexus], ..options.clone() };
    let company = Company::start(&site, Mode::Solo, &options, &story).await?;
    let workers = DEPARTMENTS.len() as u64 * u64::from(WORKERS);
    // All workers are busy for good; what comes then waits.
    fill(&company, &site, 0..workers).await;
    let running = async || {
        let marks = mark::read(&site.marks()).unwrap_or_default();
        (marks.len() as u64 >= workers).then_some(())
    };
    eventually(running).await;
    let begun = Instant::now();
    fill(&company, &site, workers..tasks).await;
    let submissions_per_second = (tasks - workers) as f64 / begun.elapsed().as_secs_f64();
    let node = &company.nodes[0];
    let logged = log(&site).len();
    let mut child = node.child.lock().await;
    node.kill(&mut child).await;
    let killed = Moment::now();
    let ready = node.start(&mut child, &story).await?;
    let all = ListRequest { limit: Some(1), ..ListRequest::default() };
    // The connection of this program has to come back too.
    let page = eventually(async || company.client.list(&all).await.ok()).await;
    let again = async || {
        let marks = mark::read(&site.marks()).unwrap_or_default();
        marks.iter().map(|mark| mark.at).filter(|at| *at > killed).min()
    };
    let again = eventually(again).await;
    let continued = !log(&site)[logged..].contains(REBUILT);
    story.tell(format!("killed {killed:?} ready {ready:?} again {again:?} pid {:?}", Node::pid(&child)));
    drop(child);
    company.stop(&story).await;
    Ok(Measured {
        tasks,
        submissions_per_second,
        ready_ms: ready.since(killed).as_millis(),
        first_requeued_ms: again.map_or(u128::MAX, |again| again.since(ready).as_millis()),
        known: page.map_or(0, |page| page.total),
        continued,
        complaints: story.violations().into_iter().map(|violation| violation.what).collect(),
    })
}

impl Measured {
    /// All that is promised holds.
    pub(crate) fn is_well(&self) -> bool {
        self.ready_ms < 5000
            && self.first_requeued_ms < 1000
            && self.known == self.tasks
            && self.continued
            && self.complaints.is_empty()
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "tasks on the ledger                 {}\n\
             submissions                         {:.0}/s\n\
             nexus killed -> ready               {} ms   (promised: 5000)\n\
             ready -> first requeued task runs   {} ms   (promised: 1000)\n\
             tasks in the history when ready     {}\n\
             history                             {}\n",
            self.tasks,
            self.submissions_per_second,
            self.ready_ms,
            self.first_requeued_ms,
            self.known,
            if self.continued { "continued" } else { "made anew" },
        );
        for complaint in &self.complaints {
            let _ = writeln!(text, "{complaint}");
        }
        text
    }
}

/// Submits the pieces of work of these numbers, each until it is accepted.
async fn fill(company: &Company, site: &Site, numbers: std::ops::Range<u64>) {
    let (next, end) = (Arc::new(AtomicU64::new(numbers.start)), numbers.end);
    let mut lanes = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (next, client, project) = (Arc::clone(&next), company.client.clone(), site.project());
        lanes.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= end {
                    return;
                }
                let plan = Plan { work_ms: 3_600_000, ..Plan::default() };
                let index = usize::try_from(n).unwrap_or_default() % DEPARTMENTS.len();
                let submission = Submission {
                    department: Some(DEPARTMENTS[index].0.to_owned()),
                    project_path: project.display().to_string(),
                    idempotency_key: Some(n.to_string()),
                    ..Submission::new(serde_json::to_string(&plan).unwrap_or_default())
                };
                while client.submit(&submission).await.is_err() {
                    sleep(crate::client::PAUSE).await;
                }
            }
        });
    }
    lanes.join_all().await;
}

fn log(site: &Site) -> String {
    std::fs::read_to_string(site.log("a")).unwrap_or_default()
}

async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look().await {
            None if Instant::now() < deadline => sleep(Duration::from_millis(5)).await,
            found => return found,
        }
    }
}
