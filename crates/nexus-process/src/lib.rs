//! One tree of processes: start it, stream what it prints, signal it, and end it with proof. The only crate that spawns.
//!
//! On Linux an agent's tree is kept by a warden ([`Wardens`]), a small process of which all of the tree descends: it sets
//! limits, confines, and proves that nothing is left, whatever has detached itself. Elsewhere, and for short tools of our
//! own ([`capture`]), a tree is a process group: the leader and whatever it starts, except what leaves the group by
//! `setsid`. On Windows it is a job object, which also ends with the company: an interrupt is a Ctrl+Break, and nothing lies
//! between that and a kill.

mod attended;
mod beneath;
mod capture;
#[cfg(unix)]
pub mod bridge {
    //! An agent's way to its company's tools: a mode of the warden, and of the company's own program where there is none.
    pub use nexus_warden::bridge::{SOCKET, TOKEN, bridge as cross};
}
pub mod clock;
mod command;
#[cfg(target_os = "linux")]
pub mod confinement;
pub mod daemon;
mod environment;
mod error;
mod events;
mod group;
pub mod guard;
#[cfg(target_os = "linux")]
pub mod init;
mod lines;
mod marked;
#[doc(hidden)]
pub mod measured;
mod open_files;
pub mod overlay;
#[cfg(target_os = "linux")]
mod pipe;
mod program;
mod redact;
mod sampler;
mod secret;
mod shortage;
mod space;
mod tree;
mod turns;
mod wardens;

pub use attended::attend;
pub use beneath::{Beneath, Entry, open_file, read_file};
pub use capture::{CaptureError, Captured, capture};
pub use command::{Command, Stdin, StdinWriter};
pub use environment::{is_root, user_environment};
pub use error::SpawnError;
pub use events::{Event, Events, OutputPolicy};
pub use lines::Line;
pub use marked::{Marked, end_marked};
pub use open_files::{ENOUGH, OpenFiles, open_files, raise_open_files};
pub use overlay::Overlay;
#[cfg(target_os = "linux")]
pub use pipe::make as make_pipe;
pub use redact::Redactor;
pub use sampler::{Sample, Sampler, Target, Vitals, Watch};
pub use secret::{SecretError, resolve as resolve_secret};
pub use shortage::{is_shortage, tells_of_shortage};
pub use space::Space;
pub use tree::{Gone, Limit, Remote, Report, Told, Tree, feed};
#[cfg(target_os = "linux")]
pub use wardens::Groups;
pub use wardens::{Bind, Confinement, Launch, Limits, Maker, Network, Started, Tier, Wardens, put as put_warden};
