//! A task's output: lines, numbered over all its attempts, in chunks.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::task::STORED_VERSION;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Said by Nexus about the attempt, not by the agent.
    System,
}

impl Stream {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::System => "system",
        }
    }
}

/// One line as a reader gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Its number within the task, from 1, without gaps.
    pub seq: u64,
    #[schemars(with = "String")]
    pub time: Timestamp,
    pub stream: Stream,
    /// The attempt that it belongs to, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// Without its line end; invalid UTF-8 is replaced by U+FFFD.
    pub text: String,
}

/// Lines as they are stored: the payload of `nexus.log.<department>.<task>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogChunk {
    /// Version of the stored form.
    pub v: u32,
    pub task_id: TaskId,
    pub attempt: u32,
    /// The number of the first line; the others follow without gaps.
    pub first: u64,
    /// When the chunk was read.
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub lines: Vec<ChunkLine>,
}

/// One line of a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkLine {
    #[serde(rename = "s")]
    pub stream: Stream,
    #[serde(rename = "t")]
    pub text: String,
}

impl LogChunk {
    #[must_use]
    pub const fn new(task_id: TaskId, attempt: u32, first: u64, at: Timestamp, lines: Vec<ChunkLine>) -> Self {
        Self { v: STORED_VERSION, task_id, attempt, first, at, lines }
    }

    /// The number of the line that will follow this chunk.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The lines with their numbers.
    pub fn into_lines(self) -> impl Iterator<Item = LogLine> {
        let (first, time, attempt) = (self.first, self.at, self.attempt);
        self.lines.into_iter().zip(first..).map(move |(line, seq)| LogLine {
            seq,
            time,
            stream: line.stream,
            attempt,
            text: line.text,
        })
    }
}
