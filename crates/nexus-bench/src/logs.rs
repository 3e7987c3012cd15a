//! An agent's lines, from its standard output to a follower: how many a second, and how late.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_core::log::Stream;
use nexus_core::task::Submission;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{LoadError, Site, timing};

/// The agent is `bench/floors/lines.c`: each of its lines begins with the time, in nanoseconds, at which it was written.
#[derive(Debug, Deserialize)]
pub(crate) struct Logs {
    data_dir: Site,
    department: String,
    project: String,
    /// Lines, and how many a second (0: as many as it can).
    count: usize,
    rate: u64,
}

impl Logs {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.client().await?;
        let description = format!("{}@{}", self.count, self.rate);
        let department = Some(self.department);
        let submission = Submission { department, project_path: self.project, ..Submission::new(description.as_str()) };
        let task = client.submit(&submission).await?.task_id.to_string();
        let mut lines = client.follow_log(&task, 1).await?;
        let (mut late, mut first, mut last, mut seq) = (Vec::with_capacity(self.count), None, Duration::ZERO, 0);
        while let Some(line) = lines.recv().await {
            let line = line?;
            seq += 1;
            if line.seq != seq {
                return Err(LoadError::Unmet(format!("line {seq} was to follow, and it was {}", line.seq)));
            }
            if line.stream != Stream::Stdout {
                continue;
            }
            let written = line.text.get(..19).and_then(|text| text.parse().ok()).map(Duration::from_nanos);
            let written = written.ok_or_else(|| LoadError::Unmet(format!("no time is in {:?}", line.text)))?;
            last = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            first = first.or(Some(written));
            late.push(last.saturating_sub(written));
        }
        let lost = self.count.saturating_sub(late.len());
        let whole = last.saturating_sub(first.unwrap_or(last));
        let mut figures = timing::figures(late, whole);
        figures["lost"] = json!(lost);
        Ok(figures)
    }
}
