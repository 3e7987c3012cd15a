use super::*;
use crate::budget::Budget;
use crate::run::{Tokens, Trouble, TroubleKind};
use crate::units::Span;
use proptest::prelude::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn policy() -> Policy {
    Policy {
        wall_time: Some(MS(60_000)),
        idle_time: Some(MS(10_000)),
        first_event: MS(5_000),
        output: Some(1_000),
        budget: Budget { tokens: Some(100), ..Budget::default() },
        interrupt_grace: MS(2_000),
        terminate_grace: MS(2_000),
    }
}

/// Runs a script of (milliseconds, input) and returns what came out, in words.
fn check(script: &[(u64, Input)], expected: &[&str]) {
    check_of(Attempt::new(policy(), Spent::default()), script, expected);
}

/// The same, of an agent that speaks in messages and has spent 50 tokens of 100 in attempts before.
fn check_speaking(script: &[(u64, Input)], expected: &[&str]) {
    let spent = Spent { tokens: 50, ..Spent::default() };
    check_of(Attempt::speaking(policy(), Run::new(None), spent), script, expected);
}

fn check_of(mut attempt: Attempt, script: &[(u64, Input)], expected: &[&str]) {
    let mut said = Vec::new();
    for (at, input) in script {
        for action in attempt.step(input.clone(), MS(*at)) {
            match action {
                Action::Signal(signal) => said.push(format!("{at} {signal:?}")),
                Action::Conclude(Conclusion::Failed(failure)) => said.push(format!("{at} Failed {:?}", failure.kind)),
                Action::Conclude(conclusion) => said.push(format!("{at} {conclusion:?}")),
                Action::Abandon => said.push(format!("{at} Abandon")),
                Action::Note(_) => {}
            }
        }
    }
    assert_eq!(said, expected, "{script:?}");
}

fn failure() -> Failure {
    Failure { kind: FailureKind::Spawn, message: String::new() }
}

#[test]
fn the_exit_code_decides_when_nobody_interferes() {
    use Input::{LeaderExited, Spawned, TreeGone};
    let run = |status| [(0, Spawned), (5, LeaderExited(status)), (6, TreeGone)];
    check(&run(ExitStatus::Code(0)), &["5 Terminate", "6 Completed"]);
    check(&run(ExitStatus::Code(3)), &["5 Terminate", "6 Failed Exit"]);
    check(&run(ExitStatus::Signal(11)), &["5 Terminate", "6 Failed Signal"]);
    check(&[(0, Input::NotStarted(failure()))], &["0 Failed Spawn"]);
}

#[test]
fn the_word_of_an_agent_that_speaks_decides_and_its_exit_code_makes_it_worse_only() {
    use Input::{LeaderExited, Spawned, TreeGone};
    let run = |ending: Option<Ending>, status| {
        let said = ending.map(|ending| (4, Input::Said(Said::Ended(ending))));
        let began = [(0, Spawned), (1, Input::Said(Said::Session("s".into())))];
        began.into_iter().chain(said).chain([(5, LeaderExited(status)), (6, TreeGone)]).collect::<Vec<_>>()
    };
    let code = ExitStatus::Code;
    let trouble = |kind| Some(Ending::Failed(Trouble::new(kind, "")));
    let check = |ending, status, expected| check_speaking(&run(ending, status), &["5 Terminate", expected]);
    check(Some(Ending::Done), code(0), "6 Completed");
    check(Some(Ending::Done), code(1), "6 Failed Exit");
    check(trouble(TroubleKind::Model), code(0), "6 Failed Model");
    check(Some(Ending::Refused(String::new())), code(0), "6 Failed Refused");
    check(None, code(0), "6 Failed Protocol");
    check(None, code(3), "6 Failed Crash");
    check(None, ExitStatus::Signal(11), "6 Failed Crash");
}

