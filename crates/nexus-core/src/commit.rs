//! The message of a commit that is made of what an agent has left uncommitted.

use crate::id::TaskId;

/// The length that git's own documentation advises at most for a subject is 50; hosts cut at 72.
const SUBJECT: usize = 72;

/// The message: the first line of the task's description, and a trailer that names the task.
#[must_use]
pub fn message(description: &str, task: TaskId) -> String {
    let line = description.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let words: Vec<&str> = line.split(|char: char| char.is_whitespace() || char.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let subject = match line.as_str() {
        "" => "Work on a task",
        line => line,
    };
    format!("{}\n\nNexus-Task: {task}\n", cut(subject))
}

/// At most [`SUBJECT`] characters, cut between words where there are some.
fn cut(line: &str) -> String {
    let Some((end, _)) = line.char_indices().nth(SUBJECT) else { return line.to_owned() };
    let (last, _) = line[..end].char_indices().next_back().unwrap_or_default();
    let whole = line[..last].rfind(' ').filter(|space| *space > SUBJECT / 2).unwrap_or(last);
    format!("{}\u{2026}", line[..whole].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let task = TaskId::from_idempotency_key("a");
        let long = "word ".repeat(20);
        let unbroken = "x".repeat(73);
        let table = [
            ("Fix the build", "Fix the build".to_owned()),
            ("\n\n  Fix\tthe \u{1b}[1mbuild\nand more\n", "Fix the [1mbuild".to_owned()),
            ("", "Work on a task".to_owned()),
            (" \n\t", "Work on a task".to_owned()),
            (&"y".repeat(72), "y".repeat(72)),
            (&long, format!("{}word\u{2026}", "word ".repeat(13))),
            (&unbroken, format!("{}\u{2026}", "x".repeat(71))),
            (&"\u{e4}".repeat(80), format!("{}\u{2026}", "\u{e4}".repeat(71))),
        ];
        for (description, subject) in table {
            let message = message(description, task);
            assert_eq!(message, format!("{subject}\n\nNexus-Task: {task}\n"));
            assert!(message.lines().next().is_some_and(|line| line.chars().count() <= SUBJECT), "{message}");
        }
    }
}
