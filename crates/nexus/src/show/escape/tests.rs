use std::borrow::Cow;

use super::{on_terminal, one_line, visible};

#[test]
fn control_characters_are_shown_not_sent() {
    assert_eq!(one_line("\u{1b}[2Jx\u{7}\u{9b}1m\u{7f}\r"), r"\u{1b}[2Jx\u{7}\u{9b}1m\u{7f}\r");
    assert_eq!(one_line("a\nb\tc"), "a\\nb\tc");
    assert_eq!(visible("a\nb\tc\u{1b}"), "a\nb\tc\\u{1b}");
    assert_eq!(on_terminal("line\r"), "line");
    assert_eq!(on_terminal("50 %\r100 %\r"), "50 %\\r100 %");
}

#[test]
fn other_text_is_left_as_it_is() {
    assert!(matches!(visible("über \\ \"quoted\" 日本\n"), Cow::Borrowed(_)));
}
