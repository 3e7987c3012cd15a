//! The company's log of its work: a line for each attempt that starts or ends.

use nexus_bus::Claim;
use nexus_core::event::Outcome;
use nexus_core::retry::Next;

/// Characters of a description that are shown.
const SHOWN: usize = 60;

/// An attempt has started.
pub(crate) fn started(claim: &Claim) {
    let task = &claim.entry.task;
    let attempt = match claim.entry.attempt {
        1 => String::new(),
        attempt => format!(", attempt {attempt}"),
    };
    let (worker, agent, text) = (&claim.worker, &claim.agent, first_words(&task.description));
    tracing::info!(department = %task.department, task = %task.id, "started: {agent} in {worker}{attempt}: {text}");
}

/// What is to be said once the end of an attempt is written.
pub(crate) fn end(next: &Next, outcome: &Outcome) -> String {
    let seconds = std::time::Duration::from_millis(outcome.duration_ms).as_secs_f64();
    let code = match (outcome.exit_code, outcome.signal) {
        (Some(code), _) => format!(", exit {code}"),
        (None, Some(signal)) => format!(", signal {signal}"),
        (None, None) => String::new(),
    };
    match next {
        Next::Complete => format!("completed in {seconds:.2} s{code}"),
        Next::Cancel(reason) => format!("cancelled after {seconds:.2} s: {reason}"),
        Next::Fail(failure) => format!("failed after {seconds:.2} s: {}", failure.message),
        Next::RetryAfter(failure, delay) => {
            let again =
                if delay.is_zero() { "at once".to_owned() } else { format!("in {:.0} s", delay.as_secs_f64().ceil()) };
            format!("attempt failed after {seconds:.2} s: {}; again {again}", failure.message)
        }
        Next::Requeue(reason) => format!("went back to the queue: {reason}"),
        Next::Defer { reason, .. } => format!("waits: {reason}"),
    }
}

/// The end of an attempt is written.
pub(crate) fn ended(claim: &Claim, end: &str) {
    let task = &claim.entry.task;
    tracing::info!(department = %task.department, task = %task.id, "{end}");
}

/// The first line of a text, cut.
fn first_words(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() <= SHOWN { line.to_owned() } else { line.chars().take(SHOWN - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nexus_core::event::{Failure, FailureKind};

    use super::*;

    #[test]
    fn each_end_is_a_sentence() {
        let outcome = Outcome { exit_code: Some(2), duration_ms: 1080, ..Outcome::default() };
        let failure = || Failure { kind: FailureKind::Exit, message: "exit code 2".to_owned() };
        for (next, said) in [
            (Next::Complete, "completed in 1.08 s, exit 2"),
            (Next::Cancel("as asked".to_owned()), "cancelled after 1.08 s: as asked"),
            (Next::Fail(failure()), "failed after 1.08 s: exit code 2"),
            (
                Next::RetryAfter(failure(), Duration::from_millis(9100)),
                "attempt failed after 1.08 s: exit code 2; again in 10 s",
            ),
            (Next::RetryAfter(failure(), Duration::ZERO), "attempt failed after 1.08 s: exit code 2; again at once"),
            (Next::Requeue("a stop".to_owned()), "went back to the queue: a stop"),
            (Next::Defer { reason: "no money".to_owned(), until: None }, "waits: no money"),
        ] {
            assert_eq!(end(&next, &outcome), said);
        }
    }

    #[test]
    fn a_long_description_is_cut_to_one_line() {
        assert_eq!(first_words(" make test\nand more"), "make test");
        assert_eq!(first_words(&"é".repeat(61)), format!("{}…", "é".repeat(59)));
    }
}
