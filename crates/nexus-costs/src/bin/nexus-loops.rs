//! Runs one inner loop so and so often, to be counted from outside: `nexus-loops NAME ROUNDS`. Without arguments it names them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is how it answers")]

use std::env::args;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (name, rounds) = (args().nth(1), args().nth(2).and_then(|rounds| rounds.parse::<u64>().ok()));
    let mut loops = nexus_costs::loops();
    let Some(name) = name else {
        loops.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let (Some((_, run)), Some(rounds)) = (loops.iter_mut().find(|(known, _)| *known == name), rounds) else {
        eprintln!("usage: nexus-loops [NAME ROUNDS], where NAME is one of those that it prints without arguments");
        return ExitCode::from(2);
    };
    (0..rounds).for_each(|_| run());
    ExitCode::SUCCESS
}
