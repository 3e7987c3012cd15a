//! Real processes: what they print arrives, and none of them outlives its tree.

// The tests look into `/proc` themselves.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by failing")]
#![expect(clippy::print_stderr, reason = "a test that this machine leaves nothing to test says so")]

mod attended;
mod capture;
mod confined;
mod confined_walls;
mod drop;
mod ending;
mod guard;
mod limits;
mod marked;
mod output;
#[cfg(target_os = "linux")]
mod overlay;
mod sampler;
mod spawn;
mod stdin;
mod support;
mod wardens;
mod within;