#[test]
fn a_session_that_is_lost_is_no_fault_of_the_task() {
    use Input::{LeaderExited, Said as Says, Spawned, TreeGone};
    let lost = |more: Option<Said>| {
        let mut attempt = Attempt::speaking(policy(), Run::new(Some("s")), Spent::default());
        attempt.step(Spawned, MS(0));
        more.into_iter().for_each(|said| drop(attempt.step(Says(said), MS(1))));
        attempt.step(LeaderExited(ExitStatus::Code(1)), MS(2));
        let ended = attempt.step(TreeGone, MS(3));
        (ended, attempt.run().unwrap().report().session.clone())
    };
    let (ended, session) = lost(None);
    assert!(matches!(&ended[..], [Action::Conclude(Conclusion::Deferred { until: None, .. })]), "{ended:?}");
    assert_eq!(session, None, "it isn't gone on with again");
    let (ended, session) = lost(Some(Said::Turns(1)));
    assert!(matches!(&ended[..], [Action::Conclude(Conclusion::Failed(_))]), "{ended:?}");
    assert_eq!(session.as_deref(), Some("s"));
}

#[test]
fn what_comes_after_the_leader_s_end_counts_too() {
    use Input::{LeaderExited, Spawned, TreeGone};
    let done = Input::Said(Said::Ended(Ending::Done));
    let script = [(0, Spawned), (5, LeaderExited(ExitStatus::Code(0))), (6, done), (7, TreeGone)];
    check_speaking(&script, &["5 Terminate", "7 Completed"]);
}

#[test]
fn trouble_with_an_account_ends_the_agent_at_once() {
    use Input::{LeaderExited, Spawned, TreeGone};
    let auth = Trouble::new(TroubleKind::Authentication, "401");
    let said = Input::Said(Said::Ended(Ending::Failed(auth.clone())));
    let killed = LeaderExited(ExitStatus::Signal(2));
    let blocked = format!("7 {:?}", Conclusion::Blocked(auth));
    let script = [(0, Spawned), (5, said.clone()), (6, killed), (7, TreeGone)];
    check_speaking(&script, &["5 Interrupt", &blocked]);
    // A user's word beats it.
    let cancel = Input::Cancel("u".into());
    check_speaking(&[(0, Spawned), (5, said), (6, cancel), (7, TreeGone)], &["5 Interrupt", "7 Cancelled(\"u\")"]);
}

#[test]
fn an_agent_that_lives_on_when_it_is_done_is_ended_and_has_done_its_task() {
    use Input::{LeaderExited, Said as Says, Spawned, Tick, TreeGone};
    let done = || Says(Said::Ended(Ending::Done));
    let killed = LeaderExited(ExitStatus::Signal(15));
    let script =
        [(0, Spawned), (5, done()), (9_000, Input::Worked), (10_005, Tick), (10_006, killed), (10_007, TreeGone)];
    check_speaking(&script, &["10005 Terminate", "10007 Completed"]);
}

#[test]
fn an_agent_that_never_speaks_is_ended() {
    use Input::{Said as Says, Spawned, Tick};
    check_speaking(&[(0, Spawned), (4_999, Tick), (5_000, Tick)], &["5000 Interrupt"]);
    let spoke = Says(Said::Plain("hello".into()));
    check_speaking(&[(0, Spawned), (4_999, spoke), (5_000, Tick)], &[]);
}

#[test]
fn a_budget_is_the_task_s_and_ends_it_during_the_run() {
    use Input::{LeaderExited, Said as Says, Spawned, TreeGone};
    let tokens = |input| Says(Said::Tokens(Tokens { input, output: 0, cached: 0 }));
    let killed = LeaderExited(ExitStatus::Signal(9));
    let script = [(0, Spawned), (1, tokens(49)), (2, tokens(50)), (3, killed), (4, TreeGone)];
    check_speaking(&script, &["2 Kill", "4 Failed Budget"]);
    // Done is done, whatever it has cost.
    let done = Says(Said::Ended(Ending::Done));
    let exit = LeaderExited(ExitStatus::Code(0));
    check_speaking(
        &[(0, Spawned), (1, done), (2, tokens(90)), (3, exit), (4, TreeGone)],
        &["3 Terminate", "4 Completed"],
    );
    let mut attempt = Attempt::speaking(policy(), Run::new(None), Spent { tokens: 50, ..Spent::default() });
    attempt.step(Spawned, MS(0));
    let warned = attempt.step(tokens(30), MS(1));
    assert!(matches!(&warned[..], [Action::Note(words)] if words.contains("80 %")), "{warned:?}");
    assert_eq!(attempt.step(tokens(31), MS(2)), [], "warned once");
}

