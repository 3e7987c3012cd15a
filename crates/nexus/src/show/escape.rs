//! Control characters of others' choosing, made visible: what an agent prints or a description holds must not move the
//! cursor, rename the window or fill the clipboard of whoever looks at it.

use std::borrow::Cow;

use console::AnsiCodeIterator;

/// Text of several lines: newlines and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |char| matches!(char, '\n' | '\t'))
}

/// Text that has to stay on its line: only tabs stay.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |char| char == '\t')
}

/// A line of a log, without colours, that can't move a cursor.
pub(crate) fn on_terminal(line: &str) -> Cow<'_, str> {
    printed(line, Looks::Plain)
}

/// The reader of a log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// A terminal that shows colours.
    Coloured,
    /// A terminal that doesn't.
    Plain,
    /// A file or a program: it gets all but colours.
    Raw,
}

/// A line of a log as it looked where a tool printed it: a carriage return begins it anew, and colours are colours.
pub(crate) fn printed(line: &str, looks: Looks) -> Cow<'_, str> {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    if !line.contains(char::is_control) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(line.len() + 16);
    let mut coloured = false;
    for (part, is_sequence) in AnsiCodeIterator::new(line) {
        match (is_sequence && is_colour(part), looks) {
            (true, Looks::Coloured) => {
                coloured = true;
                shown.push_str(part);
            }
            (true, _) => {}
            (false, Looks::Raw) => shown.push_str(part),
            (false, _) => shown.push_str(&one_line(part)),
        }
    }
    if coloured {
        shown.push_str("\u{1b}[0m");
    }
    Cow::Owned(shown)
}

/// True for a sequence that changes nothing but the looks of what follows (SGR).
fn is_colour(sequence: &str) -> bool {
    let inner = sequence.strip_prefix("\u{1b}[").and_then(|rest| rest.strip_suffix('m'));
    inner.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
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
