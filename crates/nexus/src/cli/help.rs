//! The help of commands: examples, and options of every command once instead of below each.

use clap::{Command, CommandFactory as _};

use super::Cli;

/// Below the help of each command.
const EVERYWHERE: &str = "Options of every command, such as --data-dir: nexus --help";

pub(super) const UP: &str = "\
Examples:
  nexus up                         until Ctrl-C
  nexus up --detach --listen 8080  in the background; nexus down stops it";
pub(super) const DELEGATE: &str = "\
Examples:
  nexus delegate \"Fix the flaky login test\"
  nexus delegate -d qa -a shell -- make test
  nexus delegate --not-before \"tomorrow 9:00\" - < task.md";
pub(super) const RUN: &str = "\
Examples:
  nexus run \"Give every function in src/ a doc comment\"
  nexus run --agent shell -- make test
  nexus run -q -a shell \"git log --oneline\" > log.txt    the result alone

Ctrl-C cancels the task. The exit code is 0 when it is completed, and 8 when it has failed.";
pub(super) const STATUS: &str = "\
Examples:
  nexus status              the company
  nexus status 0ecd         a task, by the first characters of its id
  nexus status @ --full     the newest one, with its whole description";
pub(super) const LIST: &str = "\
Examples:
  nexus list                     what waits or runs
  nexus list -a --status failed  what has failed
  nexus list -d qa --watch";
pub(super) const LOGS: &str = "\
Examples:
  nexus logs -f @             what the newest task prints, as it does
  nexus logs -n 20 0ecd       the last 20 lines
  nexus logs --since 10m --timestamps 0ecd";
pub(super) const APPLY: &str = "\
Examples:
  nexus diff 0ecd && nexus apply 0ecd
  nexus apply --rebase 0ecd";

/// The command line, with help that fits.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let everywhere: Vec<_> = command
        .get_arguments()
        .filter(|arg| arg.is_global_set() && arg.is_hide_set())
        .map(|arg| arg.clone().hide(false))
        .collect();
    // What is hidden below each command is shown once, at the top.
    let shown = Command::new("nexus")
        .disable_help_flag(true)
        .max_term_width(100)
        .help_template("{all-args}")
        .args(everywhere)
        .render_help();
    let codes = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let all = format!("{}\n\n{codes}", shown.ansi());
    command
        .mut_subcommands(|command| {
            let examples = command.get_after_help().map(|help| format!("{help}\n\n")).unwrap_or_default();
            command.after_help(format!("{examples}{EVERYWHERE}"))
        })
        .after_help(shown)
        .after_long_help(all)
}

/// The same for manual pages, which have room for everything.
pub(crate) fn manual() -> Command {
    Cli::command().mut_args(|arg| if arg.is_global_set() { arg.hide(false) } else { arg })
}
