//! One task, for people.

use anstyle::Style;
use nexus_core::api::TaskStatus;
use nexus_core::budget::Usd;
use nexus_core::department::WorkspaceMode;
use nexus_core::event::{Event, What, WorkspaceReport};
use nexus_core::id::AgentName;
use nexus_core::question::OpenQuestion;
use nexus_core::run::{RunReport, Tokens};
use nexus_core::view::{Status, TaskView};

use super::tables::colour;
use super::{Block, Screen, age, branch, bytes, count, kept, on_terminal, seconds, short, time};

/// Columns of a row's name.
const NAMES: usize = 10;
/// Lines of what an agent said at last that are shown.
const LAST_LINES: usize = 5;

/// All that matters of a task, and its whole description where that is asked for. `past` are its events.
pub(crate) fn status(answer: &TaskStatus, past: &[Event], full: bool, screen: Screen) -> String {
    let task = &answer.task;
    let mut rows = Block::new(screen, NAMES);
    rows.row("task", &task.task_id.to_string());
    state(task, screen, &mut rows);
    if let Some(waits) = &answer.waits {
        rows.row("waits", waits);
    }
    if task.interruptions > 0 {
        let times = if task.interruptions == 1 { "once".to_owned() } else { format!("{} times", task.interruptions) };
        rows.row("interrupted", &format!("{times}; no attempt was used up"));
    }
    living(answer, &mut rows);
    for OpenQuestion { question, what } in questions(answer) {
        let id = screen.id(task.task_id);
        // All of it: whoever allows it has to have seen it.
        rows.row(
            "asks",
            &format!(
                "{what}\nnexus answer {id} allow --question {question}\nnexus answer {id} reject --question {question}"
            ),
        );
    }
    if let Some(error) = &task.error {
        rows.row("error", error);
    }
    let ends = ends(past);
    if ends.len() > 1 {
        rows.row("attempts", &ends.join("\n"));
    }
    if let Some((stream, said)) = last_words(task) {
        rows.row(stream, &said);
    }
    result(task, screen, &mut rows);
    rows.row("project", &task.project_path);
    if let Some(parent) = &task.parent {
        rows.row("asked by", &format!("the agent of task {}", screen.id(parent.task_id)));
    }
    rows.row("times", &times(task));
    rows.row("next", &next_commands(task, screen));
    let head =
        if full { screen.hang(task.description.trim_end(), 0) } else { screen.cut(&short(&task.description, 100)) };
    let bold = Style::new().bold();
    format!("{bold}{head}{bold:#}\n{}", rows.end())
}

/// What it does, or how it ended, and who did it.
fn state(task: &TaskView, screen: Screen, rows: &mut Block) {
    let worker = task.worker_id.as_ref().map_or_else(String::new, |worker| format!("in {}/{worker}", task.department));
    let attempt = match (task.attempt, task.max_attempts) {
        (0, _) => String::new(),
        (attempt, Some(max)) => format!(", attempt {attempt} of {max}"),
        (attempt, None) => format!(", attempt {attempt}"),
    };
    let agent = task.assigned_agent.as_ref().map_or_else(String::new, |agent| format!(", {agent}"));
    let said = match task.status {
        Status::Queued => {
            let due = task.not_before.map_or_else(String::new, |due| format!(", next attempt at {}", time(due)));
            format!("for {} in {}, priority {}{due}", age(task.updated_at), task.department, task.priority)
        }
        Status::Running => {
            let since = task.started_at.map_or_else(String::new, age);
            let cancelling = if task.cancelling { "; being cancelled" } else { "" };
            format!("{since} {worker}{attempt}{agent}{cancelling}")
        }
        _ => match (ending(task, screen), format!("{worker}{attempt}{agent}")) {
            (end, by) if end.is_empty() || by.is_empty() => format!("{end}{by}"),
            (end, by) => format!("{end} · {by}"),
        },
    };
    rows.styled(task.status.as_str(), colour(task.status), &said);
}

