//! Copying the records of one collection, a page at a time.

use std::collections::BTreeMap;

use http::Method;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::people::People;
use super::time_of;
use crate::commands::collection::batch::{Inner, Part};
use crate::commands::collection::kinto::{Kinto, Object, content, last_modified, text};
use crate::failure::Failure;

/// Records that are asked for at once.
const PAGE: usize = 1000;

/// The most bytes of records in a batch: far below what servers take.
const BATCH_BYTES: usize = 4 << 20;

/// The timestamp of a record that is made to be deleted: before every other.
const BEFORE_ALL: i64 = 1;

/// How many records became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written, new or over an older one.
    pub written: u64,
    /// There already, the same.
    pub same: u64,
    /// Changed here meanwhile, and left so.
    pub kept: u64,
    /// Deleted, so that readers with an older copy learn of it.
    pub deleted: u64,
}

/// Copies the records of one collection.
pub struct Copier<'a> {
    pub from: &'a Kinto,
    pub to: &'a Kinto,
    pub people: &'a mut People,
    /// `/buckets/B/collections/C/records` there.
    pub from_path: String,
    /// The same here.
    pub to_path: String,
    /// The most requests in a batch there.
    pub there: usize,
    /// The same here.
    pub most: usize,
    /// Whether permissions of records are copied.
    pub permissions: bool,
    /// Whether deleted records are.
    pub tombstones: bool,
    pub counts: Counts,
}

/// A record as it is to be here.
struct Wanted {
    id: String,
    time: i64,
    /// `None`: deleted.
    data: Option<Map<String, Value>>,
    permissions: Map<String, Value>,
}

