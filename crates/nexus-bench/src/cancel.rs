//! Listing what runs, and cancelling all of it.

use std::time::Instant;

use nexus_core::api::{CancelRequest, ListRequest};
use nexus_core::view::Status;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{LoadError, Site, timing};

#[derive(Debug, Deserialize)]
pub(crate) struct Cancel {
    data_dir: Site,
    /// Only of this department.
    department: Option<String>,
    in_flight: usize,
}

/// The most that one page may hold.
const PAGE: u32 = 1000;

impl Cancel {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.client().await?;
        let begun = Instant::now();
        let mut running = Vec::new();
        let mut cursor = None;
        loop {
            let status = vec![Status::Running];
            let (department, limit) = (self.department.clone(), Some(PAGE));
            let page =
                client.list(&ListRequest { department, status, limit, cursor, ..ListRequest::default() }).await?;
            running.extend(page.tasks.iter().map(|task| task.task_id.to_string()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let listed = begun.elapsed();
        let mut figures = timing::repeat(running.len(), self.in_flight, |number| {
            let task_id = running.get(number).cloned().unwrap_or_default();
            let client = &client;
            async move { Ok(client.cancel(&CancelRequest { task_id, reason: None }).await.map(drop)?) }
        })
        .await?;
        figures["listed"] = json!(listed.as_secs_f64());
        figures["list_cancel"] = json!(begun.elapsed().as_secs_f64());
        Ok(figures)
    }
}
