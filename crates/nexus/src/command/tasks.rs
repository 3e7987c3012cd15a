//! Commands about tasks: delegate, status, list, logs, cancel, retry.

use std::io::{IsTerminal as _, Read};

use nexus_bus::Client;
use nexus_core::api::{Accepted, AnswerRequest, CancelRequest, ListRequest, MoveRequest, ProjectChanges};
use nexus_core::id::Priority;
use nexus_core::refusal::Refusal;
use nexus_core::task::{MAX_DESCRIPTION, Submission};
use nexus_core::uncommitted::ANSWER_LIMIT;
use nexus_core::view::Status;
use serde_json::Value;

use crate::cli::{Output, PlaceArgs, TaskArgs};
use crate::exit::{Code, Exit};
use crate::looking::{Answers, look, stopped, waits};
use crate::{place, show};

/// Lines of a log that are written at once, at most: so many are held, however long the log is.
const AT_ONCE: usize = 1024;

/// The arguments of `delegate` and `run`, as a submission.
pub(super) fn submission(args: TaskArgs) -> Result<Submission, Exit> {
    let description = args.description.join(" ");
    let description = match description.as_str() {
        "-" => {
            let mut text = String::new();
            // One byte too many is enough to say that it is too long.
            let limit = MAX_DESCRIPTION as u64 + 1;
            std::io::stdin()
                .take(limit)
                .read_to_string(&mut text)
                .map_err(|error| Exit::usage(format!("the description on standard input can't be read: {error}")))?;
            text
        }
        _ => description,
    };
    let project = std::path::absolute(&args.project)
        .map_err(|error| Exit::usage(format!("--project {}: {error}", args.project.display())))?;
    let context = args.context.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
        Exit::usage(format!("--context is not a JSON object: {error}")).with_help("such as --context '{\"issue\": 42}'")
    })?;
    Ok(Submission {
        task_type: args.task_type,
        project_path: project.display().to_string(),
        context,
        preferred_agent: args.agent,
        department: args.department,
        priority: Priority::new(args.priority).map_err(|error| Exit::usage(error.to_string()))?,
        // One of its own, so that an answer that was lost can be asked for again, and an interrupted run be found.
        idempotency_key: Some(args.idempotency_key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())),
        timeout_seconds: args.timeout.map(|span| span.get().as_secs().max(1)),
        max_attempts: args.max_attempts,
        not_before: args.not_before,
        include_uncommitted: args.include_uncommitted,
        ..Submission::new(description)
    })
}

pub(super) async fn delegate(place: &PlaceArgs, output: Output, args: TaskArgs) -> Result<Code, Exit> {
    let submission = submission(args)?;
    let client = place::connect(place).await?;
    let accepted = client.submit(&submission).await?;
    if !output.is_json() {
        if accepted.duplicate {
            known(&accepted);
        }
        show::line(&accepted.task_id.to_string());
        say_note(&accepted);
    }
    let changes = match accepted.duplicate {
        true => None,
        false => client.uncommitted(accepted.task_id, ANSWER_LIMIT).await,
    };
    if output.is_json() {
        show::json(&delegated(&accepted, changes.as_ref()), output);
    }
    say_uncommitted(changes);
    Ok(Code::Done)
}

/// The answer, with the project's uncommitted changes where there are some.
fn delegated(accepted: &Accepted, changes: Option<&ProjectChanges>) -> Value {
    let mut answer = serde_json::to_value(accepted).unwrap_or_default();
    if let Some(found) = changes.and_then(|changes| changes.uncommitted.as_ref()) {
        answer["uncommitted"] = serde_json::to_value(found).unwrap_or_default();
    }
    answer
}

/// Says which uncommitted changes of its project a task leaves out or includes.
pub(super) fn say_uncommitted(changes: Option<ProjectChanges>) {
    let Some(changes) = changes else { return };
    if let Some(found) = changes.uncommitted {
        let way = if found.included { "" } else { "; --include-uncommitted starts from them" };
        show::note("note", &format!("{}{way}", found.summary(&changes.project_path)));
    }
}

/// Says what whoever asked for a task may not expect of it.
pub(super) fn say_note(accepted: &Accepted) {
    if let Some(note) = &accepted.note {
        show::note("note", note);
    }
}

/// Says that nothing new was delegated.
pub(super) fn known(accepted: &Accepted) {
    show::note("known", &format!("this key is known: task {} ({})", accepted.task_id, accepted.department));
}

pub(super) async fn status(place: &PlaceArgs, output: Output, task: &str) -> Result<Code, Exit> {
    let status = look(place, async |client, _| Ok(client.status(task).await?)).await?;
    if output.is_json() {
        show::json(&status, output);
    } else {
        show::text(&show::status(&status));
    }
    Ok(Code::Done)
}

/// Which tasks are listed.
pub(super) struct Filter {
    pub(super) department: Option<String>,
    pub(super) status: Vec<Status>,
    pub(super) all: bool,
    pub(super) parent: Option<String>,
    pub(super) limit: u32,
    pub(super) cursor: Option<String>,
}

