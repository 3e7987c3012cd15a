//! The tables, their version, and how an older version becomes this one: by folding the ledger again.

use crate::db::{Tx, within};

/// Raise it with every change to the tables below, or to the JSON of a `TaskView` that this one could not read.
pub(crate) const VERSION: i64 = 2;

/// Never changes, so that any version can read which one it found. `generation` grows whenever the tables are emptied.
const META: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS nexus_meta (\
        one INTEGER PRIMARY KEY CHECK (one = 1), \
        version BIGINT NOT NULL, position BIGINT NOT NULL, generation BIGINT NOT NULL, ledger TEXT)",
    "INSERT INTO nexus_meta (one, version, position, generation) VALUES (1, 0, 0, 0) ON CONFLICT DO NOTHING",
];

/// `body` is the whole view as JSON and stands last: SQLite then finds the other columns without reading through it.
const TABLES: [&str; 16] = [
    "DROP TABLE IF EXISTS nexus_task",
    "DROP TABLE IF EXISTS nexus_count",
    "DROP TABLE IF EXISTS nexus_spent",
    "CREATE TABLE nexus_task (\
        id {bytes} PRIMARY KEY, department TEXT NOT NULL, status TEXT NOT NULL, created_at BIGINT NOT NULL, \
        completed_at BIGINT, task_type TEXT NOT NULL, node TEXT, duration_ms BIGINT, parent {bytes}, root {bytes}, \
        body TEXT NOT NULL)",
    "CREATE TABLE nexus_count (\
        department TEXT NOT NULL, status TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (department, status))",
    // A row a day, department and agent that has spent anything: a thousand a year, or some.
    "CREATE TABLE nexus_spent (\
        day TEXT NOT NULL, department TEXT NOT NULL, agent TEXT NOT NULL, tokens BIGINT NOT NULL, turns BIGINT NOT NULL, \
        cost_micros BIGINT NOT NULL, wall_ms BIGINT NOT NULL, PRIMARY KEY (day, department, agent))",
    // Lists: each filter has the index that is in its order already.
    "CREATE INDEX nexus_task_all ON nexus_task (created_at, id)",
    "CREATE INDEX nexus_task_department ON nexus_task (department, created_at, id)",
    "CREATE INDEX nexus_task_status ON nexus_task (status, created_at, id)",
    "CREATE INDEX nexus_task_both ON nexus_task (department, status, created_at, id)",
    "CREATE INDEX nexus_task_node ON nexus_task (node) WHERE status = 'running'",
    "CREATE INDEX nexus_task_type ON nexus_task (department, task_type, completed_at) WHERE status = 'completed'",
    // Trees; most tasks stand in none.
    "CREATE INDEX nexus_task_parent ON nexus_task (parent, created_at, id) WHERE parent IS NOT NULL",
    "CREATE INDEX nexus_task_root ON nexus_task (root) WHERE root IS NOT NULL",
    "CREATE INDEX nexus_task_open_child ON nexus_task (parent) \
        WHERE parent IS NOT NULL AND status IN ('queued', 'running')",
    "CREATE INDEX nexus_task_ended ON nexus_task (completed_at) WHERE completed_at IS NOT NULL",
];

const DROP: [&str; 4] = [
    "DROP TABLE IF EXISTS nexus_task",
    "DROP TABLE IF EXISTS nexus_count",
    "DROP TABLE IF EXISTS nexus_spent",
    "DROP TABLE IF EXISTS nexus_meta",
];

const EMPTY: [&str; 3] = ["DELETE FROM nexus_task", "DELETE FROM nexus_count", "DELETE FROM nexus_spent"];

/// Two programs that start at once must not both create the tables. Any number that nobody else uses.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7813594105)";

/// The row of `nexus_meta`, locked until the transaction ends: whoever folds, folds alone.
pub(crate) struct Meta {
    pub(crate) version: i64,
    pub(crate) position: i64,
    pub(crate) generation: i64,
    pub(crate) ledger: Option<String>,
}

impl Tx {
    pub(crate) async fn meta(&mut self) -> Result<Meta, sqlx::Error> {
        const SQL: &str = "SELECT version, position, generation, ledger FROM nexus_meta WHERE one = 1";
        const LOCKED: &str = "SELECT version, position, generation, ledger FROM nexus_meta WHERE one = 1 FOR UPDATE";
        let (version, position, generation, ledger) = match self {
            // `BEGIN IMMEDIATE` holds the lock already.
            Self::Sqlite(tx) => sqlx::query_as(SQL).fetch_one(&mut **tx).await?,
            Self::Postgres(tx) => sqlx::query_as(LOCKED).fetch_one(&mut **tx).await?,
        };
        Ok(Meta { version, position, generation, ledger })
    }

    pub(crate) async fn set_meta(&mut self, meta: &Meta) -> Result<(), sqlx::Error> {
        const SQL: &str =
            "UPDATE nexus_meta SET version = $1, position = $2, generation = $3, ledger = $4 WHERE one = 1";
        within!(self, tx => {
            let query = sqlx::query(SQL).bind(meta.version).bind(meta.position).bind(meta.generation);
            query.bind(meta.ledger.as_deref()).execute(tx).await.map(drop)
        })
    }

    /// Makes sure that there is a row of `nexus_meta`.
    pub(crate) async fn create_meta(&mut self) -> Result<(), sqlx::Error> {
        if let Self::Postgres(tx) = self {
            sqlx::query(LOCK).execute(&mut **tx).await?;
        }
        self.run(&META).await
    }

    /// Tables of this version, empty.
    pub(crate) async fn create_tables(&mut self, mut meta: Meta) -> Result<(), sqlx::Error> {
        let bytes = match self {
            Self::Sqlite(_) => "BLOB",
            Self::Postgres(_) => "BYTEA",
        };
        for statement in TABLES {
            let statement = sqlx::AssertSqlSafe(statement.replace("{bytes}", bytes));
            within!(self, tx => sqlx::query(statement).execute(tx).await.map(drop))?;
        }
        (meta.version, meta.position, meta.ledger) = (VERSION, 0, None);
        meta.generation += 1;
        self.set_meta(&meta).await
    }

    /// Empties the tables; `meta` says what they are for from now on.
    pub(crate) async fn empty(&mut self, meta: &mut Meta) -> Result<(), sqlx::Error> {
        self.run(&EMPTY).await?;
        meta.position = 0;
        meta.generation += 1;
        self.set_meta(meta).await
    }

    /// Whatever version the tables are of, they go.
    pub(crate) async fn drop_all(&mut self) -> Result<(), sqlx::Error> {
        if let Self::Postgres(tx) = self {
            sqlx::query(LOCK).execute(&mut **tx).await?;
        }
        self.run(&DROP).await
    }
}
