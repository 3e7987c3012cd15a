//! `nexus status --tree`: a task with all that its agents have asked for, and theirs.

use nexus_core::api::ListRequest;
use nexus_core::tree::below;

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::{place, show};

pub(super) async fn tree(place: &PlaceArgs, output: Output, task: &str) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    let first = client.status(task).await?.task;
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
    let tasks: Vec<_> = std::iter::once(first.clone()).chain(below(first.task_id, tasks)).collect();
    match output {
        Output::Json => show::json(&tasks, output),
        Output::Ndjson => tasks.iter().for_each(|task| show::json(task, output)),
        Output::Human => show::text(&show::tree(&tasks)),
    }
    Ok(Code::Done)
}
