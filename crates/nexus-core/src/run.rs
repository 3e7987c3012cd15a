//! An agent's run, whichever agent it is: what its stream says, and what is known of it by now.
//!
//! An adapter (in `nexus-agents`) turns lines of an agent's own format into [`Said`]; [`Run`] folds those. What is unknown to
//! an adapter says nothing, and never fails a run.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::due;
use crate::event::{Failure, FailureKind};
use crate::question::{OpenQuestion, QuestionId};

#[cfg(test)]
mod tests;
pub mod transcript;

/// One thing that an agent's stream says. Totals are of the whole run, so that one that is missed or told twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The name of its session, by which a later attempt can resume it.
    Session(String),
    Model(String),
    /// A piece of a message; pieces are joined.
    Text(String),
    /// The message is complete: the next text begins another one.
    TextEnd,
    ToolStarted {
        id: String,
        /// As the agent calls it: `Bash`, `write_file`, `nexus.cde_delegateTask`.
        name: String,
        /// In short: the command, the path.
        about: String,
    },
    ToolEnded {
        id: String,
        ok: bool,
        /// In short, such as why it failed; may be empty.
        about: String,
    },
    /// Tokens so far.
    Tokens(Tokens),
    /// Model turns so far: calls of the model that have been answered.
    Turns(u32),
    /// Cost so far, in millionths of a US dollar.
    Cost(u64),
    Warning(String),
    /// It could not go on with the session that it was to go on with, for this reason, and begins a new one.
    Anew(String),
    /// It asks for a permission, and a person is to answer.
    Asks(OpenQuestion),
    /// It doesn't wait for this answer any more: it is being stopped, or has ended.
    Withdrawn(QuestionId),
    /// It asked for a permission, and this was the answer.
    Asked {
        /// Without: nobody was asked.
        question: Option<QuestionId>,
        what: String,
        allowed: bool,
    },
    /// A line that is no message of its format, shown as it is.
    Plain(String),
    /// It says that it has ended, and how. The first one counts, but a failure beats a "done", and the same failure with its
    /// reset one without.
    Ended(Ending),
}

/// The end of a run, as its agent says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// The model declined to do it.
    Refused(String),
    Failed(Trouble),
}

/// The reason for which an agent failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub kind: TroubleKind,
    pub message: String,
    /// When it is over, where the agent says so: of a rate limit.
    pub reset: Option<Reset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// Not signed in, a key that isn't accepted, no credit left.
    Authentication,
    /// The account may not ask for more at the moment.
    RateLimit,
    /// The model's API answered with an error that is neither.
    Model,
    /// A limit of the agent's own: its turns, its budget, its context.
    Limit,
    /// It ended, or spoke, in a way that its format doesn't have.
    Protocol,
    /// It failed by itself.
    Crash,
}

/// When a rate limit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    In(Duration),
    At(Timestamp),
}

impl Reset {
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(delay) => due::after(now, delay),
            Self::At(at) => at,
        }
    }
}

impl Trouble {
    #[must_use]
    pub fn new(kind: TroubleKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reset: None }
    }

    /// The same as a task's failure.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let kind = match self.kind {
            TroubleKind::Authentication => FailureKind::Authentication,
            TroubleKind::RateLimit => FailureKind::RateLimit,
            TroubleKind::Model => FailureKind::Model,
            TroubleKind::Limit => FailureKind::AgentLimit,
            TroubleKind::Protocol => FailureKind::Protocol,
            TroubleKind::Crash => FailureKind::Crash,
        };
        Failure { kind, message: self.message.clone() }
    }

    /// It is a state of the account, and says nothing of the task.
    #[must_use]
    pub const fn is_of_account(&self) -> bool {
        matches!(self.kind, TroubleKind::Authentication | TroubleKind::RateLimit)
    }
}

/// Tokens of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// All that the model was given, what came from a cache included.
    pub input: u64,
    pub output: u64,
    /// Of the input: what came from a cache.
    #[serde(default)]
    pub cached: u64,
}

impl Tokens {
    /// The tokens that count for a budget.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: self.cached.saturating_add(other.cached),
        }
    }

    const fn max(self, other: Self) -> Self {
        const fn most(a: u64, b: u64) -> u64 {
            if a > b { a } else { b }
        }
        Self {
            input: most(self.input, other.input),
            output: most(self.output, other.output),
            cached: most(self.cached, other.cached),
        }
    }
}

/// The known state of an agent's run: in the task's status and events while it goes on, and in its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// By which the agent's own tools know the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// True when it went on with the session of an attempt that was interrupted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    pub tokens: Tokens,
    /// Calls of the model that have been answered.
    #[serde(default)]
    pub turns: u32,
    /// In millionths of a US dollar, where the agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
    #[serde(default)]
    pub tool_calls: u32,
    #[serde(default)]
    pub tool_failures: u32,
    /// The tool that it waits for, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// Permissions that it waits for, the oldest first; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<OpenQuestion>,
    /// Permissions that it asked for and didn't get.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub denied: u32,
    /// The newest, at most 8 of at most 300 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl RunReport {
    /// The same, of a run of which this was said before: totals that are smaller now are of a part of it.
    #[must_use]
    pub fn behind(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            self.tokens = self.tokens.max(before.tokens);
            self.turns = self.turns.max(before.turns);
            self.cost_micros = self.cost_micros.max(before.cost_micros);
        }
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Characters of a warning, a tool's description or a session's name that are kept.
const SHORT: usize = 300;
/// Warnings that are kept.
const WARNINGS: usize = 8;
/// Bytes of the last message that are kept: its end, as for any output.
const MESSAGE: usize = 16 * 1024;

