//! `nexus logs`: what a task's agent has printed, and what it prints.

use std::collections::VecDeque;

use nexus_bus::Client;
use nexus_core::log::LogLine;
use nexus_core::refusal::Refusal;
use tokio::sync::mpsc::Receiver;

use crate::cli::{LogsArgs, Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::looking::{Answers, look, named, stopped, waits};
use crate::show::{Log, Screen};

/// Lines of a log that are written at once, at most: so many are held, however long the log is.
const AT_ONCE: usize = 1024;

pub(super) async fn logs(place: &PlaceArgs, output: Output, task: &str, args: &LogsArgs) -> Result<Code, Exit> {
    look(place, async |client, answers| {
        let task = named(client, task).await?;
        log_of(place, client, answers, output, &task, args).await
    })
    .await
}

async fn log_of(
    place: &PlaceArgs,
    client: &Client,
    answers: Answers,
    output: Output,
    task: &str,
    args: &LogsArgs,
) -> Result<Code, Exit> {
    let ended = match answers {
        // One that hasn't would be followed for as long as no company goes on with it.
        Answers::Archive => client.status(task).await?.task.status.is_terminal(),
        Answers::Company => true,
    };
    let mut log = Log::new(output, args.follow, args.timestamps);
    let mut from = 1;
    if let Some(tail) = args.tail {
        // What the last lines are is known when all have been read.
        let mut last = VecDeque::new();
        let mut lines = client.read_log(task, from).await?;
        while let Some(line) = lines.recv().await {
            let line = line?;
            from = line.seq + 1;
            if wanted(&line, args) {
                last.push_back(line);
                last.drain(..last.len().saturating_sub(tail));
            }
        }
        log.show(last.make_contiguous());
    }
    if args.tail.is_none() || args.follow && ended {
        let follows = args.follow && ended;
        let lines = if follows { client.follow_log(task, from).await? } else { client.read_log(task, from).await? };
        tokio::select! {
            shown = show_all(lines, &mut log, args) => shown?,
            () = stopped(place), if answers == Answers::Company => {
                client.closing();
                return Err(waits(&Screen::stderr().named(task)));
            }
        }
    }
    log.end();
    if args.follow && !ended {
        let task = Screen::stderr().named(task);
        return Err(Exit::new(Code::Unreachable, format!("no company is up: task {task} waits in its queue"))
            .with_help("it goes on with the next `nexus up`"));
    }
    Ok(Code::Done)
}

async fn show_all(
    mut lines: Receiver<Result<LogLine, Refusal>>,
    log: &mut Log,
    args: &LogsArgs,
) -> Result<(), Refusal> {
    let mut ready = Vec::new();
    // What has come is written at once: a write for each line would take most of the time.
    while lines.recv_many(&mut ready, AT_ONCE).await > 0 {
        let read: Result<Vec<_>, Refusal> = ready.drain(..).collect();
        let mut read = read?;
        read.retain(|line| wanted(line, args));
        log.show(&read);
    }
    Ok(())
}

fn wanted(line: &LogLine, args: &LogsArgs) -> bool {
    args.since.is_none_or(|since| line.time >= since) && args.attempt.is_none_or(|attempt| line.attempt == attempt)
}
