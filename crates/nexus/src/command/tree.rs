//! `nexus status --tree`: a task with all that its agents have asked for, and theirs.

use nexus_bus::Client;
use nexus_core::api::ListRequest;
use nexus_core::tree::below;
use nexus_core::view::TaskView;

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::looking::{look, named};
use crate::show;

pub(super) async fn tree(place: &PlaceArgs, output: Output, task: &str) -> Result<Code, Exit> {
    let tasks = look(place, async |client, _| family(client, task).await).await?;
    match output {
        Output::Json => show::json(&tasks, output),
        Output::Ndjson => tasks.iter().for_each(|task| show::json(task, output)),
        Output::Human => show::out(&show::tree(&tasks, show::Screen::stdout())),
    }
    Ok(Code::Done)
}

/// The task and all below it, in the order in which they came.
async fn family(client: &Client, task: &str) -> Result<Vec<TaskView>, Exit> {
    let first = client.status(&named(client, task).await?).await?.task;
    let root = first.parent.map_or(first.task_id, |parent| parent.root);
    let (mut tasks, mut cursor) = (Vec::new(), None);
    loop {
        let request = ListRequest { root: Some(root), limit: Some(1000), cursor, ..ListRequest::default() };
        let page = client.list(&request).await?;
        tasks.extend(page.tasks);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    // Lists have the newest first; a tree is read in the order in which it grew.
    tasks.reverse();
    Ok(std::iter::once(first.clone()).chain(below(first.task_id, tasks)).collect())
}
