//! A task's log by pages, from any line on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use nexus_core::id::TaskId;
use nexus_core::log::LogLine;
use nexus_core::refusal::Refusal;

use super::Client;

/// A page of a task's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    pub task_id: TaskId,
    pub lines: Vec<LogLine>,
    /// The number of the line to ask for next.
    pub next: u64,
    /// True when the task has ended and these were its last lines.
    pub complete: bool,
}

/// Where in the stream the next line of a log is, as of the last page: only a shortcut, and bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<TaskId, (u64, u64)>>>);

/// Logs whose place is remembered. A forgotten one is read from its start once more.
const PLACES: usize = 1024;

impl Places {
    /// A stream sequence at or before the chunk that holds line `from`.
    fn before(&self, task: TaskId, from: u64) -> u64 {
        let Ok(places) = self.0.lock() else { return 0 };
        places.get(&task).filter(|(line, _)| *line <= from).map_or(0, |(_, seq)| *seq)
    }

    fn remember(&self, task: TaskId, line: u64, seq: u64) {
        let Ok(mut places) = self.0.lock() else { return };
        if places.len() >= PLACES && !places.contains_key(&task) {
            places.clear();
        }
        places.insert(task, (line, seq));
    }
}

/// Chunks read at first, and at most. A chunk may hold a whole page of lines, or one: so it begins small and doubles.
const FIRST_CHUNKS: usize = 2;
const CHUNKS: usize = 64;

impl Client {
    /// Lines of a task's log from line `from` (1 is the first), at most `limit`.
    pub async fn log(&self, task: &str, from: u64, limit: usize) -> Result<LogPage, Refusal> {
        // Asked before reading: what a task had written when it ended is then all there.
        let status = self.status(task).await?.task;
        let task_id = status.task_id;
        let from = from.max(1);
        let mut lines: Vec<LogLine> = Vec::new();
        let mut seen = HashSet::new();
        let mut seq = self.places.before(task_id, from);
        let mut more = true;
        let mut ask = FIRST_CHUNKS;
        while more && lines.len() < limit {
            let (chunks, follows) = self.bus.log_chunks(task_id, seq, ask).await?;
            ask = (ask * 2).min(CHUNKS);
            more = follows;
            for (at, chunk) in chunks {
                let room = limit - lines.len();
                let next = chunk.next();
                if room == 0 {
                    more = true;
                    break;
                }
                self.places.remember(task_id, chunk.first, at);
                // A chunk whose answer was lost may be there twice.
                let wanted = |line: &LogLine| line.seq >= from && !seen.contains(&line.seq);
                let new: Vec<_> = chunk.into_lines().filter(wanted).take(room).collect();
                seen.extend(new.iter().map(|line| line.seq));
                lines.extend(new);
                // A chunk that was only partly read is where the next page begins.
                let done = lines.last().is_none_or(|last| last.seq + 1 >= next);
                seq = if done { at + 1 } else { at };
                more |= !done;
            }
        }
        let next = lines.last().map_or(from, |last| last.seq + 1);
        let written = status.result.as_ref().map_or(0, |outcome| outcome.log_lines);
        let ended = status.status.is_terminal();
        Ok(LogPage { task_id, lines, next, complete: ended && (next > written || !more) })
    }
}
