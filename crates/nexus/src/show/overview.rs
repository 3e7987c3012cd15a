//! The company as a whole, for people.

use nexus_core::overview::{Overview, ProcessInfo};

use super::table::{Column, Table};
use super::{Block, Screen, age, state, time, visible};

/// Where it runs, and the work of its departments.
pub(crate) fn overview(company: &Overview, log: &str, screen: Screen) -> String {
    let ProcessInfo { pid, version, started_at, data_dir, config_dir, mcp, web, nats, .. } = &company.process;
    let stopping = if company.stopping { "; it is stopping, and takes no more work" } else { "" };
    let name = &company.company;
    let head = format!("{name} is up (pid {pid}) since {}, {}{stopping}", time(*started_at), age(*started_at));
    let config = config_dir.as_deref().unwrap_or("built in");
    let rows = [
        ("mcp", mcp.as_deref()),
        ("web", web.as_deref()),
        ("nats", Some(nats.as_str())),
        ("data", Some(data_dir.as_str())),
        ("config", Some(config)),
        ("log", Some(log)),
        ("version", Some(version.as_str())),
    ];
    let mut block = Block::new(screen, 8);
    for (name, value) in rows {
        if let Some(value) = value {
            block.row(name, value);
        }
    }
    let names = ["DEPARTMENT", "STATE", "BUSY", "QUEUED", "RUNNING", "FAILED TODAY"];
    let mut departments = Table::new(names.map(Column::new));
    for load in &company.departments {
        departments.row([
            load.name.as_str().into(),
            state(load.state).into(),
            format!("{}/{}", load.busy, load.workers).into(),
            load.queued.to_string().into(),
            load.running.to_string().into(),
            load.failed_today.to_string().into(),
        ]);
    }
    let mut text = format!("{}\n{}\n{}", screen.hang(&head, 2), block.end(), departments.lines(screen));
    if let Some(error) = &company.config_error {
        text.push_str(&visible(&format!(
            "the newest configuration can't be used, so the last good one runs:\n{error}\n"
        )));
    }
    text
}
