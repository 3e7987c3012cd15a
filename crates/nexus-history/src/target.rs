//! Where a history lives: its URL, parsed once, and as it may be shown (without its password).

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::HistoryError;

#[derive(Debug)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// The longest wait of SQLite for another program's write (a backup, a `sqlite3` shell) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The write-ahead log is cut back to this after a checkpoint, whatever a slow reader let it grow to.
const WAL_BYTES: u32 = 64 * 1024 * 1024;
/// Page cache of the writer, in KiB: the upper levels of every index at a million tasks.
const WRITER_CACHE_KIB: u32 = 16 * 1024;

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, HistoryError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            // The rest is a path as it is, so that one with `%` or `?` needs no escapes.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') {
                return Err(refused(url, "it names no file"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return match PgConnectOptions::from_str(url) {
                Ok(options) => {
                    Ok(Self::Postgres(Box::new(options.application_name("nexus").disable_statement_logging())))
                }
                Err(error) => Err(refused(url, error)),
            };
        }
        Err(refused(url, "it is neither SQLite nor Postgres"))
    }

    /// For people: enough to know which one it is, and no password.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(options) => {
                let host =
                    options.get_socket().map_or_else(|| options.get_host().into(), |path| path.to_string_lossy());
                let database = options.get_database().unwrap_or(options.get_username());
                format!("postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port())
            }
        }
    }
}

/// A URL that can't be parsed may hold a password anywhere: only its scheme is shown.
fn refused(url: &str, reason: impl ToString) -> HistoryError {
    let shown = match url.split_once(':') {
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => format!("{scheme}:..."),
        _ => "...".to_owned(),
    };
    HistoryError::Url { url: shown, reason: reason.to_string() }
}

pub(crate) fn sqlite_reader(path: &PathBuf) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "on")
        .disable_statement_logging()
}

pub(crate) fn sqlite_writer(path: &PathBuf) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A power failure may undo the last transactions, never tear one: the ledger is folded again from there.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", WAL_BYTES.to_string())
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        .disable_statement_logging()
}
