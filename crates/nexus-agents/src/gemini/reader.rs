//! The output of Gemini CLI, and its record of the conversation.

use jiff::Timestamp;
use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Reset, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use crate::adapter::{Reader, SideFile};
use crate::json::{self, about, count, first_line, text};
use crate::stream_json::usage::Usage;
use crate::tail::Tail;
use crate::trouble::{self, PATIENCE};

/// Letters of the session's name that the record's name has.
const NAMED_BY: usize = 8;

#[derive(Debug, Default)]
pub(super) struct GeminiReader {
    session: String,
    now: Option<Timestamp>,
    /// When this run began: what a record holds from before that belongs to an earlier one.
    began: Option<Timestamp>,
    usage: Usage,
    /// Turns by what is printed, where its record can't be read.
    turns: u32,
    /// The model has been given something that it hasn't answered yet.
    asked: bool,
    speaking: bool,
    ended: bool,
    /// The end of a rate limit, as standard error tells it.
    reset: Option<Reset>,
    tail: Tail,
}

impl GeminiReader {
    fn message(&mut self, message: &Value, said: &mut Vec<Said>) {
        if text(message, "/role") != "assistant" {
            return;
        }
        self.answered(said);
        let content = text(message, "/content");
        if !content.is_empty() {
            self.speaking = true;
            said.push(Said::Text(content.to_owned()));
        }
        if !json::is(message, "/delta") {
            self.silence(said);
        }
    }

    fn answered(&mut self, said: &mut Vec<Said>) {
        if std::mem::take(&mut self.asked) {
            self.turns = self.turns.saturating_add(1);
            said.push(Said::Turns(self.turns));
        }
    }

    /// A message is over when something else comes.
    fn silence(&mut self, said: &mut Vec<Said>) {
        if std::mem::take(&mut self.speaking) {
            said.push(Said::TextEnd);
        }
    }

    fn result(&mut self, message: &Value, said: &mut Vec<Said>) {
        let stats = &message["stats"];
        let tokens = Tokens {
            input: count(stats, "/input_tokens"),
            output: count(stats, "/output_tokens"),
            cached: count(stats, "/cached"),
        };
        if tokens != Tokens::default() {
            said.push(Said::Tokens(tokens));
        }
        let ending = match text(message, "/status") {
            "success" => Ending::Done,
            _ => Ending::Failed(self.trouble(text(message, "/error/message"), text(message, "/error/type"))),
        };
        self.end(ending, said);
    }

    fn trouble(&self, told: &str, kind: &str) -> Trouble {
        let mut trouble = trouble::trouble(None, told, self.now);
        if kind.contains("TurnLimited") {
            trouble.kind = TroubleKind::Limit;
        } else if kind.contains("Authentication") {
            trouble.kind = TroubleKind::Authentication;
        }
        if trouble.kind == TroubleKind::RateLimit {
            trouble.reset = trouble.reset.or(self.reset);
        }
        trouble
    }

    fn end(&mut self, ending: Ending, said: &mut Vec<Said>) {
        self.ended = true;
        said.push(Said::Ended(ending));
    }
}

impl Reader for GeminiReader {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, message)) = json::message(line) else {
            let plain = self.tail.push(line);
            if !plain.trim().is_empty() {
                said.push(Said::Plain(plain));
            }
            return;
        };
        self.now = text(&message, "/timestamp").parse().ok().or(self.now);
        if matches!(kind.as_str(), "init" | "tool_use" | "tool_result" | "error" | "result") {
            self.silence(said);
        }
        match kind.as_str() {
            "init" => {
                (self.began, self.asked) = (self.now, true);
                text(&message, "/session_id").clone_into(&mut self.session);
                said.push(Said::Session(self.session.clone()));
                said.push(Said::Model(text(&message, "/model").to_owned()));
            }
            "message" => self.message(&message, said),
            "tool_use" => {
                self.answered(said);
                said.push(Said::ToolStarted {
                    id: text(&message, "/tool_id").to_owned(),
                    name: text(&message, "/tool_name").to_owned(),
                    about: about(&message["parameters"]),
                });
            }
            "tool_result" => {
                self.asked = true;
                let ok = text(&message, "/status") != "error";
                let why = [text(&message, "/error/message"), text(&message, "/output")];
                let why = why.into_iter().find(|why| !ok && !why.is_empty()).unwrap_or_default();
                said.push(Said::ToolEnded { id: text(&message, "/tool_id").to_owned(), ok, about: first_line(why) });
            }
            // It goes on after these: a loop that it noticed, a turn that it stopped.
            "error" => said.push(Said::Warning(text(&message, "/message").to_owned())),
            "result" => self.result(&message, said),
            _ => {}
        }
    }

    /// It says here, and nowhere else, that it waits for its API.
    fn error_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let line = self.tail.push(line);
        if line.starts_with("Security Warning: Skipping system") {
            said.push(Said::Warning(trouble::message(&line)));
        }
        let refused = line.starts_with("Attempt ") && line.contains("failed");
        let told = trouble::reset(&line, None).filter(|_| refused || line.contains("retry"));
        self.reset = told.or(self.reset);
        if !refused {
            return;
        }
        let trouble = trouble::trouble(None, &line, self.now);
        let lasts = matches!(trouble.reset, Some(Reset::In(delay)) if delay > PATIENCE);
        match trouble.kind {
            TroubleKind::Authentication => self.end(Ending::Failed(trouble), said),
            TroubleKind::RateLimit if lasts => self.end(Ending::Failed(trouble), said),
            _ => said.push(Said::Warning(trouble.message)),
        }
    }

    fn side_file(&self) -> Option<SideFile> {
        let contains = self.session.get(..NAMED_BY)?.to_owned();
        Some(SideFile { contains, ends: ".jsonl" })
    }

    fn side_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Ok(record) = serde_json::from_slice::<Value>(line) else { return };
        // What tells again what came before, `$set`, is of no interest.
        let time: Option<Timestamp> = text(&record, "/timestamp").parse().ok();
        let before = matches!((time, self.began), (Some(time), Some(began)) if time < began);
        if text(&record, "/type") == "gemini" && !before {
            let tokens = &record["tokens"];
            let output = count(tokens, "/output").saturating_add(count(tokens, "/thoughts"));
            let tokens = Tokens { input: count(tokens, "/input"), output, cached: count(tokens, "/cached") };
            self.usage.of(text(&record, "/id"), tokens, said);
        }
    }

    fn finish(&mut self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        self.silence(said);
        if self.ended {
            return;
        }
        // Its own codes of what stops it before it speaks.
        let kind = match exit {
            Some(ExitStatus::Code(41)) => TroubleKind::Authentication,
            Some(ExitStatus::Code(53)) => TroubleKind::Limit,
            _ => return self.tail.conclude(exit, said),
        };
        let why = self.tail.newest().map_or_else(|| "it says nothing of why".to_owned(), trouble::message);
        said.push(Said::Ended(Ending::Failed(Trouble::new(kind, why))));
    }
}
