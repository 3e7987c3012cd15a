//! `nexus dead`: what was published and could not become work, and tasks that have failed for good; each with the reason.

use nexus_bus::Dead;

use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::show::{Block, Screen};
use crate::{place, show};

pub(super) async fn dead(place: &PlaceArgs, output: Output, limit: u32) -> Result<Code, Exit> {
    let letters = place::connect(place).await?.dead(usize::try_from(limit).unwrap_or(usize::MAX)).await?;
    if output == Output::Json {
        show::json(&letters, output);
        return Ok(Code::Done);
    }
    for letter in &letters {
        match output {
            Output::Human => show::out(&text(letter, Screen::stdout())),
            _ => show::json(letter, output),
        }
    }
    if letters.is_empty() && output == Output::Human {
        show::line("there are no dead letters");
    }
    Ok(Code::Done)
}

/// When, from where and why, what it was, and what can be done.
fn text(letter: &Dead, screen: Screen) -> String {
    let (at, from, why, what, next) = match letter {
        Dead::Letter(letter) => {
            let help = letter.refusal.help.clone().unwrap_or_else(|| "publish it again when that is mended".to_owned());
            (letter.at, letter.subject.clone(), letter.refusal.message.clone(), letter.payload.as_str(), help)
        }
        Dead::Task(dead) => {
            let (id, attempts) = (screen.id(dead.task.id), dead.attempts);
            let times = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
            let why = format!("failed after {times}: {}", dead.failure.message);
            let from = format!("task {id} of {}", dead.task.department);
            (dead.at, from, why, dead.task.description.as_str(), format!("nexus logs {id} · nexus retry {id}"))
        }
    };
    let mut rows = Block::new(screen, 5);
    for (name, value) in [("why", why), ("what", show::short(what, 200)), ("next", next)] {
        rows.row(name, &value.replace('\n', " "));
    }
    format!("{}  {}\n{}", show::time(at), show::one_line(&from), rows.end())
}
