//! The place that output goes to: a terminal of some width, or a file or program, for which nothing is cut.

use std::io::IsTerminal as _;

use anstream::{AutoStream, ColorChoice};
use console::Term;
use nexus_core::brief::brief;
use nexus_core::id::TaskId;
use textwrap::{Options, WordSeparator, WordSplitter};

use super::escape::{Looks, visible};

/// The width of a terminal that doesn't tell its own.
const USUAL: usize = 80;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(super) looks: Looks,
    /// Columns; none where nothing is to be cut.
    pub(super) width: Option<usize>,
}

impl Screen {
    pub(crate) fn stdout() -> Self {
        Self::new(AutoStream::choice(&std::io::stdout()), std::io::stdout().is_terminal(), &Term::stdout())
    }

    pub(crate) fn stderr() -> Self {
        Self::new(AutoStream::choice(&std::io::stderr()), std::io::stderr().is_terminal(), &Term::stderr())
    }

    fn new(choice: ColorChoice, terminal: bool, term: &Term) -> Self {
        let looks = match choice {
            _ if !terminal => Looks::Raw,
            ColorChoice::Never => Looks::Plain,
            _ => Looks::Coloured,
        };
        let columns = term.size_checked().map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0);
        Self { looks, width: terminal.then(|| columns.unwrap_or(USUAL)) }
    }

    /// A terminal of so many columns, or a pipe.
    #[cfg(test)]
    pub(super) const fn of(width: Option<usize>) -> Self {
        Self { looks: if width.is_some() { Looks::Coloured } else { Looks::Raw }, width }
    }

    /// True for a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        self.looks != Looks::Raw
    }

    /// The same, with nothing cut where `wide` is true.
    pub(crate) fn wide(self, wide: bool) -> Self {
        Self { width: self.width.filter(|_| !wide), ..self }
    }

    /// An id as it is shown here.
    pub(crate) fn id(self, id: TaskId) -> String {
        self.id_among(id, &[])
    }

    /// The same, so that it can be told from the others that are shown with it.
    pub(crate) fn id_among(self, id: TaskId, others: &[TaskId]) -> String {
        if self.is_terminal() { brief(id, others) } else { id.to_string() }
    }

    /// A task as it was named: a whole id as one is shown here.
    pub(crate) fn named(self, task: &str) -> String {
        task.parse().map_or_else(|_| task.to_owned(), |id| self.id(id))
    }

    /// Text of others' choosing whose first line begins in column `indent`, and whose other lines are put below it.
    /// Words stay whole, so that paths and commands can be copied.
    pub(crate) fn hang(self, text: &str, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let text = visible(text);
        let Some(width) = self.width else { return text.replace('\n', &format!("\n{margin}")) };
        let options = Options::new(width.max(indent + 20))
            .initial_indent(&margin)
            .subsequent_indent(&margin)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        let filled = textwrap::fill(&text, options);
        filled.strip_prefix(&margin).map(str::to_owned).unwrap_or(filled)
    }

    /// A line of others' choosing, cut where the screen ends.
    pub(crate) fn cut(self, line: &str) -> String {
        match self.width {
            Some(width) => console::truncate_str(line, width, "…").into_owned(),
            None => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_hangs_below_its_beginning() {
        let said = Screen::of(Some(30)).hang("one two three four five six\nseven", 10);
        assert_eq!(said, "one two three four\n          five six\n          seven");
        let path = "/a/path-that-is/longer/than/the/screen-is-wide";
        assert_eq!(Screen::of(Some(30)).hang(path, 10), path);
    }

    #[test]
    fn for_a_program_nothing_is_wrapped() {
        let line = "a line that is longer than the usual width of a terminal, which is eighty columns, as said";
        assert_eq!(Screen::of(None).hang(line, 4), line);
        assert_eq!(Screen::of(None).cut(line), line);
        assert_eq!(Screen::of(Some(80)).wide(true).cut(line), line);
    }

    #[test]
    fn a_cut_line_ends_with_a_sign_of_it() {
        assert_eq!(Screen::of(Some(8)).cut("a long line"), "a long …");
    }
}
