//! Lists, for people.

use anstyle::{AnsiColor, Style};
use nexus_core::api::{AgentInfo, AgentState, Agents, DepartmentState, Departments, TaskPage, WorkerStats};
use nexus_core::budget::Usd;
use nexus_core::id::{AgentName, DepartmentName};
use nexus_core::view::{Status, TaskView};

use super::table::{Cell, Column, Table};
use super::{Screen, age, bytes, count, time, visible};

/// The colour of a task's status.
pub(super) fn colour(status: Status) -> Style {
    match status {
        Status::Queued => Style::new(),
        Status::Running => AnsiColor::Cyan.on_default(),
        Status::Completed => AnsiColor::Green.on_default(),
        Status::Failed => AnsiColor::Red.on_default(),
        Status::Cancelled => AnsiColor::Yellow.on_default(),
    }
}

/// The first line of a text, with a sign where there are more. The screen cuts the rest.
fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default().replace('\t', " ");
    if lines.next().is_some() { format!("{first} …") } else { first }
}

/// A page of tasks.
pub(crate) fn tasks(page: &TaskPage, only_active: bool, screen: Screen) -> String {
    let mut rows = Table::new([
        Column::new("TASK"),
        Column::new("STATUS"),
        Column::new("DEPARTMENT").cut_to(8),
        Column::new("AGENT").cut_to(6),
        Column::new("ATTEMPT").spare(2),
        Column::new("AGE"),
        Column::new("DESCRIPTION").cut_to(16),
        // Where none has failed, it takes no room.
        Column::new(if page.tasks.iter().any(|task| reason(task).is_some()) { "REASON" } else { "" })
            .cut_to(20)
            .spare(3),
    ]);
    let ids: Vec<_> = page.tasks.iter().map(|task| task.task_id).collect();
    for task in &page.tasks {
        let agent = task.assigned_agent.as_ref().or(task.preferred_agent.as_ref()).map_or("auto", AgentName::as_str);
        let attempt = match (task.attempt, task.max_attempts) {
            (0, _) => "-".to_owned(),
            (attempt, Some(max)) => format!("{attempt}/{max}"),
            (attempt, None) => attempt.to_string(),
        };
        let (status, style) = match task.cancelling {
            true => ("cancelling", AnsiColor::Yellow.on_default()),
            false => (task.status.as_str(), colour(task.status)),
        };
        let mut description = first_line(&task.description);
        if let Some(due) = task.not_before {
            description = format!("{description} (again at {})", time(due));
        }
        rows.row([
            screen.id_among(task.task_id, &ids).into(),
            Cell::styled(status, style),
            task.department.as_str().into(),
            agent.into(),
            attempt.into(),
            age(task.created_at).into(),
            description.into(),
            reason(task).map(first_line).unwrap_or_default().into(),
        ]);
    }
    let rest = match (&page.next_cursor, only_active) {
        (Some(cursor), _) => format!(" · more with --cursor {cursor}"),
        (None, true) => " · nexus list --all for finished ones".to_owned(),
        (None, false) => String::new(),
    };
    let head = if page.tasks.is_empty() { String::new() } else { rows.lines(screen) };
    format!("{head}{} of {}{rest}\n", page.tasks.len(), page.total)
}

/// Why a task has failed.
fn reason(task: &TaskView) -> Option<&str> {
    task.error.as_deref().filter(|_| task.status == Status::Failed)
}

/// The departments.
pub(crate) fn departments(answer: &Departments, screen: Screen) -> String {
    let mut rows = Table::new([
        Column::new("DEPARTMENT"),
        Column::new("STATE"),
        Column::new("FAILURES").spare(2),
        Column::new("WORKERS"),
        Column::new("WAITING"),
        Column::new("AGENTS").cut_to(12),
        Column::new("TASK TYPES").cut_to(12).spare(3),
        Column::new("DESCRIPTION").cut_to(12).spare(1),
    ]);
    for department in &answer.departments {
        let agents: Vec<_> = department.agents.iter().map(AgentName::as_str).collect();
        let default = if department.name == answer.default_department { " (default)" } else { "" };
        let colour = match department.state {
            DepartmentState::Running => Style::new(),
            DepartmentState::Stopped => AnsiColor::Red.on_default(),
            _ => AnsiColor::Yellow.on_default(),
        };
        rows.row([
            format!("{}{default}", department.name).into(),
            Cell::styled(state(department.state), colour),
            department.failures.to_string().into(),
            format!("{}/{} busy", department.busy, department.workers).into(),
            department.queued.to_string().into(),
            agents.join(", ").into(),
            department.task_types.join(", ").into(),
            department.description.as_str().into(),
        ]);
    }
    let mut text = String::new();
    for department in &answer.departments {
        if let Some(reason) = &department.reason {
            let since = department.since.map(|since| format!(", {} since {}", state(department.state), time(since)));
            text.push_str(&format!("{}{}: {reason}\n", department.name, since.unwrap_or_default()));
        }
        for words in
            department.waits.iter().map(|waits| format!("takes no work: {waits}")).chain(department.warning.clone())
        {
            text.push_str(&format!("{}: {words}\n", department.name));
        }
        if department.state == DepartmentState::Stopped {
            let name = &department.name;
            text.push_str(&format!("{name}: mend what made it fail, then start it again: nexus resume {name}\n"));
        }
    }
    if let Some(error) = &answer.config_error {
        text.push_str(&format!("the newest configuration can't be used, so the last good one runs:\n{error}\n"));
    }
    format!("{}{}", rows.lines(screen), visible(&text))
}

