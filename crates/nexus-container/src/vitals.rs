//! Processor time and memory of a container, asked of its engine once a second.

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use nexus_process::Vitals;

/// The engine takes some milliseconds for an answer.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// The look before, and what all of them have found.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    before: Option<(Instant, u64)>,
    vitals: Vitals,
    /// Bytes, at the most.
    pub(crate) peak_memory: Option<u64>,
    /// Of processor, all processes together.
    pub(crate) cpu_time: Option<Duration>,
}

impl Meter {
    /// Looks; none where the engine has no answer, as for a container that has ended.
    pub(crate) async fn look(&mut self, docker: &Docker, id: &str) -> Option<Vitals> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let stats = docker.stats(id, Some(options)).next().await?.ok()?;
        let processes = stats.pids_stats.unwrap_or_default();
        let memory = stats.memory_stats.unwrap_or_default();
        let used = stats.cpu_stats?.cpu_usage?.total_usage?;
        let now = Instant::now();
        // What was read from files can be given back at any time.
        let cache =
            memory.stats.as_ref().and_then(|of| of.get("inactive_file").or_else(|| of.get("total_inactive_file")));
        let bytes = memory.usage?.saturating_sub(cache.copied().unwrap_or(0));
        let count = processes.current?;
        self.peak_memory = self.peak_memory.max(memory.max_usage).max(Some(bytes));
        self.cpu_time = Some(Duration::from_nanos(used));
        if let Some((at, before)) = self.before {
            let spent = Duration::from_nanos(used.saturating_sub(before));
            self.vitals.cpu_percent = 100.0 * spent.as_secs_f32() / now.duration_since(at).as_secs_f32().max(0.001);
        }
        self.before = Some((now, used));
        self.vitals.processes = u32::try_from(count).unwrap_or(u32::MAX);
        self.vitals.memory = bytes;
        self.vitals.worked += u64::from(self.vitals.cpu_percent > 1.0);
        Some(self.vitals)
    }
}
