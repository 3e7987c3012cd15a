//! Ids for people: as many of an id's first characters as it takes to name its task.

use crate::id::TaskId;

/// The least that is shown: random ids differ in them, unless there are thousands.
const LEAST: usize = 6;
/// The same for an id that begins with its time, which older companies have made: tasks of one hour differ behind that only.
const BEHIND_TIME: usize = 13;

/// The shortest beginning of `id` that begins no other id of `among`. A company takes it for the whole id.
#[must_use]
pub fn brief(id: TaskId, among: &[TaskId]) -> String {
    let text = id.to_string();
    let least = if id.as_uuid().get_version_num() == 7 { BEHIND_TIME } else { LEAST };
    let others = among.iter().filter(|other| **other != id);
    let apart = others.map(|other| shared(&text, &other.to_string()) + 1).max().unwrap_or_default();
    let mut length = apart.max(least).min(text.len());
    // A hyphen tells nothing apart.
    if text[..length].ends_with('-') {
        length += 1;
    }
    text[..length].to_owned()
}

/// The number of characters that two ids begin with alike.
fn shared(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TaskId {
        text.parse().unwrap()
    }

    #[test]
    fn six_characters_name_one_task_of_few() {
        let one = id("47968197-0c1e-4a6f-9d3b-2b8f6c1d0e9a");
        assert_eq!(brief(one, &[]), "479681");
        assert_eq!(brief(one, &[one, id("57968197-0c1e-4a6f-9d3b-2b8f6c1d0e9a")]), "479681");
    }

    #[test]
    fn ids_that_begin_alike_are_shown_as_far_as_they_differ() {
        let one = id("47968197-0c1e-4a6f-9d3b-2b8f6c1d0e9a");
        assert_eq!(brief(one, &[one, id("47968190-0c1e-4a6f-9d3b-2b8f6c1d0e9a")]), "47968197");
        // Behind the hyphen.
        assert_eq!(brief(one, &[id("47968197-1c1e-4a6f-9d3b-2b8f6c1d0e9a")]), "47968197-0");
        assert_eq!(brief(one, &[id("47968197-0c1e-4a6f-9d3b-2b8f6c1d0e9b")]), one.to_string());
    }

    #[test]
    fn of_an_id_that_begins_with_its_time_more_is_shown() {
        assert_eq!(brief(id("01a22805-0abc-7def-9d3b-2b8f6c1d0e9a"), &[]), "01a22805-0abc");
    }
}
