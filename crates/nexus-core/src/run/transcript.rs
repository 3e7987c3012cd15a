//! An agent's run as lines for its log: what it says, which tools it uses, and what it was warned of.

use super::{Ending, Said};
use crate::log::Stream;
use crate::question::OpenQuestion;

/// Turns what an agent says into lines, each complete when it is returned.
#[derive(Debug, Default)]
pub struct Transcript {
    /// A line that isn't complete yet.
    line: String,
}

/// A line is cut here, so that a model that never ends one can't fill the memory.
const LINE: usize = 16 * 1024;

impl Transcript {
    /// The lines that are complete by now, each with its stream: text is standard output, the rest the system's.
    pub fn take(&mut self, said: &Said, lines: &mut Vec<(Stream, String)>) {
        match said {
            Said::Text(text) => {
                for piece in text.split_inclusive('\n') {
                    self.line.push_str(piece.trim_end_matches(['\n', '\r']));
                    if piece.ends_with('\n') || self.line.len() >= LINE {
                        lines.push((Stream::Stdout, std::mem::take(&mut self.line)));
                    }
                }
            }
            Said::TextEnd => self.finish(lines),
            Said::ToolStarted { name, about, .. } => {
                self.finish(lines);
                let words = format!("> {name} {}", one_line(about));
                lines.push((Stream::System, words.trim_end().to_owned()));
            }
            Said::ToolEnded { ok: false, about, .. } => {
                self.finish(lines);
                let why = one_line(about);
                let words = if why.is_empty() { "> failed".to_owned() } else { format!("> failed: {why}") };
                lines.push((Stream::System, words));
            }
            Said::Warning(warning) | Said::Anew(warning) => {
                self.finish(lines);
                lines.push((Stream::System, format!("warning: {}", one_line(warning))));
            }
            Said::Asks(OpenQuestion { question, what }) => {
                self.finish(lines);
                lines.push((Stream::System, format!("asks ({question}): {what}")));
            }
            Said::Asked { question, what, allowed } => {
                self.finish(lines);
                let answer = if *allowed { "allowed" } else { "not allowed" };
                let question = question.map_or_else(String::new, |question| format!(" ({question})"));
                lines.push((Stream::System, format!("{answer}{question}: {}", one_line(what))));
            }
            Said::Plain(text) => {
                self.finish(lines);
                lines.push((Stream::Stdout, text.clone()));
            }
            Said::Ended(ending) => {
                self.finish(lines);
                match ending {
                    Ending::Done => {}
                    Ending::Refused(why) => lines.push((Stream::System, format!("refused: {}", one_line(why)))),
                    Ending::Failed(trouble) => {
                        lines.push((Stream::System, format!("failed: {}", one_line(&trouble.message))));
                    }
                }
            }
            Said::ToolEnded { ok: true, .. }
            | Said::Withdrawn(_)
            | Said::Session(_)
            | Said::Model(_)
            | Said::Tokens(_)
            | Said::Turns(_)
            | Said::Cost(_) => {}
        }
    }

    /// The line that was begun.
    pub fn finish(&mut self, lines: &mut Vec<(Stream, String)>) {
        if !self.line.is_empty() {
            lines.push((Stream::Stdout, std::mem::take(&mut self.line)));
        }
    }
}

/// At most this many characters of what a tool was asked, or has answered.
const ABOUT: usize = 500;

fn one_line(text: &str) -> String {
    let mut words: String = text.trim().chars().take(ABOUT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.trim().chars().nth(ABOUT).is_some() {
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[Said], expected: &[(Stream, &str)]) {
        let (mut transcript, mut lines) = (Transcript::default(), Vec::new());
        said.iter().for_each(|said| transcript.take(said, &mut lines));
        transcript.finish(&mut lines);
        let lines: Vec<_> = lines.iter().map(|(stream, line)| (*stream, line.as_str())).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn pieces_become_lines() {
        let text = |text: &str| Said::Text(text.to_owned());
        use Stream::{Stdout, System};
        check(
            &[text("one\ntw"), text("o\n\nth"), Said::TextEnd, text("ree")],
            &[(Stdout, "one"), (Stdout, "two"), (Stdout, ""), (Stdout, "th"), (Stdout, "ree")],
        );
        let tool = Said::ToolStarted { id: "1".into(), name: "Bash".into(), about: "ls\n-l".into() };
        let failed = Said::ToolEnded { id: "1".into(), ok: false, about: String::new() };
        check(&[text("look"), tool, failed], &[(Stdout, "look"), (System, "> Bash ls -l"), (System, "> failed")]);
    }

    #[test]
    fn a_line_that_never_ends_is_cut() {
        let mut lines = Vec::new();
        let mut transcript = Transcript::default();
        (0..10_000).for_each(|_| transcript.take(&Said::Text("0123456789".into()), &mut lines));
        assert!(lines.len() >= 5 && lines.iter().all(|(_, line)| line.len() <= LINE + 10), "{}", lines.len());
    }
}
