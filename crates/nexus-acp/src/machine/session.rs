//! Opening a session: a new one, or one of an attempt before; and the login that an agent asks for first.

use agent_client_protocol::JsonRpcRequest;
use agent_client_protocol::v1::schema::{
    AuthenticateRequest, ContentBlock, EnvVariable, LoadSessionRequest, McpServer, McpServerStdio, NewSessionRequest,
    PromptRequest, ResumeSessionRequest, TextContent,
};
use nexus_agents::ToolServer;
use nexus_core::run::{Said, Trouble, TroubleKind};
use serde_json::{Value, json};

use super::{Action, Machine, Step, hello};
use crate::wire;

impl Machine {
    /// Begins a session, or goes on with one.
    pub(super) fn open(&mut self, todo: &mut Vec<Action>) {
        let servers: Vec<_> = self.brief.servers.iter().map(server).collect();
        let cwd = self.brief.cwd.clone();
        match self.brief.resume.clone() {
            Some(session) if self.hello.resumes => {
                self.go_on(&ResumeSessionRequest::new(session, cwd).mcp_servers(servers), todo);
            }
            Some(session) if self.hello.loads => {
                self.go_on(&LoadSessionRequest::new(session, cwd).mcp_servers(servers), todo);
            }
            Some(session) => {
                let name = self.hello.name();
                let warning = format!("{name} can't go on with a session ({session}); a new one is begun");
                todo.push(Action::Say(Said::Anew(warning)));
                self.brief.resume = None;
                self.ask(Step::New, &NewSessionRequest::new(cwd).mcp_servers(servers), todo);
            }
            None => self.ask(Step::New, &NewSessionRequest::new(cwd).mcp_servers(servers), todo),
        }
    }

    fn go_on<R: JsonRpcRequest>(&mut self, request: &R, todo: &mut Vec<Action>) {
        let mut params = wire::params(request);
        // Not there is the same as none to the protocol, but not to every agent.
        if let Some(params) = params.as_object_mut() {
            params.entry("mcpServers").or_insert_with(|| json!([]));
        }
        self.ask_raw(Step::Old, request.method(), &params, todo);
    }

    pub(super) fn opened(&mut self, session: String, result: &Value, todo: &mut Vec<Action>) {
        todo.push(Action::Say(Said::Session(session.clone())));
        if let Some(model) = hello::model(result) {
            todo.push(Action::Say(Said::Model(model.to_owned())));
        }
        let prompt = vec![ContentBlock::Text(TextContent::new(self.brief.prompt.clone()))];
        let request = PromptRequest::new(session.clone(), prompt);
        self.session = Some(session);
        self.ask(Step::Prompt, &request, todo);
    }

    pub(super) fn log_in(&mut self, todo: &mut Vec<Action>) {
        match self.hello.method(&self.brief.variables) {
            Some(method) => {
                self.has_logged_in = true;
                self.ask(Step::Login, &AuthenticateRequest::new(method), todo);
            }
            None => self.fail(Trouble::new(TroubleKind::Authentication, self.hello.how_to_log_in()), todo),
        }
    }
}

fn server(server: &ToolServer) -> McpServer {
    let stdio = McpServerStdio::new(server.name.clone(), server.command.clone()).args(server.args.clone());
    McpServer::Stdio(stdio.env(Vec::<EnvVariable>::new()))
}
