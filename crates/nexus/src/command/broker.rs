//! `nexus broker`: the private NATS server.

use nexus_broker::Tools;

use crate::cli::{BrokerCommand, Output, PlaceArgs};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::progress::BrokerProgress;
use crate::{place, show};

pub(super) async fn broker(place: &PlaceArgs, output: Output, what: BrokerCommand) -> Result<Code, Exit> {
    let loaded = nexus_config::load(&source(place, None)).map_err(Exit::config)?;
    let tools = Tools::new(loaded.settings.broker.server, place::tools_dir()?);
    match what {
        BrokerCommand::Install => install(&tools, output).await,
        BrokerCommand::Status => status(&tools, place, output).await,
    }
}

async fn install(tools: &Tools, output: Output) -> Result<Code, Exit> {
    let found = nexus_broker::find(tools).await;
    let (path, version, what) = match found.chosen {
        Some(server) => (server.path, server.version, "found"),
        None => {
            let progress = BrokerProgress::new();
            let installed = nexus_broker::install(tools, |step| progress.show(&step))
                .await
                .map_err(|error| Exit::failure(error.to_string()))?;
            (installed.path, installed.version, "installed")
        }
    };
    if output.is_json() {
        let path = path.display().to_string();
        show::json(&serde_json::json!({ "path": path, "version": version.to_string(), "state": what }), output);
    } else {
        show::line(&format!("{what}  nats-server {version}  {}", path.display()));
    }
    Ok(Code::Done)
}

async fn status(tools: &Tools, place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let status = nexus_broker::status(tools, &place::data_dir(place)?).await;
    if output.is_json() {
        show::json(&status, output);
        return Ok(Code::Done);
    }
    match &status.found.chosen {
        Some(server) => show::line(&format!("server   nats-server {}  {}", server.version, server.path.display())),
        None => show::line("server   none that can be used; `nexus broker install` fetches one"),
    }
    for rejected in &status.found.rejected {
        show::line(&format!("         not used: {rejected}"));
    }
    match status.running {
        Some(running) => {
            let port = running.port.map_or_else(|| "loading its store".to_owned(), |port| format!("port {port}"));
            show::line(&format!("running  pid {}, {port}", running.pid));
        }
        None => show::line("running  no"),
    }
    show::line(&format!("store    {}", show::bytes(status.store_bytes)));
    Ok(Code::Done)
}
