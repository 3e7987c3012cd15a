//! `nexus mcp`: MCP on standard input and output, for the running company.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nexus_bus::Client;
use nexus_process::daemon::detach;
use tokio::time::{Instant, sleep};

use crate::cli::{McpCommand, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::place;

mod config;

pub(super) async fn mcp(place: &PlaceArgs, start: bool, command: Option<McpCommand>) -> Result<Code, Exit> {
    if let Some(McpCommand::Config { client, http }) = command {
        return config::config(place, client, http);
    }
    let client = match start {
        true => started(place).await?,
        false => place::connect(place).await?,
    };
    nexus_mcp::serve_stdio(client).await.map_err(|error| Exit::failure(error.to_string()))?;
    Ok(Code::Done)
}

/// The longest time that a company may take to start: it may have to fetch its broker first.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running company, or one that is started in the background and outlives us.
async fn started(place: &PlaceArgs) -> Result<Client, Exit> {
    if let Some(client) = place::find(place).await? {
        return Ok(client);
    }
    let dir = place::data_dir(place)?;
    let failed = |what: String| Exit::failure(format!("no company could be started in the background: {what}"));
    fs::create_dir_all(&dir).map_err(|error| failed(format!("{}: {error}", dir.display())))?;
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let log = dir.join("up.log");
    let mut company = detach(&program, &arguments(place, &dir), &log).map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(20);
    loop {
        if let Some(client) = place::find(place).await? {
            return Ok(client);
        }
        // Two clients may start one each at once: the data directory's lock lets one of them win, and that one is used.
        let ended = company.ended().map_err(|error| failed(error.to_string()))?.is_some();
        if Instant::now() > deadline || (ended && place::Address::read(&dir).is_none()) {
            return Err(failed(format!("it did not become ready\n{}", tail(&log)))
                .with_help(format!("its log is {}; try `nexus up` by hand", log.display())));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

fn arguments(place: &PlaceArgs, dir: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["up".into(), "--data-dir".into(), dir.into()];
    let mut add = |flag: &str, value: OsString| arguments.extend([OsString::from(flag), value]);
    // A port of its own: nobody has asked for one, and 8000 may be taken.
    add("--listen", "127.0.0.1:0".into());
    if let Some(config) = &place.config {
        add("--config", config.into());
    }
    if let Some(nats) = &place.nats {
        add("--nats", nats.into());
    }
    if let Some(creds) = &place.creds {
        add("--creds", creds.into());
    }
    arguments
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    const LINES: usize = 5;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
