//! Tasks, attempts, departments and policies: types and decisions, with no async, no I/O and no clock.
//!
//! Time and randomness come in as arguments, so every decision is a table or a property to test.

pub mod account;
pub mod agent;
pub mod api;
pub mod assign;
pub mod attempt;
pub mod budget;
pub mod cancel;
pub mod commit;
pub mod company;
pub mod dead;
pub mod department;
pub mod due;
pub mod event;
pub mod fence;
pub mod id;
pub mod intake;
pub mod lane;
pub mod lease;
pub mod log;
pub mod message;
pub mod network;
pub mod offers;
pub mod prompt;
pub mod protect;
pub mod purse;
pub mod question;
pub mod refusal;
pub mod restart;
pub mod retry;
pub mod revival;
pub mod role;
pub mod route;
pub mod run;
pub mod schema;
pub mod spend;
pub mod staff;
pub mod stored;
pub mod task;
pub mod tree;
pub mod trigger;
pub mod turn;
pub mod uncommitted;
pub mod units;
pub mod view;
