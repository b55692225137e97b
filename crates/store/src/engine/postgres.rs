//! PostgreSQL: a pool of connections to a server that several nodes share.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Postgres};

use super::{Access, Column, Engine, Kind, Row, Transaction, Value};
use crate::error::{Failure, StoreError};

/// How long to wait for a connection, be it a new one or one that others use.
const WAIT: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 16;

pub(crate) struct PostgresEngine {
    pool: PgPool,
}

impl PostgresEngine {
    /// Connects to the database at `url`, which must exist, and brings its tables up to date.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(|_| {
            // The reason could quote the URL, which may hold a password.
            StoreError::configuration("the PostgreSQL URL cannot be read")
        })?;
        let options = options
            .application_name("countersign")
            .options([
                ("statement_timeout", "30s"),
                ("idle_in_transaction_session_timeout", "60s"),
                ("default_transaction_isolation", "read committed"),
                // Compiling takes longer than any of our statements gains by it.
                ("jit", "off"),
                // A plan that was made while the tables were small would be kept, and reads whole lists to find
                // one object when they have grown. Making a plan each time costs a fraction of a millisecond.
                ("plan_cache_mode", "force_custom_plan"),
                // For the same reason: of a list that has grown since it was counted, all would be fetched and
                // sorted for each few objects that are asked for in the order of an index.
                ("enable_bitmapscan", "off"),
                ("random_page_cost", "1.1"),
                // Two lists of a hundred thousand objects are compared without a file.
                ("work_mem", "32MB"),
            ])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT)
            .connect_with(options)
            .await?;
        // Under an advisory lock: nodes that start together migrate one after the other.
        sqlx::migrate!("migrations/postgres").run(&pool).await?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    fn kind(&self) -> Kind {
        Kind::Postgres
    }

    async fn begin(&self, access: Access) -> Result<Box<dyn Transaction>, StoreError> {
        let transaction = match access {
            Access::Snapshot => {
                self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
            }
            Access::Write => self.pool.begin().await?,
        };
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = bind(sql, values)?.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

struct PostgresTransaction(sqlx::Transaction<'static, Postgres>);

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Failure> {
        let rows = bind(sql, values)?.fetch_all(&mut *self.0).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    fn stream<'a>(
        &'a mut self,
        sql: &'static str,
        values: &[Value],
    ) -> BoxStream<'a, Result<Row, StoreError>> {
        match bind(sql, values) {
            Ok(query) => query.fetch(&mut *self.0).map_ok(Row::Postgres).map_err(StoreError::from).boxed(),
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

fn bind(sql: &'static str, values: &[Value]) -> Result<Query<'static, Postgres, PgArguments>, StoreError> {
    Value::check(values)?;
    Ok(values.iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.clone()),
        Value::Bytes(bytes) => query.bind(bytes.clone()),
        Value::Column(Column::Ints(numbers)) => query.bind(numbers.clone()),
        Value::Column(Column::Texts(texts)) => query.bind(texts.clone()),
        Value::Column(Column::Bytes(bytes)) => query.bind(bytes.clone()),
    }))
}
