//! Named values, one below the other, each hanging below its beginning.

use anstyle::Style;

use super::{Screen, one_line};

/// Rows of a name and a value.
pub(crate) struct Block {
    screen: Screen,
    /// Columns of a name.
    names: usize,
    text: String,
}

impl Block {
    pub(crate) const fn new(screen: Screen, names: usize) -> Self {
        Self { screen, names, text: String::new() }
    }

    pub(crate) fn row(&mut self, name: &str, value: &str) {
        self.styled(name, Style::new(), value);
    }

    pub(crate) fn styled(&mut self, name: &str, style: Style, value: &str) {
        let value = self.screen.hang(value, self.names + 3);
        let blanks = " ".repeat(self.names.saturating_sub(name.chars().count()));
        self.text.push_str(&format!("  {style}{}{style:#}{blanks} {value}\n", one_line(name)));
    }

    pub(crate) fn end(self) -> String {
        self.text
    }
}
