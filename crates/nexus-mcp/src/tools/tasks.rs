//! Questions about tasks, and the one way to end them: status, log, lists, cancel.

use nexus_core::api::{CancelRequest, ListRequest};
use nexus_core::log::LogLine;
use nexus_core::view::Status;

use crate::answer::{Cancelled, Log, Said, TaskAnswer, TaskList};
use crate::args::{ListActive, ListAll, OneTask, ReadLog, limit};
use crate::fault::Fault;
use crate::server::Server;

/// Text of one page of a log, in bytes: lines can be long, and a model's window is short.
const MAX_PAGE_TEXT: usize = 256 * 1024;

pub(super) async fn status(server: &Server, args: OneTask) -> Result<TaskAnswer, Fault> {
    let about = |refusal| Fault::status_of(&args.task_id, &refusal);
    let task = server.known(&args.task_id).await.map_err(about)?;
    server.client.status(&task).await.map(TaskAnswer::from).map_err(about)
}

pub(super) async fn cancel(server: &Server, args: OneTask) -> Result<Cancelled, Fault> {
    let about = |refusal| Fault::about(&args.task_id, &refusal);
    let task_id = server.known(&args.task_id).await.map_err(about)?;
    let reason = server.scope.as_ref().map(|scope| format!("cancelled by the agent of task {}", scope.task));
    let cancelled = server.client.cancel(&CancelRequest { task_id, reason }).await.map_err(about)?;
    Ok(Cancelled {
        status: Said::Success,
        task_id: cancelled.task_id,
        message: "Task cancelled successfully".to_owned(),
        was: cancelled.was,
        took_ms: cancelled.took_ms,
    })
}

pub(super) async fn list_active(server: &Server, args: ListActive) -> Result<TaskList, Fault> {
    let status = vec![Status::Queued, Status::Running];
    let limit = Some(limit(args.limit, 100)?);
    list(
        server,
        ListRequest { department: args.department, status, limit, cursor: args.cursor, ..ListRequest::default() },
    )
    .await
}

pub(super) async fn list_all(server: &Server, args: ListAll) -> Result<TaskList, Fault> {
    let status = args.status.unwrap_or_default();
    let limit = Some(limit(args.limit, 100)?);
    list(
        server,
        ListRequest { department: args.department, status, limit, cursor: args.cursor, ..ListRequest::default() },
    )
    .await
}

async fn list(server: &Server, request: ListRequest) -> Result<TaskList, Fault> {
    let page = match &server.scope {
        Some(scope) => scope.list(&server.client, &request).await?,
        None => server.client.list(&request).await?,
    };
    Ok(TaskList {
        status: Said::Success,
        total_tasks: page.total,
        tasks: page.tasks.into_iter().map(Into::into).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(super) async fn log(server: &Server, args: ReadLog) -> Result<Log, Fault> {
    let from = first_line(args.cursor.as_deref())?;
    let limit = limit(args.limit, 200)? as usize;
    let about = |refusal| Fault::about(&args.task_id, &refusal);
    let task = server.known(&args.task_id).await.map_err(about)?;
    let page = server.client.log(&task, from, limit).await.map_err(about)?;
    let (lines, cut) = fitting(page.lines);
    let complete = page.complete && cut.is_none();
    let next_cursor = (!complete).then(|| cut.unwrap_or(page.next).to_string());
    Ok(Log { status: Said::Success, task_id: page.task_id, lines, next_cursor, complete })
}

fn first_line(cursor: Option<&str>) -> Result<u64, Fault> {
    let Some(cursor) = cursor else { return Ok(1) };
    cursor.parse().ok().filter(|line| *line > 0).ok_or_else(|| {
        let message = format!("the argument \"cursor\" is not right: {cursor:?} is not a next_cursor of this tool");
        Fault::argument("cursor", &message)
    })
}

/// The lines that fit a page, one at least, and the number of the first that doesn't.
fn fitting(mut lines: Vec<LogLine>) -> (Vec<LogLine>, Option<u64>) {
    let mut bytes = 0;
    let over = lines.iter().skip(1).position(|line| {
        bytes += line.text.len();
        bytes > MAX_PAGE_TEXT
    });
    let cut = over.map(|index| lines.split_off(index + 1)).and_then(|rest| rest.first().map(|line| line.seq));
    (lines, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use nexus_core::log::Stream;

    #[test]
    fn cursors_are_line_numbers() {
        assert_eq!(first_line(None), Ok(1));
        assert_eq!(first_line(Some("17")), Ok(17));
        for bad in ["0", "-1", "", "x"] {
            assert!(first_line(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_ends_where_its_text_gets_long() {
        let lines = |size: usize| -> Vec<LogLine> {
            let line = |seq| LogLine {
                seq,
                time: Timestamp::UNIX_EPOCH,
                stream: Stream::Stdout,
                attempt: 1,
                text: "x".repeat(size),
            };
            (1..=10).map(line).collect()
        };
        let check = |size, expected: (usize, Option<u64>)| {
            let (kept, cut) = fitting(lines(size));
            assert_eq!((kept.len(), cut), expected, "{size}");
        };
        check(10, (10, None));
        check(MAX_PAGE_TEXT / 4, (5, Some(6)));
        check(MAX_PAGE_TEXT * 2, (1, Some(2)));
    }
}
