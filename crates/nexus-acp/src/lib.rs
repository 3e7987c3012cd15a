//! Agents that speak the Agent Client Protocol (kind `acp`): one conversation with one of them. The only crate that knows
//! agent-client-protocol.
//!
//! A conversation doesn't own the agent's process: it is fed the lines of the agent's standard output, and writes to its
//! standard input. What it decides is a pure machine (`machine.rs`), of messages in and actions out; the types of messages are
//! the official crate's. Its connection isn't used: that reads a stream by itself, queues without a bound, and ends at what it
//! doesn't know.

//!
//! The commands by which people start such agents, each tried with this crate, and what is odd about it:
//!
//! | agent | command | |
//! |---|---|---|
//! | Copilot CLI 1.0 | `copilot --acp` | says that a call failed as if its model had said it |
//! | Gemini CLI 0.61 | `gemini --acp` | waits out a rate limit without a word |
//! | Qwen Code 0.15 | `qwen --acp` | the same; runs commands without asking |
//! | opencode 1.18 | `opencode acp` | the same; asks for nothing; tells the tokens of its last call alone |
//! | Codex, by codex-acp 0.16 | `codex-acp` | ends its turn when it isn't allowed something |
//! | Claude Code, by claude-agent-acp 0.23 | `claude-agent-acp` | asks ten times what was refused, unless `CLAUDE_CODE_MAX_RETRIES=0` |
//!
//! All but Copilot CLI and opencode go on running when their input has ended: whoever has started them ends them.

mod conversation;
mod files;
mod machine;
mod talk;
mod terminals;
mod wire;

pub use conversation::Conversation;
pub use files::{FileError, Files, WorkspaceFiles};
pub use machine::Brief;
pub use terminals::{Errand, Later, Printed, Terminal, Terminals};