/// A run as far as it has come.
#[derive(Clone, Debug, Default)]
pub struct Run {
    report: RunReport,
    message: String,
    message_over: bool,
    message_cut: bool,
    running: Option<String>,
    ending: Option<Ending>,
    heard: bool,
}

impl Run {
    /// One that begins; `resumed` is the session that it goes on with.
    #[must_use]
    pub fn new(resumed: Option<&str>) -> Self {
        let report =
            RunReport { session: resumed.map(str::to_owned), resumed: resumed.is_some(), ..RunReport::default() };
        Self { report, ..Self::default() }
    }

    /// Takes what the agent says.
    pub fn hear(&mut self, said: &Said) {
        self.heard = true;
        let report = &mut self.report;
        match said {
            Said::Session(session) => report.session = Some(short(session)),
            Said::Model(model) => report.model = Some(short(model)),
            Said::Text(text) => self.say(text),
            Said::TextEnd => self.message_over = true,
            Said::ToolStarted { id, name, about } => {
                report.tool_calls = report.tool_calls.saturating_add(1);
                report.doing = Some(short(format!("{name} {about}").trim()));
                self.running = Some(id.clone());
            }
            Said::ToolEnded { id, ok, .. } => {
                report.tool_failures = report.tool_failures.saturating_add(u32::from(!ok));
                if self.running.as_ref() == Some(id) {
                    (self.running, report.doing) = (None, None);
                }
            }
            // Totals never shrink: one that does is of a part of the run.
            Said::Tokens(tokens) => report.tokens = report.tokens.max(*tokens),
            Said::Turns(turns) => report.turns = report.turns.max(*turns),
            Said::Cost(cost) => report.cost_micros = report.cost_micros.max(Some(*cost)),
            Said::Warning(warning) => self.warn(warning),
            Said::Anew(why) => {
                (report.resumed, report.session) = (false, None);
                self.warn(why);
            }
            Said::Asks(question) => report.questions.push(question.clone()),
            Said::Withdrawn(id) => report.questions.retain(|open| open.question != *id),
            Said::Asked { question, what, allowed } => {
                report.questions.retain(|open| Some(open.question) != *question);
                if !allowed {
                    report.denied = report.denied.saturating_add(1);
                    self.warn(&format!("was not allowed to: {what}"));
                }
            }
            Said::Plain(_) => {}
            Said::Ended(ending) => {
                let was_well = matches!(self.ending, None | Some(Ending::Done));
                let knows_more = matches!((&self.ending, ending), (Some(Ending::Failed(old)), Ending::Failed(new))
                    if old.kind == new.kind && old.reset.is_none() && new.reset.is_some());
                if self.ending.is_none() || was_well && *ending != Ending::Done || knows_more {
                    self.ending = Some(ending.clone());
                }
            }
        }
    }

    /// A warning, the same one once in a row.
    pub fn warn(&mut self, warning: &str) {
        let warning = short(warning);
        let warnings = &mut self.report.warnings;
        if warnings.last() == Some(&warning) {
            return;
        }
        warnings.push(warning);
        let old = warnings.len().saturating_sub(WARNINGS);
        warnings.drain(..old);
    }

    fn say(&mut self, text: &str) {
        if self.message_over {
            self.message.clear();
            (self.message_over, self.message_cut) = (false, false);
        }
        self.message.push_str(text);
        if self.message.len() > 2 * MESSAGE {
            let cut = self.message.ceil_char_boundary(self.message.len() - MESSAGE);
            self.message.drain(..cut);
            self.message_cut = true;
        }
    }

    #[must_use]
    pub const fn report(&self) -> &RunReport {
        &self.report
    }

    /// The last message that it said, or is saying: its end, at most 16 KiB, and whether something is missing before that.
    #[must_use]
    pub fn message(&self) -> (&str, bool) {
        let cut = self.message.ceil_char_boundary(self.message.len().saturating_sub(MESSAGE));
        (&self.message[cut..], self.message_cut || cut > 0)
    }

    #[must_use]
    pub const fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// It was to go on with a session, and has not come to a single answer of its model.
    pub(crate) const fn is_lost(&self) -> bool {
        let RunReport { resumed, tokens, turns, tool_calls, .. } = &self.report;
        *resumed && *turns == 0 && *tool_calls == 0 && tokens.total() == 0
    }

    /// It has no session that could be gone on with.
    pub(crate) fn forget_session(&mut self) {
        self.report.session = None;
    }

    /// It has said anything at all.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.heard
    }
}

/// Cut at a number of characters that fits a line.
fn short(text: &str) -> String {
    text.chars().take(SHORT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
