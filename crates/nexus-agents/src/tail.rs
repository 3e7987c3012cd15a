//! The last lines that an agent printed which are no messages of its format: where one that never spoke says why.

use std::collections::VecDeque;

use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Said, Trouble, TroubleKind};

use crate::{json, trouble};

/// Lines that are kept, of at most so many bytes.
const LINES: usize = 6;
const LINE: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<String>);

impl Tail {
    /// Keeps a line, and returns it as text.
    pub(crate) fn push(&mut self, line: &[u8]) -> String {
        let text = json::plain(line);
        if !text.trim().is_empty() {
            self.0.truncate(LINES - 1);
            self.0.push_front(text[..text.floor_char_boundary(LINE)].to_owned());
        }
        text
    }

    pub(crate) fn newest(&self) -> Option<&str> {
        self.0.front().map(String::as_str)
    }

    /// Their verdict on a run that ended without a word: only where its exit code says too that it failed.
    pub(crate) fn conclude(&self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        let failed = matches!(exit, Some(ExitStatus::Code(code)) if code != 0);
        let Some(last) = self.newest().filter(|_| failed) else { return };
        let known = self.0.iter().map(|line| trouble::trouble(None, line, None)).find(|trouble| {
            matches!(trouble.kind, TroubleKind::Authentication | TroubleKind::RateLimit | TroubleKind::Limit)
        });
        let trouble = known.unwrap_or_else(|| Trouble::new(TroubleKind::Crash, trouble::message(last)));
        said.push(Said::Ended(Ending::Failed(trouble)));
    }
}
