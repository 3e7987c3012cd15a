//! `nexus-chaos`, the program: faults on purpose, and what must hold all the same.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    nexus_chaos::main()
}

/// The proof needs `/proc`, which only Linux has.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "error: the fault harness needs /proc: run it on Linux");
    ExitCode::from(2)
}
