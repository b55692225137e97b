//! Objects as the arguments of statements that take a fixed number of rows, on SQLite.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::object::ObjectRow;
use crate::engine::Value;
use crate::sql::{SIZES, by_size};

const INSERT: &str =
    "insert into collection_object (list, id, last_modified, deleted, data, permissions, content) values ";
const ROW: &str = "(?, ?, ?, ?, ?, ?, ?)";
const UPSERT: &str = " on conflict (list, id) do update set
    last_modified = excluded.last_modified, deleted = excluded.deleted, data = excluded.data,
    permissions = excluded.permissions, content = excluded.content";

static STATEMENTS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| SIZES.map(statement));

fn statement(rows: usize) -> String {
    let mut sql = String::from(INSERT);
    for row in 0..rows {
        // Writing to a text cannot fail.
        let _ = write!(sql, "{}{ROW}", if row == 0 { "" } else { ", " });
    }
    sql.push_str(UPSERT);
    sql
}

/// The statements that put all of `rows`, in their order, each with those that are its own.
///
/// - `rows`: objects with the numbers of their lists.
pub(super) fn statements<'a, 'o>(
    rows: &'a [(i64, &'o ObjectRow)],
) -> impl Iterator<Item = (&'static str, &'a [(i64, &'o ObjectRow)])> {
    by_size(rows, &STATEMENTS, |(_, row)| row.data.len())
}

/// The arguments of a statement.
pub(super) fn of(rows: &[(i64, &ObjectRow)]) -> Vec<Value> {
    let row = |(list, object): &(i64, &ObjectRow)| {
        [
            Value::from(*list),
            Value::from(&object.id),
            Value::from(object.last_modified),
            Value::from(object.deleted),
            Value::from(&object.data),
            Value::from(object.permissions.as_deref()),
            Value::from(object.content.as_ref().map(<[u8; 32]>::as_slice)),
        ]
    };
    rows.iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bytes: usize) -> ObjectRow {
        ObjectRow {
            list: "/buckets".into(),
            id: "a".into(),
            last_modified: 1,
            deleted: false,
            data: "x".repeat(bytes),
            permissions: None,
            content: None,
        }
    }

    #[test]
    fn rows_go_in_few_statements_none_of_which_is_long() {
        let sizes = |rows: &[(i64, &ObjectRow)]| -> Vec<usize> {
            statements(rows)
                .inspect(|(sql, some)| assert_eq!(sql.matches(ROW).count(), some.len()))
                .map(|(_, some)| some.len())
                .collect()
        };
        let (small, large) = (object(100), object(3 << 20));
        assert_eq!(sizes(&[]), [0usize; 0]);
        assert_eq!(sizes(&[(1, &small); 64]), [32, 32]);
        assert_eq!(sizes(&[(1, &small); 299]), [256, 32, 8, 2, 1]);
        assert_eq!(sizes(&[(1, &small), (1, &large), (1, &large), (1, &small)]), [2, 2]);
        assert_eq!(sizes(&[(1, &large), (1, &large), (1, &large)]), [1, 1, 1]);
    }

    #[test]
    fn a_row_has_an_argument_for_each_column() {
        let object = object(1);
        assert_eq!(of(&[(1, &object); 2]).len(), 2 * ROW.matches('?').count());
    }
}
