//! One task, for people.

use nexus_core::api::TaskStatus;
use nexus_core::budget::Usd;
use nexus_core::question::OpenQuestion;
use nexus_core::run::{RunReport, Tokens};
use nexus_core::view::{Status, TaskView};

use super::{age, branch, bytes, kept, seconds, short, time};

/// All that matters of a task.
pub(crate) fn status(answer: &TaskStatus) -> String {
    let task = &answer.task;
    let mut text = format!("{}\n", short(&task.description, 100));
    let mut row = |name: &str, value: String| {
        // What has several lines stays in its column: no line of it passes for a row.
        let value = value.replace('\n', "\n             ");
        text.push_str(&format!("  {name:<10} {value}\n"));
    };
    let id = task.task_id;
    row("task", id.to_string());
    let worker = task.worker_id.as_ref().map_or_else(String::new, |worker| format!(" in {}/{worker}", task.department));
    let attempt = match (task.attempt, task.max_attempts) {
        (0, _) => String::new(),
        (attempt, Some(max)) => format!(", attempt {attempt} of {max}"),
        (attempt, None) => format!(", attempt {attempt}"),
    };
    let agent = task.assigned_agent.as_ref().map_or_else(String::new, |agent| format!(", {agent}"));
    match task.status {
        Status::Queued => {
            let due = task.not_before.map_or_else(String::new, |due| format!(", next attempt at {}", time(due)));
            row(
                "queued",
                format!("for {} in {}, priority {}{due}", age(task.updated_at), task.department, task.priority),
            );
        }
        Status::Running => {
            let since = task.started_at.map_or_else(String::new, age);
            let cancelling = if task.cancelling { "; being cancelled" } else { "" };
            row("running", format!("{since}{worker}{attempt}{agent}{cancelling}"));
        }
        ended => row(ended.as_str(), format!("{}{worker}{attempt}{agent}", outcome(task))),
    }
    if let Some(waits) = &answer.waits {
        row("waits", waits.clone());
    }
    if task.interruptions > 0 {
        row("interrupted", format!("{} times; no attempt was used up", task.interruptions));
    }
    if let Some(live) = &answer.live {
        let pid = live.pid.map_or_else(|| "starting".to_owned(), |pid| format!("pid {pid}"));
        let others = live.processes.saturating_sub(1);
        row(
            "process",
            format!("{pid} and {others} others · {} · {:.0} % cpu", bytes(live.rss_bytes), live.cpu_percent),
        );
        if let (Some(line), Some(at)) = (&live.last_line, live.last_output_at) {
            row("last line", format!("{} ago: {}", age(at), short(line, 80)));
        }
    }
    let run = answer.live.as_ref().and_then(|live| live.run.as_ref()).or(task.run.as_ref());
    if let Some(run) = run {
        rows_of_run(run, task, &mut row);
    }
    for OpenQuestion { question, what } in questions(answer) {
        // All of it: whoever allows it has to have seen it.
        row(
            "asks",
            format!(
                "{what}\nnexus answer {id} allow --question {question}\nnexus answer {id} reject --question {question}"
            ),
        );
    }
    if let Some(error) = &task.error {
        row("error", error.clone());
    }
    let workspace = task.result.as_ref().and_then(|result| result.workspace.as_ref());
    if let Some(workspace) = workspace {
        let kept = if workspace.kept { kept(workspace, id) } else { "removed (clean)".to_owned() };
        row("workspace", format!("{}, {kept}", workspace.mode.as_str()));
        if let Some(branch) = branch(workspace) {
            row("branch", branch);
        }
        if let Some(uncommitted) = &workspace.uncommitted {
            row("note", uncommitted.summary(&task.project_path));
        }
    }
    row("project", task.project_path.clone());
    row("times", times(task));
    row("next", next_commands(task));
    text
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
pub(crate) fn next_commands(task: &TaskView) -> String {
    let id = task.task_id;
    let workspace = task.result.as_ref().and_then(|result| result.workspace.as_ref());
    match task.status {
        Status::Queued | Status::Running => format!("nexus logs -f {id} · nexus cancel {id}"),
        Status::Failed | Status::Cancelled => format!("nexus logs {id} · nexus retry {id}"),
        Status::Completed if workspace.is_some_and(|workspace| workspace.branch.is_some()) => {
            format!("nexus diff {id} · nexus apply {id}")
        }
        Status::Completed => format!("nexus logs {id}"),
    }
}

/// The rows about its agent's run.
fn rows_of_run(run: &RunReport, task: &TaskView, row: &mut impl FnMut(&str, String)) {
    if let Some(session) = &run.session {
        let resumed = if run.resumed { " (resumed)" } else { "" };
        row("session", format!("{session}{resumed}"));
    }
    let before = task.spent.tokens;
    let before = if before > 0 { format!(", {before} by earlier attempts") } else { String::new() };
    let cost = run.cost_micros.map_or_else(String::new, |micros| format!(", {}", Usd::from_micros(micros)));
    let Tokens { input, output, .. } = run.tokens;
    row("tokens", format!("{input} in, {output} out{before}; {} turns{cost}", run.turns));
    let failed = if run.tool_failures > 0 { format!(", {} failed", run.tool_failures) } else { String::new() };
    let doing = match (&run.doing, task.status) {
        (Some(doing), Status::Running) => format!("; now {}", short(doing, 80)),
        _ => String::new(),
    };
    row("tools", format!("{} calls{failed}{doing}", run.tool_calls));
    for warning in &run.warnings {
        row("warning", short(warning, 120));
    }
}

/// The end of a task, in a line.
pub(crate) fn outcome(task: &TaskView) -> String {
    let mut parts = Vec::new();
    if let Some(result) = &task.result {
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
                (true, None) => format!("workspace {}", kept(workspace, task.task_id)),
            });
        }
    }
    if let Some(error) = task.error.as_ref().filter(|_| task.status != Status::Completed) {
        parts.push(error.clone());
    }
    parts.join(" · ")
}
