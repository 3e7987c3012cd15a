//! The limits of one attempt, and how they are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Usd};
use crate::units::{Size, Span};

/// The limits of one attempt; a limit that is absent is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest run of one attempt.
    pub wall_time: Option<Span>,
    /// Longest time without output and without work: an agent that prints nothing and uses no processor is stuck.
    pub idle_time: Option<Span>,
    /// Memory of the whole tree of processes, in use at once; swap counts too. More ends the attempt.
    pub memory: Option<Size>,
    /// Processes (and threads, where control groups count) alive at once. More ends the attempt.
    pub processes: Option<u32>,
    /// Processors' worth of time: with 1.5 the tree is slowed down to one and a half processors.
    pub cpu: Option<f64>,
    /// Bytes on standard output and standard error together.
    pub output: Option<Size>,
    /// Files, pipes and sockets open at once, in each process.
    pub open_files: Option<u32>,
    /// The size of each file that it writes. A process that writes more is ended by SIGXFSZ.
    pub file_size: Option<Size>,
    /// Longest wait for the first sign of an agent that works by a model; 3 minutes, if absent.
    pub first_event: Option<Span>,
    /// Tokens that a task may use, input and output of all its attempts together. More ends it.
    pub tokens: Option<u64>,
    /// Calls of its model that a task may make, in all its attempts together.
    pub turns: Option<u64>,
    /// The highest cost of a task in US dollars, in all its attempts together, as its agents say.
    pub cost: Option<Usd>,
    /// The time that a task's agents may run, all its attempts together. More ends it.
    pub task_time: Option<Span>,
    /// The weakest limiting of memory, processes and cpu that will do: on a machine that can't do that, tasks are refused.
    pub minimum: Option<LimitsTier>,
}

impl Limits {
    /// The budget of a task.
    #[must_use]
    pub const fn budget(&self) -> Budget {
        Budget { tokens: self.tokens, turns: self.turns, cost: self.cost, wall_time: self.task_time }
    }
}

/// The way in which memory, processes and cpu are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitsTier {
    /// By looking a few times a second and ending what uses too much; cpu by keeping to few processors.
    Sampled,
    /// By the kernel's control groups: more is never had.
    Cgroup,
}

impl LimitsTier {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::Cgroup => "cgroup",
        }
    }
}
