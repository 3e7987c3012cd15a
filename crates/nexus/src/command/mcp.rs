//! `nexus mcp`: MCP on standard input and output, for the running company.

use crate::cli::PlaceArgs;
use crate::exit::{Code, Exit};
use crate::place;

pub(super) async fn mcp(place: &PlaceArgs) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    nexus_mcp::serve_stdio(client).await.map_err(|error| Exit::failure(error.to_string()))?;
    Ok(Code::Done)
}
