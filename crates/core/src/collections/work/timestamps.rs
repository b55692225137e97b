//! Timestamps of lists, and which one an object gets.

use std::collections::{HashMap, HashSet};

use super::staged::Staged;
use super::{Mode, Undo, Work};
use crate::collections::error::{Error, Location};
use crate::collections::uri::{Kind, ListUri, ObjectUri};

/// Which timestamp an object gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The next one of its list.
    Next,
    /// What a client asks for: an object that is made gets it, one that is changed if it is later than the one it
    /// has. If another object of the list has it, it becomes the next that is free.
    Wanted(i64),
    /// This one, even if the object becomes older by it; if another object has it, the next that is free.
    Kept(i64),
    /// One of those that [`Work::reserve`] gave.
    Reserved(i64),
}

/// The latest timestamp that an object can have: `Last-Modified` has years of four digits.
pub const LATEST: i64 = 253_402_200_000_000;

/// A day, in milliseconds: as far as the clocks of clients may be ahead. A list counts on from its highest timestamp,
/// so one of the far future would leave it there for good.
pub(in crate::collections) const SKEW: i64 = 86_400_000;

impl Work<'_> {
    /// The timestamp of a list: the highest that an object of it ever had. A list that has none gets one.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn timestamp(&mut self, list: &ListUri) -> Result<i64, Error> {
        if let Some(known) = self.timestamps.get(list) {
            return Ok(*known);
        }
        self.prefetch_timestamps(std::slice::from_ref(list)).await?;
        if let Some(known) = self.timestamps.get(list) {
            return Ok(*known);
        }
        Ok(match self.mode {
            // Buckets and collections give the lists below them one; these are the lists that have no parent.
            Mode::Read => self.ctx.collections.started(),
            Mode::Write => {
                let first = self.now.as_millisecond();
                self.set_timestamp(list, first);
                self.staged.push(Staged::Timestamp(list.to_string(), first));
                first
            }
        })
    }

    /// Loads timestamps that will be asked for, in one query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn prefetch_timestamps(&mut self, lists: &[ListUri]) -> Result<(), Error> {
        let missing: HashMap<String, &ListUri> = lists
            .iter()
            .filter(|list| !self.timestamps.contains_key(*list))
            .map(|list| (list.to_string(), list))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = missing.keys().cloned().collect();
        for (name, timestamp) in self.tx.get().await?.timestamps(&names).await? {
            if let Some(list) = missing.get(&name) {
                self.timestamps.insert((*list).clone(), timestamp);
            }
        }
        Ok(())
    }

    pub(super) fn set_timestamp(&mut self, list: &ListUri, timestamp: i64) {
        let before = self.timestamps.insert(list.clone(), timestamp);
        self.undo.push(Undo::Timestamp(list.clone(), before));
    }

    /// `count` timestamps of a list, one after the other, of which this is the first. They end now, if they can,
    /// so that many copies do not run into the future; they end later than `after`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn reserve(&mut self, list: &ListUri, count: u32, after: i64) -> Result<i64, Error> {
        let count = i64::from(count);
        let last = self.timestamp(list).await?;
        let end = self.now.as_millisecond().max(last + count).max(after.saturating_add(1));
        self.set_timestamp(list, end);
        Ok(end - count + 1)
    }

    /// The timestamp that an object gets now, which its list knows from now on.
    pub(super) async fn stamp(
        &mut self,
        uri: &ObjectUri,
        old: Option<i64>,
        stamp: Stamp,
    ) -> Result<i64, Error> {
        let timestamp = self.choose(&uri.list, old, stamp).await?;
        match self.taken.get_mut(&uri.list) {
            Some(taken) => drop(taken.insert(timestamp)),
            None => drop(self.taken.insert(uri.list.clone(), HashSet::from([timestamp]))),
        }
        Ok(timestamp)
    }

    async fn choose(&mut self, list: &ListUri, old: Option<i64>, stamp: Stamp) -> Result<i64, Error> {
        let (wanted, held) = match stamp {
            Stamp::Reserved(timestamp) => return Ok(timestamp),
            Stamp::Wanted(wanted) if old.is_none_or(|old| wanted > old) => (Some(wanted), None),
            Stamp::Kept(wanted) => (Some(wanted), old),
            Stamp::Next | Stamp::Wanted(_) => (None, None),
        };
        let last = self.timestamp(list).await?;
        let Some(wanted) = wanted else {
            let next = self.now.as_millisecond().max(last + 1);
            self.set_timestamp(list, next);
            return Ok(next);
        };
        // What is copied was judged when it was written.
        let latest = match stamp {
            Stamp::Wanted(_) => self.now.as_millisecond().saturating_add(SKEW),
            _ => LATEST,
        };
        if !(0..=latest).contains(&wanted) {
            let what = format!("{wanted} is not a timestamp in milliseconds up to a day from now");
            return Err(Error::invalid(Location::Body, "data.last_modified", what));
        }
        if held == Some(wanted) {
            return Ok(wanted);
        }
        let free = if wanted > last { wanted } else { self.free(list, wanted).await? };
        if free > last {
            self.set_timestamp(list, free);
        }
        Ok(free)
    }

    /// The first timestamp from `wanted` on that no object has, staged ones included.
    async fn free(&mut self, list: &ListUri, wanted: i64) -> Result<i64, Error> {
        let name = list.to_string();
        let mut free = wanted;
        loop {
            // Many that ask for one timestamp are staged one after the other: the database is not asked for each.
            while self.taken.get(list).is_some_and(|taken| taken.contains(&free)) {
                free += 1;
            }
            let known = free;
            free = self.tx.get().await?.free_timestamp(&name, known).await?;
            if free == known {
                return Ok(free);
            }
        }
    }

    /// The lists below a new bucket or collection have a timestamp from the beginning, so that reading one does
    /// not write.
    pub(super) async fn begin_lists_below(&mut self, uri: &ObjectUri) -> Result<(), Error> {
        let lists = match uri.kind() {
            Kind::Bucket => {
                vec![ListUri::groups(&uri.id), ListUri::collections(&uri.id), ListUri::history(&uri.id)]
            }
            Kind::Collection => {
                vec![ListUri::records(uri.bucket_id().unwrap_or_default(), &uri.id)]
            }
            _ => return Ok(()),
        };
        self.prefetch_timestamps(&lists).await?;
        for list in &lists {
            self.timestamp(list).await?;
        }
        Ok(())
    }
}
