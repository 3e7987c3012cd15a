//! Commands about tasks: delegate, status, prompt, cancel, answer, move, retry.

use std::io::{IsTerminal as _, Read};

use nexus_bus::Client;
use nexus_core::api::{Accepted, AnswerRequest, CancelRequest, Cancelled, MoveRequest, ProjectChanges};
use nexus_core::id::Priority;
use nexus_core::task::{MAX_DESCRIPTION, Submission};
use nexus_core::uncommitted::ANSWER_LIMIT;
use nexus_core::view::Status;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::{Output, PlaceArgs, TaskArgs};
use crate::exit::{Code, Exit};
use crate::looking::{look, named};
use crate::show::Screen;
use crate::{place, show};

/// Events of a task that are looked through for what has become of its attempts.
const EVENTS: usize = 1000;

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
        timeout_seconds: args.timeout.map(|span| span.get().as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
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
    show::done(format!("task {} was delegated all the same", accepted.task_id));
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

pub(super) async fn status(place: &PlaceArgs, output: Output, tasks: &[String], full: bool) -> Result<Code, Exit> {
    let screen = Screen::stdout();
    look(place, async |client, _| {
        let mut between = "";
        each(output, tasks, async |task| {
            let answer = client.status(&named(client, task).await?).await?;
            let (id, json) = (answer.task.task_id, json(&answer));
            // Of one attempt that went through there is nothing more to tell.
            let past = match answer.task.attempt > 1 || answer.task.interruptions > 0 {
                true if !output.is_json() => client.past_events(Some(id), EVENTS).await?,
                _ => Vec::new(),
            };
            let text =
                format!("{}{}", std::mem::replace(&mut between, "\n"), show::status(&answer, &past, full, screen));
            Ok(Said { json, text })
        })
        .await
    })
    .await
}

pub(super) async fn prompt(place: &PlaceArgs, output: Output, task: &str, attempt: Option<u32>) -> Result<Code, Exit> {
    let prompt = look(place, async |client, _| Ok(client.prompt(&named(client, task).await?, attempt).await?)).await?;
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
    tasks: &[String],
    reason: Option<String>,
) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    // All at once: each may take as long as its agent is given to end.
    let ask = |task: &String| {
        let asked = cancel_one(client.clone(), task.clone(), reason.clone());
        AbortOnDropHandle::new(tokio::spawn(asked))
    };
    let mut asked = tasks.iter().map(ask).collect::<Vec<_>>().into_iter();
    each(output, tasks, async |_| {
        let answer = match asked.next() {
            Some(answer) => answer.await.map_err(|error| Exit::failure(error.to_string()))?,
            None => Err(Exit::failure("a task was not asked for")),
        };
        let cancelled = answer?;
        let how = match cancelled.was {
            Status::Running => format!("no process of it is left; it took {:.1} s", show::seconds(cancelled.took_ms)),
            Status::Queued => "it had not started".to_owned(),
            // It stays as it is.
            ended => format!("it was {} already; what went on below it is ended", ended.as_str()),
        };
        let text = format!("cancelled  {}: {how}\n", Screen::stdout().id(cancelled.task_id));
        Ok(Said { json: json(&cancelled), text })
    })
    .await
}

pub(super) async fn answer(place: &PlaceArgs, output: Output, request: AnswerRequest) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    let task_id = named(&client, &request.task_id).await?;
    let answered = client.answer(&AnswerRequest { task_id, ..request }).await?;
    if output.is_json() {
        show::json(&answered, output);
    } else {
        let word = if answered.allowed { "allowed" } else { "rejected" };
        let asked = answered.asked.as_deref().unwrap_or("what it asks for");
        show::line(&format!("{word}  {} ({}): {asked}", answered.task_id, answered.question));
    }
    Ok(Code::Done)
}

pub(super) async fn relocate(place: &PlaceArgs, output: Output, task: &str, department: String) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    let task_id = named(&client, task).await?;
    let accepted = client.move_task(&MoveRequest { task_id, department }).await?;
    if output.is_json() {
        show::json(&accepted, output);
    } else {
        show::line(&format!("moved  {} to {}", accepted.task_id, accepted.department));
    }
    Ok(Code::Done)
}

pub(super) async fn retry(place: &PlaceArgs, output: Output, tasks: &[String]) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    each(output, tasks, async |task| {
        let accepted = client.retry(&named(&client, task).await?).await?;
        let text = format!("queued  {} in {}\n", Screen::stdout().id(accepted.task_id), accepted.department);
        if !output.is_json() {
            say_note(&accepted);
        }
        Ok(Said { json: json(&accepted), text })
    })
    .await
}

async fn cancel_one(client: Client, task: String, reason: Option<String>) -> Result<Cancelled, Exit> {
    let task_id = named(&client, &task).await?;
    Ok(client.cancel(&CancelRequest { task_id, reason }).await?)
}

/// What a command has to say of one task: for programs, and for people.
struct Said {
    json: Value,
    text: String,
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }))
}

/// Does `work` for each of several tasks. What fails stops no other; the highest exit code is the command's.
async fn each(
    output: Output,
    tasks: &[String],
    mut work: impl AsyncFnMut(&str) -> Result<Said, Exit>,
) -> Result<Code, Exit> {
    let (mut worst, mut answers) = (Code::Done, Vec::new());
    for task in tasks {
        match work(task).await {
            Ok(Said { json, .. }) if output.is_json() => answers.push(json),
            Ok(Said { text, .. }) => show::out(&text),
            Err(exit) if tasks.len() == 1 => return Err(exit),
            Err(exit) => {
                worst = worst.max(exit.code);
                exit.report(output);
            }
        }
    }
    match (output, answers.as_slice()) {
        (Output::Human, _) => {}
        // Of one task an answer, of several a list of them.
        (Output::Json, answers) if tasks.len() > 1 => show::json(&answers, output),
        (_, answers) => answers.iter().for_each(|answer| show::json(answer, output)),
    }
    Ok(worst)
}