#[test]
fn time_is_a_budget_too() {
    use Input::{LeaderExited, Said as Says, Spawned, Tick, TreeGone};
    let budget = Budget { wall_time: Some(Span::from_secs(10)), ..Budget::default() };
    let policy = Policy { budget, idle_time: None, first_event: MS(60_000), ..policy() };
    // Seven seconds went by in the attempts before: one is left until the warning, three until the end.
    let before = Spent { wall_ms: 7_000, ..Spent::default() };
    let mut command = Attempt::new(policy, before);
    assert_eq!(command.deadline(), Some(MS(1_000)), "preparing counts");
    command.step(Spawned, MS(5));
    let warned = command.step(Tick, MS(1_000));
    assert!(matches!(&warned[..], [Action::Note(words)] if words.contains("80 % of its budget of 10s")), "{warned:?}");
    assert_eq!(command.deadline(), Some(MS(3_000)));
    let script = [(2_999, Tick), (3_000, Tick), (3_001, LeaderExited(ExitStatus::Code(0))), (3_002, TreeGone)];
    check_of(command, &script, &["3000 Interrupt", "3002 Failed Budget"]);
    // Nothing of it is there yet.
    let script = [(1_000, Tick), (3_000, Tick), (3_001, Input::NotStarted(failure()))];
    check_of(Attempt::new(policy, before), &script, &["3000 Abandon", "3001 Failed Budget"]);
    // Done is done, however long it took.
    let done = Says(Said::Ended(Ending::Done));
    let speaking = Attempt::speaking(policy, Run::new(None), before);
    check_of(speaking, &[(0, Spawned), (2_000, done), (3_500, Tick)], &[]);
}

#[test]
fn what_is_deferred_is_ended_and_waits() {
    use Input::{Defer, LeaderExited, Spawned, TreeGone};
    let defer = Defer { reason: "b".into(), until: None };
    let killed = LeaderExited(ExitStatus::Signal(9));
    let deferred = format!("4 {:?}", Conclusion::Deferred { reason: "b".into(), until: None });
    check_speaking(&[(0, Spawned), (2, defer), (3, killed), (4, TreeGone)], &["2 Kill", &deferred]);
}

#[test]
fn a_limit_that_is_hit_ends_the_tree_and_is_named() {
    use Input::{Exceeded, LeaderExited, Spawned, TreeGone};
    let hit = || Exceeded(Failure { kind: FailureKind::Output, message: String::new() });
    let killed = LeaderExited(ExitStatus::Signal(9));
    check(&[(0, Spawned), (5, hit()), (5, killed), (6, TreeGone)], &["5 Kill", "6 Failed Output"]);
    // After the end it says nothing new.
    let ended = LeaderExited(ExitStatus::Code(0));
    check(&[(0, Spawned), (5, ended), (5, hit()), (6, TreeGone)], &["5 Terminate", "6 Completed"]);
}

#[test]
fn who_works_is_not_stuck_though_it_says_nothing() {
    use Input::{Spawned, Tick, TreeGone, Worked};
    let script = [(0, Spawned), (9_000, Worked), (10_000, Tick), (19_000, Tick), (19_001, TreeGone)];
    check(&script, &["19000 Interrupt", "19001 Failed IdleTime"]);
}

