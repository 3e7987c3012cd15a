//! `nexus token`: the company's token, for clients that its user sets up by hand.

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::{place, show, token};

pub(super) fn show(place: &PlaceArgs, output: Output) -> Result<Code, Exit> {
    let token = token::of(&place::data_dir(place)?)?;
    if output.is_json() {
        show::json(&serde_json::json!({ "token": token.expose() }), output);
    } else {
        show::line(token.expose());
    }
    Ok(Code::Done)
}
