//! Errors of the history, and the way out of each. No message holds a password.

use std::borrow::Cow;

/// Why the history could not answer or be written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "history.url `{url}` can't be used: {reason}; use `sqlite:/path/history.db` or `postgres://user:password@host/database`"
    )]
    Url { url: String, reason: String },
    #[error(
        "the history at {url} can't be reached: {source}; check that it is there and may be written, or change history.url"
    )]
    Unreachable { url: String, source: sqlx::Error },
    #[error(
        "the history at {url} was written by a newer nexus (schema {found}, this one knows {known}); use that version; or {}, and the next start makes it anew from the ledger",
        removal(url)
    )]
    Newer { url: String, found: i64, known: i64 },
    #[error(
        "the history at {url} is damaged: {reason}; nothing is lost, it is only a copy of the ledger: {}, and the next start makes it anew",
        removal(url)
    )]
    Corrupt { url: String, reason: String },
    #[error("the disk that holds the history at {url} is full; free some space, and it goes on where it stopped")]
    Full { url: String },
    #[error(
        "the history at {url} was cleared by another program while this one wrote it; bind it and fold from its position again"
    )]
    Cleared { url: String },
    #[error("failed to delete {path}: {source}; end what has it open, or delete it by hand")]
    Discard { path: String, source: std::io::Error },
    #[error("`{0}` is not a cursor; use `next_cursor` of the page before as it is, or none to begin with the newest")]
    Cursor(String),
    #[error("the history at {url} failed: {source}")]
    Database { url: String, source: sqlx::Error },
}

/// The way to remove a history by hand: a company can't do it that doesn't start, or whose historian has failed.
fn removal(url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) => format!("stop the company, delete {path} (and {path}-wal and {path}-shm, if they are there)"),
        None => "stop the company, drop the tables nexus_meta, nexus_task and nexus_count".to_owned(),
    }
}

/// The meaning of a database's own error code.
enum Says {
    Full,
    Corrupt,
    Unreachable,
    Else,
}

impl HistoryError {
    pub(crate) fn of(url: &str, source: sqlx::Error) -> Self {
        let url = url.to_owned();
        match says(&source) {
            Says::Full => Self::Full { url },
            Says::Corrupt => Self::Corrupt { url, reason: source.to_string() },
            Says::Unreachable => Self::Unreachable { url, source },
            Says::Else => Self::Database { url, source },
        }
    }
}

fn says(error: &sqlx::Error) -> Says {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or(Cow::Borrowed(""));
            if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                sqlite(&code)
            } else {
                postgres(&code)
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => {
            Says::Unreachable
        }
        _ => Says::Else,
    }
}

/// Extended result codes, <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
fn sqlite(code: &str) -> Says {
    /// The shared-memory index could not grow: what a full disk says to the first reader.
    const IOERR_SHMSIZE: u32 = 4874;
    match code.parse::<u32>() {
        Ok(IOERR_SHMSIZE) => Says::Full,
        Ok(code) => match code & 0xff {
            13 => Says::Full,
            11 | 26 => Says::Corrupt,
            // PERM, BUSY, READONLY, IOERR, CANTOPEN
            3 | 5 | 8 | 10 | 14 => Says::Unreachable,
            _ => Says::Else,
        },
        Err(_) => Says::Else,
    }
}

/// SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres(code: &str) -> Says {
    match code {
        "53100" => Says::Full,
        "XX001" | "XX002" => Says::Corrupt,
        // No such database, too many connections, starting up or shutting down; 08: connection; 28: authentication.
        "3D000" | "53300" | "57P01" | "57P02" | "57P03" => Says::Unreachable,
        _ if code.starts_with("08") || code.starts_with("28") => Says::Unreachable,
        _ => Says::Else,
    }
}
