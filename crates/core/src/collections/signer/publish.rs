//! Copying what differs between two collections: what is published is what was reviewed, record by record.

use std::collections::{HashMap, HashSet};

use countersign_store::{Difference, ObjectDifference, ObjectRow, Writes};

use super::remember::{self, Remembered};
use super::stamp::with_timestamp;
use crate::collections::error::Error;
use crate::collections::object::{damaged, tombstone_row};
use crate::collections::uri::{ListUri, ObjectUri};
use crate::collections::work::Work;

/// Which timestamps copies get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timestamps {
    /// New ones, so that readers who ask what has changed find them.
    New,
    /// Those of the originals, also where both say the same.
    Kept,
    /// Those of the originals, where both do not say the same already.
    KeptIfChanged,
}

/// How much was copied and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// Records.
    pub(super) count: u64,
    /// Their bytes, as JSON.
    pub(super) bytes: u64,
}

/// The list of a collection's records.
pub(super) fn records_of(collection: &ObjectUri) -> ListUri {
    ListUri::records(collection.bucket_id().unwrap_or_default(), &collection.id)
}

/// Makes the records of `to` those of `from`: by what they say, whenever and by whatever schema they were
/// written. What is in `to` only is deleted; so is what somebody wrote there. `None` for no records.
pub(super) async fn copy(
    work: &mut Work<'_>,
    from: Option<&ObjectUri>,
    to: &ObjectUri,
    timestamps: Timestamps,
) -> Result<Copied, Error> {
    let (from, to) = (from.map(records_of).map(|list| list.to_string()), records_of(to));
    // No list has the empty name.
    let from = from.unwrap_or_default();
    let to_name = to.to_string();
    let tx = work.flush().await?;
    let mut differences = tx.difference(&from, &to_name).await?;
    if timestamps == Timestamps::Kept {
        differences = with_older(work, &from, &to, differences).await?;
    }
    if differences.is_empty() {
        work.store().await?.set_equal(&from, &to_name).await?;
        return Ok(Copied::default());
    }
    remember::order(&mut differences);
    let count = u32::try_from(differences.len()).map_err(|_| too_many())?;
    let wanted = match timestamps {
        Timestamps::New => count,
        // Only what is deleted gets new ones, and the list one at least: it is another one now.
        Timestamps::Kept | Timestamps::KeptIfChanged => {
            let gone = differences.iter().filter(|d| d.difference == Difference::Removed).count();
            u32::try_from(gone.max(1)).map_err(|_| too_many())?
        }
    };
    let after = newest_published(work, &to).await?;
    let first = work.reserve(&to, wanted, after).await?;
    let last = first + i64::from(wanted) - 1;
    let remembered = Remembered::begin(work, &to, &differences, timestamps, first).await?;
    let mut copy = Copy {
        next: first,
        reserved: first..=last,
        timestamps,
        copied: Copied::default(),
        from: from.clone(),
        to: to.clone(),
        taken: HashSet::new(),
        remembered,
    };
    let mut rest = differences.as_slice();
    let mut at_once = FIRST_CHUNK;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(at_once.min(rest.len()));
        rest = later;
        let written = copy.chunk(work, chunk).await?;
        // As many as fit: a record can have megabytes.
        at_once = (CHUNK_BYTES / (written / chunk.len().max(1)).max(1)).clamp(1, MOST_AT_ONCE);
    }
    let mut advanced = vec![(to_name.clone(), last)];
    advanced.extend(copy.remembered.as_ref().map(Remembered::timestamp));
    let advance = Writes { timestamps: advanced, ..Writes::default() };
    let tx = work.flush().await?;
    tx.write(&advance).await?;
    tx.set_equal(&from, &to_name).await?;
    if let Some(remembered) = copy.remembered {
        remembered.end(work).await?;
    }
    work.written_directly(&to);
    Ok(copy.copied)
}

/// What is published is newer than all that was before: who polls the monitor asks for what is newer than the newest
/// they know, and many copies at once have timestamps of a future that the next publication has not reached. 0 for
/// what the monitor does not show.
async fn newest_published(work: &mut Work<'_>, to: &ListUri) -> Result<i64, Error> {
    let ctx = work.ctx;
    let resources = &ctx.collections.resources;
    let shown = match (to.bucket_id(), to.collection_id()) {
        (Some(bucket), Some(collection)) => resources.is_monitored(bucket, collection),
        _ => false,
    };
    let mut newest = 0;
    if shown {
        for place in resources.monitored() {
            let collections = ListUri::collections(&place.bucket).to_string();
            newest = newest.max(work.store().await?.latest_under(&collections).await?.unwrap_or(0));
        }
    }
    Ok(newest)
}

/// In how many records a destination differs from its source; their bytes are not counted.
pub(super) async fn changes(
    work: &mut Work<'_>,
    source: &ObjectUri,
    destination: &ObjectUri,
) -> Result<Copied, Error> {
    let (source, destination) = (records_of(source).to_string(), records_of(destination).to_string());
    let differences = work.flush().await?.difference(&source, &destination).await?;
    Ok(Copied { count: differences.len() as u64, bytes: 0 })
}

const FIRST_CHUNK: usize = 16;
const MOST_AT_ONCE: usize = 4000;
const CHUNK_BYTES: usize = 4 << 20;

fn too_many() -> Error {
    Error::Other(crate::Error::Internal("more records than can be counted".into()))
}

