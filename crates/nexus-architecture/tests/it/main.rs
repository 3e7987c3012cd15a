//! The shape of the workspace, kept by tests that read its files: who may depend on whom, which crate alone knows a
//! technology, and how a file looks. The rules are tables at the top of each file; an error says what to do.

// Clippy then knows that helper functions are test code too.
#![cfg(test)]

mod arrows;
mod documents;
mod files;
mod knowledge;
mod manifests;
mod workspace;
