//! `[workspace] warm`: commands that are run once for a prepared checkout, confined as the agent is, before the first attempt
//! that starts from it.
//!
//! Whether they succeed is no matter of the attempt's: it starts without what they would have made, and its log says why.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_core::department::Department;
use nexus_core::protect::Plan;
use nexus_process::{Command, Event, Launch, Limit, OutputPolicy, Redactor, Wardens, user_environment};
use nexus_workspace::{Prepared, Warming, Warmth};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::Job;
use super::body::next_refusal;
use super::gateway::{self, Terms};
use super::launch::{kill_after, limits, open};
use super::output::Notes;
use crate::node::Node;
use crate::protector::Own;
use crate::{former, outside};

/// The longest time for a command where the department has no limit.
const LONGEST: Duration = Duration::from_hours(1);
/// Between two kills of what isn't gone yet.
const KILL_AGAIN: Duration = Duration::from_millis(200);

/// What is put below the agent's home: what the commands have left in theirs. None: nothing.
pub(super) async fn warm(node: &Node, job: &Job, plan: Plan, workspace: &Prepared, notes: &Notes) -> Option<PathBuf> {
    let commands = &job.policy.workspace.warm;
    if commands.is_empty() {
        return None;
    }
    let without = |why: String| notes.note(format!("warm: {why}; the agent starts without it"));
    let warming = match workspace.warm(&recipe(job)).await {
        Ok(Warmth::Warm { home }) => return home,
        Ok(Warmth::ToBeMade(warming)) => *warming,
        Ok(Warmth::Never) => {
            if workspace.overlay().is_none() {
                without("its workspace is no layers over a prepared checkout".to_owned());
            }
            return None;
        }
        Err(error) => {
            without(error.to_string());
            return None;
        }
    };
    match run(node, job, plan, workspace, warming, notes).await {
        Ok(home) => home,
        Err(why) => {
            without(why);
            None
        }
    }
}

/// All that decides what the commands make, and who may see it: a department's layers are for none that is confined otherwise.
fn recipe(job: &Job) -> Vec<String> {
    let Department { sandbox, environment, workspace, .. } = &*job.policy;
    let passed = environment.pass.iter().map(|name| format!("{name}={:?}", std::env::var_os(name))).collect();
    let settings = [serde_json::json!(sandbox), serde_json::json!(environment)].map(|table| table.to_string());
    [vec![job.claim.entry.task.department.to_string()], settings.into(), passed, workspace.warm.clone()].concat()
}

async fn run(
    node: &Node,
    job: &Job,
    plan: Plan,
    workspace: &Prepared,
    warming: Warming,
    notes: &Notes,
) -> Result<Option<PathBuf>, String> {
    // Without the agent's secrets: other tasks' agents get what the commands make.
    let terms = gateway::terms(job, &[])?;
    let mut errands = Vec::new();
    for command in &job.policy.workspace.warm {
        let proxy: Vec<_> = terms.iter().flat_map(|_| gateway::variables()).collect();
        errands.push((command.clone(), launch(node, job, plan, workspace, &warming, (command, proxy)).await?));
    }
    let errands = Errands { errands, terms, wardens: node.protector.wardens.clone() };
    let (told, done) = oneshot::channel();
    let notes = notes.clone();
    // A task of its own, which nobody drops halfway: the layer is given up once nothing writes to it any more.
    tokio::spawn(async move {
        let mut told = told;
        let run = errands.run(&notes, &mut told).await;
        drop(notes);
        let _ = told.send(run.map(|()| warming));
    });
    let warming = done.await.map_err(|_| "the company is being stopped".to_owned())??;
    warming.keep().await.map_err(|error| error.to_string())
}

async fn launch(
    node: &Node,
    job: &Job,
    plan: Plan,
    workspace: &Prepared,
    warming: &Warming,
    (command, proxy): (&str, Vec<(String, String)>),
) -> Result<Launch, String> {
    let network = &job.policy.sandbox.network;
    let task = job.claim.entry.task.id;
    let own = job.policy.environment.set.iter().map(|(name, value)| (name.clone(), value.clone()));
    let own = own.chain([("NEXUS_TASK_ID".to_owned(), task.to_string())]).chain(former::marks(node, task)).chain(proxy);
    let mut env = user_environment(&job.policy.environment.pass);
    env.extend(outside::variables(network));
    env.extend(own.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let mut command = Command::new("sh", &workspace.path).args(["-c", command]).env(env);
    let confinement = node.protector.confine(plan, job, workspace, Own::Apart(&warming.private), &mut command);
    Ok(Launch {
        confinement: confinement.await?,
        command,
        limits: limits(&job.policy.limits),
        overlays: vec![warming.overlay.clone()],
        kill_after: kill_after(job).or(Some(LONGEST)),
        mark: former::own_mark(node, task),
        output: OutputPolicy {
            redact: Redactor::new(outside::secrets().iter().map(String::as_str)),
            ..OutputPolicy::default()
        },
    })
}

/// The commands, ready to be started one after the other.
struct Errands {
    errands: Vec<(String, Launch)>,
    terms: Option<Terms>,
    wardens: Wardens,
}

impl Errands {
    /// Runs them until one fails, or nobody waits for it any more. Nothing of them is alive when it returns.
    async fn run(&self, notes: &Notes, told: &mut oneshot::Sender<Result<Warming, String>>) -> Result<(), String> {
        for (command, launch) in &self.errands {
            if told.is_closed() {
                return Err("nobody waits for it".to_owned());
            }
            notes.note(format!("warm: runs `{command}`, once for this checkout"));
            let failed = |why: String| format!("`{command}` {why}");
            match self.one(launch, notes, told).await.map_err(failed)? {
                ExitStatus::Code(0) => {}
                ExitStatus::Code(code) => return Err(failed(format!("exited with code {code}"))),
                ExitStatus::Signal(signal) => return Err(failed(format!("was ended by signal {signal}"))),
            }
        }
        Ok(())
    }

    async fn one(
        &self,
        launch: &Launch,
        notes: &Notes,
        told: &mut oneshot::Sender<Result<Warming, String>>,
    ) -> Result<ExitStatus, String> {
        let started = self.wardens.start(launch).await.map_err(|error| format!("could not be started: {error}"))?;
        let nexus_process::Started { tree, mut events, listener, .. } = started;
        let mut end = None;
        let mut ends = false;
        let mut gateway = match open(self.terms.clone(), listener) {
            Ok(gateway) => gateway,
            Err(error) => {
                end = Some(Err(error.reason()));
                ends = true;
                None
            }
        };
        let mut kills = interval(KILL_AGAIN);
        kills.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::Output { lines, .. }) => {
                        let text = |line: &nexus_process::Line| String::from_utf8_lossy(&line.bytes).into_owned();
                        notes.say(lines.iter().map(text).collect()).await;
                    }
                    Some(Event::LeaderExited(status)) => {
                        end.get_or_insert(Ok(status));
                        ends = true;
                    }
                    Some(Event::LimitHit(limit)) => {
                        end = Some(Err(exceeded(limit).to_owned()));
                        ends = true;
                    }
                    Some(Event::TreeGone) | None => break,
                },
                refusal = next_refusal(&mut gateway) => notes.note(refusal),
                () = told.closed(), if !ends => ends = true,
                _ = kills.tick(), if ends => tree.signal(Signal::Kill),
            }
        }
        end.unwrap_or_else(|| Err("was killed".to_owned()))
    }
}

const fn exceeded(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => "needed more than `limits.memory`",
        Limit::Processes => "had more than `limits.processes`",
        Limit::Time => "took longer than an attempt may",
    }
}
