//! The end of what a command has printed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nexus_process::Line;

/// So many bytes of it, the last ones.
#[derive(Debug)]
pub(super) struct Kept {
    most: usize,
    text: Mutex<Text>,
}

#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    truncated: bool,
}

/// More than is kept, so that not every line moves all the others.
const SLACK: usize = 64 * 1024;

impl Kept {
    pub(super) fn new(most: usize) -> Self {
        Self { most, text: Mutex::default() }
    }

    pub(super) fn push(&self, lines: &[Line]) {
        let mut text = self.text();
        for line in lines {
            text.bytes.extend_from_slice(&line.bytes);
            if !line.cut {
                text.bytes.push(b'\n');
            }
            if text.bytes.len() > self.most + SLACK {
                text.cut(self.most);
            }
        }
    }

    /// The kept output as text; and whether it is the end of more.
    pub(super) fn text_and_more(&self) -> (String, bool) {
        let mut text = self.text();
        text.cut(self.most);
        let mut whole = String::from_utf8_lossy(&text.bytes).into_owned();
        let mut truncated = text.truncated;
        drop(text);
        // What is no UTF-8 has become longer.
        if whole.len() > self.most {
            let from = whole.ceil_char_boundary(whole.len() - self.most);
            whole.drain(..from);
            truncated = true;
        }
        (whole, truncated)
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Text {
    /// Takes away what is too much, from its begin, to where a character begins.
    fn cut(&mut self, most: usize) {
        let Some(surplus) = self.bytes.len().checked_sub(most).filter(|surplus| *surplus > 0) else { return };
        let is_inside = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        // A character has three such bytes at most.
        let rest = self.bytes[surplus..].iter().take(3).take_while(is_inside).count();
        self.bytes.drain(..surplus + rest);
        self.truncated = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8], cut: bool) -> Line {
        Line { bytes: text.to_vec().into(), cut }
    }

    #[test]
    fn the_last_is_kept_in_whole_characters() {
        let cases: [(usize, &[Line], &str, bool); 7] = [
            (100, &[], "", false),
            (100, &[line(b"one", false), line(b"tw", true), line(b"o", false)], "one\ntwo\n", false),
            (4, &[line(b"one", false)], "one\n", false),
            (4, &[line(b"one", false), line(b"two", false)], "two\n", true),
            // "ä" has two bytes, of which one would fit.
            (4, &[line("xäyz".as_bytes(), false)], "yz\n", true),
            (0, &[line(b"one", false)], "", true),
            (7, &[line(b"\xff\xff\xff", false)], "\u{fffd}\u{fffd}\n", true),
        ];
        for (most, lines, text, truncated) in cases {
            let kept = Kept::new(most);
            kept.push(lines);
            assert_eq!(kept.text_and_more(), (text.to_owned(), truncated), "{most} {lines:?}");
        }
    }

    #[test]
    fn a_flood_is_bounded() {
        let kept = Kept::new(10);
        for _ in 0..1000 {
            kept.push(&[line(&[b'x'; 1024], false)]);
            assert!(kept.text().bytes.len() <= 10 + SLACK);
        }
        assert_eq!(kept.text_and_more(), ("xxxxxxxxx\n".to_owned(), true));
    }
}
