//! Lists, for people.

use comfy_table::{ContentArrangement, Table, presets};
use nexus_core::api::{AgentInfo, AgentState, Agents, DepartmentState, Departments, TaskPage, WorkerStats};
use nexus_core::budget::Usd;
use nexus_core::id::{AgentName, DepartmentName};

use super::{age, bytes, short, time};

pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head.to_vec());
    table
}

/// Rows without the padding at their ends.
pub(super) fn lines(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .map(|line| line.strip_prefix(' ').map(str::to_owned).unwrap_or(line))
        .collect()
}

/// A page of tasks.
pub(crate) fn tasks(page: &TaskPage, only_active: bool) -> String {
    let mut rows = table(&["TASK", "STATUS", "DEPARTMENT", "AGENT", "ATTEMPT", "AGE", "DESCRIPTION"]);
    for task in &page.tasks {
        let agent = task.assigned_agent.as_ref().or(task.preferred_agent.as_ref()).map_or("auto", AgentName::as_str);
        let attempt = match (task.attempt, task.max_attempts) {
            (0, _) => "-".to_owned(),
            (attempt, Some(max)) => format!("{attempt}/{max}"),
            (attempt, None) => attempt.to_string(),
        };
        let status = if task.cancelling { "cancelling" } else { task.status.as_str() };
        let mut description = short(&task.description, 60);
        if let Some(due) = task.not_before {
            description = format!("{description} (again at {})", time(due));
        }
        let (id, department) = (task.task_id.to_string(), task.department.to_string());
        rows.add_row([&id, status, &department, agent, &attempt, &age(task.created_at), &description]);
    }
    let rest = match (&page.next_cursor, only_active) {
        (Some(cursor), _) => format!(" · more with --cursor {cursor}"),
        (None, true) => " · nexus list --all for finished ones".to_owned(),
        (None, false) => String::new(),
    };
    let head = if page.tasks.is_empty() { String::new() } else { lines(&rows) };
    format!("{head}{} of {}{rest}\n", page.tasks.len(), page.total)
}

/// The departments.
pub(crate) fn departments(answer: &Departments) -> String {
    let mut rows =
        table(&["DEPARTMENT", "STATE", "FAILURES", "WORKERS", "WAITING", "AGENTS", "TASK TYPES", "DESCRIPTION"]);
    for department in &answer.departments {
        let agents: Vec<_> = department.agents.iter().map(AgentName::as_str).collect();
        let default = if department.name == answer.default_department { " (default)" } else { "" };
        rows.add_row([
            format!("{}{default}", department.name),
            state(department.state).to_owned(),
            department.failures.to_string(),
            format!("{}/{} busy", department.busy, department.workers),
            department.queued.to_string(),
            agents.join(", "),
            department.task_types.join(", "),
            department.description.clone(),
        ]);
    }
    let mut text = lines(&rows);
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
    text
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
pub(crate) fn agents(answer: &Agents) -> String {
    let mut rows = table(&["AGENT", "KIND", "INSTALLED", "STATE", "TOKENS", "COST", "DEPARTMENTS"]);
    for agent in &answer.agents {
        let departments: Vec<_> = agent.departments.iter().map(DepartmentName::as_str).collect();
        let spent = &agent.spent_today;
        let or_dash = |is: bool, text: String| if is { text } else { "-".to_owned() };
        rows.add_row([
            agent.name.to_string(),
            agent.kind.as_str().to_owned(),
            if agent.installed { "yes" } else { "no" }.to_owned(),
            if agent.installed || agent.state != AgentState::Open { agent.state.as_str() } else { "not installed" }
                .to_owned(),
            or_dash(spent.tokens > 0, spent.tokens.to_string()),
            or_dash(spent.cost_micros > 0, Usd::from_micros(spent.cost_micros).to_string()),
            or_dash(!departments.is_empty(), departments.join(", ")),
        ]);
    }
    let closed = answer.agents.iter().filter(|agent| agent.state != AgentState::Open);
    let closed: String = closed.map(|agent| format!("{}\n", agent_state(agent))).collect();
    format!("{}{closed}", lines(&rows))
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
pub(crate) fn workers(answer: &WorkerStats) -> String {
    let mut rows =
        table(&["WORKER", "TASK", "PID", "CPU", "MEMORY", "SANDBOX", "LIMITS", "DONE", "FAILED", "RESTARTS"]);
    for worker in &answer.workers {
        let live = worker.live.as_ref();
        let protection = live.and_then(|live| live.protection.as_ref());
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        rows.add_row([
            format!("{}/{}", worker.department, worker.worker_id),
            or_dash(worker.current_task.map(|task| task.to_string())),
            or_dash(live.and_then(|live| live.pid).map(|pid| pid.to_string())),
            or_dash(live.map(|live| format!("{:.0} %", live.cpu_percent))),
            or_dash(live.map(|live| bytes(live.rss_bytes))),
            or_dash(protection.map(|protection| protection.sandbox.clone())),
            or_dash(protection.map(|protection| protection.limits.clone())),
            worker.tasks_completed.to_string(),
            worker.tasks_failed.to_string(),
            worker.restarts.to_string(),
        ]);
    }
    format!("{}{} tasks wait, {} have ended\n", lines(&rows), answer.tasks_queued, answer.tasks_processed)
}
