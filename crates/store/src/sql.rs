//! Statements for each engine, and lists as one argument of theirs.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::engine::{Kind, Value};
use crate::error::StoreError;

/// A statement for each engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Sql {
    pub(crate) fn of(self, kind: Kind) -> &'static str {
        match kind {
            Kind::Sqlite => self.sqlite,
            Kind::Postgres => self.postgres,
        }
    }
}

/// How many rows a statement takes that is written out for each number, from the largest. SQLite compiles each once for a
/// connection.
pub(crate) const SIZES: [usize; 5] = [256, 32, 8, 2, 1];

/// The statements that take all of `rows`, in their order, each with those that are its own. `statements` are by
/// [`SIZES`]; `length` is that of a row in bytes, about: those of one statement have together as much as fills it, or it is
/// the smallest one.
pub(crate) fn by_size<'a, Row>(
    mut rows: &'a [Row],
    statements: &'static [String; SIZES.len()],
    length: impl Fn(&Row) -> usize,
) -> impl Iterator<Item = (&'static str, &'a [Row])> {
    std::iter::from_fn(move || {
        let fits = |size: &usize| {
            let some = rows.get(..*size);
            some.is_some_and(|some| *size == 1 || some.iter().map(&length).sum::<usize>() <= FULL)
        };
        let at = SIZES.iter().position(fits)?;
        let (some, rest) = rows.split_at(SIZES[at]);
        rows = rest;
        Some((statements[at].as_str(), some))
    })
}

/// A statement over the items of the JSON list `$1`, each a list itself: between its two halves goes the
/// table `item` with the column `value`, and `item.value ->> N` is a text or number of an item. The first half may be
/// in several parts.
macro_rules! over_items {
    ($before:literal, $after:literal) => {
        $crate::sql::over_items!([$before], $after)
    };
    ([$($before:tt)*], $after:literal) => {
        $crate::sql::Sql {
            sqlite: concat!($($before)*, " json_each($1) as item ", $after),
            postgres: concat!($($before)*, " json_array_elements($1::json) as item(value) ", $after),
        }
    };
}
pub(crate) use over_items;

/// Texts as items for [`over_items`]. Those with a NUL are left out: no stored text has one, and PostgreSQL
/// would refuse all for it.
pub(crate) fn items<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    let items = texts.into_iter().filter(|text| !text.contains('\0')).map(|text| [text]);
    Value::Text(Some(Json::from_iter(items.map(Vec::from)).to_string()))
}

/// Pairs of texts as items for [`over_items`], without those that have a NUL.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let stored = |(a, b): &(&str, &str)| !a.contains('\0') && !b.contains('\0');
    let items = pairs.into_iter().filter(stored).map(|(a, b)| vec![a, b]);
    Value::Text(Some(Json::from_iter(items).to_string()))
}

/// The argument of a statement over items, as it is written.
#[derive(Default)]
pub(crate) struct Items(String);

impl Items {
    pub(crate) fn open(&mut self) {
        self.0.push_str(if self.0.is_empty() { "[[" } else { ",[" });
    }

    pub(crate) fn close(&mut self) {
        // In place of the comma after the last member.
        self.0.pop();
        self.0.push(']');
    }

    pub(crate) fn number(&mut self, number: i64) {
        // Writing to a text cannot fail.
        let _ = write!(self.0, "{number},");
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), StoreError> {
        // In JSON it would be an escape, which the engines read differently.
        if text.contains('\0') {
            return Err(StoreError::Unstorable { what: "a text with a NUL character" });
        }
        self.0.push_str(&serde_json::to_string(text).map_err(|_| StoreError::Unstorable { what: "a text" })?);
        self.0.push(',');
        Ok(())
    }

    pub(crate) fn opt_text(&mut self, text: Option<&str>) -> Result<(), StoreError> {
        match text {
            Some(text) => self.text(text),
            None => {
                self.null();
                Ok(())
            }
        }
    }

    pub(crate) fn null(&mut self) {
        self.0.push_str("null,");
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= FULL
    }

    /// What was written, and begins again.
    pub(crate) fn take(&mut self) -> Value {
        let mut text = std::mem::take(&mut self.0);
        text.push(']');
        Value::Text(Some(text))
    }
}

/// Bytes after which a statement, or an argument of it, is full.
const FULL: usize = 4 << 20;
