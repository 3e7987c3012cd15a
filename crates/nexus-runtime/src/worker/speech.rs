//! The messages of an agent that speaks in messages: its output's lines are read by its adapter, and become what the attempt's
//! machine hears and what the log shows.

use nexus_acp::Conversation;
use nexus_agents::Reader;
use nexus_core::attempt::ExitStatus;
use nexus_core::log::Stream;
use nexus_core::run::Said;
use nexus_core::run::transcript::Transcript;
use nexus_process::{Line, StdinWriter};

use super::side::{SideDir, SideFileTail};

/// Longest message of an agent, in bytes: what its tools have answered stands in one. What is longer is left out, and a
/// warning says so.
const LONGEST: usize = 8 * 1024 * 1024;

/// An adapter at work.
pub(super) struct Speech {
    reader: Box<dyn Reader>,
    transcript: Transcript,
    line: Vec<u8>,
    too_long: bool,
    side: SideFileTail,
    /// Of an agent that speaks ACP.
    conversation: Option<Conversation>,
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speech").field("side", &self.side).finish_non_exhaustive()
    }
}

/// An event beside an agent's output.
#[derive(Debug)]
pub(super) enum Meanwhile {
    SideFile,
    Heard(Heard),
}

/// The meaning of a piece of output.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) said: Vec<Said>,
    /// For the log.
    pub(super) lines: Vec<(Stream, String)>,
}

impl Heard {
    pub(super) const fn is_nothing(&self) -> bool {
        self.said.is_empty() && self.lines.is_empty()
    }
}

impl Speech {
    pub(super) fn new(reader: Box<dyn Reader>, side_dir: Option<SideDir>) -> Self {
        Self {
            reader,
            transcript: Transcript::default(),
            line: Vec::new(),
            too_long: false,
            side: SideFileTail::new(side_dir),
            conversation: None,
        }
    }

    /// A conversation by ACP.
    pub(super) fn conversing(conversation: Conversation) -> Self {
        let reader = Box::new(conversation.clone());
        Self { conversation: Some(conversation), ..Self::new(reader, None) }
    }

    /// The conversation with an agent that is talked to by its standard input.
    pub(super) const fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref()
    }

    /// The agent runs: this is its standard input.
    pub(super) fn connect(&self, writer: StdinWriter) {
        if let Some(conversation) = &self.conversation {
            conversation.connect(writer);
        }
    }

    /// The next event without a line of the agent's: its side file is to be read ([`Speech::aside`]); in a conversation something
    /// was said. To be dropped and called again at will.
    pub(super) async fn meanwhile(&mut self) -> Meanwhile {
        let Some(conversation) = &self.conversation else {
            self.side.due().await;
            return Meanwhile::SideFile;
        };
        let said = conversation.late().await;
        Meanwhile::Heard(self.heard(said, Vec::new()))
    }

    /// It waits for a person's answer.
    pub(super) fn asks(&self) -> bool {
        self.conversation.as_ref().is_some_and(|conversation| !conversation.questions().is_empty())
    }

    /// Asks the agent to stop, in its own words; false: it knows none, and is signalled.
    pub(super) fn cancel(&self) -> bool {
        let Some(conversation) = &self.conversation else { return false };
        conversation.cancel();
        !conversation.is_over()
    }

    /// The agent is about to be started.
    pub(super) async fn begin(&mut self) {
        self.side.look_for(|| self.reader.side_file());
        self.side.skip().await;
    }

    /// Takes lines of one stream. Standard error is in the log as it is.
    pub(super) fn take(&mut self, stream: Stream, lines: Vec<Line>) -> Heard {
        let mut said = Vec::new();
        let mut shown = Vec::new();
        for line in lines {
            if stream == Stream::Stdout {
                self.piece(&line, &mut said);
            } else {
                self.reader.error_line(&line.bytes, &mut said);
                shown.push((stream, String::from_utf8_lossy(&line.bytes).into_owned()));
            }
        }
        self.side.look_for(|| self.reader.side_file());
        self.side.stir();
        self.heard(said, shown)
    }

    /// The side file's news since the last time.
    pub(super) async fn aside(&mut self) -> Heard {
        let mut said = Vec::new();
        for line in self.side.read().await {
            self.reader.side_line(&line, &mut said);
        }
        self.heard(said, Vec::new())
    }

    /// Its output is complete.
    pub(super) async fn finish(&mut self, exit: Option<ExitStatus>) -> Heard {
        let mut said = Vec::new();
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.reader.line(&line, &mut said);
        }
        self.side.look_for(|| self.reader.side_file());
        for line in self.side.read().await {
            self.reader.side_line(&line, &mut said);
        }
        self.reader.finish(exit, &mut said);
        let mut heard = self.heard(said, Vec::new());
        self.transcript.finish(&mut heard.lines);
        heard
    }

    fn heard(&mut self, said: Vec<Said>, mut lines: Vec<(Stream, String)>) -> Heard {
        said.iter().for_each(|said| self.transcript.take(said, &mut lines));
        Heard { said, lines }
    }

    /// Lines that were cut are joined again.
    fn piece(&mut self, line: &Line, said: &mut Vec<Said>) {
        if self.line.len() + line.bytes.len() > LONGEST {
            self.too_long = true;
            self.line.clear();
        }
        if !self.too_long {
            self.line.extend_from_slice(&line.bytes);
        }
        if line.cut {
            return;
        }
        if std::mem::take(&mut self.too_long) {
            said.push(Said::Warning(format!("a message of more than {} MiB was left out", LONGEST >> 20)));
        } else {
            self.reader.line(&self.line, said);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says each line, its length and the end.
    struct Echo;

    impl Reader for Echo {
        fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
            said.push(Said::Text(format!("{} {}\n", line.len(), String::from_utf8_lossy(&line[..line.len().min(4)]))));
        }

        fn finish(&mut self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
            said.push(Said::Text(format!("{exit:?}")));
        }
    }

    fn piece(bytes: &[u8], cut: bool) -> Line {
        Line { bytes: bytes.to_vec().into(), cut }
    }

    #[tokio::test]
    async fn cut_lines_are_joined_and_the_last_one_counts() {
        let mut speech = Speech::new(Box::new(Echo), None);
        let heard = speech.take(Stream::Stdout, vec![piece(b"ab", true), piece(b"cd", false), piece(b"e", true)]);
        assert_eq!(heard.lines, [(Stream::Stdout, "4 abcd".to_owned())]);
        let heard = speech.finish(Some(ExitStatus::Code(0))).await;
        let lines: Vec<_> = heard.lines.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(lines, ["1 e", "Some(Code(0))"]);
    }

    #[test]
    fn a_message_that_never_ends_is_left_out_and_the_next_one_is_heard() {
        let mut speech = Speech::new(Box::new(Echo), None);
        let part = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            assert!(speech.take(Stream::Stdout, vec![piece(&part, true)]).said.is_empty());
            assert!(speech.line.len() <= LONGEST);
        }
        let heard = speech.take(Stream::Stdout, vec![piece(b"", false), piece(b"next", false)]);
        assert!(
            matches!(&heard.said[..], [Said::Warning(_), Said::Text(text)] if text.starts_with("4 next")),
            "{heard:?}"
        );
    }

    #[test]
    fn standard_error_is_shown_as_it_is() {
        let mut speech = Speech::new(Box::new(Echo), None);
        let heard = speech.take(Stream::Stderr, vec![piece(b"oops", false)]);
        assert_eq!((heard.said.len(), heard.lines), (0, vec![(Stream::Stderr, "oops".to_owned())]));
    }
}
