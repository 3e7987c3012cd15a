//! Real processes: what they print arrives, and none of them outlives its tree.

// The tests look into `/proc` themselves.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by failing")]

mod capture;
mod confined;
mod drop;
mod ending;
mod guard;
mod limits;
mod marked;
mod output;
mod sampler;
mod spawn;
mod support;
mod wardens;
