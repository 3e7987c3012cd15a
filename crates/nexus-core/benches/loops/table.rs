//! The decisions and stored forms that every task, event and line goes through. `nexus-costs` counts the same loops.
#![expect(clippy::unwrap_used, reason = "samples that are there; a measurement may panic")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use nexus_core::agent::AgentSpec;
use nexus_core::attempt::{Attempt, ExitStatus, Input, Policy};
use nexus_core::budget::{Budget, Spent};
use nexus_core::company::{Company, Delegation};
use nexus_core::department::Department;
use nexus_core::event::Event;
use nexus_core::id::{AgentName, DepartmentName, TaskId};
use nexus_core::intake::Shares;
use nexus_core::lane::Lane;
use nexus_core::log::{ChunkLine, LogChunk, Stream};
use nexus_core::restart::RestartPolicy;
use nexus_core::route::route;
use nexus_core::run::{Ending, Run, Said, Tokens};
use nexus_core::stored::{Stored, read};
use nexus_core::task::{QueueEntry, Submission};
use nexus_core::units::Span;
use nexus_core::view::{Record, fold};
use serde::Serialize;
use serde_json::{json, to_vec};

/// A name, and one round of it.
pub(crate) type Loop = (&'static str, Box<dyn FnMut()>);

const ENTRY: &[u8] = include_bytes!("../../fixtures/v2/queue_entry.plain.json");
const STARTED: &[u8] = include_bytes!("../../fixtures/v2/event.started.json");
const PROGRESSED: &[u8] = include_bytes!("../../fixtures/v2/event.progressed.json");
const COMPLETED: &[u8] = include_bytes!("../../fixtures/v2/event.completed.json");

pub(crate) fn all() -> Vec<Loop> {
    let (entry, event): (QueueEntry, Event) = (read(ENTRY).unwrap(), read(COMPLETED).unwrap());
    vec![
        ("step_command", steps(command(), || Attempt::new(policy(), Spent::default()))),
        ("step_speaking", steps(speaking(), || Attempt::speaking(policy(), Run::new(None), Spent::default()))),
        ("route", routes()),
        ("pick_lane", picks()),
        ("parse_names", names()),
        ("fold_task", folds()),
        ("encode_entry", encoding(entry.clone())),
        ("encode_event", encoding(event.clone())),
        ("encode_log_chunk", encoding(chunk())),
        ("decode_entry", decoding(&entry)),
        ("decode_event", decoding(&event)),
        ("decode_log_chunk", decoding(&chunk())),
    ]
}

fn policy() -> Policy {
    Policy {
        wall_time: Some(Duration::from_secs(600)),
        idle_time: Some(Duration::from_secs(60)),
        first_event: Duration::from_secs(60),
        output: Some(64 << 20),
        budget: Budget { tokens: Some(1_000_000), ..Budget::default() },
        interrupt_grace: Duration::from_secs(2),
        terminate_grace: Duration::from_secs(2),
    }
}

/// An attempt, from its start to its conclusion.
fn steps(script: Vec<Input>, attempt: impl Fn() -> Attempt + 'static) -> Box<dyn FnMut()> {
    Box::new(move || {
        let mut attempt = attempt();
        for (at, input) in (0..).map(Duration::from_millis).zip(&script) {
            black_box(attempt.step(input.clone(), at));
        }
    })
}

/// A command that prints something sixteen times.
fn command() -> Vec<Input> {
    let output = std::iter::repeat_n([Input::Output(4096), Input::Tick], 16).flatten();
    std::iter::once(Input::Spawned).chain(output).chain(end()).collect()
}

/// An agent that uses sixteen tools.
fn speaking() -> Vec<Input> {
    let turn = |n: u32| {
        let (id, about) = (format!("call-{n}"), "cargo check --workspace".to_owned());
        [
            Said::Text("I look at what the compiler says.".to_owned()),
            Said::TextEnd,
            Said::ToolStarted { id: id.clone(), name: "Bash".to_owned(), about },
            Said::ToolEnded { id, ok: true, about: String::new() },
            Said::Tokens(Tokens { input: 100 * u64::from(n), output: 10 * u64::from(n), cached: 0 }),
            Said::Turns(n),
        ]
    };
    let begin = [Said::Session("0a51".to_owned()), Said::Model("m".to_owned())];
    let said = begin.into_iter().chain((1..=16).flat_map(turn)).chain([Said::Ended(Ending::Done)]);
    std::iter::once(Input::Spawned).chain(said.map(Input::Said)).chain(end()).collect()
}

fn end() -> [Input; 2] {
    [Input::LeaderExited(ExitStatus::Code(0)), Input::TreeGone]
}

/// A company of fifty departments, each with four types of task.
fn company() -> Company {
    let department = |n: usize| {
        let types: Vec<_> = (0..4).map(|t| format!("type_{n}_{t}")).collect();
        let policy: Department = serde_json::from_value(json!({ "task_types": types, "agents": ["shell"] })).unwrap();
        (DepartmentName::new(format!("department-{n}")).unwrap(), Arc::new(policy))
    };
    // One that takes prose, as coding agents do.
    let agent = AgentSpec { commands: Some(false), ..AgentSpec::shell() };
    Company {
        name: "c".to_owned(),
        default_department: DepartmentName::new("department-0").unwrap(),
        departments: (0..50).map(department).collect(),
        agents: BTreeMap::from([(AgentName::new("shell").unwrap(), Arc::new(agent))]),
        restart: RestartPolicy::default(),
        budget: Budget::default(),
        delegation: Delegation::default(),
        retention: Span::from_secs(1),
        shutdown_grace: Span::from_secs(1),
    }
}

/// By type, by name, and to the default department.
fn routes() -> Box<dyn FnMut()> {
    let company = company();
    let by_type = Submission { task_type: "type_27_3".to_owned(), ..Submission::new("make check") };
    let by_name = Submission { department: Some("department-42".to_owned()), ..Submission::new("make check") };
    let agent = Submission { preferred_agent: Some("shell".to_owned()), ..Submission::new("make check") };
    let submissions = [by_type, by_name, agent];
    Box::new(move || {
        for submission in &submissions {
            black_box(route(&company, black_box(submission)).unwrap());
        }
    })
}

/// A department with work of three priorities, until an eighth pull has gone to a lower one.
fn picks() -> Box<dyn FnMut()> {
    let mut shares = Shares::default();
    for lane in Lane::all().filter(|lane| !["9", "5", "0"].contains(&lane.to_string().as_str())) {
        shares.drained(lane);
    }
    Box::new(move || {
        for _ in 0..8 {
            black_box(shares.pick());
        }
    })
}

/// The parts of a subject.
fn names() -> Box<dyn FnMut()> {
    Box::new(|| {
        black_box(DepartmentName::new(black_box("engineering")).unwrap());
        black_box(black_box("5").parse::<Lane>().unwrap());
        black_box(black_box("087bff8c-82e6-5977-8d57-0260c01687cb").parse::<TaskId>().unwrap());
    })
}

/// A task's whole life.
fn folds() -> Box<dyn FnMut()> {
    let events = [STARTED, PROGRESSED, COMPLETED].map(|json| Record::Event(read(json).unwrap()));
    let records: Vec<_> = std::iter::once(Record::Entry(read(ENTRY).unwrap())).chain(events).collect();
    Box::new(move || {
        black_box(records.iter().fold(None, fold));
    })
}

/// Sixty-four lines of a hundred bytes.
fn chunk() -> LogChunk {
    let entry: QueueEntry = read(ENTRY).unwrap();
    let line = |n| ChunkLine { stream: Stream::Stdout, text: format!("{n:0100}") };
    LogChunk::new(entry.task.id, 1, 1, entry.queued_at, (0..64).map(line).collect())
}

fn encoding<T: Serialize + 'static>(value: T) -> Box<dyn FnMut()> {
    Box::new(move || {
        black_box(to_vec(black_box(&value)).unwrap());
    })
}

fn decoding<T: Stored + Serialize>(value: &T) -> Box<dyn FnMut()> {
    let json = to_vec(value).unwrap();
    Box::new(move || {
        black_box(read::<T>(black_box(&json)).unwrap());
    })
}
