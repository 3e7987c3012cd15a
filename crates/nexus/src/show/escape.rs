//! Control characters of others' choosing, made visible: what an agent prints or a description holds must not move the
//! cursor, rename the window or fill the clipboard of whoever looks at it.

use std::borrow::Cow;

/// Text of several lines: newlines and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |char| matches!(char, '\n' | '\t'))
}

/// Text that has to stay on its line: only tabs stay.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |char| char == '\t')
}

/// A line of a log for a terminal; the carriage return before its end is nothing to show.
pub(crate) fn on_terminal(line: &str) -> Cow<'_, str> {
    one_line(line.strip_suffix('\r').unwrap_or(line))
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |char: char| char.is_control() && !stays(char);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if hidden(char) {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests;