#[test]
fn a_cancel_climbs_the_ladder_and_is_said_when_the_tree_is_gone() {
    use Input::{Cancel, LeaderExited, Spawned, Tick, TreeGone};
    let cancel = || Cancel("user".into());
    let script = [
        (0, Spawned),
        (10, cancel()),
        (10, cancel()),
        (1_000, Tick),
        (2_010, Tick),
        (2_500, LeaderExited(ExitStatus::Signal(15))),
        (4_010, Tick),
        (4_110, Tick),
        (4_200, TreeGone),
        (4_201, TreeGone),
    ];
    let said = ["10 Interrupt", "2010 Terminate", "4010 Kill", "4110 Kill", "4200 Cancelled(\"user\")"];
    check(&script, &said);
    // An agent that answers INT with exit code 0 was cancelled all the same: that is what we did.
    let polite = [(0, Spawned), (10, cancel()), (20, LeaderExited(ExitStatus::Code(0))), (21, TreeGone)];
    check(&polite, &["10 Interrupt", "21 Cancelled(\"user\")"]);
    let early = [(0, cancel()), (5, Spawned), (6, TreeGone)];
    check(&early, &["0 Abandon", "5 Kill", "6 Cancelled(\"user\")"]);
    let abandoned = [(0, cancel()), (1, cancel()), (2, Input::NotStarted(failure()))];
    check(&abandoned, &["0 Abandon", "2 Cancelled(\"user\")"]);
}

#[test]
fn limits_end_an_attempt_and_are_named() {
    use Input::{Output, Spawned, Tick, TreeGone};
    check(&[(0, Spawned), (10_000, Tick), (10_001, TreeGone)], &["10000 Interrupt", "10001 Failed IdleTime"]);
    let busy = [(0, Spawned), (9_000, Output(1)), (10_000, Tick), (19_000, Tick), (19_001, TreeGone)];
    check(&busy, &["19000 Interrupt", "19001 Failed IdleTime"]);
    check(&[(0, Spawned), (1, Output(1_001)), (2, TreeGone)], &["1 Kill", "2 Failed Output"]);
    let slow = [(9_999, Tick), (60_000, Tick), (60_001, Input::NotStarted(failure()))];
    check(&slow, &["60000 Abandon", "60001 Failed WallTime"]);
    let wall: Vec<_> = std::iter::once((0, Spawned))
        .chain((1..=11).map(|n| (n * 5_500, Output(1))))
        .chain([(60_000, Tick), (60_001, TreeGone)])
        .collect();
    check(&wall, &["60000 Interrupt", "60001 Failed WallTime"]);
}

#[test]
fn a_lost_lease_kills_and_beats_every_other_end() {
    use Input::{Cancel, Interrupt, LeaseLost, Spawned, TreeGone};
    check(&[(0, Spawned), (1, LeaseLost), (2, TreeGone)], &["1 Kill", "2 Lost"]);
    let late = [(0, Spawned), (1, Interrupt("stop".into())), (2, Cancel("user".into())), (3, LeaseLost), (4, TreeGone)];
    check(&late, &["1 Interrupt", "3 Kill", "4 Lost"]);
}

#[test]
fn a_finished_run_is_not_undone_by_a_stop_that_comes_too_late() {
    use Input::{Interrupt, LeaderExited, Spawned, TreeGone};
    let script = [(0, Spawned), (5, LeaderExited(ExitStatus::Code(0))), (6, Interrupt("stop".into())), (7, TreeGone)];
    check(&script, &["5 Terminate", "7 Completed"]);
}

fn inputs() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Spawned),
        Just(Input::NotStarted(failure())),
        (0_u64..600).prop_map(Input::Output),
        prop_oneof![Just(ExitStatus::Code(0)), Just(ExitStatus::Code(1)), Just(ExitStatus::Signal(9))]
            .prop_map(Input::LeaderExited),
        Just(Input::TreeGone),
        Just(Input::Cancel("c".into())),
        Just(Input::Interrupt("i".into())),
        Just(Input::LeaseLost),
        Just(Input::Tick),
    ]
}

