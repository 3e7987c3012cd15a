//! `nexus message` and `nexus messages`: what departments are told.

use std::io::Read;

use nexus_core::api::MessageRequest;
use nexus_core::id::DepartmentName;
use nexus_core::message::MAX_TEXT;

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::looking::{Answers, look};
use crate::{place, show};

pub(super) async fn leave(place: &PlaceArgs, output: Output, department: String, text: String) -> Result<Code, Exit> {
    let text = match text.as_str() {
        "-" => {
            let mut text = String::new();
            // One byte too many is enough to say that it is too long.
            let read = std::io::stdin().take(MAX_TEXT as u64 + 1).read_to_string(&mut text);
            read.map_err(|error| Exit::usage(format!("the message on standard input can't be read: {error}")))?;
            text
        }
        _ => text,
    };
    let request = MessageRequest { department, text, from: None };
    let kept = place::connect(place).await?.send_message(&request).await?;
    if output.is_json() {
        show::json(&kept, output);
    } else {
        show::line(&format!("left  for {}; whoever works there next is shown it", kept.department));
    }
    Ok(Code::Done)
}

pub(super) async fn show(place: &PlaceArgs, output: Output, department: &str, limit: u32) -> Result<Code, Exit> {
    let messages = look(place, async |client, answers| match answers {
        Answers::Company => Ok(client.messages(department, limit).await?),
        Answers::Archive => {
            let name = DepartmentName::new(department).map_err(|error| Exit::usage(error.to_string()))?;
            Ok(client.messages_left(&name, limit).await?)
        }
    })
    .await?;
    match output {
        Output::Json => show::json(&messages, output),
        Output::Ndjson => messages.iter().for_each(|message| show::json(message, output)),
        Output::Human => {
            let screen = show::Screen::stdout();
            messages.iter().for_each(|message| show::out(&show::message(message, screen)));
        }
    }
    Ok(Code::Done)
}
