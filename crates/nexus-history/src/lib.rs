//! The read model: a fold of the ledger in SQL, and the lists that are answered from it.
//!
//! It is a copy. Whatever happens to it, it is made anew from the ledger; so it may be quick where the ledger is safe. What
//! a row says of a task is exactly what [`nexus_core::view::fold`] says. SQLite by default, Postgres by URL.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

mod counts;
mod db;
mod discard;
mod error;
mod find;
mod fold;
mod list;
mod retention;
mod row;
mod schema;
mod spent;
mod target;
mod tree;

pub use counts::Counts;
pub use error::HistoryError;
pub use find::Resolved;

use db::{Db, Tx};
use target::Target;

/// An open history. Clones share its connections.
///
/// One ledger to a database (for Postgres: to a schema of it): a second company's ledger would displace the first one's.
#[derive(Clone, Debug)]
pub struct History {
    db: Db,
    /// As it may be shown.
    url: Arc<str>,
    /// Of the tables as this program knows them: when another one empties them, nothing is folded into the gap.
    generation: Arc<AtomicI64>,
}

/// The state that was found when a ledger was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing: the ledger is folded from its beginning.
    New,
    /// This ledger, up to the position.
    Same,
    /// Another ledger, which was forgotten: this one is folded from its beginning.
    Replaced,
}

impl History {
    /// Opens `sqlite:/path/history.db` (made if it isn't there) or `postgres://user:password@host/database`, and brings its
    /// tables to this version; an older version's are emptied, to be folded again.
    pub async fn open(url: &str) -> Result<Self, HistoryError> {
        let target = Target::parse(url)?;
        let shown: Arc<str> = target.shown().into();
        let db = Db::connect(&target).await.map_err(|error| HistoryError::of(&shown, error))?;
        let history = Self { db, url: shown, generation: Arc::default() };
        if let Err(error) = history.prepare().await {
            history.db.close().await;
            return Err(error);
        }
        Ok(history)
    }

    async fn prepare(&self) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        tx.create_meta().await.map_err(|error| self.failed(error))?;
        let meta = tx.meta().await.map_err(|error| self.failed(error))?;
        if meta.version > schema::VERSION {
            let url = self.url.to_string();
            return Err(HistoryError::Newer { url, found: meta.version, known: schema::VERSION });
        }
        let mut generation = meta.generation;
        if meta.version < schema::VERSION {
            tracing::info!(url = %self.url, from = meta.version, to = schema::VERSION, "making the history's tables");
            generation += 1;
            tx.create_tables(meta).await.map_err(|error| self.failed(error))?;
        }
        tx.commit().await.map_err(|error| self.failed(error))?;
        self.generation.store(generation, Ordering::Release);
        Ok(())
    }

    /// Says which ledger is folded: its name and when it was made. Another one than before begins with empty tables.
    pub async fn bind(&self, ledger: &str) -> Result<Bound, HistoryError> {
        let mut tx = self.begin().await?;
        let mut meta = tx.meta().await.map_err(|error| self.failed(error))?;
        let bound = match &meta.ledger {
            Some(known) if known == ledger => Bound::Same,
            Some(_) => Bound::Replaced,
            None => Bound::New,
        };
        if bound != Bound::Same {
            meta.ledger = Some(ledger.to_owned());
            tx.empty(&mut meta).await.map_err(|error| self.failed(error))?;
        }
        tx.commit().await.map_err(|error| self.failed(error))?;
        self.generation.store(meta.generation, Ordering::Release);
        Ok(bound)
    }

    /// Which ledger it is of; none before it was bound to one.
    pub async fn ledger(&self) -> Result<Option<String>, HistoryError> {
        const SQL: &str = "SELECT ledger FROM nexus_meta";
        db::reading!(&self.db, pool => sqlx::query_scalar(SQL).fetch_one(pool).await)
            .map_err(|error| self.failed(error))
    }

    /// The stream sequence up to which the ledger is folded; 0: nothing is.
    pub async fn position(&self) -> Result<u64, HistoryError> {
        const SQL: &str = "SELECT position FROM nexus_meta";
        let position: i64 = db::reading!(&self.db, pool => sqlx::query_scalar(SQL).fetch_one(pool).await)
            .map_err(|error| self.failed(error))?;
        u64::try_from(position).map_err(|error| row::corrupt(&self.url, error))
    }

    /// Forgets everything but which ledger it is of: the position is 0.
    pub async fn clear(&self) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        let mut meta = tx.meta().await.map_err(|error| self.failed(error))?;
        tx.empty(&mut meta).await.map_err(|error| self.failed(error))?;
        tx.commit().await.map_err(|error| self.failed(error))?;
        self.generation.store(meta.generation, Ordering::Release);
        Ok(())
    }

    /// Closes its connections, all clones' too, and waits until they are.
    pub async fn close(&self) {
        self.db.close().await;
    }

    async fn begin(&self) -> Result<Tx, HistoryError> {
        self.db.begin().await.map_err(|error| self.failed(error))
    }

    fn generation(&self) -> i64 {
        self.generation.load(Ordering::Acquire)
    }

    fn failed(&self, error: sqlx::Error) -> HistoryError {
        HistoryError::of(&self.url, error)
    }
}
