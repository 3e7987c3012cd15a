//! `nexus down`: the running company of a data directory is told to stop, and its end waited for.

use std::time::Duration;

use nexus_core::event::{Event, STOPPING, What};
use nexus_core::id::TaskId;
use nexus_process::daemon::OtherProcess;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use super::up::Signals;
use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::{place, show};

/// The pause between two looks whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// The longest wait for a company that is told to stop to answer where its events are heard.
const LISTEN_LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn down(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let mut signals = Signals::new()?;
    if place.nats.is_some() {
        return Err(Exit::usage("a company is stopped on its own machine, by its data directory: leave --nats away"));
    }
    let dir = place::data_dir(place)?;
    let Some((pid, address)) = place::settled_holder(&dir).await? else { return none_runs(&dir, output) };
    if address.web.is_none() {
        return Err(Exit::new(
            Code::Refused,
            format!("the company at {} is that of a `nexus run` (pid {pid})", dir.display()),
        )
        .with_help("it ends with its task: press Ctrl-C there, or cancel the task (nexus list, nexus cancel TASK)"));
    }
    let cannot = |error: std::io::Error| {
        Exit::failure(format!("the company at {} (pid {pid}) can't be told to stop: {error}", dir.display()))
            .with_help("press Ctrl-C where it was started")
    };
    let Some(company) = OtherProcess::open(pid).map_err(cannot)? else { return none_runs(&dir, output) };
    let mut events = heard(place).await;
    // Only now is it known that the pid, which is held, is the company's and no stranger's.
    if place::holder(&dir).is_none_or(|(now, _)| now != pid) {
        return none_runs(&dir, output);
    }
    if company.has_open(&dir.join("lock")) == Some(false) {
        return Err(Exit::failure(format!(
            "the company at {} is no process of this system (its pid is {pid})",
            dir.display()
        ))
        .with_help("it may run in a container: stop it there"));
    }
    company.ask_to_end().map_err(cannot)?;
    let mut put_back = Vec::new();
    let mut looks = interval(LOOK_AGAIN);
    let mut interrupts = 0;
    while !company.has_ended() {
        tokio::select! {
            event = next(&mut events) => put_back.extend(returned(&event)),
            () = signals.next() => {
                interrupts += 1;
                if interrupts > 1 {
                    show::note("note", &format!("the company (pid {pid}) is still stopping"));
                    return Ok(Code::Interrupted);
                }
                show::note("stopping", "its agents are not waited for (Ctrl-C again: leave it to itself)");
                company.ask_to_end().map_err(cannot)?;
            }
            _ = looks.tick() => {}
        }
    }
    // What was said at the end is at hand.
    while let Ok(event) = timeout(Duration::ZERO, next(&mut events)).await {
        put_back.extend(returned(&event));
    }
    if output.is_json() {
        show::json(&serde_json::json!({ "was_up": true, "pid": pid, "put_back": put_back }), output);
        return Ok(Code::Done);
    }
    let queue = match put_back.len() {
        0 => String::new(),
        1 => "; 1 task went back to the queue".to_owned(),
        many => format!("; {many} tasks went back to the queue"),
    };
    show::line(&format!("stopped  the company at {} (pid {pid}){queue}", dir.display()));
    put_back.iter().for_each(|task| show::note("queued", &task.to_string()));
    Ok(Code::Done)
}

fn none_runs(dir: &std::path::Path, output: Output) -> Result<Code, Exit> {
    if output.is_json() {
        show::json(&serde_json::json!({ "was_up": false, "put_back": [] }), output);
    } else {
        show::line(&format!("no company is running at {}", dir.display()));
    }
    Ok(Code::Done)
}

/// The company's events; none where it doesn't answer, which keeps nobody from stopping it.
async fn heard(place: &PlaceArgs) -> Option<mpsc::Receiver<Event>> {
    let listening = async {
        let client = place::connect(place).await.ok()?;
        client.closing();
        client.follow_events(None).await.ok()
    };
    timeout(LISTEN_LIMIT, listening).await.ok().flatten()
}

async fn next(events: &mut Option<mpsc::Receiver<Event>>) -> Event {
    if let Some(events) = events
        && let Some(event) = events.recv().await
    {
        return event;
    }
    std::future::pending().await
}

/// The task that went back to the queue because of the stop.
fn returned(event: &Event) -> Option<TaskId> {
    matches!(&event.what, What::Interrupted { reason, .. } if reason == STOPPING).then_some(event.task_id)
}
