//! `nexus`, the program: reads the command line, wires the crates together, and turns outcomes into exit codes.

mod backup;
mod cli;
mod command;
mod company;
mod detached;
mod exit;
mod logging;
mod looking;
mod place;
mod progress;
mod reception;
mod service;
mod show;
mod token;

use clap::FromArgMatches as _;

use crate::cli::{Cli, Command};
use crate::exit::{Code, Exit};

/// Memory that one thread takes and another gives back, as nearly everything here is, costs the C library's allocator much more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // A shell asks for completions by a variable; then there is nothing else to do.
    clap_complete::CompleteEnv::with_factory(cli::command).var(cli::COMPLETE).bin("nexus").complete();
    let parsed = cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return exit::misused(&exit::suggest(error)),
    };
    if let Command::Guard { name, value } = &cli.command {
        return match guard(name, value) {
            Ok(()) => Code::Done.into(),
            Err(error) => Exit::failure(format!("the guard failed: {error}")).report(cli.output),
        };
    }
    #[cfg(unix)]
    if let Command::Bridge { door } = cli.command {
        return nexus_process::bridge::cross(std::iter::once(door.into_os_string()));
    }
    #[cfg(target_os = "linux")]
    if nexus_process::init::is_first()
        && matches!(cli.command, Command::Up(..) | Command::Run(..) | Command::Mcp { .. })
    {
        match nexus_process::init::run_as_child() {
            Ok(code) => return code.into(),
            // Without /proc, say: it works all the same, and leaves what others leave to it.
            Err(error) => show::note("warning", &format!("orphans of this container aren't reaped: {error}")),
        }
    }
    // Every agent takes some; the usual limit of 1024 is that of a program which has none. What can't be had is waited for.
    let _ = nexus_process::raise_open_files();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(threads());
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(format!("the runtime could not start: {error}")).report(cli.output),
    };
    let output = cli.output;
    let exit = runtime.block_on(command::run(cli));
    // Reading standard input can't be cancelled: don't wait for a thread that sits in it.
    runtime.shutdown_background();
    match exit {
        Ok(code) => code.into(),
        Err(exit) => exit.report(output),
    }
}

/// A thread for every other processor: the broker and the agents, which do the work, need some too, and what one thread hands
/// on to another costs more than what it does itself.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

#[cfg(target_os = "linux")]
fn guard(name: &str, value: &str) -> std::io::Result<()> {
    nexus_process::guard::watch(name, value)
}

#[cfg(not(target_os = "linux"))]
fn guard(_: &str, _: &str) -> std::io::Result<()> {
    Err(std::io::Error::other("this system shows nobody the environment of processes, so a guard can't know them"))
}