/// The processes of an attempt that runs, and its agent's run.
fn living(answer: &TaskStatus, rows: &mut Block) {
    let task = &answer.task;
    if let Some(live) = &answer.live {
        let pid = live.pid.map_or_else(|| "starting".to_owned(), |pid| format!("pid {pid}"));
        let others = count(live.processes.saturating_sub(1), "other", "others");
        rows.row("process", &format!("{pid} and {others} · {} · {:.0} % cpu", bytes(live.rss_bytes), live.cpu_percent));
        if let (Some(line), Some(at)) = (&live.last_line, live.last_output_at) {
            rows.row("last line", &format!("{} ago: {}", age(at), short(&on_terminal(line), 80)));
        }
    }
    let run = answer.live.as_ref().and_then(|live| live.run.as_ref()).or(task.run.as_ref());
    if let Some(run) = run {
        rows_of_run(run, task, rows);
    }
}

/// What it has left.
fn result(task: &TaskView, screen: Screen, rows: &mut Block) {
    let Some(workspace) = task.result.as_ref().and_then(|result| result.workspace.as_ref()) else { return };
    let kept = if workspace.kept { kept(workspace, task.task_id, screen) } else { "removed (clean)".to_owned() };
    rows.row("workspace", &format!("{}, {kept}", workspace.mode.as_str()));
    if let Some(branch) = branch(workspace) {
        rows.row("branch", &branch);
    }
    if let Some(uncommitted) = &workspace.uncommitted {
        rows.row("note", &uncommitted.summary(&task.project_path));
    }
}

/// How each attempt since the task was last put back by hand has ended: `1: the agent ended with exit code 2 (1.20 s)`.
fn ends(past: &[Event]) -> Vec<String> {
    let since = past.iter().rposition(|event| matches!(event.what, What::Retried { .. })).map_or(0, |at| at + 1);
    let mut agent = None;
    let mut ends = Vec::new();
    for event in &past[since..] {
        let (why, ran) = match &event.what {
            What::Started { agent: by, .. } => {
                agent = Some(by);
                continue;
            }
            What::AttemptFailed { failure, outcome, .. } | What::Failed { failure, outcome } => {
                (failure.message.as_str(), Some(outcome.duration_ms))
            }
            What::Interrupted { reason, .. } | What::Deferred { reason, .. } => (reason.as_str(), None),
            What::Cancelled { reason, .. } => (reason.as_str(), None),
            What::Completed { outcome } => ("completed", Some(outcome.duration_ms)),
            What::CancelRequested { .. } | What::Progressed { .. } | What::Retried { .. } => continue,
        };
        let by = agent.map(|agent: &AgentName| format!("{agent}, ")).unwrap_or_default();
        let ran = ran.map(|ran| format!(" ({:.2} s)", seconds(ran))).unwrap_or_default();
        ends.push(format!("{}: {by}{why}{ran}", event.attempt));
    }
    ends
}

/// What a failed task said at last: on standard error, or else at all.
fn last_words(task: &TaskView) -> Option<(&'static str, String)> {
    let result = task.result.as_ref().filter(|_| task.status == Status::Failed)?;
    let (stream, said) = match result.error_output.trim() {
        "" => ("output", result.output.trim()),
        said => ("stderr", said),
    };
    let lines: Vec<_> = said.lines().map(on_terminal).collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    (!last.is_empty()).then(|| (stream, last.join("\n")))
}

/// The questions that its agent waits for: of one that runs on another node, those that the ledger knows of.
fn questions(answer: &TaskStatus) -> &[OpenQuestion] {
    match (&answer.live, &answer.task.run) {
        (Some(live), _) => &live.questions,
        (None, Some(run)) if answer.task.status == Status::Running => &run.questions,
        _ => &[],
    }
}

/// When it was asked for, started and ended.
fn times(task: &TaskView) -> String {
    let mut parts = vec![format!("asked for {}", time(task.created_at))];
    parts.extend(task.started_at.map(|at| format!("started {}", time(at))));
    parts.extend(task.completed_at.map(|at| format!("ended {}", time(at))));
    parts.join(", ")
}

