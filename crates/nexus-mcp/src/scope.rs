//! The rights of a task's agent: to ask for tasks on its own's behalf, and to see to those below it. Nothing else is there.

use std::path::PathBuf;

use nexus_bus::Client;
use nexus_core::api::{ListRequest, TaskPage};
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::tree;
use nexus_core::view::TaskView;
use rmcp::ServiceExt;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::lines::Lines;
use crate::pace::Paced;
use crate::server::Server;

/// The task whose agent is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub task: TaskId,
    /// The first task of its tree; itself, if nobody has asked for it.
    pub root: TaskId,
    pub department: DepartmentName,
    /// Where paths are taken from, and the project of what it asks for.
    pub project: PathBuf,
}

/// Longest line that is read, in bytes.
const MAX_LINE: usize = 2 << 20;
/// Tasks that are above another one, at the very most: so many are looked at.
const MAX_DEPTH: u32 = 64;
/// Tasks of a page.
const PAGE: u32 = 1000;

/// Serves an agent until it closes its end, or this is dropped.
pub async fn serve_agent(client: Client, scope: Scope, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
    let task = scope.task;
    let (said, heard) = tokio::io::split(stream);
    let transport = Paced::new(Lines::new(said, heard, MAX_LINE));
    match Server::for_task(client, scope).serve(transport).await {
        Ok(running) => {
            // Told apart by nobody: the agent's own log says how it fared.
            let _ = running.waiting().await;
        }
        Err(error) => tracing::debug!(%task, "its agent's MCP connection: {error}"),
    }
}

impl Server {
    /// The task that is meant, as far as it may be spoken of here. To an agent all others are not there.
    pub(crate) async fn known(&self, task: &str) -> Result<String, Refusal> {
        match &self.scope {
            Some(scope) => scope.below(&self.client, task).await,
            None => Ok(task.to_owned()),
        }
    }
}

impl Scope {
    /// The whole id of a task below this one.
    async fn below(&self, client: &Client, task: &str) -> Result<String, Refusal> {
        let ask = async |id: &str| match client.status(id).await {
            Ok(status) => Ok(status.task),
            Err(Refusal {
                kind: RefusalKind::NotFound | RefusalKind::Ambiguous | RefusalKind::InvalidInput, ..
            }) => Err(Refusal::not_found(task)),
            Err(refusal) => Err(refusal),
        };
        let named = ask(task).await?;
        let mut above = named.parent;
        for _ in 0..MAX_DEPTH {
            match above {
                Some(parent) if parent.task_id == self.task => return Ok(named.task_id.to_string()),
                Some(parent) if parent.root == self.root => above = ask(&parent.task_id.to_string()).await?.parent,
                _ => break,
            }
        }
        Err(Refusal::not_found(task))
    }

    /// Tasks below this one that fit, newest first: one page, as a tree is bounded.
    pub(crate) async fn list(&self, client: &Client, request: &ListRequest) -> Result<TaskPage, Refusal> {
        if request.cursor.is_some() {
            return Err(Refusal::invalid("there is one page only: no cursor has been given"));
        }
        let fits = |task: &TaskView| {
            request.department.as_ref().is_none_or(|department| task.department.as_str() == department)
                && (request.status.is_empty() || request.status.contains(&task.status))
        };
        let mut tasks: Vec<TaskView> = self.all(client).await?.into_iter().filter(fits).collect();
        tasks.sort_by_key(|task| std::cmp::Reverse((task.created_at, task.task_id)));
        let total = tasks.len() as u64;
        tasks.truncate(request.limit.unwrap_or(PAGE) as usize);
        Ok(TaskPage { total, tasks, next_cursor: None })
    }

    async fn all(&self, client: &Client) -> Result<Vec<TaskView>, Refusal> {
        let mut tree = Vec::new();
        let mut request = ListRequest { root: Some(self.root), limit: Some(PAGE), ..ListRequest::default() };
        loop {
            let page = client.list(&request).await?;
            tree.extend(page.tasks);
            request.cursor = page.next_cursor;
            if request.cursor.is_none() {
                return Ok(tree::below(self.task, tree));
            }
        }
    }
}
