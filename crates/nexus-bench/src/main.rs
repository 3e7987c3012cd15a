//! `nexus-bench`, the load generator of `bench/`: does one order, given as JSON, against a running company or its broker,
//! and prints as JSON what it measured. What is measured, in which turns and against what, `bench/` decides.

use std::io::Write as _;
use std::process::ExitCode;

use serde::Deserialize;

mod ask;
mod cancel;
mod errand;
mod error;
mod logs;
mod panic;
mod program;
mod publish;
mod respawn;
mod site;
mod stream;
mod tasks;
mod timing;
mod watch;
mod workspace;

use error::LoadError;
use site::Site;

/// The order: `nexus-bench '{"do":"submit","data_dir":"...","department":"bench","count":1000,"in_flight":64}'`.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Order {
    /// Publish to a stream like the ledger, past the company: the floor of a submission.
    Publish(publish::Publish),
    /// Ask the CEO for tasks, and don't wait for them.
    Submit(tasks::Submit),
    /// Ask the CEO for tasks, and wait until they are completed.
    Run(tasks::Run),
    /// Count what a department completes in a while.
    Drain(tasks::Drain),
    /// List what runs, and cancel it.
    Cancel(cancel::Cancel),
    /// Ask a subject of NATS, and wait for the answer.
    Ask(ask::Ask),
    /// Answer on a subject of NATS until standard input ends.
    Respond(ask::Respond),
    /// Run a program for each entry of a queue and write down what becomes of it, past the company: the floor of a task.
    Errand(errand::Errand),
    /// Ask who does these for them, and wait until they are completed.
    AskErrands(errand::AskErrands),
    /// Keep a program alive and write down its ends, past the company: the floor of supervision.
    Respawn(respawn::Respawn),
    /// Have a worker panic, in a company that was started for faults.
    Panic(panic::Panic),
    /// Have an agent print lines, and follow them.
    Logs(logs::Logs),
    /// Ask the CEO for tasks that print the time, and say how long they took to begin and to end.
    Workspaces(workspace::Workspaces),
    /// Run a command in overlays, past the company: the floor of a prepared workspace.
    Mounts(workspace::Mounts),
    /// Run a command in worktrees, past the company: the floor of a workspace that is checked out.
    Worktrees(workspace::Worktrees),
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1) {
        Some(text) => serde_json::from_str(&text).map_err(LoadError::from).and_then(perform),
        None => Err(LoadError::NoOrder),
    };
    match done {
        Ok(figures) => {
            let written = writeln!(std::io::stdout(), "{figures}");
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(order: Order) -> Result<serde_json::Value, LoadError> {
    // One thread: on two cores the others are what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match order {
            Order::Publish(order) => order.perform().await,
            Order::Submit(order) => order.perform().await,
            Order::Run(order) => order.perform().await,
            Order::Drain(order) => order.perform().await,
            Order::Cancel(order) => order.perform().await,
            Order::Ask(order) => order.perform().await,
            Order::Respond(order) => order.perform().await,
            Order::Errand(order) => order.perform().await,
            Order::AskErrands(order) => order.perform().await,
            Order::Respawn(order) => order.perform().await,
            Order::Panic(order) => order.perform().await,
            Order::Logs(order) => order.perform().await,
            Order::Workspaces(order) => order.perform().await,
            Order::Mounts(order) => order.perform().await,
            Order::Worktrees(order) => order.perform().await,
        }
    })
}
