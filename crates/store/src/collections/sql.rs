//! Lists as one argument, and limits by bytes.

use serde_json::Value as Json;

use crate::engine::{Kind, Value};

/// A statement for each engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl Sql {
    pub(super) fn of(self, kind: Kind) -> &'static str {
        match kind {
            Kind::Sqlite => self.sqlite,
            Kind::Postgres => self.postgres,
        }
    }
}

/// A statement over the items of the JSON list `$1`, each a list itself: between its two halves goes the
/// table `item` with the column `value`, and `item.value ->> N` is a text or number of an item.
macro_rules! over_items {
    ($before:literal, $after:literal) => {
        $crate::collections::sql::Sql {
            sqlite: concat!($before, " json_each($1) as item ", $after),
            postgres: concat!($before, " json_array_elements($1::json) as item(value) ", $after),
        }
    };
}
pub(super) use over_items;

/// Texts as items for [`over_items`]. Those with a NUL are left out: no stored text has one, and PostgreSQL
/// would refuse all for it.
pub(super) fn items<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    let items = texts.into_iter().filter(|text| !text.contains('\0')).map(|text| [text]);
    Value::Text(Some(Json::from_iter(items.map(Vec::from)).to_string()))
}

/// Pairs of texts as items for [`over_items`], without those that have a NUL.
pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let stored = |(a, b): &(&str, &str)| !a.contains('\0') && !b.contains('\0');
    let items = pairs.into_iter().filter(stored).map(|(a, b)| vec![a, b]);
    Value::Text(Some(Json::from_iter(items).to_string()))
}

/// About this many bytes of texts are read at once.
const READ_BYTES: i64 = 16 << 20;
/// But this many objects at least.
const READ_ROWS: i64 = 16;

/// How many objects of at most `largest` bytes are read at once where `limit` are wanted.
pub(super) fn rows_within(largest: i64, limit: u32) -> i64 {
    i64::from(limit).min(READ_ROWS.max(READ_BYTES / largest.max(1)))
}
