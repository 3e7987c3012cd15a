//! The output of an attempt: turned into chunks of log lines, and its end kept for the result.

use std::collections::VecDeque;

use jiff::Timestamp;
use nexus_bus::LogWriter;
use nexus_core::log::{ChunkLine, Stream};
use nexus_process::Line;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of each stream's end that go into the result.
const TAIL: usize = 16 * 1024;
/// Chunks between the attempt and its log: with the window of the log itself, what an attempt may hold in memory. When
/// they are full the agent's pipe isn't read, and the agent waits.
const CHUNKS: usize = 8;
/// Lines of one chunk, and their bytes: well under NATS's limit of 1 MiB, whatever JSON makes of them.
const CHUNK_LINES: usize = 1024;
const CHUNK_BYTES: usize = 96 * 1024;

/// The log of an attempt on its way out.
#[derive(Debug)]
pub(super) struct Output {
    chunks: mpsc::Sender<(Timestamp, Vec<ChunkLine>)>,
    writer: JoinHandle<LogWriter>,
    /// Lines of one read (and the notes since) without room yet. Nothing is read while there are any, so they are a pipe's
    /// worth and a few lines of our own.
    pending: VecDeque<(Timestamp, Vec<ChunkLine>)>,
    stdout: Tail,
    stderr: Tail,
}

/// Says something in an attempt's log from elsewhere, if there is room for it.
#[derive(Clone, Debug)]
pub(super) struct Notes(mpsc::Sender<(Timestamp, Vec<ChunkLine>)>);

impl Notes {
    pub(super) fn note(&self, text: String) {
        let _ = self.0.try_send((Timestamp::now(), vec![system(text)]));
    }

    /// Says all of it, as soon as there is room.
    pub(super) async fn say(&self, lines: Vec<String>) {
        for lines in lines.chunks(CHUNK_LINES) {
            // Without a writer nobody reads it.
            let _ = self.0.send((Timestamp::now(), lines.iter().cloned().map(system).collect())).await;
        }
    }
}

/// The ends of both streams, and how many lines the log has.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) output: String,
    pub(super) error_output: String,
    pub(super) truncated: bool,
    /// None: it isn't known.
    pub(super) log_lines: Option<u64>,
}

impl Output {
    pub(super) fn new(mut log: LogWriter) -> Self {
        let (chunks, mut receiver) = mpsc::channel::<(Timestamp, Vec<ChunkLine>)>(CHUNKS);
        let writer = tokio::spawn(async move {
            while let Some((at, lines)) = receiver.recv().await {
                log.write(lines, at).await;
            }
            log.finish().await;
            log
        });
        Self { chunks, writer, pending: VecDeque::new(), stdout: Tail::default(), stderr: Tail::default() }
    }

    /// A way to say something in this log; it has to be gone before [`Output::finish`] can return.
    pub(super) fn notes(&self) -> Notes {
        Notes(self.chunks.clone())
    }

    /// Resolves when there is room for what one read brings.
    pub(super) async fn room(&mut self) {
        loop {
            // An error means that the writer is gone, which is found out when it is finished.
            let Ok(room) = self.chunks.reserve().await else { return };
            match self.pending.pop_front() {
                Some(chunk) => room.send(chunk),
                None => return,
            }
        }
    }

    /// The log has no room: the agent's pipes are not read, and it may be waiting for that.
    pub(super) fn is_full(&self) -> bool {
        !self.pending.is_empty() || self.chunks.capacity() == 0
    }

    /// Takes lines of one stream; returns the last of them.
    pub(super) fn take(&mut self, stream: Stream, lines: Vec<Line>, at: Timestamp) -> Option<String> {
        let tail = if stream == Stream::Stdout { &mut self.stdout } else { &mut self.stderr };
        let mut texts = Vec::with_capacity(lines.len());
        for line in lines {
            let text = String::from_utf8_lossy(&line.bytes).into_owned();
            tail.push(&text, !line.cut);
            texts.push((stream, text));
        }
        self.log(texts, at)
    }

