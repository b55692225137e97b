//! Lists as one argument, and limits by bytes.

pub(super) use crate::sql::{Sql, items, over_items, pairs};

/// About this many bytes of texts are read at once.
const READ_BYTES: i64 = 16 << 20;
/// But this many objects at least.
const READ_ROWS: i64 = 16;

/// How many objects of at most `largest` bytes are read at once where `limit` are wanted.
pub(super) fn rows_within(largest: i64, limit: u32) -> i64 {
    i64::from(limit).min(READ_ROWS.max(READ_BYTES / largest.max(1)))
}
