//! `nexus mcp`: MCP on standard input and output, for the running company.

use crate::cli::{McpCommand, PlaceArgs};
use crate::detached::{self, Options};
use crate::exit::{Code, Exit};
use crate::place;

mod config;

pub(super) async fn mcp(place: &PlaceArgs, start: bool, command: Option<McpCommand>) -> Result<Code, Exit> {
    if let Some(McpCommand::Config { client, http }) = command {
        return config::config(place, client, http);
    }
    let client = match start {
        true => match place::find(place).await? {
            Some(client) => client,
            None => detached::start(place, Options { for_client: true, ..Options::default() }).await?.client,
        },
        false => place::connect(place).await?,
    };
    nexus_mcp::serve_stdio(client).await.map_err(|error| Exit::failure(error.to_string()))?;
    Ok(Code::Done)
}
