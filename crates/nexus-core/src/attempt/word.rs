//! The end of an attempt, by the word of an agent that speaks in messages.

use super::{Conclusion, ExitStatus};
use crate::event::{Failure, FailureKind};
use crate::run::{Ending, Run};

/// The word of an agent that speaks in messages decides, and its exit code can only make it worse: exit codes of coding
/// agents can't be trusted.
pub(super) fn conclusion(run: &mut Run, exit: Option<ExitStatus>) -> Conclusion {
    match said(run, exit) {
        // What it knows of the task is not there (any more): that is no fault of the task's, which begins anew.
        Conclusion::Failed(failure) if is_broken(failure.kind) && run.is_lost() => {
            run.forget_session();
            let reason = format!("its session could not be gone on with, and it begins anew: {}", failure.message);
            Conclusion::Deferred { reason, until: None }
        }
        conclusion => conclusion,
    }
}

/// It failed by itself, and of nothing that its model or its account would have said.
const fn is_broken(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Crash | FailureKind::Protocol | FailureKind::Exit)
}

fn said(run: &Run, exit: Option<ExitStatus>) -> Conclusion {
    let failed = |kind, message| Conclusion::Failed(Failure { kind, message });
    match (run.ending(), exit) {
        (Some(Ending::Failed(trouble)), _) if trouble.is_of_account() => Conclusion::Blocked(trouble.clone()),
        (Some(Ending::Failed(trouble)), _) => Conclusion::Failed(trouble.failure()),
        (Some(Ending::Refused(why)), _) => failed(FailureKind::Refused, format!("the model declined: {why}")),
        (Some(Ending::Done), Some(ExitStatus::Code(code))) if code != 0 => {
            failed(FailureKind::Exit, format!("the agent said that it was done, and ended with exit code {code}"))
        }
        // A signal was ours: it lived on when it was done.
        (Some(Ending::Done), _) => Conclusion::Completed,
        (None, Some(ExitStatus::Code(0)) | None) => {
            failed(FailureKind::Protocol, "the agent ended without a word on how its run ended".to_owned())
        }
        (None, Some(ExitStatus::Code(code))) => {
            failed(FailureKind::Crash, format!("the agent ended with exit code {code} before its run had ended"))
        }
        (None, Some(ExitStatus::Signal(signal))) => {
            failed(FailureKind::Crash, format!("the agent was ended by signal {signal} before its run had ended"))
        }
    }
}
