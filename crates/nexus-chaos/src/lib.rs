//! The fault harness: runs companies of real processes, gives them work, breaks them at random, and then proves from the
//! ledger, the agents' marks and `/proc` that nothing was lost and nothing ran twice at a time.
//!
//! A client of the built program: it starts `nexus` as its user would, and knows nothing of its inside.
#![cfg(target_os = "linux")]

mod agent;
mod check;
mod cli;
mod client;
mod company;
mod disk;
mod error;
mod faults;
mod ledger;
mod load;
mod mark;
mod measure;
mod processes;
mod proxy;
mod recovery;
mod report;
mod repository;
mod run;
mod site;
mod story;
mod table;
mod work;

pub use cli::main;