/// The commands that come next.
pub(crate) fn next_commands(task: &TaskView, screen: Screen) -> String {
    let id = screen.id(task.task_id);
    let workspace = task.result.as_ref().and_then(|result| result.workspace.as_ref());
    match task.status {
        Status::Queued | Status::Running => format!("nexus logs -f {id} · nexus cancel {id}"),
        Status::Failed | Status::Cancelled => format!("nexus logs {id} · nexus retry {id}"),
        Status::Completed if workspace.is_some_and(|workspace| workspace.branch.is_some()) => {
            format!("nexus diff {id} · nexus apply {id}")
        }
        Status::Completed => match workspace.and_then(|workspace| compared(task, workspace)) {
            Some(diff) => format!("{diff} · nexus logs {id}"),
            None => format!("nexus logs {id}"),
        },
    }
}

/// The command that shows what an agent has changed in a copy of a project without git.
fn compared(task: &TaskView, workspace: &WorkspaceReport) -> Option<String> {
    let is_plain = workspace.kept && workspace.mode == WorkspaceMode::Copy && !workspace.layered;
    is_plain.then(|| format!("diff -ru {} {}", word(&task.project_path), word(&workspace.path)))
}

/// A path as a word for a shell.
fn word(path: &str) -> String {
    let is_safe = |char: char| char.is_alphanumeric() || "/._-+@:,=".contains(char);
    if path.chars().all(is_safe) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The rows about its agent's run.
fn rows_of_run(run: &RunReport, task: &TaskView, rows: &mut Block) {
    if let Some(session) = &run.session {
        let resumed = if run.resumed { " (resumed)" } else { "" };
        rows.row("session", &format!("{session}{resumed}"));
    }
    let before = task.spent.tokens;
    let before = if before > 0 { format!(", {before} by earlier attempts") } else { String::new() };
    let cost = run.cost_micros.map_or_else(String::new, |micros| format!(", {}", Usd::from_micros(micros)));
    let Tokens { input, output, .. } = run.tokens;
    rows.row("tokens", &format!("{input} in, {output} out{before}; {}{cost}", count(run.turns, "turn", "turns")));
    let failed = if run.tool_failures > 0 { format!(", {} failed", run.tool_failures) } else { String::new() };
    let doing = match (&run.doing, task.status) {
        (Some(doing), Status::Running) => format!("; now {}", short(doing, 80)),
        _ => String::new(),
    };
    rows.row("tools", &format!("{}{failed}{doing}", count(run.tool_calls, "call", "calls")));
    for warning in &run.warnings {
        rows.row("warning", &short(warning, 120));
    }
}

/// The end of a task, in a line.
pub(crate) fn outcome(task: &TaskView, screen: Screen) -> String {
    let mut said = ending(task, screen);
    if let Some(error) = task.error.as_ref().filter(|_| task.status != Status::Completed) {
        let between = if said.is_empty() { "" } else { " · " };
        said.push_str(&format!("{between}{error}"));
    }
    said
}

/// The same without the reason.
fn ending(task: &TaskView, screen: Screen) -> String {
    let Some(result) = &task.result else { return String::new() };
    let mut parts = Vec::new();
    // Of several attempts the whole time, the waits between them included.
    let whole = task.completed_at.zip(task.started_at).filter(|_| task.attempt > 1);
    parts.push(match whole.map(|(end, begin)| end.duration_since(begin).as_secs_f64()) {
        Some(whole) => format!("after {} attempts, {whole:.1} s", task.attempt),
        None => format!("{:.2} s", seconds(result.duration_ms)),
    });
    match (result.exit_code, result.signal) {
        (Some(code), _) => parts.push(format!("exit {code}")),
        (_, Some(signal)) => parts.push(format!("signal {signal}")),
        _ => {}
    }
    if let Some(workspace) = &result.workspace {
        parts.push(match (workspace.kept, branch(workspace)) {
            (false, None) => "workspace removed (clean)".to_owned(),
            (false, Some(branch)) => format!("branch {branch}"),
            (true, Some(branch)) => format!("workspace kept, branch {branch}"),
            (true, None) => format!("workspace {}", kept(workspace, task.task_id, screen)),
        });
    }
    parts.join(" · ")
}
