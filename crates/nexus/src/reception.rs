//! Who answers at agents' doors: the MCP tools, limited to the task whose agent has come.

use std::pin::Pin;

use nexus_bus::Client;
use nexus_mcp::{Scope, serve_agent};
use nexus_runtime::{Caller, Receptionist, Stream};

/// Asks the company as any client does.
#[derive(Debug)]
pub(crate) struct Reception(pub(crate) Client);

impl Receptionist for Reception {
    fn receive(&self, caller: Caller, stream: Box<dyn Stream>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Caller { task_id: task, root, department, project, .. } = caller;
        Box::pin(serve_agent(self.0.clone(), Scope { task, root, department, project }, stream))
    }
}
