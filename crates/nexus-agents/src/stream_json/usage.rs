//! The cost of a run's messages, each counted once however often it is told.

use std::collections::VecDeque;

use nexus_core::run::{Said, Tokens};

/// Messages that may still change: those of an agent and of its sub-agents that run beside it. Older ones are summed up.
const OPEN: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Usage {
    closed: Tokens,
    open: VecDeque<(String, Tokens)>,
    turns: u32,
}

impl Usage {
    /// Takes what a message is said to have cost by now; each figure only grows.
    pub(crate) fn of(&mut self, id: &str, tokens: Tokens, said: &mut Vec<Said>) {
        if tokens == Tokens::default() {
            return;
        }
        let known = self.open.iter_mut().find(|(known, _)| known == id);
        let before = known.as_ref().map(|(_, tokens)| *tokens).unwrap_or_default();
        let now = Tokens {
            input: before.input.max(tokens.input),
            output: before.output.max(tokens.output),
            cached: before.cached.max(tokens.cached),
        };
        match known {
            Some(_) if now == before => return,
            Some((_, tokens)) => *tokens = now,
            None => {
                self.turns = self.turns.saturating_add(1);
                said.push(Said::Turns(self.turns));
                self.open.push_back((id.to_owned(), now));
                if self.open.len() > OPEN {
                    self.closed = self.closed.plus(self.open.pop_front().unwrap_or_default().1);
                }
            }
        }
        said.push(Said::Tokens(self.open.iter().fold(self.closed, |sum, (_, tokens)| sum.plus(*tokens))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_counted_once_and_never_forgotten() {
        let (mut usage, mut said) = (Usage::default(), Vec::new());
        for n in 0..100_u64 {
            let id = n.to_string();
            for output in [1, 7, 7, 1] {
                usage.of(&id, Tokens { input: 10, output, cached: 2 }, &mut said);
            }
        }
        usage.of("empty", Tokens::default(), &mut said);
        assert_eq!(said.last(), Some(&Said::Tokens(Tokens { input: 1000, output: 700, cached: 200 })));
        assert_eq!(said.iter().filter(|said| matches!(said, Said::Turns(_))).count(), 100);
        assert!(usage.open.len() <= OPEN);
    }
}
