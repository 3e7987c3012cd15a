//! The description of a trigger: what may be filled into one that an agent runs as a command.
//!
//! Whoever publishes to a trigger's subject chooses the values. In a command each has to be quoted, by the filter `shell`,
//! and has to stand where the shell expects a word: not within quotes, a remark or a here-document.

use crate::assign::{Specs, candidates, runs_commands};
use crate::department::{Department, Trigger};
use crate::role::{Tag, is_quoted, next};

/// The filter that quotes a value as one word of a shell.
pub const FILTER: &str = "shell";

/// A value that would become a part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As it is written, with its braces.
    pub value: String,
    /// The end of a sentence that begins with it.
    pub message: String,
    pub help: String,
}

/// What the trigger's description becomes is run as a command.
#[must_use]
pub fn is_command(trigger: &Trigger, department: &Department, specs: &Specs) -> bool {
    match &trigger.agent {
        Some(agent) => runs_commands(agent, specs),
        None => {
            candidates(&department.agents, specs, &trigger.task_type).iter().any(|agent| runs_commands(agent, specs))
        }
    }
}

/// Looks through a trigger whose description is run as a command for values that could add to that: where its agent is no
/// shell, or the value isn't quoted, or stands where quoting doesn't help.
pub fn check(trigger: &Trigger, department: &Department, specs: &Specs) -> Result<(), Fault> {
    let listed: Vec<_> = match &trigger.agent {
        Some(agent) => vec![agent],
        None => candidates(&department.agents, specs, &trigger.task_type),
    };
    let commands = listed.into_iter().filter(|agent| runs_commands(agent, specs));
    let other = commands.filter_map(|agent| Some((agent, specs.get(agent)?.other_language()?))).next();
    if let Some((agent, language)) = other
        && let Some(value) = values(&trigger.description).next()
    {
        return Err(Fault {
            value,
            message: format!("is handed to \"{agent}\", which runs {language}: `{FILTER}` quotes for a shell alone"),
            help: format!("let the agent `shell` start {language}, with the value as an argument of its own"),
        });
    }
    check_text(&trigger.description)
}

/// The values of a description, with their braces.
fn values(description: &str) -> impl Iterator<Item = String> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let tag = next(description, at)?;
        at = tag.end;
        Some(tag)
    })
    .filter_map(|tag| tag.inside.filter(|inside| tag.kind.0 == "{{" && !is_quoted(inside)))
    .map(|inside| format!("{{{{ {inside} }}}}"))
}

fn check_text(description: &str) -> Result<(), Fault> {
    let (mut place, mut at) = (Place::Start, 0);
    while let Some(Tag { start, kind, inside, end }) = next(description, at) {
        place = place.after(&description[at..start]);
        at = end;
        let Some(inside) = inside.filter(|inside| kind.0 == "{{" && !is_quoted(inside)) else { continue };
        let fault = |message: &str, help: String| {
            Err(Fault { value: format!("{{{{ {inside} }}}}"), message: message.to_owned(), help })
        };
        let Some(value) = inside.rsplit_once('|').filter(|(_, filter)| filter.trim() == FILTER) else {
            let help = format!("write `{{{{ {inside} | {FILTER} }}}}`: the filter quotes it for the shell");
            return fault("is not quoted, and whoever publishes it could add commands of their own", help);
        };
        let bare = format!("`{{{{ {} | {FILTER} }}}}` is a whole word by itself", value.0.trim());
        match place {
            Place::Start | Place::Word => place = Place::Word,
            Place::Single | Place::Double => {
                return fault(
                    "stands within quotes, which undo those of the filter",
                    format!("take the quotes away: {bare}"),
                );
            }
            Place::Remark => {
                return fault(
                    "stands in a remark, which a line break in it would end",
                    format!("take it out of the remark: {bare}"),
                );
            }
            Place::Document => {
                return fault(
                    "stands in a here-document, where its quotes mean nothing",
                    format!("use `printf '%s\\n'` instead: {bare}"),
                );
            }
            Place::Expansion => {
                return fault(
                    "stands behind `$((`, `${` or `$[`, where its quotes mean nothing",
                    format!("put it into a variable before that: `x={{{{ {} | {FILTER} }}}}`", value.0.trim()),
                );
            }
        }
    }
    Ok(())
}

/// A place in a script, as far as it matters to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where a word may begin.
    Start,
    Word,
    Single,
    Double,
    Remark,
    /// Behind the beginning of a here-document. Where it ends isn't looked for.
    Document,
    /// Behind the beginning of a calculation, or of a variable in braces. Where it ends isn't looked for either.
    Expansion,
}

