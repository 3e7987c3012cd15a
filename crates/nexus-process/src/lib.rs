//! One tree of processes: start it, stream what it prints, signal it, and end it with proof. The only crate that spawns.
//!
//! A tree is a process group: the leader that was started and whatever it starts, except what leaves the group by
//! `setsid`. On Linux and macOS signals reach the whole group. On Windows there are no job objects yet: only the leader is
//! ended, an interrupt does nothing, and "gone" means that the leader is.

mod capture;
pub mod clock;
mod command;
pub mod daemon;
mod environment;
mod error;
mod events;
mod group;
pub mod guard;
mod lines;
mod marked;
mod open_files;
mod program;
mod sampler;
mod shortage;
mod tree;

pub use capture::{CaptureError, Captured, capture};
pub use command::{Command, Stdin};
pub use environment::user_environment;
pub use error::SpawnError;
pub use events::{Event, Events, OutputPolicy};
pub use lines::Line;
pub use marked::{Marked, end_marked};
pub use open_files::{ENOUGH, OpenFiles, open_files, raise_open_files};
pub use sampler::{Sample, Sampler};
pub use shortage::{is_shortage, tells_of_shortage};
pub use tree::{Gone, Tree};
