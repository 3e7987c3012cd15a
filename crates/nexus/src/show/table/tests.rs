use anstyle::AnsiColor;

use super::{Cell, Column, Table, fit};
use crate::show::Screen;

const COLUMNS: [Column; 4] = [
    Column::new("ID"),
    Column::new("MEMORY").spare(2),
    Column::new("AGENTS").cut_to(6).spare(1),
    Column::new("DESCRIPTION").cut_to(10),
];

#[test]
fn everything_is_shown_where_there_is_room() {
    let natural = [4, 8, 20, 40];
    assert_eq!(fit(&COLUMNS, &natural, None), natural);
    assert_eq!(fit(&COLUMNS, &natural, Some(78)), natural);
}

#[test]
fn what_may_be_cut_shares_what_is_left() {
    assert_eq!(fit(&COLUMNS, &[4, 8, 20, 40], Some(58)), [4, 8, 20, 20]);
    assert_eq!(fit(&COLUMNS, &[4, 8, 20, 40], Some(34)), [4, 8, 6, 10]);
}

#[test]
fn what_matters_least_is_left_out_first() {
    assert_eq!(fit(&COLUMNS, &[4, 8, 20, 40], Some(33)), [4, 0, 13, 12]);
    assert_eq!(fit(&COLUMNS, &[4, 8, 20, 40], Some(20)), [4, 0, 0, 14]);
    // It can't become narrower.
    assert_eq!(fit(&COLUMNS, &[4, 8, 20, 40], Some(5)), [4, 0, 0, 10]);
}

fn table() -> Table {
    let mut table = Table::new(COLUMNS);
    let id = Cell::styled("ab12", AnsiColor::Green.on_default());
    table.row([id, "12 MiB".into(), "claude, codex".into(), "what is done\u{1b}[2J 日本 and then some more".into()]);
    table.row(["cd34".into(), "-".into(), "".into(), "".into()]);
    table
}

#[test]
fn no_line_is_wider_than_the_screen() {
    for width in [20, 30, 40, 60, 80] {
        for line in table().lines(Screen::of(Some(width))).lines() {
            assert!(console::measure_text_width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn others_text_does_not_reach_the_terminal_as_control_characters() {
    let said = table().lines(Screen::of(None));
    assert!(said.contains(r"what is done\u{1b}[2J 日本 and then some more"), "{said}");
    let plain: Vec<_> = said.lines().map(|line| console::strip_ansi_codes(line).into_owned()).collect();
    assert_eq!(plain[0], "ID    MEMORY  AGENTS         DESCRIPTION");
    assert_eq!(plain[2], "cd34  -");
    assert!(said.contains("\u{1b}[32mab12\u{1b}[0m  12 MiB"), "{said:?}");
}
