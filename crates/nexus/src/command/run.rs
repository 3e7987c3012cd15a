//! `nexus run`: delegate and wait, with the log on standard error and the result on standard output.

use std::io::IsTerminal;

use nexus_bus::Client;
use nexus_core::api::{CancelRequest, TaskStatus};
use nexus_core::log::Stream;
use nexus_core::view::Status;

use super::tasks::submission;
use super::up::Signals;
use crate::cli::{Output, PlaceArgs, TaskArgs};
use crate::company::{Company, Extras};
use crate::exit::{Code, Exit};
use crate::{place, show};

pub(super) async fn run(place: &PlaceArgs, output: Output, args: TaskArgs) -> Result<Code, Exit> {
    let mut signals = Signals::new()?;
    let submission = submission(args)?;
    let own = match place::find(place).await? {
        Some(client) => Err(client),
        None => Ok(Company::start(place, Extras { web: false, listen: None }).await?),
    };
    let client = match &own {
        Ok(company) => {
            let staff = company.charter.departments.iter().map(|(name, policy)| format!("{name} {}", policy.workers));
            show::note("company", &format!("started for this run: {}", staff.collect::<Vec<_>>().join(", ")));
            company.client.clone()
        }
        Err(client) => client.clone(),
    };
    let ended = tokio::select! {
        ended = follow(&client, output, &submission) => ended,
        () = signals.next() => Ok(Code::Interrupted),
    };
    if let Ok(Code::Interrupted) = ended {
        give_up(&client, &submission).await;
    }
    if let Ok(company) = own {
        company.stop(signals.next()).await;
    }
    ended
}

async fn follow(client: &Client, output: Output, submission: &nexus_core::task::Submission) -> Result<Code, Exit> {
    let accepted = client.submit(submission).await?;
    let id = accepted.task_id.to_string();
    show::note("task", &format!("{id}  {}", accepted.department));
    let mut lines = client.follow_log(&id, 1).await?;
    while let Some(line) = lines.recv().await {
        let line = line?;
        show::log_line(&line, line.stream == Stream::System);
    }
    let ended = client.wait(&id, None).await?;
    finish(&ended, output)
}

fn finish(ended: &TaskStatus, output: Output) -> Result<Code, Exit> {
    let task = &ended.task;
    show::note(task.status.as_str(), &show::outcome(task));
    if output.is_json() {
        show::json(ended, output);
    } else if let Some(result) = &task.result
        // On a terminal the log has shown it already.
        && !std::io::stdout().is_terminal()
    {
        show::text(&result.output);
    }
    Ok(match task.status {
        Status::Completed => Code::Done,
        _ => Code::TaskFailed,
    })
}

/// Interrupted: what was delegated is cancelled. Its id is found by its key, as every run has one.
async fn give_up(client: &Client, submission: &nexus_core::task::Submission) {
    let Some(key) = &submission.idempotency_key else { return };
    let task_id = nexus_core::id::TaskId::from_idempotency_key(key).to_string();
    let request = CancelRequest { task_id: task_id.clone(), reason: Some("`nexus run` was interrupted".to_owned()) };
    match client.cancel(&request).await {
        Ok(done) => {
            show::note("cancelled", &format!("no process of it is left; it took {:.1} s", show::seconds(done.took_ms)));
        }
        Err(refusal) => show::note("not cancelled", &format!("{task_id}: {refusal}")),
    }
}
