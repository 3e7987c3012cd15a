//! `nexus events`: what happens, as it happens.

use super::up::Signals;
use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::{place, show};

pub(super) async fn events(place: &PlaceArgs, output: Output, task: Option<String>) -> Result<Code, Exit> {
    let mut signals = Signals::new()?;
    let client = place::connect(place).await?;
    let task = match task {
        Some(task) => Some(client.status(&task).await?.task.task_id),
        None => None,
    };
    let mut events = client.follow_events(task).await?;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = signals.next() => return Ok(Code::Interrupted),
        };
        let Some(event) = event else { return Ok(Code::Done) };
        if output.is_json() {
            show::json(&event, Output::Ndjson);
        } else {
            show::line(&show::event(&event));
        }
    }
}
