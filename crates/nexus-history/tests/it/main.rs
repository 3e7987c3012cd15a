//! The read model against real databases: one suite, run on SQLite and, where it is installed, on Postgres.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its own functions too")]

mod folds;
#[cfg(target_os = "linux")]
mod on_postgres;
mod on_sqlite;
#[cfg(target_os = "linux")]
mod postgres;
mod records;
mod suite;
