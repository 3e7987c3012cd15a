//! The company at work: CEO, departments and workers as actors, each supervising the next. The only crate that knows ractor.
//!
//! Supervision restarts actors; the ledger brings work back. See `docs/architecture.md` for the way of one task.

mod accounts;
mod archive;
mod backlog;
mod board;
mod ceo;
mod conclude;
mod department;
mod disk;
mod engine;
mod former;
mod gate;
mod historian;
mod intake;
mod janitor;
mod lease;
mod ledger_memory;
mod node;
mod outside;
mod projects;
mod protector;
mod purse;
mod reception;
mod runtime;
mod seldom;
mod staff_book;
mod survey;
mod tenure;
mod trees;
mod worker;
mod worklog;

pub use archive::{Archive, ArchiveOptions};
pub use disk::{biggest, make_room_to_start};
pub use engine::container_engine;
pub use ledger_memory::{LedgerError, lost_records, take_over};
pub use nexus_agents::is_installed;
pub use outside::proxies;
pub use protector::means;
#[cfg(target_os = "linux")]
pub use protector::unreachable_programs;
pub use reception::{Caller, Receptionist, Stream};
pub use runtime::{Runtime, RuntimeOptions, StartError};
pub use survey::{Seen, announce, survey};
