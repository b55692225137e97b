//! Objects as the columns of one statement, on PostgreSQL: it makes rows of them without looking into texts.

use super::object::ObjectRow;
use crate::engine::{Column, Value};

pub(super) const PUT: &str =
    "insert into collection_object (list, id, last_modified, deleted, data, permissions, content)
     select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bytea[])
     on conflict (list, id) do update set
         last_modified = excluded.last_modified, deleted = excluded.deleted, data = excluded.data,
         permissions = excluded.permissions, content = excluded.content";

/// The texts of one statement have about this many bytes at most, or there is one row.
const FULL: usize = 4 << 20;

/// Rows in their order, as many together as one statement takes.
///
/// - `rows`: objects with the numbers of their lists.
pub(super) fn parts<'a, 'o>(
    mut rows: &'a [(i64, &'o ObjectRow)],
) -> impl Iterator<Item = &'a [(i64, &'o ObjectRow)]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(_, row): &&(i64, &ObjectRow)| {
            let is_first = bytes == 0;
            bytes += row.data.len() + 1;
            is_first || bytes <= FULL
        };
        let count = rows.iter().take_while(fits).count();
        let (some, rest) = rows.split_at(count);
        rows = rest;
        (!some.is_empty()).then_some(some)
    })
}

/// The arguments of [`PUT`].
pub(super) fn of(rows: &[(i64, &ObjectRow)]) -> [Value; 7] {
    let ints = |of: fn(&(i64, &ObjectRow)) -> i64| Column::Ints(rows.iter().map(of).collect());
    let texts =
        |of: fn(&ObjectRow) -> Option<String>| Column::Texts(rows.iter().map(|(_, row)| of(row)).collect());
    let content = |row: &ObjectRow| row.content.map(Vec::from);
    [
        ints(|(list, _)| *list),
        texts(|row| Some(row.id.clone())),
        ints(|(_, row)| row.last_modified),
        ints(|(_, row)| row.deleted.into()),
        texts(|row| Some(row.data.clone())),
        texts(|row| row.permissions.clone()),
        Column::Bytes(rows.iter().map(|(_, row)| content(row)).collect()),
    ]
    .map(Value::Column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: usize) -> ObjectRow {
        ObjectRow {
            list: "/l".into(),
            id: "x".into(),
            last_modified: 1,
            deleted: false,
            data: "x".repeat(bytes),
            permissions: None,
            content: None,
        }
    }

    #[test]
    fn a_statement_takes_what_fits_and_a_large_row_has_its_own() {
        let sizes = [1, FULL / 2, FULL / 2 - 4, FULL * 2, 7, FULL, 0, 0];
        let objects = sizes.map(row);
        let rows: Vec<_> = objects.iter().map(|object| (1, object)).collect();
        let counts: Vec<_> = parts(&rows).map(<[_]>::len).collect();
        assert_eq!(counts, [3, 1, 1, 1, 2]);
        assert_eq!(parts(&rows).flatten().count(), sizes.len());
        assert_eq!(parts(&[]).count(), 0);
    }
}
