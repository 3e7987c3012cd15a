//! The prompt of one attempt, whole, and the parts that it is stored in.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AgentName, DepartmentName, TaskId};
use crate::task::STORED_VERSION;

/// The whole prompt of one attempt, word for word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prompt {
    pub task_id: TaskId,
    pub department: DepartmentName,
    pub attempt: u32,
    pub agent: AgentName,
    /// When it was handed over. An attempt that is begun anew after an interruption has another one.
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub text: String,
}

/// A part of a prompt as it is stored: the payload of `nexus.prompt.<department>.<task>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptRecord {
    /// Version of the stored form.
    pub v: u32,
    pub task_id: TaskId,
    pub department: DepartmentName,
    pub attempt: u32,
    pub agent: AgentName,
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Which part this is, from 1; most prompts have one.
    pub part: u32,
    pub parts: u32,
    pub text: String,
}

/// Bytes of text in a part. JSON makes at most six of one, and NATS takes 1 MiB.
const PART: usize = 128 * 1024;

impl Prompt {
    /// Its stored form, in parts of at most `limit` bytes of text, if that is less than is usual.
    #[must_use]
    pub fn into_records(self, limit: usize) -> Vec<PromptRecord> {
        let texts = parts(&self.text, PART.min(limit));
        let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        let record = |(part, text): (u32, &str)| PromptRecord {
            v: STORED_VERSION,
            task_id: self.task_id,
            department: self.department.clone(),
            attempt: self.attempt,
            agent: self.agent.clone(),
            at: self.at,
            part,
            parts: count,
            text: text.to_owned(),
        };
        (1..).zip(texts).map(record).collect()
    }

    /// The newest complete prompt among what was stored of a task: of this attempt, or of any.
    #[must_use]
    pub fn newest(records: &[PromptRecord], attempt: Option<u32>) -> Option<Self> {
        let wanted = |record: &&PromptRecord| attempt.is_none_or(|attempt| record.attempt == attempt);
        let mut ends: Vec<_> = records.iter().filter(wanted).filter(|record| record.part == record.parts).collect();
        ends.sort_by_key(|record| (record.at, record.attempt));
        ends.into_iter().rev().find_map(|end| {
            let part = |number| {
                let is_it =
                    |record: &&PromptRecord| (record.attempt, record.at, record.part) == (end.attempt, end.at, number);
                // One whose answer was lost may be there twice.
                records.iter().find(is_it).map(|record| record.text.as_str())
            };
            let text = (1..=end.parts).map(part).collect::<Option<String>>()?;
            let PromptRecord { task_id, department, attempt, agent, at, .. } = end.clone();
            Some(Self { task_id, department, attempt, agent, at, text })
        })
    }
}

/// Cut between characters; an empty text is one empty part.
fn parts(text: &str, size: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while rest.len() > size {
        let (part, behind) = rest.split_at(rest.floor_char_boundary(size));
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(attempt: u32, second: i64, text: &str) -> Prompt {
        Prompt {
            task_id: TaskId::from_idempotency_key("x"),
            department: DepartmentName::new("qa").unwrap(),
            attempt,
            agent: AgentName::new("codex").unwrap(),
            at: Timestamp::from_second(second).unwrap(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn parts_end_between_characters() {
        assert_eq!(parts("", 4), [""]);
        assert_eq!(parts("abcd", 4), ["abcd"]);
        assert_eq!(parts("abcéd", 4), ["abc", "éd"]);
        assert_eq!(parts("ééé", 4), ["éé", "é"]);
    }

    #[test]
    fn a_long_prompt_comes_back_whole_and_each_part_fits() {
        let long = prompt(1, 5, &"\u{1}é".repeat(PART));
        let mut records = long.clone().into_records(usize::MAX);
        assert_eq!(records.len(), 4);
        assert!(records.iter().all(|record| serde_json::to_vec(record).unwrap().len() < 900_000));
        records.extend(records.clone());
        records.reverse();
        assert_eq!(Prompt::newest(&records, None), Some(long));
    }

    #[test]
    fn the_newest_complete_one_is_told() {
        let (first, again, second) = (prompt(1, 1, "a"), prompt(1, 3, "b"), prompt(2, 2, "c"));
        let mut records: Vec<_> =
            [&first, &again, &second].into_iter().flat_map(|prompt| prompt.clone().into_records(usize::MAX)).collect();
        assert_eq!(Prompt::newest(&records, None), Some(again.clone()));
        assert_eq!(Prompt::newest(&records, Some(2)), Some(second));
        assert_eq!(Prompt::newest(&records, Some(3)), None);
        let mut torn = prompt(1, 9, &"x".repeat(PART + 1)).into_records(usize::MAX);
        records.push(torn.remove(1));
        assert_eq!(Prompt::newest(&records, Some(1)), Some(again));
    }
}