impl Copier<'_> {
    /// Copies the records after `since`, oldest first, as many as a page has. The timestamp of the last of them;
    /// `None` if there are none.
    pub async fn page(&mut self, since: i64, bar: &ProgressBar) -> Result<Option<i64>, Failure> {
        // By timestamps, which no two records share: tokens do not outlive a restart.
        let path = format!("{}?_sort=last_modified&_limit={PAGE}&_since=%22{since}%22", self.from_path);
        let page = self.from.page(&path).await?;
        let mut wanted = Vec::with_capacity(page.len());
        let mut last = since;
        for data in page {
            let (id, time) = (text(&data, "id").to_owned(), time_of(&data)?);
            if time <= last {
                return Err(Failure::unknown("the old server's list is not in the order of timestamps"));
            }
            last = time;
            let deleted = data.get("deleted") == Some(&Value::Bool(true));
            let data = (!deleted).then_some(data);
            if data.is_some() || self.tombstones {
                wanted.push(Wanted { id, time, data, permissions: Map::new() });
            }
        }
        if last == since {
            return Ok(None);
        }
        if self.permissions {
            self.add_permissions(&mut wanted).await?;
        }
        for batch in split(wanted, self.most) {
            let live = batch.iter().filter(|wanted| wanted.data.is_some()).count();
            self.batch(batch).await?;
            bar.inc(live as u64);
        }
        Ok(Some(last))
    }

    async fn add_permissions(&mut self, wanted: &mut [Wanted]) -> Result<(), Failure> {
        let mut live: Vec<&mut Wanted> = wanted.iter_mut().filter(|wanted| wanted.data.is_some()).collect();
        for chunk in live.chunks_mut(self.there) {
            let path = |wanted: &&mut Wanted| format!("{}/{}", self.from_path, wanted.id);
            let requests: Vec<Inner> = chunk.iter().map(|w| Inner::bare(Method::GET, path(w))).collect();
            for (wanted, part) in chunk.iter_mut().zip(self.from.batch(&requests).await?) {
                let object: Object = serde_json::from_value(part.body).unwrap_or_default();
                wanted.permissions = self.people.permissions(&object.permissions);
            }
        }
        Ok(())
    }

    /// Writes a batch: first what is new here, then what is older here, then what is to be deleted.
    async fn batch(&mut self, batch: Vec<Wanted>) -> Result<(), Failure> {
        let new: Vec<Inner> = batch.iter().map(|w| self.put(w).header("If-None-Match", "*")).collect();
        let mut later = Vec::new();
        for (wanted, part) in batch.iter().zip(self.to.batch(&new).await?) {
            let existing = existing(&part);
            match (part.status, &wanted.data) {
                (200 | 201, Some(_)) => self.counts.written += 1,
                (200 | 201, None) => later.push(self.delete(wanted)),
                (412, _) if existing.is_some_and(|data| last_modified(data) < wanted.time) => {
                    later.push(self.over(wanted, existing.map(last_modified).unwrap_or_default()));
                }
                (412, Some(data)) if existing.is_some_and(|there| content(there) == content(data)) => {
                    self.counts.same += 1;
                }
                (412, _) => self.counts.kept += 1,
                // A schema may forbid the record that is made to be deleted: then there is no trace of it.
                (400, None) => {}
                _ => return Err(self.refused(wanted, &part)),
            }
        }
        for chunk in later.chunks(self.most) {
            let requests: Vec<Inner> = chunk.to_vec();
            for (request, part) in requests.iter().zip(self.to.batch(&requests).await?) {
                match (part.status, &request.method) {
                    (200 | 201, &Method::DELETE) => self.counts.deleted += 1,
                    (200 | 201, _) => self.counts.written += 1,
                    // Somebody was here between the two batches.
                    (404 | 412, _) => self.counts.kept += 1,
                    _ => return Err(part.failure(&request.path)),
                }
            }
        }
        Ok(())
    }

    fn path(&self, wanted: &Wanted) -> String {
        format!("{}/{}", self.to_path, wanted.id)
    }

    /// Writes a record; one that is deleted is made first, or it would leave no trace.
    fn put(&self, wanted: &Wanted) -> Inner {
        let mut body = match &wanted.data {
            Some(data) => json!({ "data": data }),
            None => json!({ "data": { "id": wanted.id, "last_modified": BEFORE_ALL } }),
        };
        if !wanted.permissions.is_empty() {
            body["permissions"] = Value::Object(wanted.permissions.clone());
        }
        Inner::put(self.path(wanted), body)
    }

    fn delete(&self, wanted: &Wanted) -> Inner {
        Inner::bare(Method::DELETE, format!("{}?last_modified={}", self.path(wanted), wanted.time))
    }

    /// Replaces or deletes what is older here, if it is still as it was.
    fn over(&self, wanted: &Wanted, there: i64) -> Inner {
        let request = if wanted.data.is_some() { self.put(wanted) } else { self.delete(wanted) };
        request.header("If-Match", format!("\"{there}\""))
    }

    fn refused(&self, wanted: &Wanted, part: &Part) -> Failure {
        let failure = part.failure(&self.path(wanted));
        if failure.message.contains("float value") {
            return failure.hint("`allow_floats = true` of the resource takes numbers with a fraction");
        }
        failure.hint("all up to this page is here: go on with `--resume` when it can be written")
    }
}

/// The record that was in the way.
fn existing(part: &Part) -> Option<&Map<String, Value>> {
    part.body.pointer("/details/existing").and_then(Value::as_object)
}

/// Batches of at most so many records and [`BATCH_BYTES`], a larger record by itself. An id that is there twice
/// counts as it was last.
fn split(wanted: Vec<Wanted>, most: usize) -> Vec<Vec<Wanted>> {
    let mut by_id: BTreeMap<String, i64> = BTreeMap::new();
    for one in &wanted {
        by_id.insert(one.id.clone(), one.time);
    }
    let mut batches: Vec<Vec<Wanted>> = Vec::new();
    let mut bytes = 0;
    for one in wanted.into_iter().filter(|one| by_id.get(&one.id) == Some(&one.time)) {
        let size = one.data.as_ref().map_or(64, |data| Value::Object(data.clone()).to_string().len());
        match batches.last_mut() {
            Some(batch) if batch.len() < most && bytes + size <= BATCH_BYTES => {
                batch.push(one);
                bytes += size;
            }
            _ => {
                batches.push(vec![one]);
                bytes = size;
            }
        }
    }
    batches
}
