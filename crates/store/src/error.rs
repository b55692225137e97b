//! What can go wrong, by what the caller can do about it.

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::migrate::MigrateError;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something else is there already, or changed in the meantime.
    #[error("{what} exists already or was changed in the meantime")]
    Conflict {
        /// The thing, e.g. "key `release`".
        what: String,
    },
    /// The thing to change is not there.
    #[error("no {what}")]
    NotFound {
        /// The thing, e.g. "principal `alice`".
        what: String,
    },
    /// The lease on this work has passed to somebody else: stop, and keep nothing.
    #[error("the lease on {what} has passed to another worker")]
    LeaseLost {
        /// The thing, e.g. "task 17".
        what: String,
    },
    /// The database does not answer now. A retry can help.
    ///
    /// If the connection was lost at the very end of a write, the write may have happened: then the
    /// retry answers as a second call does, [`StoreError::Conflict`] for something new.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What the engine says.
        reason: String,
    },
    /// No room to write. Reading still works.
    #[error("the database has no room left: {reason}")]
    Full {
        /// What the engine says.
        reason: String,
    },
    /// What is stored is not what was written.
    #[error("the database is damaged: {what}")]
    Corrupt {
        /// The thing that cannot be read.
        what: String,
    },
    /// A newer version of the program wrote this database or backup.
    #[error("{what} was made by a newer version of the program")]
    Newer {
        /// The database or the backup.
        what: &'static str,
    },
    /// The database cannot be used as configured.
    #[error("the database cannot be used as configured: {reason}")]
    Configuration {
        /// What is wrong.
        reason: String,
    },
    /// A value that the tables cannot hold.
    #[error("{what} cannot be stored")]
    Unstorable {
        /// The value, by its kind.
        what: &'static str,
    },
    /// A line of a backup that makes no sense.
    #[error("line {line} of the backup: {reason}")]
    BadBackup {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine refused for a reason that should not happen.
    #[error("the database refused: {reason}")]
    Unexpected {
        /// What the engine says.
        reason: String,
    },
}

impl StoreError {
    /// Whether the same call can succeed later with nothing changed by anybody.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// One sentence for the person reading the terminal or the log.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Conflict { .. } => "read it again, then decide",
            Self::NotFound { .. } | Self::LeaseLost { .. } | Self::Unstorable { .. } => return None,
            Self::Unavailable { .. } => "safe to retry; if it lasts, see whether the database runs",
            Self::Full { .. } => "make room on the database's disk; reading goes on meanwhile",
            Self::Corrupt { .. } => "stop the server and restore from a backup",
            Self::Newer { .. } => "use the newer version, or restore a backup made before the upgrade",
            Self::Configuration { .. } => {
                "`[storage] database` is `sqlite` or `postgres://USER@HOST/DATABASE`"
            }
            Self::BadBackup { .. } => "the file is damaged or cut off: use another backup",
            Self::Unexpected { .. } => "please report it with the message",
        })
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    pub(crate) fn unavailable(reason: impl ToString) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }

    pub(crate) fn configuration(reason: impl ToString) -> Self {
        Self::Configuration { reason: reason.to_string() }
    }
}

/// What a failed statement means. Violations of a constraint are kept apart, because only the caller
/// knows which thing is there already or missing.
pub(crate) enum Failure {
    Unique,
    ForeignKey,
    Other(StoreError),
}

impl Failure {
    /// The error when the statement could break no constraint by what the caller gave.
    pub(crate) fn plain(self) -> StoreError {
        match self {
            Self::Other(error) => error,
            Self::Unique => StoreError::Unexpected { reason: "a unique key was broken".into() },
            Self::ForeignKey => StoreError::Unexpected { reason: "a foreign key was broken".into() },
        }
    }

    /// The error when a broken unique key means that `what` is there already.
    pub(crate) fn or_conflict(self, what: impl FnOnce() -> String) -> StoreError {
        match self {
            Self::Unique => StoreError::Conflict { what: what() },
            other => other.plain(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.plain()
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(inner) = &error {
            match inner.kind() {
                ErrorKind::UniqueViolation => return Self::Unique,
                ErrorKind::ForeignKeyViolation => return Self::ForeignKey,
                _ => {}
            }
        }
        Self::Other(error.into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        match error {
            Error::Database(inner) => from_database(inner.as_ref()),
            Error::Migrate(inner) => (*inner).into(),
            Error::Configuration(_) | Error::InvalidArgument(_) => Self::configuration(error),
            Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed
            | Error::BeginFailed => Self::unavailable(error),
            Error::ColumnDecode { .. } | Error::Decode(_) => Self::corrupt(error.to_string()),
            _ => Self::Unexpected { reason: error.to_string() },
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) => inner.into(),
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                Self::Newer { what: "the database" }
            }
            _ => Self::Corrupt { what: error.to_string() },
        }
    }
}

fn from_database(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    let reason = error.message().to_string();
    match code.parse::<u32>() {
        // SQLite gives a number of at most four digits, PostgreSQL five characters.
        Ok(number) if code.len() < 5 => from_sqlite(number & 0xff, reason),
        _ => from_postgres(&code, reason),
    }
}

/// By primary result code, <https://www.sqlite.org/rescode.html>.
fn from_sqlite(code: u32, reason: String) -> StoreError {
    match code {
        // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, PROTOCOL
        5 | 6 | 7 | 9 | 10 | 15 => StoreError::Unavailable { reason },
        // FULL
        13 => StoreError::Full { reason },
        // CORRUPT, NOTADB
        11 | 26 => StoreError::Corrupt { what: reason },
        // PERM, READONLY, CANTOPEN
        3 | 8 | 14 => StoreError::Configuration { reason },
        _ => StoreError::Unexpected { reason },
    }
}

/// By SQLSTATE, PostgreSQL's appendix A.
fn from_postgres(code: &str, reason: String) -> StoreError {
    match code {
        "53100" => StoreError::Full { reason },
        // Serialisation failure, deadlock, lock timeout, statement timeout, read-only standby.
        "40001" | "40P01" | "55P03" | "57014" | "25006" | "58030" => StoreError::Unavailable { reason },
        _ if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unavailable { reason }
        }
        _ if code.starts_with("XX00") && code != "XX000" => StoreError::Corrupt { what: reason },
        // Who may log in, which database, and permission to use a table.
        "3D000" | "42501" => StoreError::Configuration { reason },
        _ if code.starts_with("28") => StoreError::Configuration { reason },
        _ => StoreError::Unexpected { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_busy_database_on_both_engines() {
        assert!(matches!(from_sqlite(13, String::new()), StoreError::Full { .. }));
        assert!(matches!(from_postgres("53100", String::new()), StoreError::Full { .. }));
        assert!(from_sqlite(5, String::new()).is_retryable());
        assert!(from_postgres("53300", String::new()).is_retryable());
        assert!(from_postgres("57P01", String::new()).is_retryable());
        assert!(!from_postgres("53100", String::new()).is_retryable());
    }
}
