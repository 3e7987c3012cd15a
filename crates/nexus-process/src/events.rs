//! The output of a tree of processes and its end, in the order in which they are to be told.
//!
//! There is no queue here: the pipes are read when [`Events::next`] is awaited. A slow consumer thereby stops the tree
//! itself, once the pipe (64 KiB on Linux) is full.

use std::time::Duration;

use bytes::BytesMut;
use nexus_core::attempt::ExitStatus;
use nexus_core::log::Stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::lines::{Line, READ, Split, Splitter};
use crate::redact::{Redaction, Redactor};
use crate::tree::{Limit, Phase, Report};

/// One thing that the tree did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// All that one read of one stream brought: `bytes` were read, and `lines` are complete by now. Both streams keep their
    /// own order; between them it is the order of reading. At most 65,536 lines.
    Output { stream: Stream, lines: Vec<Line>, bytes: u64 },
    /// It has hit a limit, and lives.
    LimitHit(Limit),
    /// The leader has ended. Output may follow.
    LeaderExited(ExitStatus),
    /// No process of the tree is alive, and all that it printed has been handed on. The last event.
    TreeGone,
}

/// The way in which output is handed on.
#[derive(Clone, Debug)]
pub struct OutputPolicy {
    /// A line longer than this many bytes is handed on in pieces.
    pub max_line: usize,
    /// The secrets that are taken out of it.
    pub redact: Option<Redactor>,
}

/// Long enough for the lines people read, and 64 of them fit one NATS message of 1 MiB.
const MAX_LINE: usize = 16 * 1024;

impl Default for OutputPolicy {
    fn default() -> Self {
        Self { max_line: MAX_LINE, redact: None }
    }
}

/// The longest wait for a pipe when the tree is gone: a process that has left the group may hold it open for ever.
const DRAIN_TIME: Duration = Duration::from_millis(250);
/// The most that is read then: the group's last words fit the pipe, which an unprivileged process can't make bigger than this.
const DRAIN_BYTES: u64 = 2 * 1024 * 1024;

/// Where a stream is read.
pub(crate) type Source = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// The events of one tree. Dropped early, the tree's pipes are closed: what it prints then fails.
pub struct Events {
    stdout: Pipe,
    stderr: Pipe,
    phase: watch::Receiver<Phase>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Running,
    /// `LimitHit` has been told.
    Limited,
    /// `LeaderExited` has been told.
    Left,
    /// The group is gone; its last words are read.
    Draining {
        until: Instant,
        bytes: u64,
    },
    /// `TreeGone` has been told.
    Over,
}

impl Stage {
    const fn is_before_the_end(self) -> bool {
        matches!(self, Self::Running | Self::Limited)
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) fn new(
        stdout: Option<Source>,
        stderr: Option<Source>,
        split: Split,
        redact: Option<&Redactor>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            stdout: Pipe::new(stdout, Stream::Stdout, split, redact),
            stderr: Pipe::new(stderr, Stream::Stderr, split, redact),
            phase,
            stage: Stage::Running,
        }
    }

    /// The next event; none after [`Event::TreeGone`]. Loses nothing when it is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let phase = *self.phase.borrow_and_update();
            match (self.stage, phase) {
                (Stage::Over, _) => return None,
                (
                    Stage::Running,
                    Phase::Limited(limit)
                    | Phase::Left(_, Some(limit))
                    | Phase::Gone(Report { limit: Some(limit), .. }),
                ) => {
                    self.stage = Stage::Limited;
                    return Some(Event::LimitHit(limit));
                }
                (stage, Phase::Left(status, _) | Phase::Gone(Report { exit: status, .. }))
                    if stage.is_before_the_end() =>
                {
                    self.stage = Stage::Left;
                    return Some(Event::LeaderExited(status));
                }
                (Stage::Left, Phase::Gone(_)) => {
                    self.stage = Stage::Draining { until: Instant::now() + DRAIN_TIME, bytes: DRAIN_BYTES };
                    continue;
                }
                (Stage::Draining { .. }, _) if self.stdout.finished && self.stderr.finished => {
                    self.stage = Stage::Over;
                    return Some(Event::TreeGone);
                }
                _ => {}
            }
            let event = match self.stage {
                Stage::Draining { until, bytes } => self.drain(until, bytes).await,
                _ => self.run().await,
            };
            if let Some(event) = event {
                return Some(event);
            }
        }
    }

    async fn run(&mut self) -> Option<Event> {
        tokio::select! {
            changed = self.phase.changed() => {
                if changed.is_err() {
                    // The owner was dropped with the runtime: nobody can prove the tree's end any more.
                    self.stage = Stage::Over;
                }
                None
            }
            event = self.stdout.read(), if !self.stdout.finished => event,
            event = self.stderr.read(), if !self.stderr.finished => event,
        }
    }

    async fn drain(&mut self, until: Instant, left: u64) -> Option<Event> {
        let event = tokio::select! {
            // What is there is read before the time counts, however late the consumer comes.
            biased;
            event = self.stdout.read(), if !self.stdout.finished => event,
            event = self.stderr.read(), if !self.stderr.finished => event,
            () = sleep_until(until) => {
                self.give_up();
                None
            }
        };
        if let Some(Event::Output { bytes, .. }) = &event {
            let left = left.saturating_sub(*bytes);
            self.stage = Stage::Draining { until, bytes: left };
            if left == 0 {
                self.give_up();
            }
        }
        event
    }

    /// Closes the pipes; the lines begun are still handed on.
    fn give_up(&mut self) {
        self.stdout.reader = None;
        self.stderr.reader = None;
    }
}

struct Pipe {
    /// None when there is nothing more to read.
    reader: Option<Source>,
    stream: Stream,
    /// Where it goes first, where there is anything to take out.
    redaction: Option<(Redaction, BytesMut)>,
    splitter: Splitter,
    /// The last line has been handed on too.
    finished: bool,
}

impl Pipe {
    fn new(reader: Option<Source>, stream: Stream, split: Split, redact: Option<&Redactor>) -> Self {
        let redaction = redact.map(|redactor| (redactor.stream(), BytesMut::new()));
        Self { reader, stream, redaction, splitter: Splitter::new(split), finished: false }
    }

    /// Reads once. Not to be called when `finished`.
    async fn read(&mut self) -> Option<Event> {
        let stream = self.stream;
        if let Some(reader) = &mut self.reader {
            let into = match &mut self.redaction {
                Some((_, raw)) => {
                    raw.reserve(READ);
                    raw
                }
                None => self.splitter.room(),
            };
            match reader.read_buf(into).await {
                Ok(read) if read > 0 => {
                    if let Some((redaction, raw)) = &mut self.redaction {
                        redaction.push(raw, self.splitter.room());
                        raw.clear();
                    }
                    return Some(Event::Output { stream, lines: self.splitter.take(), bytes: read as u64 });
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(stream = stream.as_str(), %error, "a pipe could not be read to its end"),
            }
            self.reader = None;
        }
        self.finished = true;
        if let Some((redaction, _)) = &mut self.redaction {
            redaction.finish(self.splitter.room());
        }
        let lines = self.splitter.rest();
        if lines.is_empty() { None } else { Some(Event::Output { stream, lines, bytes: 0 }) }
    }
}
