//! The command line: which runs, and what is said of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use fastrand::Rng;
use serde::Serialize;

use crate::error::HarnessError;
use crate::faults::Fault;
use crate::report::{Report, Total};
use crate::story::Wrong;
use crate::{agent, measure, run, table};

/// Breaks companies at random and proves that nothing was lost and nothing ran twice.
#[derive(Debug, Parser)]
#[command(name = "nexus-chaos", args_conflicts_with_subcommands = true)]
struct Cli {
    /// The number of runs, each with a seed of its own; the modes take turns.
    #[arg(long, default_value_t = 2)]
    seeds: u32,
    /// A seed to run again (more than once: several); which faults meet which work follows from it, not their timing.
    #[arg(long)]
    seed: Vec<u64>,
    /// Only this mode.
    #[arg(long)]
    mode: Option<Mode>,
    /// Faults in each run.
    #[arg(long, default_value_t = 14)]
    faults: u32,
    /// Pieces of work asked for in each run, at least.
    #[arg(long, default_value_t = 100)]
    tasks: u32,
    /// Only these faults.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Fault>,
    /// All but these faults.
    #[arg(long, value_delimiter = ',', conflicts_with = "only")]
    without: Vec<Fault>,
    /// Switches fencing off (debug builds of nexus only) and expects that overlaps are found: the harness is tested.
    #[arg(long)]
    unfenced: bool,
    /// Measures instead: fills a company with this many tasks, kills it, and starts it again.
    #[arg(long, value_name = "TASKS", conflicts_with_all = ["seeds", "seed", "unfenced"])]
    ledger: Option<u64>,
    /// The program to test. Default: `nexus` beside this one.
    #[arg(long, env = "NEXUS_BIN")]
    nexus: Option<PathBuf>,
    /// Keeps the logs and data of every run, not only of those that found something.
    #[arg(long)]
    keep: bool,
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// An agent of a run; started by the company.
    #[command(hide = true)]
    Agent {
        #[arg(long)]
        site: PathBuf,
        plan: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// The ingredients of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// One node with its private broker.
    Solo,
    /// Two nodes on one broker, each over a way that can be cut.
    Pair,
}

impl Mode {
    pub(crate) const ALL: [Self; 2] = [Self::Solo, Self::Pair];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Solo => "solo",
            Self::Pair => "pair",
        }
    }
}

/// The options of all runs of a call.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) nexus: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) faults: u32,
    pub(crate) tasks: u32,
    pub(crate) only: Vec<Fault>,
    pub(crate) unfenced: bool,
    pub(crate) keep: bool,
}

impl Options {
    /// True if a disk may be filled.
    pub(crate) fn with_disk(&self) -> bool {
        self.only.is_empty() || self.only.contains(&Fault::FullDisk)
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Agent { site, plan }) = cli.command {
        return match agent::work(site, &plan) {
            Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            Err(error) => failed(&error),
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(runs(&cli)) {
        Ok(code) => code,
        Err(HarnessError::Interrupted) => ExitCode::from(130),
        Err(error) => failed(&error),
    }
}

async fn runs(cli: &Cli) -> Result<ExitCode, HarnessError> {
    let options = options(cli).await?;
    if let Some(tasks) = cli.ledger {
        let measured = tokio::select! {
            measured = measure::ledger(tasks, &options) => measured?,
            () = interrupted() => return Err(HarnessError::Interrupted),
        };
        let text = match cli.output {
            Output::Text => measured.text(),
            Output::Json => format!("{:#}\n", serde_json::json!(measured)),
        };
        print(&text)?;
        return Ok(ExitCode::from(u8::from(!measured.is_well())));
    }
    // Small enough to be typed.
    let seeds: Vec<_> = match cli.seed.is_empty() {
        true => (0..cli.seeds).map(|_| u64::from(Rng::new().u32(..))).collect(),
        false => cli.seed.clone(),
    };
    let mut reports = Vec::new();
    for (index, seed) in seeds.into_iter().enumerate() {
        let mode = cli.mode.unwrap_or(Mode::ALL[index % Mode::ALL.len()]);
        say(&format!("seed {seed} {}: {}", mode.name(), replay(seed, mode, &options)));
        let report = tokio::select! {
            report = run::run(seed, mode, &options) => report?,
            () = interrupted() => return Err(HarnessError::Interrupted),
        };
        tell(&report);
        reports.push(report);
    }
    let total = Total::of(reports.iter());
    let text = match cli.output {
        Output::Text => table::render(&reports),
        Output::Json => {
            let document = serde_json::json!({ "total": total, "runs": reports });
            format!("{document:#}\n")
        }
    };
    print(&text)?;
    Ok(verdict(&total, cli.unfenced))
}

/// Resolves when it is told to stop: a run that is dropped ends what it has started.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Without fencing, overlaps are what has to be found.
fn verdict(total: &Total, unfenced: bool) -> ExitCode {
    let found = match unfenced {
        true => !total.violations.contains_key(&Wrong::Overlap),
        false => !total.violations.is_empty(),
    };
    ExitCode::from(u8::from(found))
}

async fn options(cli: &Cli) -> Result<Options, HarnessError> {
    let own = std::env::current_exe().map_err(HarnessError::io("this program"))?;
    let nexus = cli.nexus.clone().unwrap_or_else(|| own.with_file_name("nexus"));
    let nexus = std::path::absolute(&nexus).map_err(HarnessError::io("the program to test"))?;
    if !nexus.is_file() {
        return Err(HarnessError::NoProgram(nexus));
    }
    let server = crate::company::server(&nexus).await?;
    let all = Fault::value_variants().iter().copied();
    let only = match cli.without.is_empty() {
        true => cli.only.clone(),
        false => all.filter(|fault| !cli.without.contains(fault)).collect(),
    };
    let (faults, tasks) = (cli.faults, cli.tasks);
    Ok(Options { nexus, server, faults, tasks, only, unfenced: cli.unfenced, keep: cli.keep })
}

fn replay(seed: u64, mode: Mode, options: &Options) -> String {
    let only: Vec<_> = options.only.iter().map(|fault| fault.name()).collect();
    let only = if only.is_empty() { String::new() } else { format!(" --only {}", only.join(",")) };
    let unfenced = if options.unfenced { " --unfenced" } else { "" };
    let (mode, faults, tasks) = (mode.name(), options.faults, options.tasks);
    format!("cargo run -p nexus-chaos -- --seed {seed} --mode {mode} --faults {faults} --tasks {tasks}{only}{unfenced}")
}

fn tell(report: &Report) {
    let Report { seed, tasks, violations, .. } = report;
    let faults: usize = report.faults.values().sum();
    say(&format!(
        "seed {seed}: {faults} faults, {} tasks, {} violations, {:.0} s",
        tasks.acknowledged,
        violations.len(),
        report.seconds
    ));
    // Where they were meant to be found, the table's numbers say enough.
    if let Some(kept) = &report.kept {
        for violation in violations {
            let task = violation.task.map(|task| format!(" {task}")).unwrap_or_default();
            say(&format!("  {}{task}: {}", violation.kind.name(), violation.what));
        }
        say(&format!("  logs and data: {}", kept.display()));
    }
}

fn print(text: &str) -> Result<(), HarnessError> {
    std::io::stdout().write_all(text.as_bytes()).map_err(HarnessError::io("standard output"))
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    say(&format!("error: {error}"));
    ExitCode::from(2)
}
