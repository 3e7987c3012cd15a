//! `nexus list`: the tasks, by filters and pages.

use nexus_bus::Client;
use nexus_core::api::{ListRequest, TaskPage};
use nexus_core::view::Status;

use super::watch::Watch;
use crate::cli::{ListArgs, Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::looking::{look, named};
use crate::show::Screen;
use crate::{place, show};

pub(super) async fn list(place: &PlaceArgs, output: Output, args: ListArgs) -> Result<Code, Exit> {
    if !args.watch {
        print(&look(place, async |client, _| page(client, &args).await).await?, output, &args);
        return Ok(Code::Done);
    }
    let client = place::connect(place).await?;
    let mut watch = Watch::new()?;
    loop {
        let page = page(&client, &args).await?;
        watch.begin(output);
        print(&page, output, &args);
        if watch.is_over().await {
            return Ok(Code::Interrupted);
        }
    }
}

async fn page(client: &Client, args: &ListArgs) -> Result<TaskPage, Exit> {
    let status = match (args.all, args.status.is_empty()) {
        (false, true) => Status::ALL.into_iter().filter(|status| !status.is_terminal()).collect(),
        _ => args.status.clone(),
    };
    let parent = match &args.parent {
        Some(parent) => Some(client.status(&named(client, parent).await?).await?.task.task_id),
        None => None,
    };
    let (department, limit, cursor) = (args.department.clone(), Some(args.limit), args.cursor.clone());
    Ok(client.list(&ListRequest { department, status, limit, cursor, parent, root: None }).await?)
}

fn print(page: &TaskPage, output: Output, args: &ListArgs) {
    match output {
        Output::Json => show::json(page, output),
        Output::Ndjson => page.tasks.iter().for_each(|task| show::json(task, output)),
        Output::Human => show::out(&show::tasks(page, !args.all, Screen::stdout().wide(args.wide.wide))),
    }
}