    /// Takes lines that were made of what an agent says, which is no output of its own; returns the last of them.
    pub(super) fn say(&mut self, lines: Vec<(Stream, String)>, at: Timestamp) -> Option<String> {
        for (_, text) in lines.iter().filter(|(stream, _)| *stream == Stream::Stderr) {
            self.stderr.push(text, true);
        }
        self.log(lines, at)
    }

    fn log(&mut self, lines: Vec<(Stream, String)>, at: Timestamp) -> Option<String> {
        let last = lines.last().map(|(_, text)| text.clone());
        let mut chunk = Vec::with_capacity(lines.len().min(CHUNK_LINES));
        let mut bytes = 0;
        for (stream, text) in lines {
            bytes += text.len();
            chunk.push(ChunkLine { stream, text });
            if chunk.len() == CHUNK_LINES || bytes >= CHUNK_BYTES {
                self.send(std::mem::take(&mut chunk), at);
                bytes = 0;
            }
        }
        self.send(chunk, at);
        last
    }

    /// Says something about the attempt, in its log.
    pub(super) fn note(&mut self, text: String, at: Timestamp) {
        self.send(vec![system(text)], at);
    }

    /// Doesn't wait for lines that aren't stored yet: somebody else writes the log now, or may.
    pub(super) fn abandon(self) -> Ends {
        self.writer.abort();
        let truncated = self.stdout.cut || self.stderr.cut;
        Ends { output: self.stdout.text(), error_output: self.stderr.text(), truncated, log_lines: None }
    }

    /// Waits until every line is stored.
    pub(super) async fn finish(mut self) -> Ends {
        for chunk in self.pending.drain(..) {
            let _ = self.chunks.send(chunk).await;
        }
        drop(self.chunks);
        let log_lines = match self.writer.await {
            Ok(log) => Some(log.lines()),
            Err(error) => {
                tracing::error!("a log's writer failed: {error}");
                None
            }
        };
        let truncated = self.stdout.cut || self.stderr.cut;
        Ends { output: self.stdout.text(), error_output: self.stderr.text(), truncated, log_lines }
    }

    /// Never waits: who decides about the attempt must not be held up by its log.
    fn send(&mut self, lines: Vec<ChunkLine>, at: Timestamp) {
        if lines.is_empty() {
            return;
        }
        let chunk = (at, lines);
        if !self.pending.is_empty() {
            self.pending.push_back(chunk);
        } else if let Err(mpsc::error::TrySendError::Full(chunk)) = self.chunks.try_send(chunk) {
            self.pending.push_back(chunk);
        }
    }
}

fn system(text: String) -> ChunkLine {
    ChunkLine { stream: Stream::System, text }
}

/// The end of one stream: whole lines, as many as fit.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<(String, bool)>,
    bytes: usize,
    cut: bool,
}

impl Tail {
    fn push(&mut self, text: &str, ends: bool) {
        let kept = text.floor_char_boundary(TAIL);
        self.cut |= kept < text.len();
        self.bytes += kept + 1;
        self.lines.push_back((text[..kept].to_owned(), ends));
        while self.bytes > TAIL + 1 {
            let Some((first, _)) = self.lines.pop_front() else { break };
            self.bytes -= first.len() + 1;
            self.cut = true;
        }
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes);
        for (line, ends) in &self.lines {
            text.push_str(line);
            if *ends {
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_whole_lines_from_the_end() {
        let mut tail = Tail::default();
        (0..10_000).for_each(|n| tail.push(&format!("line {n}"), true));
        let text = tail.text();
        assert!(tail.cut && text.len() <= TAIL, "{}", text.len());
        assert!(text.starts_with("line ") && text.ends_with("line 9999\n"));
        let mut long = Tail::default();
        long.push(&"é".repeat(TAIL), true);
        assert!(long.cut && long.text().len() <= TAIL + 1);
    }

    #[test]
    fn pieces_of_a_cut_line_are_joined_again() {
        let mut tail = Tail::default();
        tail.push("one", false);
        tail.push("two", true);
        assert_eq!((tail.text().as_str(), tail.cut), ("onetwo\n", false));
    }
}
