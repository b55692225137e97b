//! The page of a list that is asked for, out of many objects that come one by one.

use countersign_store::ObjectRow;
use serde_json::{Map, Number, Value};

use super::page_token;
use super::query::ListQuery;
use super::sort::Key;

/// An object that may be on the page.
#[derive(Debug)]
pub struct Candidate {
    /// As the store has it.
    pub row: ObjectRow,
    /// Its members, if the query looks at them.
    pub members: Option<Map<String, Value>>,
}

/// The best objects so far: one more than the page has, so that it is known whether there is another page.
#[derive(Debug)]
pub struct Selection {
    kept: Vec<(Vec<Key>, ObjectRow)>,
    /// Whether objects come in the order of the query.
    in_order: bool,
    bytes: usize,
    most_bytes: usize,
}

impl Selection {
    /// An empty page.
    ///
    /// - `most_bytes`: objects after about this many bytes are on the next page.
    pub fn new(query: &ListQuery, most_bytes: usize) -> Self {
        // Direct loads come in no order.
        let in_order = query.sort.is_newest_first() && query.ids().is_none();
        Self { kept: Vec::new(), in_order, bytes: 0, most_bytes }
    }

    /// Takes an object if it belongs on the page. Returns whether no later one can.
    pub fn offer(&mut self, query: &ListQuery, candidate: Candidate) -> bool {
        let Candidate { row, members } = candidate;
        if members.as_ref().is_some_and(|members| !query.finds(members)) {
            return false;
        }
        let keys = match &members {
            Some(members) => query.sort.keys(members),
            None => vec![Key::Number(Number::from(row.last_modified))],
        };
        if !query.is_later(&keys) {
            return false;
        }
        self.bytes += row.data.len();
        self.kept.push((keys, row));
        let enough = limit(query) + 1;
        if self.in_order {
            return self.kept.len() >= enough || self.bytes > self.most_bytes && self.kept.len() > 1;
        }
        if self.kept.len() >= 2 * enough {
            cut(query, &mut self.kept);
        }
        false
    }

    /// The page, and the token of the next one if there is one.
    ///
    /// - `list`: the list's URI.
    pub fn finish(self, query: &ListQuery, list: &str) -> (Vec<ObjectRow>, Option<String>) {
        let (mut bytes, most) = (0, self.most_bytes);
        page(query, self.kept, list, |row| {
            bytes += row.data.len();
            bytes <= most
        })
    }
}

/// Keeps the first objects: as many as a page has, and one more.
pub fn cut<T>(query: &ListQuery, kept: &mut Vec<(Vec<Key>, T)>) {
    kept.sort_by(|(a, _), (b, _)| query.sort.compare(a, b));
    kept.truncate(limit(query) + 1);
}

/// The page of what was kept, and the token of the next one.
///
/// - `list`: the list's URI.
/// - `fits`: whether there is room for one more object; the first one has it.
pub fn page<T>(
    query: &ListQuery,
    mut kept: Vec<(Vec<Key>, T)>,
    list: &str,
    mut fits: impl FnMut(&T) -> bool,
) -> (Vec<T>, Option<String>) {
    cut(query, &mut kept);
    let on_page = kept.iter().take(limit(query)).enumerate();
    let count = on_page.take_while(|(i, (_, object))| fits(object) || *i == 0).count();
    let more = kept.len() > count;
    kept.truncate(count);
    let next = match kept.last() {
        Some((keys, _)) if more => Some(page_token::write(list, &query.sort, keys)),
        _ => None,
    };
    (kept.into_iter().map(|(_, object)| object).collect(), next)
}

fn limit(query: &ListQuery) -> usize {
    usize::try_from(query.limit).unwrap_or(usize::MAX - 1)
}
