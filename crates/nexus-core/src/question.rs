//! Permissions that agents ask people for: the name of each, and the one that an answer is for.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::refusal::{Refusal, RefusalKind};

/// The part of a question's name that all questions of one run of an agent share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunMark(u32);

/// Lowercase letters and digits that can't be taken for each other, and that make no words.
const LETTERS: &[u8] = b"23456789bcdfghjkmnpqrstvwxz";
const LENGTH: u32 = 5;

impl RunMark {
    /// Any number will do, as long as it is another one for each run.
    #[must_use]
    pub fn new(random: u32) -> Self {
        let base = u32::try_from(LETTERS.len()).unwrap_or(u32::MAX);
        Self(random % base.pow(LENGTH))
    }
}

impl fmt::Display for RunMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0 as usize;
        for _ in 0..LENGTH {
            write!(f, "{}", char::from(LETTERS[rest % LETTERS.len()]))?;
            rest /= LETTERS.len();
        }
        Ok(())
    }
}

impl FromStr for RunMark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != LENGTH as usize {
            return Err(());
        }
        text.bytes()
            .rev()
            .try_fold(0, |rest: u32, byte| {
                let digit = LETTERS.iter().position(|letter| *letter == byte.to_ascii_lowercase()).ok_or(())?;
                let base = u32::try_from(LETTERS.len()).map_err(drop)?;
                Ok(rest * base + u32::try_from(digit).map_err(drop)?)
            })
            .map(Self)
    }
}

/// The name of a question, such as `k7m2q-3`: the third one of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[2-9b-df-hjkmnp-tv-xz]{5}-[1-9][0-9]{0,9}$"))]
pub struct QuestionId {
    pub run: RunMark,
    /// From 1.
    pub number: u32,
}

/// Why a question's name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no question; one is called `k7m2q-3`, as `nexus status` and the task's log show it")]
pub struct InvalidQuestion(pub String);

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.number)
    }
}

impl FromStr for QuestionId {
    type Err = InvalidQuestion;

    fn from_str(text: &str) -> Result<Self, InvalidQuestion> {
        let parse = || {
            let (run, number) = text.split_once('-')?;
            let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
            Some(Self { run: run.parse().ok()?, number: number.parse().ok().filter(|_| is_plain)? })
        };
        parse().ok_or_else(|| InvalidQuestion(text.to_owned()))
    }
}

impl TryFrom<String> for QuestionId {
    type Error = InvalidQuestion;

    fn try_from(text: String) -> Result<Self, InvalidQuestion> {
        text.parse()
    }
}

impl From<QuestionId> for String {
    fn from(id: QuestionId) -> Self {
        id.to_string()
    }
}

/// A permission that an agent asks for and that nobody has answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenQuestion {
    /// An answer names it.
    pub question: QuestionId,
    /// In a sentence: all that the agent said of it, or its beginning and the number of characters that are missing.
    pub what: String,
}

/// An answer for which there is no question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpen {
    Nothing,
    /// This one is not open; these are.
    Other(QuestionId, Vec<OpenQuestion>),
    /// It names none, and could be for another one than the person has seen.
    Which(Vec<OpenQuestion>),
}

/// The open question that an answer is for.
///
/// One that names none is for the only question that the task has ever asked: nobody can have seen another one. `has_asked`
/// says that there may have been others.
pub fn pick(open: Vec<OpenQuestion>, named: Option<QuestionId>, has_asked: bool) -> Result<OpenQuestion, NotOpen> {
    match (named, &open[..]) {
        (Some(id), _) => match open.iter().find(|open| open.question == id) {
            Some(found) => Ok(found.clone()),
            None => Err(NotOpen::Other(id, open)),
        },
        (None, []) => Err(NotOpen::Nothing),
        (None, [only]) if !has_asked => Ok(only.clone()),
        (None, _) => Err(NotOpen::Which(open)),
    }
}

impl NotOpen {
    /// The refusal of an answer to what this task's agent asks.
    #[must_use]
    pub fn refusal(&self, task: TaskId, allow: bool) -> Refusal {
        let conflict = |why: String| Refusal::new(RefusalKind::Conflict, why);
        let nothing = format!("the agent of task {task} asks for nothing at the moment");
        let (refusal, open) = match self {
            Self::Nothing => return conflict(nothing),
            Self::Other(id, open) if open.is_empty() => {
                return conflict(format!("the question {id} is no longer open; {nothing}"));
            }
            Self::Other(id, open) => (
                conflict(format!("the question {id} of task {task} is not open; the agent asks for something else")),
                open,
            ),
            Self::Which(open) => {
                let why = format!("task {task} has asked for more than one thing: name the question that you answer");
                (conflict(why), open)
            }
        };
        let word = if allow { "allow" } else { "reject" };
        let ways = open.iter().map(|OpenQuestion { question, what }| {
            format!("to answer \"{what}\": nexus answer {task} {word} --question {question}")
        });
        refusal.with_help(ways.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(text: &str) -> OpenQuestion {
        OpenQuestion { question: text.parse().unwrap(), what: format!("what {text} is about") }
    }

    #[test]
    fn an_answer_is_for_the_question_that_it_names_or_for_none() {
        let [first, second] = ["k7m2q-1", "k7m2q-2"].map(question);
        let other: QuestionId = "xxxxx-1".parse().unwrap();
        let both = || vec![first.clone(), second.clone()];
        for (open, named, has_asked, picked) in [
            (both(), Some(second.question), true, Ok(&second)),
            (
                vec![second.clone()],
                Some(first.question),
                true,
                Err(NotOpen::Other(first.question, vec![second.clone()])),
            ),
            (both(), Some(other), true, Err(NotOpen::Other(other, both()))),
            (vec![], Some(first.question), true, Err(NotOpen::Other(first.question, vec![]))),
            (vec![first.clone()], None, false, Ok(&first)),
            (vec![first.clone()], None, true, Err(NotOpen::Which(vec![first.clone()]))),
            (both(), None, false, Err(NotOpen::Which(both()))),
            (vec![], None, false, Err(NotOpen::Nothing)),
        ] {
            assert_eq!(
                pick(open.clone(), named, has_asked).as_ref(),
                picked.as_ref().map(|picked| *picked),
                "{open:?} {named:?}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_can_be_answered_and_how() {
        let task = TaskId::from_idempotency_key("it");
        let open = vec![question("k7m2q-2")];
        let refusal = NotOpen::Other("k7m2q-1".parse().unwrap(), open).refusal(task, false);
        assert_eq!(refusal.kind, RefusalKind::Conflict);
        let help = refusal.help.unwrap();
        assert!(help.contains(&format!("nexus answer {task} reject --question k7m2q-2")), "{help}");
        assert!(help.contains("what k7m2q-2 is about"), "{help}");
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in ["", "k7m2q", "k7m2q-", "k7m2q-0", "k7m2q-01", "k7m2q-+1", "k7m2-1", "a7m2q-1", "k7m2q-99999999999"]
        {
            assert!(text.parse::<QuestionId>().is_err(), "{text}");
        }
        assert_eq!("K7M2Q-12".parse::<QuestionId>().unwrap().to_string(), "k7m2q-12");
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_is_written(random: u32, number in 1_u32..) {
            let id = QuestionId { run: RunMark::new(random), number };
            prop_assert_eq!(id.to_string().parse::<QuestionId>(), Ok(id));
        }
    }
}
