//! Artifacts as the arguments of statements that take a fixed number of rows, on SQLite.

use std::sync::LazyLock;

use super::artifact::{NewArtifact, Staging};
use crate::engine::Value;
use crate::sql::{SIZES, by_size};

const ROW: &str = "(?, ?, ?, ?)";

// What is public stays where only something staged comes, unless that is for another role: it would be that role's.
static STATEMENTS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        format!(
            "insert into tuf_artifact (role, path, entry, next) values {} on conflict do update set
                 role = excluded.role, next = excluded.next,
                 entry = case when role = excluded.role then coalesce(excluded.entry, entry) else excluded.entry end",
            [ROW].repeat(rows).join(", ")
        )
    })
});

/// The statements that put all of `rows`, in their order, each with those that are its own.
pub(super) fn statements<'a, 'o>(
    rows: &'a [&'o NewArtifact],
) -> impl Iterator<Item = (&'static str, &'a [&'o NewArtifact])> {
    by_size(rows, &STATEMENTS, |row| row.entry.len())
}

/// The arguments of a statement.
pub(super) fn of(rows: &[&NewArtifact], staging: Staging) -> Vec<Value> {
    let row = |artifact: &&NewArtifact| {
        let entry = Value::from(&artifact.entry);
        let (entry, next) = match staging {
            Staging::Public => (entry, Value::Text(None)),
            Staging::Staged => (Value::Text(None), entry),
        };
        [Value::from(&artifact.role), Value::from(&artifact.path), entry, next]
    };
    rows.iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_few_statements_none_of_which_is_long() {
        let of_size = |bytes| NewArtifact { role: "r".into(), path: "p".into(), entry: "x".repeat(bytes) };
        let sizes = |rows: &[&NewArtifact]| -> Vec<usize> {
            statements(rows)
                .inspect(|(sql, some)| {
                    assert_eq!(sql.matches('?').count(), of(some, Staging::Public).len());
                })
                .map(|(_, some)| some.len())
                .collect()
        };
        let (small, large) = (of_size(100), of_size(3 << 20));
        assert_eq!(sizes(&[]), [0usize; 0]);
        assert_eq!(sizes(&[&small; 299]), [256, 32, 8, 2, 1]);
        assert_eq!(sizes(&[&large; 8]), [1; 8]);
    }
}
