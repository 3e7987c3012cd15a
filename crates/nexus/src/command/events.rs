//! `nexus events`: what has happened, or what happens as it happens.

use nexus_bus::Client;
use nexus_core::event::Event;
use nexus_core::id::TaskId;

use super::up::Signals;
use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::looking::{self, look};
use crate::show::Screen;
use crate::{place, show};

pub(super) async fn events(
    place: &PlaceArgs,
    output: Output,
    follow: bool,
    task: Option<String>,
    limit: u16,
    screen: Screen,
) -> Result<Code, Exit> {
    if !follow {
        let past = look(place, async |client, _| {
            let task = named(client, task).await?;
            Ok(client.past_events(task, usize::from(limit)).await?)
        })
        .await?;
        match output {
            Output::Json => show::json(&past, output),
            _ => past.iter().for_each(|event| print(event, output, screen)),
        }
        return Ok(Code::Done);
    }
    let mut signals = Signals::new()?;
    let client = place::connect(place).await?;
    let task = named(&client, task).await?;
    let mut events = client.follow_events(task).await?;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = signals.next() => return Ok(Code::Interrupted),
        };
        let Some(event) = event else { return Ok(Code::Done) };
        print(&event, output, screen);
    }
}

async fn named(client: &Client, task: Option<String>) -> Result<Option<TaskId>, Exit> {
    Ok(match task {
        Some(task) => Some(client.status(&looking::named(client, &task).await?).await?.task.task_id),
        None => None,
    })
}

fn print(event: &Event, output: Output, screen: Screen) {
    if output.is_json() {
        show::json(event, Output::Ndjson);
    } else {
        show::line(&show::event(event, screen));
    }
}
