//! The agents: whether each can work, and opening an account by hand.

use crate::cli::{AgentsCommand, Output, PlaceArgs, Wide};
use crate::exit::{Code, Exit};
use crate::show::Screen;
use crate::{place, show};

pub(super) async fn agents(
    place: &PlaceArgs,
    output: Output,
    command: Option<AgentsCommand>,
    wide: Wide,
) -> Result<Code, Exit> {
    let client = place::connect(place).await?;
    match command {
        None => {
            let answer = client.agents().await?;
            if output.is_json() {
                show::json(&answer, output);
            } else {
                show::out(&show::agents(&answer, Screen::stdout().wide(wide.wide)));
            }
        }
        Some(AgentsCommand::Clear { name }) => {
            let cleared = client.agents_clear(&name).await?;
            if output.is_json() {
                show::json(&cleared, output);
            } else {
                show::line(&show::agent_state(&cleared));
            }
        }
    }
    Ok(Code::Done)
}
