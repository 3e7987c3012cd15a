//! Takes secrets out of what an agent prints, wherever they are cut: between reads, between lines.

use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::{BufMut, BytesMut};

#[cfg(test)]
mod tests;

/// Stands for a secret.
const MASK: &[u8] = b"***";
/// A shorter secret would be found everywhere.
const LEAST: usize = 4;
/// A line of a secret that has several is one by itself from this length on.
const LEAST_LINE: usize = 16;

/// The secrets of one agent.
#[derive(Clone)]
pub struct Redactor {
    secrets: Arc<[Vec<u8>]>,
    search: Arc<AhoCorasick>,
    longest: usize,
}

/// Never a secret.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({})", self.secrets.len())
    }
}

impl Redactor {
    /// Looks for these, in the form in which JSON writes them too, and for the long lines of those that have several. None
    /// if there is nothing to look for: secrets of less than four bytes are not taken out.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut forms: Vec<Vec<u8>> = Vec::new();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= LEAST) {
            let lines = secret.lines().filter(|line| line.len() >= LEAST_LINE);
            for text in std::iter::once(secret).chain(lines) {
                forms.push(text.as_bytes().to_vec());
                if let Ok(quoted) = serde_json::to_string(text) {
                    forms.push(quoted.as_bytes()[1..quoted.len() - 1].to_vec());
                }
            }
        }
        forms.sort();
        forms.dedup();
        let longest = forms.iter().map(Vec::len).max()?;
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms).ok()?;
        Some(Self { secrets: forms.into(), search: Arc::new(search), longest })
    }

    /// A stream from its beginning.
    pub(crate) fn stream(&self) -> Redaction {
        Redaction { redactor: self.clone(), held: Vec::new() }
    }

    /// A text that is whole.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let (mut stream, mut out) = (self.stream(), BytesMut::new());
        stream.push(text.as_bytes(), &mut out);
        stream.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The start of what may be the beginning of a secret, at the end of some text.
    fn undecided(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.longest - 1);
        let begins = |at: &usize| {
            let rest = &text[*at..];
            self.secrets.iter().any(|secret| secret.len() > rest.len() && secret.starts_with(rest))
        };
        (first..text.len()).find(begins).unwrap_or(text.len())
    }
}

/// One stream: at most one secret's bytes are held back, until it is known whether it is one.
#[derive(Debug)]
pub(crate) struct Redaction {
    redactor: Redactor,
    held: Vec<u8>,
}

impl Redaction {
    /// Takes more of the stream and hands on what is decided.
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut BytesMut) {
        self.held.extend_from_slice(chunk);
        let end = self.redactor.undecided(&self.held);
        self.hand_on(end, out);
    }

    /// The stream is over: what is left is no secret's beginning.
    pub(crate) fn finish(&mut self, out: &mut BytesMut) {
        self.hand_on(self.held.len(), out);
    }

    fn hand_on(&mut self, mut end: usize, out: &mut BytesMut) {
        let mut from = 0;
        for found in self.redactor.search.find_iter(&self.held) {
            if found.start() >= end {
                break;
            }
            out.put_slice(&self.held[from..found.start()]);
            out.put_slice(MASK);
            from = found.end();
            end = end.max(from);
        }
        out.put_slice(&self.held[from..end]);
        self.held.drain(..end);
    }
}
