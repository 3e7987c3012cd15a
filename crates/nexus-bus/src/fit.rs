//! The size of one message of this broker (`max_payload`), and cutting to it what may be longer.

use nexus_core::dead::shorten;
use nexus_core::event::Event;
use nexus_core::log::ChunkLine;

use crate::bus::Bus;
use crate::error::BusError;
use crate::ledger::event_message;
use crate::publish::Outgoing;

/// Kept for a message's headers, and for what its payload says besides its text.
const ENVELOPE: usize = 4 * 1024;
/// Kept of an entry for what later entries of the same task say besides: the session and the spending of its runs.
const GROWTH: usize = 20 * 1024;
/// JSON makes at most this many bytes of one.
const WIDEST: usize = 6;
/// Bytes of a line's JSON besides its text.
const A_LINE: usize = 32;

impl Bus {
    /// Bytes that the payload of one message can have.
    #[must_use]
    pub fn payload_limit(&self) -> usize {
        self.nats.max_payload().saturating_sub(ENVELOPE)
    }

    /// Bytes of text that surely fit into one message, whatever JSON makes of them.
    pub(crate) fn text_limit(&self) -> usize {
        (self.payload_limit() / WIDEST).max(1)
    }

    /// Refuses an entry that is too long, before anything is written.
    pub(crate) fn check_entry(&self, bytes: usize) -> Result<(), BusError> {
        let limit = self.payload_limit().saturating_sub(GROWTH);
        if bytes > limit { Err(BusError::TooLong { bytes, limit }) } else { Ok(()) }
    }

    /// The message of an event; without its outputs where these don't fit, as JSON makes up to six bytes of one. The log has them.
    pub(crate) fn fitting_event(&self, event: &Event, traceparent: Option<&str>) -> Result<Outgoing, BusError> {
        let (message, limit) = (event_message(event, traceparent)?, self.payload_limit());
        if message.payload.len() <= limit {
            return Ok(message);
        }
        let mut short = vec![event.clone()];
        shorten(&mut short, limit);
        short.first().map_or(Ok(message), |event| event_message(event, traceparent))
    }
}

/// Splits lines into parts of at most `limit` bytes of JSON each. A line that is too long by itself is split as well.
pub(crate) fn parts(lines: Vec<ChunkLine>, limit: usize) -> Vec<Vec<ChunkLine>> {
    let widest: usize = lines.iter().map(|line| line.text.len() * WIDEST + A_LINE).sum();
    if widest <= limit {
        return vec![lines];
    }
    let longest = (limit.saturating_sub(A_LINE) / WIDEST).max(4);
    let (mut parts, mut part, mut held) = (Vec::new(), Vec::new(), 0);
    for line in lines.into_iter().flat_map(|line| pieces(line, limit, longest)) {
        let size = written(&line);
        if held + size > limit && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            held = 0;
        }
        held += size;
        part.push(line);
    }
    parts.push(part);
    parts
}

/// Bytes of a line as JSON, at most.
fn written(line: &ChunkLine) -> usize {
    serde_json::to_string(&line.text).map_or(line.text.len() * WIDEST, |text| text.len()) + A_LINE
}

fn pieces(line: ChunkLine, limit: usize, longest: usize) -> Vec<ChunkLine> {
    if written(&line) <= limit {
        return vec![line];
    }
    let (mut pieces, mut rest) = (Vec::new(), line.text.as_str());
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(longest));
        pieces.push(ChunkLine { stream: line.stream, text: piece.to_owned() });
        rest = behind;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use nexus_core::log::Stream;

    use super::*;

    /// Nothing is lost, all of it is in order, and each part fits.
    #[test]
    fn parts_hold_everything_and_fit() {
        let texts = ["", "plain", "\0\u{1}", "é\"\n", "a line that is somewhat longer than the others are"];
        let text = |n: usize| texts[n % texts.len()].repeat(1 + n * n % 97);
        for (count, limit) in [(0, 200), (1, 200), (40, 200), (40, 999), (200, 4_000), (40, 1 << 20)] {
            let lines: Vec<_> = (0..count).map(|n| ChunkLine { stream: Stream::Stdout, text: text(n) }).collect();
            let whole: String = lines.iter().map(|line| line.text.as_str()).collect();
            let parts = parts(lines, limit);
            let all: String = parts.iter().flatten().map(|line| line.text.as_str()).collect();
            assert_eq!(all, whole, "{count} lines, {limit} bytes");
            for part in &parts {
                let written = serde_json::to_vec(part).unwrap().len();
                assert!(written <= limit + A_LINE, "{written} of {limit}");
            }
            assert!(limit < 1 << 20 || parts.len() == 1);
        }
    }
}
