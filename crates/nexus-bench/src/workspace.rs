//! Agents in workspaces: how long one takes to its first instruction, and how long what follows its last one takes. Each agent
//! prints the time twice, in seconds since 1970: when it begins, and when it ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nexus_core::log::Stream;
use nexus_core::task::Submission;
use nexus_process::{Command, Overlay, capture, user_environment};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::watch::Watch;
use crate::{LoadError, Site, timing};

/// Checking out 100,000 files may take minutes.
const LONGEST: Duration = Duration::from_secs(600);
/// More than an agent prints here.
const PRINTED: usize = 1 << 20;

/// Tasks of a company.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspaces {
    data_dir: Site,
    department: String,
    project: String,
    count: usize,
    at_once: usize,
}

/// A floor: the command where an overlay is mounted, on a checkout that is there.
#[derive(Debug, Deserialize)]
pub(crate) struct Mounts {
    lower: PathBuf,
    /// Where the other layers are made.
    dir: PathBuf,
    command: Vec<String>,
    count: usize,
    at_once: usize,
}

/// A floor: the command in a worktree that is added for it and removed after it.
#[derive(Debug, Deserialize)]
pub(crate) struct Worktrees {
    project: PathBuf,
    /// Where they are made.
    dir: PathBuf,
    command: Vec<String>,
    count: usize,
}

/// From the order to the agent's first instruction, and from its last one to the end of all.
struct Took {
    start: Duration,
    end: Duration,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The times that an agent has printed.
fn times<'a>(lines: impl Iterator<Item = &'a str>) -> Result<(Duration, Duration), LoadError> {
    let times: Vec<f64> = lines.filter_map(|line| line.trim().parse().ok()).collect();
    match times[..] {
        [begun, ended] => Ok((Duration::from_secs_f64(begun), Duration::from_secs_f64(ended))),
        _ => Err(LoadError::Unmet(format!("an agent was to print two times, and printed {times:?}"))),
    }
}

async fn repeat<F>(count: usize, at_once: usize, one: impl Fn(usize) -> F) -> Result<Value, LoadError>
where
    F: Future<Output = Result<Took, LoadError>>,
{
    let took: Vec<Took> = stream::iter(0..count).map(one).buffer_unordered(at_once.max(1)).try_collect().await?;
    let of = |part: fn(&Took) -> Duration| timing::figures(took.iter().map(part).collect(), Duration::from_secs(1));
    let (start, end) = (of(|took| took.start), of(|took| took.end));
    let ms = |figures: &Value, name: &str| json!(figures[name].as_f64().unwrap_or_default() / 1e3);
    Ok(json!({
        "start": ms(&start, "p50"), "start_p99": ms(&start, "p99"),
        "end": ms(&end, "p50"), "end_p99": ms(&end, "p99"),
    }))
}

impl Workspaces {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.client().await?;
        let watch = Watch::begin(&self.data_dir.raw().await?, format!("nexus.event.{}.*", self.department)).await?;
        let (department, project_path) = (Some(self.department), self.project);
        let submission = Submission { department, project_path, ..Submission::new("print the time") };
        let (beginning, began) = (Instant::now(), now());
        repeat(self.count, self.at_once, |_| async {
            let asked = now();
            let id = client.submit(&submission).await?.task_id.to_string();
            let completed = began + (watch.end_of(&id, LONGEST).await? - beginning);
            let page = client.log(&id, 1, 100).await?;
            let lines = page.lines.iter().filter(|line| line.stream == Stream::Stdout);
            let (begun, ended) = times(lines.map(|line| line.text.as_str()))?;
            Ok(Took { start: begun.saturating_sub(asked), end: completed.saturating_sub(ended) })
        })
        .await
    }
}

impl Mounts {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        repeat(self.count, self.at_once, |number| {
            let place = self.dir.join(number.to_string());
            let order = &self;
            async move {
                let asked = now();
                let [upper, work, target] = ["upper", "work", "target"].map(|name| place.join(name));
                for directory in [&upper, &work, &target] {
                    std::fs::create_dir_all(directory)?;
                }
                let overlay = Overlay { lower: vec![order.lower.clone()], upper, work, target };
                let command = overlay.within(&command(&order.command, &overlay.target)?, false)?;
                let (begun, ended) = run(&command).await?;
                nexus_process::overlay::make_removable(&overlay.work);
                std::fs::remove_dir_all(&place)?;
                Ok(Took { start: begun.saturating_sub(asked), end: now().saturating_sub(ended) })
            }
        })
        .await
    }
}

impl Worktrees {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        repeat(self.count, 1, |number| {
            let place = self.dir.join(number.to_string());
            let order = &self;
            async move {
                let shown = place.to_string_lossy().into_owned();
                let git = |args: &[&str]| {
                    let args = [&["git", "worktree"], args, &[shown.as_str()]].concat();
                    command(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), &order.project)
                };
                let asked = now();
                printed(&git(&["add", "--quiet", "--detach"])?).await?;
                let (begun, ended) = run(&command(&order.command, &place)?).await?;
                printed(&git(&["remove", "--force"])?).await?;
                Ok(Took { start: begun.saturating_sub(asked), end: now().saturating_sub(ended) })
            }
        })
        .await
    }
}

fn command(words: &[String], place: &Path) -> Result<Command, LoadError> {
    let (program, args) = words.split_first().ok_or_else(|| LoadError::Unmet("there is no command".to_owned()))?;
    Ok(Command::new(program, place).args(args).env(user_environment(&[])))
}

async fn run(command: &Command) -> Result<(Duration, Duration), LoadError> {
    times(printed(command).await?.lines())
}

async fn printed(command: &Command) -> Result<String, LoadError> {
    let captured = capture(command, LONGEST, PRINTED).await.map_err(|error| LoadError::Unmet(error.to_string()))?;
    if !captured.success() {
        return Err(LoadError::Unmet(format!("a floor failed: {}", String::from_utf8_lossy(&captured.stderr))));
    }
    Ok(String::from_utf8_lossy(&captured.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_prints_two_times() {
        let (begun, ended) = times(["1796000000.250000", "said by git", "1796000001.500000"].into_iter()).unwrap();
        assert_eq!(ended - begun, Duration::from_millis(1250));
        assert!(times(["1796000000.25"].into_iter()).is_err());
    }
}
