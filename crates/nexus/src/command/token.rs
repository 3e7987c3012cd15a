//! `nexus token`: the company's token, for clients that its user sets up by hand.

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::{place, show, token};

pub(super) fn show(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let dir = place::data_dir(place)?;
    std::fs::create_dir_all(&dir).map_err(|error| Exit::failure(format!("{}: {error}", dir.display())))?;
    let token = token::of(&dir)?;
    if output.is_json() {
        show::json(&serde_json::json!({ "token": token.expose() }), output);
    } else {
        show::line(token.expose());
    }
    Ok(Code::Done)
}
