//! The worker that has a department's task is made to panic: its replacement is told in the company's log.

use nexus_bus::{Client, Order};
use nexus_core::api::ListRequest;
use nexus_core::id::{DepartmentName, NodeId};
use nexus_core::view::Status;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{LoadError, Site};

#[derive(Debug, Deserialize)]
pub(crate) struct Panic {
    data_dir: Site,
    department: DepartmentName,
}

impl Panic {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let bus = self.data_dir.bus().await?;
        let (department, status) = (Some(self.department.to_string()), vec![Status::Running]);
        let running =
            Client::new(bus.clone()).list(&ListRequest { department, status, ..ListRequest::default() }).await?;
        let unmet = || LoadError::Unmet(format!("nothing runs in {}", self.department));
        let task = running.tasks.first().ok_or_else(unmet)?.task_id;
        let node = NodeId::new(self.data_dir.node()?).map_err(|error| LoadError::Unmet(error.to_string()))?;
        bus.order(&node, &self.department, &Order::Panic { task }).await?;
        bus.flush().await;
        Ok(json!({ "task": task }))
    }
}
