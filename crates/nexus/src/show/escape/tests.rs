use std::borrow::Cow;

use super::{Looks, on_terminal, one_line, printed, visible};

#[test]
fn control_characters_are_shown_not_sent() {
    assert_eq!(one_line("\u{1b}[2Jx\u{7}\u{9b}1m\u{7f}\r"), r"\u{1b}[2Jx\u{7}\u{9b}1m\u{7f}\r");
    assert_eq!(one_line("a\nb\tc"), "a\\nb\tc");
    assert_eq!(visible("a\nb\tc\u{1b}"), "a\nb\tc\\u{1b}");
}

#[test]
fn what_follows_the_last_carriage_return_counts() {
    assert_eq!(on_terminal("line\r"), "line");
    assert_eq!(on_terminal("line\r\r"), "line");
    assert_eq!(on_terminal("50 %\r100 %\r"), "100 %");
    assert_eq!(printed("50 %\r100 %", Looks::Raw), "100 %");
}

#[test]
fn colours_are_for_terminals_that_show_them() {
    let line = "\u{1b}[1;31mred\u{1b}[0m and \u{1b}[38;5;2mgreen";
    assert_eq!(printed(line, Looks::Coloured), format!("{line}\u{1b}[0m"));
    assert_eq!(printed(line, Looks::Plain), "red and green");
    assert_eq!(printed(line, Looks::Raw), "red and green");
}

#[test]
fn only_colours_reach_a_terminal() {
    let line = "\u{1b}[2Jx\u{1b}]0;title\u{7}\u{1b}[?25l\u{1b}[31";
    for looks in [Looks::Coloured, Looks::Plain] {
        let shown = printed(line, looks);
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.contains(r"\u{1b}[2Jx\u{1b}]0;title\u{7}\u{1b}[?25l"), "{shown:?}");
    }
    assert_eq!(printed(line, Looks::Raw), line);
}

#[test]
fn other_text_is_left_as_it_is() {
    assert!(matches!(visible("über \\ \"quoted\" 日本\n"), Cow::Borrowed(_)));
}