proptest! {
    /// Whatever comes, in whatever order: one conclusion at most, nothing after it, a lost lease never writes,
    /// a cancel is never said before the tree is gone, and an attempt being ended always has a deadline.
    #[test]
    fn holds_its_invariants(script in prop::collection::vec((0_u64..5_000, inputs()), 1..60)) {
        let mut attempt = Attempt::new(policy(), Spent::default());
        let (mut now, mut concluded, mut lost, mut spawned) = (0, false, false, false);
        for (wait, input) in script {
            now += wait;
            let was_gone = matches!(input, Input::TreeGone);
            let not_started = matches!(input, Input::NotStarted(_));
            lost |= input == Input::LeaseLost && !concluded;
            spawned |= input == Input::Spawned && !concluded;
            let actions = attempt.step(input, MS(now));
            prop_assert!(!concluded || actions.is_empty());
            for action in actions {
                if let Action::Conclude(conclusion) = action {
                    prop_assert!(!concluded);
                    concluded = true;
                    prop_assert!(was_gone || (not_started && !spawned));
                    prop_assert!(!lost || conclusion == Conclusion::Lost);
                }
            }
            if let State::Ending { .. } = attempt.state {
                prop_assert!(attempt.deadline().is_some());
            }
        }
    }

    /// From any state, asking for the end and waiting reaches KILL within both graces.
    #[test]
    fn always_reaches_kill(script in prop::collection::vec((0_u64..500, inputs()), 0..30)) {
        let mut attempt = Attempt::new(policy(), Spent::default());
        let mut now = 0;
        attempt.step(Input::Spawned, MS(0));
        for (wait, input) in script.into_iter().filter(|(_, input)| *input != Input::TreeGone) {
            now += wait;
            attempt.step(input, MS(now));
        }
        let mut killed = matches!(attempt.state, State::Ending { rung: Signal::Kill, .. });
        let mut last = attempt.step(Input::Cancel("end".into()), MS(now));
        for _ in 0..3 {
            killed |= last.contains(&Action::Signal(Signal::Kill));
            now += 2_000;
            last = attempt.step(Input::Tick, MS(now));
        }
        killed |= last.contains(&Action::Signal(Signal::Kill));
        prop_assert!(killed);
    }

    /// A worker that does what it is told, and an agent that dies of KILL at the latest: whatever else happens, the
    /// attempt concludes exactly once, and only when nothing lives. Deadlines are never in the past of what set them.
    #[test]
    fn an_obedient_worker_ends_every_attempt_once(
        script in prop::collection::vec((0_u64..3_000, inputs()), 0..40), spawns: bool,
    ) {
        let mut attempt = Attempt::new(policy(), Spent::default());
        let (mut now, mut alive, mut over, mut ends) = (0, false, false, Vec::new());
        // What a worker can't report is left out: an agent spawns once, exits only while it lives, and is never not
        // started after it was.
        let mut spawned = false;
        let mut queue: std::collections::VecDeque<_> = script.into();
        for _ in 0..400 {
            let (wait, input) = queue.pop_front().unwrap_or((1_000, Input::Tick));
            now += wait;
            let possible = match &input {
                Input::Spawned => !spawned && spawns,
                Input::NotStarted(_) => !spawned && !over,
                Input::LeaderExited(_) => alive,
                Input::TreeGone | Input::Output(_) => false,
                _ => true,
            };
            if !possible {
                continue;
            }
            if input == Input::Spawned {
                (alive, spawned) = (true, true);
            }
            let before = attempt.deadline();
            let actions = attempt.step(input.clone(), MS(now));
            prop_assert!(!over || actions.is_empty(), "nothing is said after the end");
            if input == Input::Tick && before.is_some_and(|before| before <= MS(now)) {
                prop_assert!(attempt.deadline().is_none_or(|after| after > MS(now)), "a deadline passes once");
            }
            for action in actions {
                match action {
                    Action::Conclude(conclusion) => {
                        prop_assert!(!alive, "concluded while its tree lives");
                        over = true;
                        ends.push(conclusion);
                    }
                    Action::Signal(Signal::Kill) => {
                        alive = false;
                        queue.push_front((1, Input::TreeGone));
                    }
                    Action::Abandon => queue.push_front((1, Input::NotStarted(failure()))),
                    Action::Signal(_) | Action::Note(_) => {}
                }
            }
            // The worker tells of the end of the tree that it has killed, whatever the script says next.
            if let Some((_, Input::TreeGone)) = queue.front() {
                let (wait, input) = queue.pop_front().unwrap();
                now += wait;
                for action in attempt.step(input, MS(now)) {
                    if let Action::Conclude(conclusion) = action {
                        over = true;
                        ends.push(conclusion);
                    }
                }
            }
        }
        prop_assert_eq!(ends.len(), 1, "{:?}", ends);
    }
}
