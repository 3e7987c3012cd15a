//! The inner loops of all crates, to be counted: instructions by callgrind, allocations by an allocator that counts.
//! `bench/costs` does so and compares the figures with `bench/costs.toml`.
//!
//! The loops belong to the crates that own the code, which measure them by criterion.

#[path = "../../nexus-agents/benches/loops/table.rs"]
mod agents;
#[path = "../../nexus-bus/benches/loops/table.rs"]
mod bus;
#[path = "../../nexus-core/benches/loops/table.rs"]
mod core;
#[path = "../../nexus-process/benches/loops/table.rs"]
mod process;

/// An inner loop: its name, and one round of it.
pub type Loop = (&'static str, Box<dyn FnMut()>);

/// Every inner loop.
#[must_use]
pub fn loops() -> Vec<Loop> {
    [core::all(), bus::all(), agents::all(), process::all()].into_iter().flatten().collect()
}
