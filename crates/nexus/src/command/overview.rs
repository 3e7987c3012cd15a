//! Commands about the company: departments, workers, health, and the history's rebuild.

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::{place, show};

pub(super) async fn departments(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let answer = place::connect(place).await?.departments().await?;
    if output.is_json() {
        show::json(&answer, output);
    } else {
        show::text(&show::departments(&answer));
    }
    Ok(Code::Done)
}

pub(super) async fn workers(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let answer = place::connect(place).await?.workers().await?;
    if output.is_json() {
        show::json(&answer, output);
    } else {
        show::text(&show::workers(&answer));
    }
    Ok(Code::Done)
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
        return Err(Exit::new(Code::Unreachable, "the broker is up, but no CEO answers")
            .with_help("it may be starting or stopping; `nexus doctor` tells more"));
    }
    if output.is_json() {
        show::json(&serde_json::json!({ "status": "ok" }), output);
    } else {
        show::line("ok");
    }
    Ok(Code::Done)
}
