//! `docs/reference/cli.md`: every command and option, and the exit codes, as the program itself knows them.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use crate::exit::Code;

const INTRO: &str = "# Commands

<!-- Written by the test `the_reference_is_that_of_the_program` of nexus with UPDATE_SCHEMA=1: change the command line. -->

Every command, option and exit code of `nexus`. `nexus help COMMAND` prints the same.

- Results go to standard output, all else to standard error.
- `-o json` prints one JSON document, `-o ndjson` one per line. An error is then
  `{\"error\": \"...\", \"help\": \"...\", \"exit_code\": 3}` on standard error.
- Colour is left out where the output is no terminal, or `NO_COLOR` is set.
";

/// `UPDATE_SCHEMA=1` writes it.
#[test]
fn the_reference_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let text = page();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(checked_in == text, "docs/reference/cli.md differs: run this test with UPDATE_SCHEMA=1");
}

fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = INTRO.to_owned();
    page += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for code in Code::ALL {
        writeln!(page, "| {} | {} |", code as u8, cell(code.meaning())).unwrap();
    }
    page += "\n## Options of every command\n";
    arguments(&mut page, &root, true);
    page += "\n## All commands\n\n| command | |\n|---|---|\n";
    for command in shown(&root) {
        let (name, about) = (command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default());
        writeln!(page, "| [`nexus {name}`](#nexus-{name}) | {} |", cell(&about)).unwrap();
    }
    for command in shown(&root) {
        section(&mut page, command, "##");
    }
    page
}

fn shown(of: &Command) -> impl Iterator<Item = &Command> {
    of.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn section(page: &mut String, command: &Command, level: &str) {
    let name = command.get_bin_name().unwrap_or_default();
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim).collect::<Vec<_>>().join("\n");
    write!(page, "\n{level} {name}\n\n{}\n\n```text\n{usage}\n```\n", about.replace('<', "\\<")).unwrap();
    arguments(page, command, false);
    for command in shown(command) {
        section(page, command, "###");
    }
}

/// A table of the arguments, if there are any.
fn arguments(page: &mut String, command: &Command, global: bool) {
    let own = |arg: &&Arg| {
        // What holds everywhere is hidden below each command, and shown once.
        let is_shown = global || !arg.is_hide_set();
        arg.is_global_set() == global && is_shown && !["help", "version"].contains(&arg.get_id().as_str())
    };
    let rows: Vec<_> = command.get_arguments().filter(own).map(row).collect();
    if !rows.is_empty() {
        write!(page, "\n| argument | default | |\n|---|---|---|\n{}\n", rows.join("\n")).unwrap();
    }
}

fn row(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let mut name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}`"),
        (None, Some(long)) => format!("`--{long}`"),
        (Some(short), None) => format!("`-{short}`"),
        (None, None) => String::new(),
    };
    if takes_value {
        let gap = if name.is_empty() { "" } else { " " };
        let more = if arg.get_num_args().is_some_and(|number| number.max_values() > 1) { "..." } else { "" };
        write!(name, "{gap}`{}{more}`", if value.is_empty() { arg.get_id().as_str() } else { &value }).unwrap();
    }
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    // A default that is found out later is told in words.
    let (help, told) = match help.rsplit_once(" [default: ") {
        Some((help, told)) => (help.to_owned(), told.trim_end_matches(']').to_owned()),
        None => match help.split_once("[default: ") {
            Some((help, told)) => (help.trim_end().to_owned(), told.trim_end_matches(']').to_owned()),
            None => (help, String::new()),
        },
    };
    let mut help = cell(&help);
    let values: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let sentence = |help: &str| if help.is_empty() || help.ends_with('.') { "" } else { "." };
    if takes_value && !values.is_empty() {
        write!(help, "{} One of {}.", sentence(&help), values.join(", ")).unwrap();
    }
    if let Some(variable) = arg.get_env() {
        write!(help, "{} Or `{}`.", sentence(&help), variable.to_string_lossy()).unwrap();
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = if takes_value && !defaults.is_empty() { format!("`{}`", defaults.join(" ")) } else { cell(&told) };
    format!("| {name} | {default} | {} |", help.trim())
}

/// Text for one cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").replace('<', "\\<")
}
