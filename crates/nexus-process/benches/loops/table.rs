//! The way of an agent's output between the pipe and the log. `nexus-costs` counts the same loops.
#![expect(clippy::unwrap_used, reason = "samples that are there; a measurement may panic")]

use std::hint::black_box;

use nexus_process::Redactor;
use nexus_process::measured::Reading;

/// A name, and one round of it.
pub(crate) type Loop = (&'static str, Box<dyn FnMut()>);

/// As by default.
const LONGEST: usize = 64 * 1024;
/// One read brings 64 KiB at most: so many lines of a hundred bytes.
const LINES: usize = 640;

pub(crate) fn all() -> Vec<Loop> {
    let secrets = Redactor::new(["sk-ant-api03-0123456789abcdef", "ghp_0123456789abcdef", "hunter2-hunter2"]);
    vec![
        ("split_lines", splitting(Reading::new(LONGEST, None))),
        ("split_lines_with_secrets", splitting(Reading::new(LONGEST, secrets.as_ref()))),
        ("mask_text", masking(secrets.unwrap())),
    ]
}

/// The splitting of what a full pipe brings.
fn splitting(mut reading: Reading) -> Box<dyn FnMut()> {
    let text = line().repeat(LINES);
    Box::new(move || {
        black_box(reading.take(black_box(text.as_bytes())));
    })
}

/// A text that is whole, with a secret in it.
fn masking(redactor: Redactor) -> Box<dyn FnMut()> {
    let text = format!("{}key: hunter2-hunter2\n", line().repeat(10));
    Box::new(move || {
        black_box(redactor.mask(black_box(&text)));
    })
}

/// A hundred bytes.
fn line() -> String {
    format!("{:<99}\n", "   Compiling some-crate v0.1.0 (/home/somebody/some-project/crates/some-crate)")
}
