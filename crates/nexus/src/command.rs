//! One module a command, or a family of them.

use nexus_core::api::AnswerRequest;

use crate::cli::{Cli, Command, TokenCommand};
use crate::exit::{Code, Exit};
use crate::logging;
use crate::show::Screen;

mod agents;
mod backup;
mod branches;
mod broker;
mod company_log;
mod config;
mod dead;
mod doctor;
mod down;
mod events;
mod init;
mod list;
mod logs;
mod mcp;
mod messages;
mod overview;
mod paper;
mod restore;
mod run;
mod service;
mod tasks;
mod token;
mod tree;
mod up;
mod watch;
mod workspace;

/// Runs a command.
pub(crate) async fn run(cli: Cli) -> Result<Code, Exit> {
    let Cli { command, place, output, log } = cli;
    let (level, mcp) = match &command {
        // Its log is not for agents to fill: of each request that it refuses, and each answer that finds nobody, rmcp
        // says a line.
        Command::Up(args) => (if args.quiet { "warn" } else { "info" }, "off"),
        Command::Broker(_) => ("info", "warn"),
        _ => ("warn", "warn"),
    };
    logging::begin(log, level, mcp);
    match command {
        Command::Up(args) => up::up(&place, output, log, args).await,
        Command::Down => down::down(&place, output).await,
        Command::Mcp { start, command } => mcp::mcp(&place, start, command).await,
        Command::Delegate(args) => tasks::delegate(&place, output, args).await,
        Command::Run(args) => run::run(&place, output, args).await,
        Command::Status(args) => match args.tasks.as_slice() {
            [] => overview::company(&place, output).await,
            [task] if args.tree => tree::tree(&place, output, task).await,
            _ if args.tree => Err(Exit::usage("--tree shows one task with those below it: name one")),
            tasks => tasks::status(&place, output, tasks, args.full).await,
        },
        Command::List(args) => list::list(&place, output, args).await,
        Command::Logs(args) => match &args.task {
            Some(task) => logs::logs(&place, output, task, &args).await,
            None => company_log::logs(&place, args.follow).await,
        },
        Command::Prompt { task, attempt } => tasks::prompt(&place, output, &task, attempt).await,
        Command::Cancel { tasks, reason } => tasks::cancel(&place, output, &tasks, reason).await,
        Command::Answer { task, answer, question } => {
            let allow = answer == crate::cli::Answer::Allow;
            tasks::answer(&place, output, AnswerRequest { task_id: task, allow, question }).await
        }
        Command::Move { task, department } => tasks::relocate(&place, output, &task, department).await,
        Command::Dead { limit } => dead::dead(&place, output, limit).await,
        Command::Retry { tasks } => tasks::retry(&place, output, &tasks).await,
        Command::Diff { task, stat } => branches::diff(&place, output, &task, stat).await,
        Command::Shell(args) => workspace::shell(&place, args).await,
        Command::Path { task } => workspace::path(&place, output, &task).await,
        Command::Apply(args) => branches::apply(&place, output, args).await,
        Command::Clean { tasks, dry_run } => branches::clean(&place, output, &tasks, dry_run).await,
        Command::Departments { wide } => overview::departments(&place, output, wide).await,
        Command::Resume { department } => overview::resume(&place, output, &department).await,
        Command::Message { department, text } => messages::leave(&place, output, department, text).await,
        Command::Messages { department, limit } => messages::show(&place, output, &department, limit).await,
        Command::Agents { command, wide } => agents::agents(&place, output, command, wide).await,
        Command::Workers { wide, watch } => overview::workers(&place, output, wide, watch).await,
        Command::Events { follow, task, limit, wide } => {
            let screen = Screen::stdout().wide(wide.wide);
            events::events(&place, output, follow, task, limit, screen).await
        }
        Command::Init { dir } => init::init(&dir, output),
        Command::Config(what) => config::config(&place, output, what).await,
        Command::Trust { dir, remove } => config::trust(&dir, output, remove),
        Command::Token(TokenCommand::Show) => token::show(&place, output),
        Command::Broker(what) => broker::broker(&place, output, what).await,
        Command::History(crate::cli::HistoryCommand::Rebuild) => overview::rebuild(&place, output).await,
        Command::Service(what) => service::service(&place, output, what),
        Command::Backup { file } => backup::backup(&place, output, &file).await,
        Command::Restore { file } => restore::restore(&place, output, &file).await,
        Command::Health => overview::health(&place, output).await,
        Command::Doctor => doctor::doctor(&place, output).await,
        // They need no runtime, so `main` has dealt with them.
        Command::Guard { .. } => Ok(Code::Done),
        #[cfg(unix)]
        Command::Bridge { .. } => Ok(Code::Done),
        Command::Completions { shell } => paper::completions(shell),
        Command::Man { dir } => paper::man(dir.as_deref()),
    }
}
