//! Splits a stream of bytes into lines, without copying them.

use bytes::{Bytes, BytesMut};
use memchr::{memchr_iter, memrchr};

#[cfg(test)]
mod tests;

/// One line, without its line end (`\n` or `\r\n`).
///
/// A slice of the buffer that it was read into: holding one line holds up to 64 KiB, so copy what is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub bytes: Bytes,
    /// The line was longer than allowed, and goes on in the next one.
    pub cut: bool,
}

/// The way in which a stream is handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Split {
    /// In lines, of which one holds this many bytes at most; a longer one is handed on in pieces.
    Lines(usize),
    /// As it was read.
    Chunks,
}

/// The size of a pipe on Linux, and so the most that one read can bring.
pub(crate) const READ: usize = 64 * 1024;
/// Below this much room a new buffer is taken. Reads stay big, and many small ones share one buffer.
const LEAST_ROOM: usize = 16 * 1024;

/// The bytes of one stream that are not handed on yet: at most one line's bytes and one read.
#[derive(Debug)]
pub(crate) struct Splitter {
    split: Split,
    buffer: BytesMut,
    /// So much of the buffer is known to hold no line end.
    searched: usize,
}

impl Splitter {
    pub(crate) fn new(split: Split) -> Self {
        Self { split, buffer: BytesMut::new(), searched: 0 }
    }

    /// Where to read into.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < LEAST_ROOM {
            self.buffer.reserve(READ);
        }
        &mut self.buffer
    }

    /// The lines that are complete after a read.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let Split::Lines(max) = self.split else {
            lines.push(Line { bytes: self.buffer.split().freeze(), cut: false });
            return lines;
        };
        if let Some(last) = memrchr(b'\n', &self.buffer[self.searched..]) {
            let whole = self.buffer.split_to(self.searched + last + 1).freeze();
            let mut start = 0;
            for end in memchr_iter(b'\n', &whole) {
                push(&mut lines, whole.slice(start..end), max);
                start = end + 1;
            }
        }
        // One more than the maximum may be the `\r` of a line end that is still to come.
        while self.buffer.len() > max + 1 {
            lines.push(Line { bytes: self.buffer.split_to(max).freeze(), cut: true });
        }
        self.searched = self.buffer.len();
        lines
    }

    /// The rest at the end of the stream: a last line without a line end.
    pub(crate) fn rest(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let rest = self.buffer.split().freeze();
        self.searched = 0;
        match self.split {
            _ if rest.is_empty() => {}
            Split::Lines(max) => push(&mut lines, rest, max),
            Split::Chunks => lines.push(Line { bytes: rest, cut: false }),
        }
        lines
    }
}

fn push(lines: &mut Vec<Line>, mut line: Bytes, max: usize) {
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    while line.len() > max {
        lines.push(Line { bytes: line.split_to(max), cut: true });
    }
    lines.push(Line { bytes: line, cut: false });
}
