//! However a stream is cut into reads, the same lines come out.

use super::*;

fn lines(max: usize, reads: &[&[u8]]) -> Vec<(String, bool)> {
    let mut splitter = Splitter::new(Split::Lines(max));
    let mut all = Vec::new();
    for read in reads {
        splitter.room().extend_from_slice(read);
        all.extend(splitter.take());
    }
    all.extend(splitter.rest());
    all.into_iter().map(|line| (String::from_utf8_lossy(&line.bytes).into_owned(), line.cut)).collect()
}

#[track_caller]
fn check(max: usize, text: &[u8], expected: &[(&str, bool)]) {
    let expected: Vec<_> = expected.iter().map(|(text, cut)| ((*text).to_owned(), *cut)).collect();
    assert_eq!(lines(max, &[text]), expected, "in one read");
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(lines(max, &bytes), expected, "byte by byte");
    for at in 0..text.len() {
        assert_eq!(lines(max, &[&text[..at], &text[at..]]), expected, "in two reads, cut at {at}");
    }
}

#[test]
fn lines_end_with_either_line_end_or_with_the_stream() {
    check(100, b"a\nb\r\n\nc", &[("a", false), ("b", false), ("", false), ("c", false)]);
    check(100, b"", &[]);
    check(100, b"\r\r\n", &[("\r", false)]);
}

#[test]
fn long_lines_come_in_pieces() {
    check(4, b"abcdefghij\nk\n", &[("abcd", true), ("efgh", true), ("ij", false), ("k", false)]);
    check(4, b"abcdefghij", &[("abcd", true), ("efgh", true), ("ij", false)]);
}

#[test]
fn a_line_of_just_the_maximum_is_whole() {
    check(4, b"abcd\nabcd\r\nabcd", &[("abcd", false), ("abcd", false), ("abcd", false)]);
    check(4, b"abcde\r\n", &[("abcd", true), ("e", false)]);
    check(4, b"abcdefgh\n", &[("abcd", true), ("efgh", false)]);
}