impl Place {
    fn after(mut self, text: &str) -> Self {
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            self = match (self, letter) {
                (Self::Document | Self::Expansion, _) => self,
                (Self::Start | Self::Word | Self::Double, '$') if matches!(letters.peek(), Some('{' | '[')) => {
                    Self::Expansion
                }
                (Self::Start | Self::Word | Self::Double, '(') if letters.peek() == Some(&'(') => Self::Expansion,
                (Self::Single, '\'') | (Self::Double, '"') => Self::Word,
                (Self::Single, _) => Self::Single,
                (Self::Remark, '\n') => Self::Start,
                (Self::Remark, _) => Self::Remark,
                (Self::Double, '\\') | (Self::Start | Self::Word, '\\') => {
                    letters.next();
                    if self == Self::Double { Self::Double } else { Self::Word }
                }
                (Self::Double, _) => Self::Double,
                (_, '\'') => Self::Single,
                (_, '"') => Self::Double,
                (Self::Start, '#') => Self::Remark,
                (_, '<') if letters.peek() == Some(&'<') => {
                    letters.next();
                    // `<<<` is followed by a word.
                    if letters.next_if_eq(&'<').is_some() { Self::Start } else { Self::Document }
                }
                (_, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '`') => Self::Start,
                _ => Self::Word,
            };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::agent::AgentSpec;
    use crate::id::AgentName;

    #[test]
    fn a_value_that_is_quoted_as_a_word_is_fine() {
        for good in [
            "make test",
            "make -C {{ data.path | shell }} docs",
            "make -C dir/{{ data.path|shell }}/docs FOO={{- subject | shell -}}",
            "echo 'it is' {{ data.x | upper | shell }} \"now\" \\' {{ data.y | shell }}",
            "{% if data.x %}echo {{ data.x | shell }}{% endif %} # a remark\nls {{ data.y | shell }}",
            "cat <<< {{ data.x | shell }}; echo a#{{ data.x | shell }}",
            "echo {{ '{{' }}",
        ] {
            assert_eq!(check_text(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn values_are_for_shells_alone() {
        let specs = |command: &[&str]| {
            let command = command.iter().map(|&word| word.to_owned()).collect();
            let spec = AgentSpec { command, ..AgentSpec::shell() };
            Specs::from([(AgentName::new("run").unwrap(), Arc::new(spec))])
        };
        let department: Department = serde_json::from_value(serde_json::json!({ "agents": ["run"] })).unwrap();
        let check = |command: &[&str], description: &str| {
            let trigger = serde_json::json!({ "subject": "a", "agent": "run", "description": description });
            check(&serde_json::from_value(trigger).unwrap(), &department, &specs(command))
        };
        let value = "print({{ data.x | shell }})";
        let fault = check(&["python3", "-c"], value).unwrap_err();
        assert!(fault.message.contains("which runs python3"), "{}", fault.message);
        assert_eq!(fault.value, "{{ data.x | shell }}");
        assert_eq!(check(&["python3", "-c"], "print({{ '1' }})"), Ok(()));
        assert_eq!(check(&["/bin/bash", "-lc"], value), Ok(()));
    }

    #[test]
    fn a_value_that_could_add_commands_is_a_fault_with_a_way_out() {
        for (bad, said) in [
            ("make -C {{ data.path }} docs", "write `{{ data.path | shell }}`"),
            ("echo {{ subject }}", "is not quoted"),
            ("echo {{ data.x | shell | upper }}", "is not quoted"),
            ("echo {{ data.x | default('a | shell') }}", "is not quoted"),
            ("echo {{ data.x | shell }} {{ data.y }}", "`{{ data.y | shell }}`"),
            ("echo $(( {{ data.x | shell }} ))", "stands behind `$((`"),
            ("((x = {{ data.x | shell }}))", "stands behind"),
            ("echo ${Y:-{{ data.x | shell }}}", "stands behind"),
            ("echo \"$[ {{ data.x | shell }} ]\"", "stands behind"),
            ("echo \"{{ data.x | shell }}\"", "stands within quotes"),
            ("sh -c 'ls {{ data.x | shell }}'", "stands within quotes"),
            ("echo \"a \\\" {{ data.x | shell }}\"", "stands within quotes"),
            ("ls # of {{ data.x | shell }}", "stands in a remark"),
            ("cat <<EOF\n{{ data.x | shell }}\nEOF", "stands in a here-document"),
        ] {
            let fault = check_text(bad).unwrap_err();
            let text = format!("{} {}; {}", fault.value, fault.message, fault.help);
            assert!(text.contains(said), "{bad}: {text}");
        }
    }
}
