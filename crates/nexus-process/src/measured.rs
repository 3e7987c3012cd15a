//! For benchmarks alone: what becomes of the bytes of a pipe, without the pipe.

use bytes::{BufMut as _, BytesMut};

use crate::lines::{Line, Split, Splitter};
use crate::redact::{Redaction, Redactor};

/// One stream that is read: the secrets are taken out, then it is split into lines.
#[derive(Debug)]
pub struct Reading {
    redaction: Option<Redaction>,
    splitter: Splitter,
}

impl Reading {
    /// `longest`: bytes of a line at most.
    #[must_use]
    pub fn new(longest: usize, redactor: Option<&Redactor>) -> Self {
        Self { redaction: redactor.map(Redactor::stream), splitter: Splitter::new(Split::Lines(longest)) }
    }

    /// The lines that are complete after a read that has brought these bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let room: &mut BytesMut = self.splitter.room();
        match &mut self.redaction {
            Some(redaction) => redaction.push(bytes, room),
            None => room.put_slice(bytes),
        }
        self.splitter.take()
    }
}