pub(super) async fn list(place: &PlaceArgs, output: Output, filter: Filter) -> Result<Code, Exit> {
    let status = match (filter.all, filter.status.is_empty()) {
        (false, true) => Status::ALL.into_iter().filter(|status| !status.is_terminal()).collect(),
        _ => filter.status,
    };
    let only_active = !filter.all;
    let page = look(place, async |client, _| {
        let parent = match &filter.parent {
            Some(parent) => Some(client.status(parent).await?.task.task_id),
            None => None,
        };
        let (department, limit, cursor) = (filter.department, Some(filter.limit), filter.cursor);
        Ok(client.list(&ListRequest { department, status, limit, cursor, parent, root: None }).await?)
    })
    .await?;
    match output {
        Output::Json => show::json(&page, output),
        Output::Ndjson => page.tasks.iter().for_each(|task| show::json(task, output)),
        Output::Human => show::text(&show::tasks(&page, only_active)),
    }
    Ok(Code::Done)
}

pub(super) async fn logs(place: &PlaceArgs, output: Output, task: &str, follow: bool) -> Result<Code, Exit> {
    look(place, async |client, answers| log_of(place, client, answers, output, task, follow).await).await
}

async fn log_of(
    place: &PlaceArgs,
    client: &Client,
    answers: Answers,
    output: Output,
    task: &str,
    follow: bool,
) -> Result<Code, Exit> {
    let ended = match answers {
        // One that hasn't would be followed for as long as no company goes on with it.
        Answers::Archive => client.status(task).await?.task.status.is_terminal(),
        Answers::Company => true,
    };
    let mut lines = if follow && ended { client.follow_log(task, 1).await? } else { client.read_log(task, 1).await? };
    let mut log = show::Log::new(output, follow);
    let mut ready = Vec::new();
    // What has come is written at once: a write for each line would take most of the time.
    loop {
        let read = tokio::select! {
            read = lines.recv_many(&mut ready, AT_ONCE) => read,
            () = stopped(place), if answers == Answers::Company => {
                client.closing();
                return Err(waits(task));
            }
        };
        if read == 0 {
            break;
        }
        let read: Result<Vec<_>, Refusal> = ready.drain(..).collect();
        log.show(&read?);
    }
    log.end();
    if follow && !ended {
        return Err(Exit::new(Code::Unreachable, format!("no company is up: task {task} waits in its queue"))
            .with_help("it goes on with the next `nexus up`"));
    }
    Ok(Code::Done)
}

pub(super) async fn prompt(place: &PlaceArgs, output: Output, task: &str, attempt: Option<u32>) -> Result<Code, Exit> {
    let prompt = look(place, async |client, _| Ok(client.prompt(task, attempt).await?)).await?;
    if output.is_json() {
        show::json(&prompt, output);
    } else if std::io::stdout().is_terminal() {
        show::line(prompt.text.trim_end());
    } else {
        show::raw(&prompt.text);
    }
    Ok(Code::Done)
}

pub(super) async fn cancel(
    place: &PlaceArgs,
    output: Output,
    task: String,
    reason: Option<String>,
) -> Result<Code, Exit> {
    let cancelled = place::connect(place).await?.cancel(&CancelRequest { task_id: task, reason }).await?;
    if output.is_json() {
        show::json(&cancelled, output);
    } else {
        let how = match cancelled.was {
            Status::Running => format!("no process of it is left; it took {:.1} s", show::seconds(cancelled.took_ms)),
            Status::Queued => "it had not started".to_owned(),
            // It stays as it is.
            ended => format!("it was {} already; what went on below it is ended", ended.as_str()),
        };
        show::line(&format!("cancelled  {}: {how}", cancelled.task_id));
    }
    Ok(Code::Done)
}

pub(super) async fn answer(place: &PlaceArgs, output: Output, request: AnswerRequest) -> Result<Code, Exit> {
    let answered =
        place::connect(place).await?.answer(&request).await.map_err(|refusal: Refusal| Exit::from(refusal))?;
    if output.is_json() {
        show::json(&answered, output);
    } else {
        let word = if answered.allowed { "allowed" } else { "rejected" };
        let asked = answered.asked.as_deref().unwrap_or("what it asks for");
        show::line(&format!("{word}  {} ({}): {asked}", answered.task_id, answered.question));
    }
    Ok(Code::Done)
}

pub(super) async fn relocate(
    place: &PlaceArgs,
    output: Output,
    task_id: String,
    department: String,
) -> Result<Code, Exit> {
    let accepted = place::connect(place).await?.move_task(&MoveRequest { task_id, department }).await?;
    if output.is_json() {
        show::json(&accepted, output);
    } else {
        show::line(&format!("moved  {} to {}", accepted.task_id, accepted.department));
    }
    Ok(Code::Done)
}

pub(super) async fn retry(place: &PlaceArgs, output: Output, task: &str) -> Result<Code, Exit> {
    let accepted = place::connect(place).await?.retry(task).await.map_err(|refusal: Refusal| Exit::from(refusal))?;
    if output.is_json() {
        show::json(&accepted, output);
    } else {
        show::line(&format!("queued  {} in {}", accepted.task_id, accepted.department));
    }
    Ok(Code::Done)
}
