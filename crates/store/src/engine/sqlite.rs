//! SQLite: one connection that writes, a few that read beside it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite};

use super::{Access, Engine, Kind, Row, Transaction, Value};
use crate::error::{Failure, StoreError};

/// How long to wait for a connection or for another process to finish writing.
const WAIT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
/// How many KiB of the file a connection keeps in memory: the writer, which looks at the largest lists, and
/// each reader.
const WRITER_CACHE: &str = "-32768";
const READER_CACHE: &str = "-4096";
/// After how many pages of 4 KiB the write-ahead log is copied to the file: a page that was written often is
/// copied once.
const CHECKPOINT_AFTER: &str = "16000";

pub(crate) struct SqliteEngine {
    // A second writing connection is what makes "database is locked".
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteEngine {
    /// Opens the database at `path`, makes it if there is none (mode 0600), and brings its tables up to
    /// date. The directory must exist.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let _only_one_opens = lock_for_open(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(WAIT)
            .disable_statement_logging();

        let pool = SqlitePoolOptions::new().acquire_timeout(WAIT).test_before_acquire(false);
        let writer_options =
            options.clone().pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", CHECKPOINT_AFTER);
        let writer = pool.clone().max_connections(1).connect_with(writer_options).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;

        let options = options.pragma("cache_size", READER_CACHE).pragma("query_only", "1");
        let readers = pool.max_connections(READERS).connect_with(options).await?;
        Ok(Self { writer, readers })
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    fn kind(&self) -> Kind {
        Kind::Sqlite
    }

    async fn begin(&self, access: Access) -> Result<Box<dyn Transaction>, StoreError> {
        let transaction = match access {
            Access::Snapshot => self.readers.begin().await?,
            // Deferred, it could fail in the middle because another process wrote.
            Access::Write => self.writer.begin_with("BEGIN IMMEDIATE").await?,
        };
        Ok(Box::new(SqliteTransaction(transaction)))
    }

    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = bind(sql, values)?.fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

struct SqliteTransaction(sqlx::Transaction<'static, Sqlite>);

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Failure> {
        let rows = bind(sql, values)?.fetch_all(&mut *self.0).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    fn stream<'a>(
        &'a mut self,
        sql: &'static str,
        values: &[Value],
    ) -> BoxStream<'a, Result<Row, StoreError>> {
        match bind(sql, values) {
            Ok(query) => query.fetch(&mut *self.0).map_ok(Row::Sqlite).map_err(StoreError::from).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Failure> {
        Ok(bind(sql, values)?.execute(&mut *self.0).await?.rows_affected())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

fn bind(sql: &'static str, values: &[Value]) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
    Value::check(values)?;
    values.iter().try_fold(sqlx::query(sql), |query, value| match value {
        Value::Int(number) => Ok(query.bind(*number)),
        Value::Text(text) => Ok(query.bind(text.clone())),
        Value::Bytes(bytes) => Ok(query.bind(bytes.clone())),
        Value::Column(_) => Err(StoreError::Unstorable { what: "a column as one argument" }),
    })
}

/// Makes the database file with mode 0600, and takes the lock under which one process at a time sets
/// the journal mode and migrates. SQLite's own locks do not cover these two. The lock goes with the
/// returned file.
async fn lock_for_open(path: &Path) -> Result<File, StoreError> {
    let path = path.to_path_buf();
    let locked = tokio::task::spawn_blocking(move || {
        private_file(&path)?;
        let mut lock_path = path.into_os_string();
        lock_path.push("-open");
        let lock = private_file(&PathBuf::from(lock_path))?;
        lock.lock()?;
        Ok::<_, std::io::Error>(lock)
    });
    locked.await.map_err(StoreError::unavailable)?.map_err(StoreError::configuration)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_a_typed_error_and_reading_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(&dir.path().join("full.db")).await.unwrap();
        let put = "insert into meta (key, value) values ($1, $2)";

        let mut tx = engine.begin(Access::Write).await.unwrap();
        tx.query("pragma max_page_count = 60", &[]).await.ok().unwrap();
        tx.execute(put, &["kept".into(), [1u8].as_slice().into()]).await.ok().unwrap();
        tx.commit().await.unwrap();

        let mut tx = engine.begin(Access::Write).await.unwrap();
        let large = vec![0u8; 1 << 20];
        let error = tx.execute(put, &["large".into(), (&large).into()]).await.err().unwrap();
        assert!(matches!(error.plain(), StoreError::Full { .. }));
        drop(tx);

        let rows = engine.query("select key from meta", &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].text("key").unwrap(), "kept");
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(&dir.path().join("a.db")).await.unwrap();
        let mut tx = engine.begin(Access::Write).await.unwrap();
        tx.execute("insert into meta (key, value) values ('a', x'00')", &[]).await.ok().unwrap();
        drop(tx);
        assert!(engine.query("select key from meta", &[]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(&dir.path().join("a.db")).await.unwrap();
        assert!(engine.query("delete from meta returning key", &[]).await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_database_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let engine = SqliteEngine::open(&path).await.unwrap();
        engine.begin(Access::Write).await.unwrap();
        for name in ["a.db", "a.db-wal", "a.db-shm"] {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