pub(crate) const fn state(state: DepartmentState) -> &'static str {
    match state {
        DepartmentState::Running => "running",
        DepartmentState::Restarting => "restarting",
        DepartmentState::Stopped => "stopped",
        DepartmentState::Leaving => "leaving",
        DepartmentState::Gone => "gone",
    }
}

/// The agents.
pub(crate) fn agents(answer: &Agents, screen: Screen) -> String {
    let mut rows = Table::new([
        Column::new("AGENT"),
        Column::new("KIND"),
        Column::new("INSTALLED").spare(1),
        Column::new("STATE"),
        Column::new("TOKENS"),
        Column::new("COST"),
        Column::new("DEPARTMENTS").cut_to(12),
    ]);
    for agent in &answer.agents {
        let departments: Vec<_> = agent.departments.iter().map(DepartmentName::as_str).collect();
        let spent = &agent.spent_today;
        let or_dash = |is: bool, text: String| if is { text } else { "-".to_owned() };
        let (state, colour) = match agent.state {
            AgentState::Open if !agent.installed => ("not installed", Style::new().dimmed()),
            AgentState::Open => (agent.state.as_str(), AnsiColor::Green.on_default()),
            AgentState::Limited => (agent.state.as_str(), AnsiColor::Yellow.on_default()),
            AgentState::Unhealthy => (agent.state.as_str(), AnsiColor::Red.on_default()),
        };
        rows.row([
            agent.name.as_str().into(),
            agent.kind.as_str().into(),
            if agent.installed { "yes" } else { "no" }.into(),
            Cell::styled(state, colour),
            or_dash(spent.tokens > 0, spent.tokens.to_string()).into(),
            or_dash(spent.cost_micros > 0, Usd::from_micros(spent.cost_micros).to_string()).into(),
            or_dash(!departments.is_empty(), departments.join(", ")).into(),
        ]);
    }
    let closed = answer.agents.iter().filter(|agent| agent.state != AgentState::Open);
    let closed: String = closed.map(|agent| format!("{}\n", screen.hang(&agent_state(agent), 2))).collect();
    format!("{}{closed}", rows.lines(screen))
}

/// An agent's state, in a sentence.
pub(crate) fn agent_state(agent: &AgentInfo) -> String {
    let name = &agent.name;
    let until = agent.until.map(|until| format!(" until {}", time(until))).unwrap_or_default();
    let reason = agent.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match agent.state {
        AgentState::Open => format!("{name} is open"),
        AgentState::Limited => {
            format!("{name} is limited{until}{reason}; to try it before: nexus agents clear {name}")
        }
        AgentState::Unhealthy => {
            let since = agent.since.map(|since| format!(" since {}", time(since))).unwrap_or_default();
            format!("{name} is not signed in{since}{reason}; when that is mended: nexus agents clear {name}")
        }
    }
}

/// The workers.
pub(crate) fn workers(answer: &WorkerStats, screen: Screen) -> String {
    let mut rows = Table::new([
        Column::new("WORKER"),
        Column::new("TASK"),
        Column::new("PID").spare(2),
        Column::new("CPU"),
        Column::new("MEMORY"),
        Column::new("SANDBOX").cut_to(9).spare(4),
        Column::new("LIMITS").cut_to(9).spare(5),
        Column::new("DONE"),
        Column::new("FAILED"),
        Column::new("RESTARTS").spare(3),
    ]);
    let ids: Vec<_> = answer.workers.iter().filter_map(|worker| worker.current_task).collect();
    for worker in &answer.workers {
        let live = worker.live.as_ref();
        let protection = live.and_then(|live| live.protection.as_ref());
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned()).into();
        rows.row([
            format!("{}/{}", worker.department, worker.worker_id).into(),
            or_dash(worker.current_task.map(|task| screen.id_among(task, &ids))),
            or_dash(live.and_then(|live| live.pid).map(|pid| pid.to_string())),
            or_dash(live.map(|live| format!("{:.0} %", live.cpu_percent))),
            or_dash(live.map(|live| bytes(live.rss_bytes))),
            or_dash(protection.map(|protection| protection.sandbox.clone())),
            or_dash(protection.map(|protection| protection.limits.clone())),
            worker.tasks_completed.to_string().into(),
            worker.tasks_failed.to_string().into(),
            worker.restarts.to_string().into(),
        ]);
    }
    let (wait, ended) = (answer.tasks_queued, answer.tasks_processed);
    let (wait, ended) = (count(wait, "task waits", "tasks wait"), count(ended, "has ended", "have ended"));
    format!("{}{wait}, {ended}\n", rows.lines(screen))
}
