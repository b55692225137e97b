//! What an engine must do for the rest of this crate, and the values that go in and come out.
//!
//! A new engine is one file here: begin a transaction, run a statement, commit.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use crate::error::{Failure, StoreError};

/// Which database engine is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In this process, one file.
    Sqlite,
    /// A server, shared by several nodes.
    Postgres,
}

impl Kind {
    /// `sqlite` or `postgres`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Sees one state of the database throughout, and changes nothing.
    Snapshot,
    /// Writes. On SQLite it is the only one that does.
    Write,
}

/// A database, as far as this crate needs one.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    fn kind(&self) -> Kind;

    /// Begins a transaction. Dropped without a commit, it leaves nothing behind.
    async fn begin(&self, access: Access) -> Result<Box<dyn Transaction>, StoreError>;

    /// Runs one statement that only reads.
    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Ends all connections.
    async fn close(&self);
}

/// A transaction.
#[async_trait]
pub(crate) trait Transaction: Send {
    /// Runs one statement and gives all its rows.
    async fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Failure>;

    /// Runs one statement and gives its rows one by one, for tables of any size.
    fn stream<'a>(
        &'a mut self,
        sql: &'static str,
        values: &[Value],
    ) -> BoxStream<'a, Result<Row, StoreError>>;

    /// Runs one statement and gives the number of rows that it changed.
    async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Failure>;

    /// Makes the changes durable and visible, all at once.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// An argument of a statement. A null has a type too, since PostgreSQL asks for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// PostgreSQL only: `unnest` makes a column of it.
    Column(Column),
}

/// Many values of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Ints(Vec<i64>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Value {
    /// A list of texts, as JSON.
    pub(crate) fn list(items: &[String]) -> Self {
        Self::Text(Some(serde_json::Value::from(items).to_string()))
    }

    /// A list of texts, as JSON, or null.
    pub(crate) fn opt_list(items: Option<&[String]>) -> Self {
        items.map_or(Self::Text(None), Self::list)
    }

    /// A number that tables hold as a signed one.
    pub(crate) fn unsigned(number: u64) -> Result<Self, StoreError> {
        i64::try_from(number)
            .map(Self::from)
            .map_err(|_| StoreError::Unstorable { what: "a number of 2^63 or more" })
    }

    /// Refuses what only one of the engines would take.
    fn check(values: &[Self]) -> Result<(), StoreError> {
        let has_nul = |value: &Self| match value {
            Self::Text(Some(text)) => text.contains('\0'),
            Self::Column(Column::Texts(texts)) => texts.iter().flatten().any(|text| text.contains('\0')),
            _ => false,
        };
        if values.iter().any(has_nul) {
            return Err(StoreError::Unstorable { what: "a text with a NUL character" });
        }
        Ok(())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int(Some(truth.into()))
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Int(Some(time.as_millisecond()))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(time: Option<Timestamp>) -> Self {
        Self::Int(time.map(|time| time.as_millisecond()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(Into::into))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.into()))
    }
}

impl From<&Vec<u8>> for Value {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::Bytes(Some(bytes.clone()))
    }
}

impl From<Option<&[u8]>> for Value {
    fn from(bytes: Option<&[u8]>) -> Self {
        Self::Bytes(bytes.map(Into::into))
    }
}

/// A row that an engine gave.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    fn get<'r, T>(&'r self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    pub(crate) fn opt_int(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(crate) fn opt_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.get(column)
    }

    pub(crate) fn opt_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(column)
    }

    pub(crate) fn truth(&self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn unsigned(&self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|_| unreadable(column))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        to_time(self.int(column)?, column)
    }

    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.opt_int(column)?.map(|millis| to_time(millis, column)).transpose()
    }

    pub(crate) fn list(&self, column: &'static str) -> Result<Vec<String>, StoreError> {
        to_list(&self.text(column)?, column)
    }

    pub(crate) fn opt_list(&self, column: &'static str) -> Result<Option<Vec<String>>, StoreError> {
        self.opt_text(column)?.map(|text| to_list(&text, column)).transpose()
    }

    /// 16 bytes, a GUID.
    pub(crate) fn guid(&self, column: &'static str) -> Result<[u8; 16], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| unreadable(column))
    }

    /// 32 bytes, a SHA-256 hash.
    pub(crate) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| unreadable(column))
    }
}

fn to_time(millis: i64, column: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable(column))
}

fn to_list(text: &str, column: &'static str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(column))
}

/// A column that holds what this program never writes.
pub(crate) fn unreadable(column: &'static str) -> StoreError {
    StoreError::corrupt(format!("a value in column `{column}` cannot be read"))
}
