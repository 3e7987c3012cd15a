//! The company as a whole, for people.

use nexus_core::overview::{Overview, ProcessInfo};

use super::tables::{lines, table};
use super::{age, state, time};

/// Where it runs, and the work of its departments.
pub(crate) fn overview(company: &Overview, log: &str) -> String {
    let ProcessInfo { pid, version, started_at, data_dir, config_dir, mcp, web, nats, .. } = &company.process;
    let stopping = if company.stopping { "; it is stopping, and takes no more work" } else { "" };
    let name = &company.company;
    let mut text = format!("{name} is up (pid {pid}) since {}, {}{stopping}\n", time(*started_at), age(*started_at));
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
    for (name, value) in rows {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<8} {value}\n"));
        }
    }
    let mut departments = table(&["DEPARTMENT", "STATE", "BUSY", "QUEUED", "RUNNING", "FAILED TODAY"]);
    for load in &company.departments {
        departments.add_row([
            load.name.to_string(),
            state(load.state).to_owned(),
            format!("{}/{}", load.busy, load.workers),
            load.queued.to_string(),
            load.running.to_string(),
            load.failed_today.to_string(),
        ]);
    }
    text.push_str(&format!("\n{}", lines(&departments)));
    if let Some(error) = &company.config_error {
        text.push_str(&format!("the newest configuration can't be used, so the last good one runs:\n{error}\n"));
    }
    text
}
