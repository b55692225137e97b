//! What the history of a bucket says of records that were copied into it: each has an entry, in the plugin's name.

use countersign_store::{Difference, ObjectDifference, ObjectRow};

use super::PLUGIN;
use super::publish::Timestamps;
use crate::collections::call::Permissions;
use crate::collections::error::Error;
use crate::collections::history::{Action, Entry, ManyEntries};
use crate::collections::object::damaged;
use crate::collections::uri::ListUri;
use crate::collections::work::Work;

/// The entries about one copy.
pub(super) struct Remembered {
    history: ListUri,
    records: ListUri,
    /// How many records come to be, change and go; they are copied in this order.
    counts: [(Difference, i64); 3],
    /// The timestamp of the first copy, if each has the next one.
    copies: Option<i64>,
    /// The timestamp of the first entry, and of the next that is written with its record.
    first: i64,
    next: i64,
    /// That of the last one.
    last: i64,
}

/// Puts differences in the order in which they are copied: those that are of one kind follow one another.
pub(super) fn order(differences: &mut [ObjectDifference]) {
    differences.sort_by_key(|difference| rank(difference.difference));
}

fn rank(difference: Difference) -> u8 {
    match difference {
        Difference::Added => 0,
        Difference::Changed => 1,
        Difference::Removed => 2,
    }
}

impl Remembered {
    /// Takes timestamps for as many entries as there are differences; `None` where no history is kept.
    ///
    /// - `records`: where the copies go.
    /// - `first`: the timestamp of the first copy, if `timestamps` are new ones.
    pub(super) async fn begin(
        work: &mut Work<'_>,
        records: &ListUri,
        differences: &[ObjectDifference],
        timestamps: Timestamps,
        first: i64,
    ) -> Result<Option<Self>, Error> {
        let Some(bucket) = records.bucket_id().filter(|_| work.ctx.collections.settings.history) else {
            return Ok(None);
        };
        let history = ListUri::history(bucket);
        let count = |wanted| differences.iter().filter(|d| d.difference == wanted).count() as i64;
        let counts =
            [Difference::Added, Difference::Changed, Difference::Removed].map(|kind| (kind, count(kind)));
        let wanted = u32::try_from(differences.len()).unwrap_or(u32::MAX);
        let entry = work.reserve(&history, wanted, 0).await?;
        Ok(Some(Self {
            history,
            records: records.clone(),
            counts,
            copies: (timestamps == Timestamps::New).then_some(first),
            first: entry,
            next: entry,
            last: entry + i64::from(wanted) - 1,
        }))
    }

    /// Entries that are written with the copies they are about: those that the database cannot make of a copy, be it
    /// that it has permissions, or that the timestamps of the copies are their originals'.
    ///
    /// - `copies`: what becomes of each of `differences`.
    pub(super) fn with(
        &mut self,
        work: &Work<'_>,
        differences: &[ObjectDifference],
        copies: &[ObjectRow],
    ) -> Result<Vec<ObjectRow>, Error> {
        let mut entries = Vec::new();
        for (difference, copy) in differences.iter().zip(copies) {
            let last_modified = match self.copies {
                Some(_) if copy.permissions.is_none() => continue,
                Some(first) => self.first + (copy.last_modified - first),
                None => {
                    self.next += 1;
                    self.next - 1
                }
            };
            let uri = self.records.object(copy.id.as_str());
            let permissions: Permissions = match &copy.permissions {
                Some(text) => serde_json::from_str(text).map_err(|_| damaged(&uri))?,
                None => Permissions::new(),
            };
            let entry = Entry {
                uri: &uri,
                action: action(difference.difference),
                target: &copy.data,
                permissions: &permissions,
                by: PLUGIN,
                date: work.now(),
                last_modified,
            };
            entries.push(entry.row(&self.history)?);
        }
        Ok(entries)
    }

    /// The list of the entries, and the timestamp that it has at least.
    pub(super) fn timestamp(&self) -> (String, i64) {
        (self.history.to_string(), self.last)
    }

    /// The other entries, when all copies are written; the database makes them now, or after this transaction.
    pub(super) async fn end(self, work: &mut Work<'_>) -> Result<(), Error> {
        let Some(mut copy) = self.copies else { return Ok(()) };
        let mut last_modified = self.first;
        for (difference, count) in self.counts.into_iter().filter(|(_, count)| *count > 0) {
            let many = ManyEntries {
                records: &self.records,
                timestamps: (copy, copy + count - 1),
                action: action(difference),
                by: PLUGIN,
                date: work.now(),
                last_modified,
            };
            let entries = many.entries(&self.history)?;
            let tx = work.store().await?;
            if self.last - self.first < AT_ONCE {
                tx.write_entries(&entries).await?;
            } else {
                tx.leave_entries(&entries).await?;
            }
            copy += count;
            last_modified += count;
        }
        Ok(())
    }
}

/// Whoever signs waits for no more entries than these: more are left to be written after the answer.
const AT_ONCE: i64 = 1000;

fn action(difference: Difference) -> Action {
    match difference {
        Difference::Added => Action::Create,
        Difference::Changed => Action::Update,
        Difference::Removed => Action::Delete,
    }
}
