//! The MCP server itself: what it says of itself, and where each request goes.

use std::path::PathBuf;
use std::sync::Arc;

use nexus_bus::Client;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, ListResourceTemplatesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::Semaphore;

use crate::{resource, tools};

/// Calls that wait for a task at a time, all clients together: each holds a connection for as long as the task takes,
/// and three quarters of the connections stay free for questions that are answered at once.
const MAX_WAITS: usize = 64;

const INSTRUCTIONS: &str = "Nexus runs a company of agents. Delegate work with cde_delegateTask, which answers at once \
    with a task id; then ask cde_getTaskStatus for its state and result, and cde_getTaskLog for its output while it \
    runs. cde_runTask does the same and waits. cde_listDepartments shows who does what. Several tasks can be delegated \
    in one go; they run in parallel.";

/// The MCP server of one company. Cheap to clone; it keeps nothing but the way to the company.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) client: Client,
    /// Where relative project paths are taken from; none: they are left as they are.
    pub(crate) directory: Option<Arc<PathBuf>>,
    pub(crate) waits: Arc<Semaphore>,
}

impl Server {
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, directory: None, waits: Arc::new(Semaphore::new(MAX_WAITS)) }
    }

    /// Makes relative project paths absolute from here: for a client that shares this process's directory.
    #[must_use]
    pub fn with_directory(mut self, directory: PathBuf) -> Self {
        self.directory = Some(Arc::new(directory));
        self
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let mut about = Implementation::new("nexus", env!("CARGO_PKG_VERSION"));
        about.title = Some("Nexus".to_owned());
        ServerConfig::new(capabilities).with_server_info(about).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list().to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::list().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        match tools::call(self, &request.name, arguments, &context).await {
            Some(result) => Ok(result.into()),
            None => Err(ErrorData::invalid_params(format!("Unknown tool: {}", request.name), None)),
        }
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resource::template()]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resource::read(&self.client, &request.uri).await.map(Into::into)
    }
}
