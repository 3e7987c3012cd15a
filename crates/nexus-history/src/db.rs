//! The two databases behind one enum: connecting, reading, and one transaction that writes.
//!
//! Every statement is written once, in the SQL that both understand (`$1`, `ON CONFLICT`, row values); the macros only
//! choose the driver. Only the places of long lists are written for each (`Tx::tuples`).

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres, Sqlite, Transaction};

use crate::target::{self, Target};

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// SQLite allows one writer: a second connection would only wait for the first one's lock.
const SQLITE_WRITERS: u32 = 1;
/// Each is a thread and a page cache of 2 MB. Lists take milliseconds, so four serve thousands a second.
const SQLITE_READERS: u32 = 4;
/// One folds, the rest answer. Small, because a hosted Postgres shares about a hundred among all its clients.
const POSTGRES_CONNECTIONS: u32 = 5;
/// The longest wait of a question for a connection (a new one included) before it fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl Db {
    pub(crate) async fn connect(target: &Target) -> Result<Self, sqlx::Error> {
        match target {
            Target::Sqlite(path) => {
                create_private(path).await?;
                let writer = SqlitePoolOptions::new()
                    .max_connections(SQLITE_WRITERS)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    // On a full disk SQLite ends a transaction by itself, and its connection believes for ever after that
                    // one is open: another one takes its place.
                    .before_acquire(|writer, _| Box::pin(std::future::ready(Ok(!writer.is_in_transaction()))))
                    .connect_with(target::sqlite_writer(path))
                    .await?;
                let readers = SqlitePoolOptions::new()
                    .max_connections(SQLITE_READERS)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .connect_lazy_with(target::sqlite_reader(path));
                Ok(Self::Sqlite { writer, readers })
            }
            Target::Postgres(options) => {
                // The pool would go on trying until its time is up, and then not say why.
                let connected = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await;
                connected.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;
                // Connections are tried before they are handed out (sqlx's default): a restarted server is not noticed.
                let pool = PgPoolOptions::new()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .connect_lazy_with((**options).clone());
                Ok(Self::Postgres(pool))
            }
        }
    }

    pub(crate) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        match self {
            // Takes the write lock at once: a read that turns into a write could fail half-way.
            Self::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Tx::Postgres),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction that writes. Dropped without `commit`, it never was.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }

    /// Runs statements that take no arguments.
    pub(crate) async fn run(&mut self, statements: &[&'static str]) -> Result<(), sqlx::Error> {
        for statement in statements {
            within!(self, tx => sqlx::query(*statement).execute(tx).await.map(drop))?;
        }
        Ok(())
    }
}

/// Runs `$body` on the pool that answers questions.
macro_rules! reading {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::db::Db::Sqlite { readers: $pool, .. } => $body,
            $crate::db::Db::Postgres($pool) => $body,
        }
    };
}

/// Runs `$body` on the connection of a transaction.
macro_rules! within {
    ($tx:expr, $connection:ident => $body:expr) => {
        match $tx {
            $crate::db::Tx::Sqlite(tx) => {
                let $connection = &mut **tx;
                $body
            }
            $crate::db::Tx::Postgres(tx) => {
                let $connection = &mut **tx;
                $body
            }
        }
    };
}

pub(crate) use {reading, within};

/// Descriptions and output may hold what others shouldn't read. SQLite gives its side files the mode of this one.
async fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(parent).await?;
    }
    let mut options = tokio::fs::OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options.create(true).append(true).open(path).await.map(drop)
}
