//! A table that fits its screen: columns that matter less are left out or cut where there is no room for them.

use anstyle::Style;
use console::{measure_text_width, pad_str, truncate_str};

use super::{Screen, one_line};

/// Between two columns.
const GAP: usize = 2;

/// A column, and what may be done to it where room is scarce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    head: &'static str,
    /// It is cut to this width at the least; none: never.
    least: Option<usize>,
    /// It is left out where there is no room: the one with the highest rank first. 0: never.
    rank: u8,
}

impl Column {
    /// A column that is always there as it is.
    pub(super) const fn new(head: &'static str) -> Self {
        Self { head, least: None, rank: 0 }
    }

    pub(super) const fn cut_to(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }

    pub(super) const fn spare(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// A text and its looks.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn styled(text: &str, style: Style) -> Self {
        Self { text: one_line(text).into_owned(), style }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(&text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::styled(text, Style::new())
    }
}

pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Its lines, the first of them its head.
    pub(super) fn lines(&self, screen: Screen) -> String {
        let bold = Style::new().bold();
        let head: Vec<_> = self.columns.iter().map(|column| Cell::styled(column.head, bold)).collect();
        let rows: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let widest = |at: usize| rows.iter().map(|row| measure_text_width(&row[at].text)).max().unwrap_or_default();
        let natural: Vec<_> = (0..self.columns.len()).map(widest).collect();
        let widths = fit(&self.columns, &natural, screen.width);
        rows.iter().map(|row| format!("{}\n", line(row, &widths))).collect()
    }
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let shown: Vec<_> = row.iter().zip(widths).filter(|(_, width)| **width > 0).collect();
    let mut line = String::new();
    // Cells without a text behind the last one that has some would be blanks at the line's end.
    let end = shown.iter().rposition(|(cell, _)| !cell.text.is_empty()).map_or(0, |last| last + 1);
    for (at, (Cell { text, style }, width)) in shown.into_iter().take(end).enumerate() {
        let text = truncate_str(text, *width, "…");
        let width = if at + 1 == end { 0 } else { *width + GAP };
        let padded = pad_str(&text, width, console::Alignment::Left, None);
        let blanks = &padded[text.len()..];
        line.push_str(&format!("{style}{text}{style:#}{blanks}"));
    }
    line
}

/// The width of each column, given that of its widest text; 0: it is left out. Without a width of the screen, all is shown.
fn fit(columns: &[Column], natural: &[usize], width: Option<usize>) -> Vec<usize> {
    let Some(width) = width else { return natural.to_vec() };
    let least = |at: usize| columns[at].least.map_or(natural[at], |least| least.min(natural[at]));
    let mut shown: Vec<usize> = (0..columns.len()).filter(|at| natural[*at] > 0).collect();
    let needs =
        |shown: &[usize]| shown.iter().map(|at| least(*at)).sum::<usize>() + GAP * shown.len().saturating_sub(1);
    while needs(&shown) > width
        && let Some(out) = shown.iter().copied().filter(|at| columns[*at].rank > 0).max_by_key(|at| columns[*at].rank)
    {
        shown.retain(|at| *at != out);
    }
    let mut left = width.saturating_sub(needs(&shown));
    let mut widths = vec![0; columns.len()];
    shown.iter().for_each(|at| widths[*at] = least(*at));
    // What is left goes to those that are cut, one column after the other, until none is cut any more.
    while left > 0
        && let Some(at) = shown.iter().copied().filter(|at| widths[*at] < natural[*at]).min_by_key(|at| widths[*at])
    {
        widths[at] += 1;
        left -= 1;
    }
    widths
}

#[cfg(test)]
mod tests;
