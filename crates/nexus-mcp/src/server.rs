//! The MCP server itself: what it says of itself, and where each request goes.

use std::path::PathBuf;
use std::sync::Arc;

use nexus_bus::Client;
use nexus_core::refusal::{Refusal, RefusalKind};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, Implementation, ListResourceTemplatesResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::envelope::not_understood;
use crate::fault::{Fault, sentence};
use crate::scope::Scope;
use crate::{resource, tools};

/// Calls that wait for a task at a time, all clients together: each holds a connection for as long as the task takes,
/// and three quarters of the connections stay free for questions that are answered at once.
const MAX_WAITS: usize = 64;

/// Calls of one agent's connection that are answered at a time; what comes beyond it is refused.
const MAX_CALLS: usize = 32;

const FOR_AGENTS: &str = "You are an agent of a company. These tools let you ask other departments to do work for your task: \
    cde_listDepartments shows who does what; cde_runTask delegates and waits for the result; cde_delegateTask answers at \
    once with a task id, for cde_getTaskStatus and cde_getTaskLog. You see the tasks that you have asked for, and those \
    below them. cde_sendMessage leaves a note for a department. If your own task is cancelled, so are they.";

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
    /// Whose agent is served, and nothing beyond what is its; none: whoever runs the company.
    pub(crate) scope: Option<Arc<Scope>>,
    calls: Option<Arc<Semaphore>>,
}

impl Server {
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, directory: None, waits: Arc::new(Semaphore::new(MAX_WAITS)), scope: None, calls: None }
    }

    /// For the agent of a task: what it asks for is on that task's behalf, and it hears of the tasks below its own alone.
    #[must_use]
    pub fn for_task(client: Client, scope: Scope) -> Self {
        let mut server = Self::new(client).with_directory(scope.project.clone());
        server.calls = Some(Arc::new(Semaphore::new(MAX_CALLS)));
        server.scope = Some(Arc::new(scope));
        server
    }

    /// Makes relative project paths absolute from here: for a client that shares this process's directory.
    #[must_use]
    pub fn with_directory(mut self, directory: PathBuf) -> Self {
        self.directory = Some(Arc::new(directory));
        self
    }

    /// Held for as long as a call is answered.
    fn turn(&self) -> Result<Option<SemaphorePermit<'_>>, Refusal> {
        self.calls.as_ref().map(|calls| calls.try_acquire()).transpose().map_err(|_| {
            Refusal::new(RefusalKind::Busy, "too many calls of this agent are under way")
                .with_help("wait for some of them; cde_delegateTask doesn't wait for its task")
        })
    }
}

/// Lists have one page.
fn first_page(page: Option<&PaginatedRequestParams>) -> Result<(), ErrorData> {
    match page.and_then(|page| page.cursor.as_ref()) {
        Some(_) => Err(ErrorData::invalid_params("this list has one page: no \"cursor\" has been given", None)),
        None => Ok(()),
    }
}

fn busy(refusal: Refusal) -> ErrorData {
    ErrorData::internal_error(sentence(&refusal), None)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let instructions = if self.scope.is_some() { FOR_AGENTS } else { INSTRUCTIONS };
        let mut about = Implementation::new("nexus", env!("CARGO_PKG_VERSION"));
        about.title = Some("Nexus".to_owned());
        ServerConfig::new(capabilities).with_server_info(about).with_instructions(instructions)
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        first_page(page.as_ref())?;
        let _turn = self.turn().map_err(busy)?;
        Ok(ListToolsResult::with_all_items(tools::offered(self.scope.is_some()).cloned().collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::offered(self.scope.is_some()).find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let _turn = match self.turn() {
            Ok(turn) => turn,
            Err(refusal) => return Ok(Fault::from(refusal).into_result().into()),
        };
        match tools::call(self, &request.name, arguments, &context).await {
            Some(result) => Ok(result.into()),
            None => Err(ErrorData::invalid_params(format!("Unknown tool: {}", request.name), None)),
        }
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        first_page(page.as_ref())?;
        let _turn = self.turn().map_err(busy)?;
        Ok(ListResourceTemplatesResult::with_all_items(vec![resource::template()]))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(not_understood(&request))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _turn = self.turn().map_err(busy)?;
        resource::read(self, &request.uri).await.map(Into::into)
    }
}
