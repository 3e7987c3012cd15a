//! `nexus doctor`: looks for problems and says how to mend them.

use nexus_broker::Tools;
use nexus_bus::Bus;
use nexus_config::{Loaded, SyncPolicy};
use nexus_core::api::DepartmentState;
use nexus_core::refusal::Refusal;
use serde::Serialize;

use crate::cli::{Output, PlaceArgs};
use crate::company::{external, in_force, streams};
use crate::exit::{Code, Exit};
use crate::{place, show};

mod agents;
mod machine;
mod sandbox;
mod workspaces;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    what: &'static str,
    message: String,
    /// All that is known of it, if it is about an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<nexus_runtime::Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// Nothing to worry about, and nothing that works.
    Info,
    Warn,
    Fail,
}

pub(super) async fn doctor(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let data_dir = place::data_dir(place)?;
    let mut findings = Vec::new();
    let mut say = |level, what, message: String| findings.push(Finding::new(level, what, message));
    let in_force = in_force(place).await;
    match nexus_config::load(&in_force.source) {
        Ok(loaded) => {
            let departments = match loaded.company.departments.len() {
                1 => "1 department".to_owned(),
                many => format!("{many} departments"),
            };
            say(Level::Ok, "config", format!("{departments}; {}", in_force.whose));
            broker(place, &loaded, &mut say).await?;
            let found = match &in_force.company {
                Some(client) => client.agents().await.ok(),
                None => None,
            };
            findings.extend(agents::agents(&loaded.company, found.as_ref(), output.is_json()).await);
            let mut say = |level, what, message: String| findings.push(Finding::new(level, what, message));
            machine::files(&loaded.company, &mut say);
            machine::network(&mut say);
            sandbox::protection(&loaded.company, &data_dir, &mut say).await;
            workspaces::workspaces(&loaded.settings, &data_dir, &mut say);
        }
        Err(errors) => {
            for error in errors.iter() {
                say(Level::Fail, "config", error.to_string());
            }
        }
    }
    let mut say = |level, what, message: String| findings.push(Finding::new(level, what, message));
    machine::disk(&data_dir, &mut say);
    machine::ledger(&data_dir, &mut say);
    company(place, &mut say).await?;
    if output == Output::Json {
        show::json(&findings, output);
    } else {
        for finding in &findings {
            match output {
                Output::Human => show::styled(&finding.text()),
                _ => show::json(finding, output),
            }
        }
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if failed { Code::Doctor } else { Code::Done })
}

impl Finding {
    const fn new(level: Level, what: &'static str, message: String) -> Self {
        Self { level, what, message, agent: None }
    }

    fn text(&self) -> String {
        use anstyle::AnsiColor::{Blue, Green, Red, Yellow};
        let (word, colour) = match self.level {
            Level::Ok => ("ok", Green),
            Level::Info => ("-", Blue),
            Level::Warn => ("warn", Yellow),
            Level::Fail => ("fail", Red),
        };
        let style = colour.on_default();
        let message = show::Screen::stdout().hang(&self.message, 18);
        format!("{style}{word:<4}{style:#}  {:<11} {message}", self.what)
    }
}

async fn broker(
    place: &PlaceArgs,
    loaded: &Loaded,
    say: &mut impl FnMut(Level, &'static str, String),
) -> Result<(), Exit> {
    if let Some(access) = external(&loaded.settings) {
        let suits = async { Bus::connect(&access, "nexus doctor").await?.suits(&streams(loaded)).await };
        match suits.await {
            Ok(()) => say(Level::Ok, "broker", format!("an existing NATS is used: {}", access.shown())),
            Err(error) => {
                let Refusal { message, help, .. } = error.into();
                say(Level::Fail, "broker", [Some(message), help].into_iter().flatten().collect::<Vec<_>>().join("; "));
            }
        }
        return Ok(());
    }
    let tools = Tools::new(loaded.settings.broker.server.clone(), place::tools_dir()?);
    let status = nexus_broker::status(&tools, &place::data_dir(place)?).await;
    let sync = match loaded.settings.bus.sync {
        SyncPolicy::Interval => "sync every 1 s (a power failure can lose the last second; see bus.sync)",
        SyncPolicy::Always => "sync always",
    };
    match &status.found.chosen {
        Some(server) => {
            say(
                Level::Ok,
                "broker",
                format!("nats-server {}, private, {sync}; {}", server.version, server.path.display()),
            );
        }
        None => say(
            Level::Warn,
            "broker",
            "no nats-server that can be used; `nexus up` or `nexus broker install` fetches one".to_owned(),
        ),
    }
    for rejected in &status.found.rejected {
        say(Level::Warn, "broker", format!("not used: {rejected}"));
    }
    Ok(())
}

async fn company(place: &PlaceArgs, say: &mut impl FnMut(Level, &'static str, String)) -> Result<(), Exit> {
    let client = match place::look(place).await {
        Ok(Some(client)) => client,
        Ok(None) => {
            let dir = place::data_dir(place)?;
            say(Level::Ok, "company", format!("not running at {}; start it with `nexus up`", dir.display()));
            return Ok(());
        }
        Err(exit) => {
            let log = place::data_dir(place)?.join("broker/nats.log");
            let broker =
                if log.exists() { format!("the broker's log is {}", log.display()) } else { "look at its NATS".into() };
            let message =
                format!("{exit}: it may be starting or stopping; if that lasts, look at its standard error; {broker}");
            say(Level::Fail, "company", message);
            return Ok(());
        }
    };
    let process = place::process(place).map_or_else(String::new, |process| {
        format!(" (pid {}, log {})", process.pid, process.log.as_deref().unwrap_or("where it was started"))
    });
    let running = format!("running{process}; broker {}", client.broker_version());
    let answer = match client.departments().await {
        Ok(answer) if answer.stopping => {
            say(Level::Warn, "company", format!("{running}; it is stopping, and takes no more work"));
            answer
        }
        Ok(answer) => {
            say(Level::Ok, "company", running);
            answer
        }
        Err(refusal) => {
            say(Level::Ok, "company", running);
            say(Level::Fail, "departments", refusal.to_string());
            return Ok(());
        }
    };
    for department in answer.departments {
        let reason = department.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        match department.state {
            DepartmentState::Running => say(
                Level::Ok,
                "departments",
                format!(
                    "{}: {} of {} workers busy, {}",
                    department.name,
                    department.busy,
                    department.workers,
                    show::count(department.queued, "task waits", "tasks wait")
                ),
            ),
            DepartmentState::Stopped => say(
                Level::Fail,
                "departments",
                format!("{0} is stopped{reason}; mend it, then `nexus resume {0}`", department.name),
            ),
            state => {
                say(Level::Warn, "departments", format!("{} is {}{reason}", department.name, show::state(state)));
            }
        }
    }
    if let Some(error) = answer.config_error {
        say(Level::Fail, "departments", format!("{error} (running with the last good configuration)"));
    }
    Ok(())
}
