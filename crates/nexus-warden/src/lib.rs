//! The warden: a small program between the runtime and an agent that starts the agent's tree of processes within its limits
//! and its confinement, ends it, and proves that nothing of it is left.
//!
//! It is linked statically and has no threads: an attempt's start costs a fork of it at most. (In a container it is something
//! else, and small too: [`relay`]. And to an agent it is the way to the company's tools: [`bridge`].)

#[cfg(unix)]
pub mod bridge;
#[cfg(target_os = "linux")]
pub mod cgroup;
#[cfg(target_os = "linux")]
pub mod confine;
#[cfg(target_os = "linux")]
pub mod overlay;
pub mod protocol;
#[cfg(target_os = "linux")]
pub mod relay;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
pub mod within;

#[cfg(target_os = "linux")]
pub use serve::serve;
