//! MCP over standard input and output: one client, whose end of file ends the server.

use std::time::Duration;

use nexus_bus::Client;
use rmcp::ServiceExt;
use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::io::stdio_pipes;

use crate::lines::Lines;
use crate::server::Server;

/// Longest line that is read, in bytes. It is far above what a task may be: of a longer one nobody can tell which request it is,
/// and a tool says better what is too long. One line is held at a time, for one client.
const MAX_LINE: usize = 16 << 20;

/// The longest time without a connection to the company until a call is told that it is gone. One that was started again is there
/// sooner, as a rule.
const GONE: Duration = Duration::from_millis(1500);

/// Why the server ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The client closed its end.
    Closed,
    /// It was told to stop.
    Cancelled,
}

/// Why the server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    #[error("find the working directory, from which relative project paths are taken: {0}")]
    WorkingDirectory(#[source] std::io::Error),
    #[error("open the MCP connection: {0}")]
    Open(#[source] Box<ServerInitializeError>),
    #[error("serve the MCP connection: {0}")]
    Serve(#[source] tokio::task::JoinError),
}

/// Serves MCP on standard input and output until the client closes it. Nothing but the protocol is written there.
///
/// After it returns, end the process explicitly where standard input is not a pipe: a pending read of it can't be
/// cancelled.
pub async fn serve_stdio(client: Client) -> Result<ExitReason, StdioError> {
    let directory = std::env::current_dir().map_err(StdioError::WorkingDirectory)?;
    let (input, output) = stdio_pipes();
    let transport = Lines::new(input, output, MAX_LINE);
    let running = match Server::new(client.gone_after(GONE)).with_directory(directory).serve(transport).await {
        Ok(running) => running,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(ExitReason::Closed),
        Err(ServerInitializeError::Cancelled) => return Ok(ExitReason::Cancelled),
        Err(error) => return Err(StdioError::Open(Box::new(error))),
    };
    match running.waiting().await {
        Ok(QuitReason::Cancelled) => Ok(ExitReason::Cancelled),
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Serve(error)),
        Ok(_) => Ok(ExitReason::Closed),
    }
}
