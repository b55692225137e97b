//! Opening a database.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::engine::postgres::PostgresEngine;
use crate::engine::sqlite::SqliteEngine;
use crate::engine::{Access, Engine, Kind, Transaction};
use crate::error::StoreError;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
}

impl StoreConfig {
    /// Names the database by its URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }
}

impl fmt::Debug for StoreConfig {
    // The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("StoreConfig").field("scheme", &scheme).finish_non_exhaustive()
    }
}

/// The database. A clone is another handle of the same one.
///
/// The methods are in one file a subject. Each that writes is one transaction.
#[derive(Clone)]
pub struct Store {
    pub(crate) engine: Arc<dyn Engine>,
}

impl Store {
    /// Opens the database, makes its tables or brings them up to date.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] for a URL, path or login that cannot work,
    /// [`StoreError::Unavailable`] if nothing answers within 5 s, [`StoreError::Newer`] if a newer
    /// version has been here.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let url = config.url.as_str();
        let engine: Arc<dyn Engine> = if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            Arc::new(SqliteEngine::open(Path::new(path)).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Arc::new(PostgresEngine::open(url).await?)
        } else {
            return Err(StoreError::configuration("the URL has an unknown scheme"));
        };
        Ok(Self { engine })
    }

    /// Which engine it is.
    pub fn kind(&self) -> Kind {
        self.engine.kind()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.engine.query("select 1", &[]).await.map(drop)
    }

    /// Ends all connections, those of the clones too. What was acknowledged is durable without it.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    pub(crate) async fn write(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.engine.begin(Access::Write).await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
