//! Commands about the company: departments and their resumption, workers, health, and the history's rebuild.

use nexus_core::api::DepartmentState;

use super::watch::Watch;
use crate::cli::{Output, PlaceArgs, Wide};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::show::Screen;
use crate::{place, show};

/// The company as a whole.
pub(super) async fn company(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let Some(client) = place::look(place).await? else { return Err(not_up(place)?) };
    let mut company = client.overview().await?;
    // The CEO that answers may be another node's.
    if let Some(process) = place::process(place) {
        company.process = process;
    }
    if output.is_json() {
        show::json(&company, output);
    } else {
        let elsewhere = || format!("where process {} was started", company.process.pid);
        let log = company.process.log.clone().unwrap_or_else(elsewhere);
        show::out(&show::overview(&company, &log, Screen::stdout()));
    }
    Ok(Code::Done)
}

/// Says where a company would run, and on what.
fn not_up(place: &PlaceArgs) -> Result<Exit, Exit> {
    let dir = place::data_dir(place)?;
    let config = match nexus_config::load(&source(place, None)) {
        Ok(loaded) => loaded.dir.map_or_else(|| "built in".to_owned(), |dir| dir.display().to_string()),
        Err(_) => "has errors, which `nexus config check` shows".to_owned(),
    };
    let help = format!(
        "start it with `nexus up`, or in the background with `nexus up --detach`\ndata     {}\nconfig   {config}\n\
         tasks    nexus list --all",
        dir.display()
    );
    Ok(Exit::new(Code::Unreachable, format!("no company is up at {}", dir.display())).with_help(help))
}

pub(super) async fn departments(place: &PlaceArgs, output: Output, wide: Wide) -> Result<Code, Exit> {
    let answer = place::connect(place).await?.departments().await?;
    if output.is_json() {
        show::json(&answer, output);
    } else {
        show::out(&show::departments(&answer, Screen::stdout().wide(wide.wide)));
    }
    Ok(Code::Done)
}

pub(super) async fn resume(place: &PlaceArgs, output: Output, department: &str) -> Result<Code, Exit> {
    let resumed = place::connect(place).await?.resume(department).await?;
    if output.is_json() {
        show::json(&resumed, output);
    } else {
        let reason = resumed.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let waiting = show::count(resumed.queued, "task waits", "tasks wait");
        show::line(&format!("{}  {}{reason}; {waiting}", show::state(resumed.state), resumed.name));
    }
    // It may have failed again at once.
    Ok(if resumed.state == DepartmentState::Running { Code::Done } else { Code::Failure })
}

pub(super) async fn workers(place: &PlaceArgs, output: Output, wide: Wide, watch: bool) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    let mut watching = watch.then(Watch::new).transpose()?;
    loop {
        let answer = client.workers().await?;
        if let Some(watch) = &watching {
            watch.begin(output);
        }
        if output.is_json() {
            show::json(&answer, output);
        } else {
            show::out(&show::workers(&answer, Screen::stdout().wide(wide.wide)));
        }
        let Some(watch) = &mut watching else { return Ok(Code::Done) };
        if watch.is_over().await {
            return Ok(Code::Interrupted);
        }
    }
}

pub(super) async fn rebuild(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let tasks = place::connect(place).await?.rebuild().await?;
    if output.is_json() {
        show::json(&serde_json::json!({ "tasks": tasks }), output);
    } else {
        show::line(&format!("the history was made anew from the ledger: {tasks} tasks"));
    }
    Ok(Code::Done)
}

pub(super) async fn health(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    if !client.is_ready().await {
        return Err(place::no_ceo("the broker is up"));
    }
    if output.is_json() {
        show::json(&serde_json::json!({ "status": "ok" }), output);
    } else {
        show::line("ok");
    }
    Ok(Code::Done)
}