/// Also those that say the same in both, and were written at another time: where copies keep the timestamps of
/// their originals, these are part of what is signed.
async fn with_older(
    work: &mut Work<'_>,
    from: &str,
    to: &ListUri,
    mut differences: Vec<ObjectDifference>,
) -> Result<Vec<ObjectDifference>, Error> {
    use countersign_store::{PageOrder, PageQuery};
    let known: HashSet<String> = differences.iter().map(|difference| difference.id.clone()).collect();
    let to = to.to_string();
    let mut query = PageQuery { order: PageOrder::ById(None), limit: 1000, ..PageQuery::default() };
    loop {
        let page = work.store().await?.page(from, &query).await?;
        let last = page.objects.last().map(|row| row.id.clone());
        let same: HashMap<String, i64> = page
            .objects
            .into_iter()
            .filter(|row| !known.contains(&row.id))
            .map(|row| (row.id, row.last_modified))
            .collect();
        let keys: Vec<_> = same.keys().map(|id| (to.clone(), id.clone())).collect();
        for copy in work.store().await?.objects(&keys).await? {
            if same.get(&copy.id) != Some(&copy.last_modified) {
                differences.push(ObjectDifference { id: copy.id, difference: Difference::Changed });
            }
        }
        if !page.more {
            // A second attempt must come to the same.
            differences.sort_by(|a, b| a.id.cmp(&b.id));
            return Ok(differences);
        }
        query.order = PageOrder::ById(last);
    }
}

struct Copy {
    /// The next of the timestamps that were reserved.
    next: i64,
    /// All of them.
    reserved: std::ops::RangeInclusive<i64>,
    timestamps: Timestamps,
    copied: Copied,
    from: String,
    to: ListUri,
    /// Timestamps of copies that are not written yet.
    taken: HashSet<i64>,
    /// What the history says of it.
    remembered: Option<Remembered>,
}

impl Copy {
    /// Copies some records, and says how many bytes they have.
    async fn chunk(&mut self, work: &mut Work<'_>, chunk: &[ObjectDifference]) -> Result<usize, Error> {
        let to = self.to.to_string();
        let keys = |list: &str, wanted: fn(Difference) -> bool| -> Vec<(String, String)> {
            let wanted = chunk.iter().filter(|d| wanted(d.difference));
            wanted.map(|d| (list.to_owned(), d.id.clone())).collect()
        };
        let tx = work.flush().await?;
        let mut originals = by_id(tx.objects(&keys(&self.from, |d| d != Difference::Removed)).await?);
        // Who was named on a record stays so.
        let mut present = by_id(tx.objects(&keys(&to, |d| d == Difference::Changed)).await?);
        let mut objects = Vec::with_capacity(chunk.len());
        for difference in chunk {
            let uri = self.to.object(difference.id.as_str());
            let row = match difference.difference {
                Difference::Removed => tombstone_row(&uri, self.take())?,
                Difference::Added | Difference::Changed => {
                    let original = originals.remove(&difference.id).ok_or_else(|| damaged(&uri))?;
                    let present = present.remove(&difference.id);
                    self.copy_of(work, &uri, original, present).await?
                }
            };
            objects.push(row);
        }
        let bytes = objects.iter().map(|row| row.data.len()).sum::<usize>();
        self.copied.count += chunk.len() as u64;
        self.copied.bytes += bytes as u64;
        self.taken.clear();
        if let Some(remembered) = &mut self.remembered {
            objects.extend(remembered.with(work, chunk, &objects)?);
        }
        work.store().await?.write(&Writes { objects, ..Writes::default() }).await?;
        Ok(bytes)
    }

    fn take(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    async fn copy_of(
        &mut self,
        work: &mut Work<'_>,
        uri: &ObjectUri,
        original: ObjectRow,
        present: Option<ObjectRow>,
    ) -> Result<ObjectRow, Error> {
        let last_modified = match self.timestamps {
            Timestamps::New => self.take(),
            Timestamps::Kept | Timestamps::KeptIfChanged
                if present.as_ref().map(|row| row.last_modified) == Some(original.last_modified) =>
            {
                original.last_modified
            }
            Timestamps::Kept | Timestamps::KeptIfChanged => self.free(work, original.last_modified).await?,
        };
        let data = if last_modified == original.last_modified {
            original.data
        } else {
            with_timestamp(&original.data, last_modified).ok_or_else(|| damaged(uri))?
        };
        Ok(ObjectRow {
            list: self.to.to_string(),
            id: uri.id.clone(),
            last_modified,
            deleted: false,
            data,
            permissions: present.and_then(|row| row.permissions),
            content: original.content,
        })
    }

    /// The timestamp that is wanted, or the next that no record has.
    async fn free(&mut self, work: &mut Work<'_>, wanted: i64) -> Result<i64, Error> {
        let to = self.to.to_string();
        let mut free = work.store().await?.free_timestamp(&to, wanted).await?;
        while self.reserved.contains(&free) || !self.taken.insert(free) {
            free = work.store().await?.free_timestamp(&to, free + 1).await?;
        }
        Ok(free)
    }
}

fn by_id(rows: Vec<ObjectRow>) -> HashMap<String, ObjectRow> {
    rows.into_iter().filter(|row| !row.deleted).map(|row| (row.id.clone(), row)).collect()
}
