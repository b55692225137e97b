//! One transaction's view of the objects: what is read comes from the store or from what was changed before;
//! what is changed is kept, and written all at once.

mod staged;
mod timestamps;
mod trial;
mod tx;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use countersign_store::CollectionsTx;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::call::Permissions;
use super::error::Error;
use super::object::{self, Object};
use super::signer::events::Event;
use super::uri::{Kind, ListUri, ObjectUri};
use super::{history, principals};
use crate::context::Context;

pub(super) use timestamps::SKEW;
pub use timestamps::{LATEST, Stamp};

use staged::Staged;
pub(super) use trial::Trial;
use tx::Tx;

/// One transaction's view of the objects.
///
/// Requests are applied one after the other; each sees what those before it staged. Nothing reaches the database
/// before [`Self::flush`], so that a request that is refused is undone in memory.
pub struct Work<'a> {
    pub(crate) ctx: &'a Context,
    tx: Tx,
    now: Timestamp,
    mode: Mode,
    /// Objects as they are now; `None`: it is known that there is none.
    view: HashMap<ObjectUri, Option<Arc<Object>>>,
    /// Timestamps of lists as they are now.
    timestamps: HashMap<ListUri, i64>,
    pub(super) groups: principals::Groups,
    staged: Vec<Staged>,
    undo: Vec<Undo>,
    /// Timestamps of staged objects, and of some that are not any more: no other object gets them.
    taken: HashMap<ListUri, HashSet<i64>>,
    touched: HashSet<ListUri>,
    flushes: u32,
    /// What the request keeps if it is attempted again.
    pub(super) trial: Trial,
    /// What reviewers and editors are to be told of, if all this is committed.
    pub events: Vec<Event>,
}

/// What the transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read one state.
    Read,
    /// Change it.
    Write,
}

enum Undo {
    Object(ObjectUri, Option<Option<Arc<Object>>>),
    Timestamp(ListUri, Option<i64>),
}

/// Fewer rows are not written ahead: a statement has its price.
const WORTH_WRITING: usize = 256;

/// A point that can be gone back to, as long as nothing was flushed since.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    staged: usize,
    undo: usize,
    events: usize,
    flushes: u32,
}

/// What was flushed cannot be undone alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotUndo;

impl<'a> Work<'a> {
    /// Begins a transaction.
    ///
    /// # Errors
    /// [`Error::Other`] if the database does not answer.
    pub async fn begin(ctx: &'a Context, mode: Mode) -> Result<Self, Error> {
        let tx = match mode {
            Mode::Read => ctx.store().collections_read().await?,
            Mode::Write => ctx.store().collections_write().await?,
        };
        Ok(Self {
            ctx,
            tx: Tx::Here(tx),
            now: ctx.now(),
            mode,
            view: HashMap::new(),
            timestamps: HashMap::new(),
            groups: principals::Groups::default(),
            staged: Vec::new(),
            undo: Vec::new(),
            taken: HashMap::new(),
            touched: HashSet::new(),
            flushes: 0,
            trial: Trial::default(),
            events: Vec::new(),
        })
    }

    /// The time of the request.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The object, if there is one: as it was staged, or as the store has it.
    ///
    /// # Errors
    /// [`Error::Other`] if the database does not answer.
    pub async fn get(&mut self, uri: &ObjectUri) -> Result<Option<Arc<Object>>, Error> {
        if let Some(known) = self.view.get(uri) {
            return Ok(known.clone());
        }
        self.prefetch(std::slice::from_ref(uri)).await?;
        Ok(self.view.get(uri).cloned().flatten())
    }

    /// Loads objects that will be asked for, in one query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn prefetch(&mut self, uris: &[ObjectUri]) -> Result<(), Error> {
        let missing: HashMap<(String, String), &ObjectUri> = uris
            .iter()
            .filter(|uri| !self.view.contains_key(*uri))
            .map(|uri| ((uri.list.to_string(), uri.id.clone()), uri))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = missing.keys().cloned().collect();
        let rows = self.tx.get().await?.objects(&keys).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let key = (row.list.clone(), row.id.clone());
            if let Some(uri) = missing.get(&key) {
                found.insert((*uri).clone(), Object::from_row((*uri).clone(), row)?.map(Arc::new));
            }
        }
        for uri in missing.into_values() {
            let object = found.remove(uri).flatten();
            self.view.insert(uri.clone(), object);
        }
        Ok(())
    }

    fn set(&mut self, uri: &ObjectUri, object: Option<Arc<Object>>) {
        let before = self.view.insert(uri.clone(), object);
        self.undo.push(Undo::Object(uri.clone(), before));
        if !self.touched.contains(&uri.list) {
            self.touched.insert(uri.list.clone());
        }
        if uri.kind() == Kind::Group {
            self.groups.changed(uri);
        }
    }

    /// Makes or replaces an object. Readers of this transaction see it from now on.
    ///
    /// - `data`: its members; `id` and `last_modified` do not count.
    /// - `by`: who does it, for the history.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a timestamp that no object can have, and as [`Self::get`].
    pub async fn stage(
        &mut self,
        uri: &ObjectUri,
        data: Map<String, Value>,
        permissions: impl Into<Arc<Permissions>>,
        by: &str,
        stamp: Stamp,
    ) -> Result<Arc<Object>, Error> {
        let old = self.get(uri).await?;
        let last_modified = self.stamp(uri, old.as_ref().map(|old| old.last_modified), stamp).await?;
        let object = Arc::new(Object::new(uri.clone(), last_modified, data, permissions.into())?);
        self.staged.push(Staged::Object(object.row()?));
        if uri.kind() == Kind::Group {
            let members = principals::members(object.data()?).map(str::to_owned).collect();
            self.staged.push(Staged::Members(uri.to_string(), members));
        }
        self.set(uri, Some(Arc::clone(&object)));
        if old.is_none() {
            self.begin_lists_below(uri).await?;
        }
        let action = if old.is_some() { history::Action::Update } else { history::Action::Create };
        self.remember(uri, action, object.text(), &object.permissions, by).await?;
        Ok(object)
    }

    /// Deletes an object, which leaves a tombstone. What is below it stays: see [`Self::remove_under`].
    ///
    /// Returns the tombstone's timestamp.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub async fn delete(&mut self, uri: &ObjectUri, by: &str, stamp: Stamp) -> Result<i64, Error> {
        let old = self.get(uri).await?;
        let last_modified = self.stamp(uri, old.as_ref().map(|old| old.last_modified), stamp).await?;
        let row = object::tombstone_row(uri, last_modified)?;
        let text = row.data.clone();
        self.staged.push(Staged::Object(row));
        if uri.kind() == Kind::Group {
            self.staged.push(Staged::Members(uri.to_string(), Vec::new()));
        }
        self.set(uri, None);
        self.remember(uri, history::Action::Delete, &text, &Permissions::new(), by).await?;
        Ok(last_modified)
    }

    /// Deletes an object without a tombstone and without history.
    pub fn erase(&mut self, uri: &ObjectUri) {
        self.staged.push(Staged::Erased(uri.list.to_string(), uri.id.clone()));
        if uri.kind() == Kind::Group {
            self.staged.push(Staged::Members(uri.to_string(), Vec::new()));
        }
        self.set(uri, None);
    }

    /// Erases everything below a bucket or collection, after writing what is staged.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn remove_under(&mut self, uri: &ObjectUri) -> Result<(), Error> {
        self.flush().await?.remove_under(&uri.to_string()).await?;
        let below = format!("{uri}/");
        let is_below = |list: &ListUri| list.to_string().starts_with(&below);
        let lists: HashSet<ListUri> =
            self.view.keys().map(|uri| uri.list.clone()).filter(|list| is_below(list)).collect();
        self.view.retain(|uri, _| !lists.contains(&uri.list));
        self.touched.extend(lists);
        // What readers remember of it need not have been looked at here.
        match uri.kind() {
            Kind::Bucket => drop(self.touched.insert(ListUri::collections(&uri.id))),
            Kind::Collection => {
                let bucket = uri.bucket_id().unwrap_or_default();
                self.touched.insert(ListUri::records(bucket, &uri.id));
            }
            _ => {}
        }
        self.groups.forget();
        Ok(())
    }

    /// Writes what is staged, so that the transaction's queries see it. What follows in this request must not
    /// be refused for the client's fault: only what undoes everything may fail.
    ///
    /// # Errors
    /// [`Error::Other`]; the transaction is of no more use then.
    pub async fn flush(&mut self) -> Result<&mut CollectionsTx, Error> {
        self.flushes += 1;
        self.undo.clear();
        if !self.staged.is_empty() {
            self.taken.clear();
            let writes = staged::collect(std::mem::take(&mut self.staged));
            self.tx.get().await?.write(&writes).await?;
        }
        self.tx.get().await
    }

    /// Begins to write what is staged, if it is much, while the next call is applied: they need not take turns. What
    /// was staged cannot be undone alone any more. An error is that of whoever needs the transaction next.
    ///
    /// # Errors
    /// That of an earlier write.
    pub(super) async fn write_ahead(&mut self) -> Result<(), Error> {
        if self.staged.len() < WORTH_WRITING || self.tx.is_writing() {
            return Ok(());
        }
        self.tx.get().await?;
        self.flushes += 1;
        self.undo.clear();
        self.taken.clear();
        if let Err(staged) = self.tx.write(std::mem::take(&mut self.staged)) {
            self.staged = staged;
        }
        Ok(())
    }

    /// Whether a write failed, which is the fault of no call that is applied after it.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.tx, Tx::Lost)
    }

    /// Objects of a list were written past this view: they are read again, and readers' memory of them must be
    /// forgotten when this is committed.
    pub(super) fn written_directly(&mut self, list: &ListUri) {
        self.view.retain(|uri, _| uri.list != *list);
        self.timestamps.remove(list);
        self.touched.insert(list.clone());
    }

    /// The transaction, for queries that need not see what is staged.
    ///
    /// # Errors
    /// [`Error::Other`] if something could not be written before.
    pub async fn store(&mut self) -> Result<&mut CollectionsTx, Error> {
        self.tx.get().await
    }

    /// Whether an object that does not live was there before.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn has_tombstone(&mut self, uri: &ObjectUri) -> Result<bool, Error> {
        let list = uri.list.to_string();
        let staged = self.staged.iter().any(|staged| match staged {
            Staged::Object(row) => row.deleted && row.id == uri.id && row.list == list,
            _ => false,
        });
        Ok(staged
            || self.tx.get().await?.objects(&[(list, uri.id.clone())]).await?.iter().any(|row| row.deleted))
    }

    /// Whether something is staged that queries of the transaction do not see.
    pub(crate) fn has_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// A point to go back to.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            staged: self.staged.len(),
            undo: self.undo.len(),
            events: self.events.len(),
            flushes: self.flushes,
        }
    }

    /// Goes back to a savepoint: what was staged since never was.
    ///
    /// # Errors
    /// [`CannotUndo`] if something was flushed since.
    pub fn rollback(&mut self, savepoint: Savepoint) -> Result<(), CannotUndo> {
        if savepoint.flushes != self.flushes {
            return Err(CannotUndo);
        }
        self.staged.truncate(savepoint.staged);
        self.events.truncate(savepoint.events);
        for undo in self.undo.drain(savepoint.undo..).rev() {
            match undo {
                Undo::Object(uri, Some(before)) => drop(self.view.insert(uri, before)),
                Undo::Object(uri, None) => drop(self.view.remove(&uri)),
                Undo::Timestamp(list, Some(before)) => drop(self.timestamps.insert(list, before)),
                Undo::Timestamp(list, None) => drop(self.timestamps.remove(&list)),
            }
        }
        Ok(())
    }

    /// Writes what is staged and makes it durable. Returns the lists in which something changed.
    ///
    /// # Errors
    /// [`Error::Other`]: nothing was written, unless the connection was lost at the very end.
    pub async fn commit(mut self) -> Result<HashSet<ListUri>, Error> {
        self.flush().await?;
        self.tx.commit().await?;
        Ok(self.touched)
    }

    /// What is known of an object, if it is: without a query.
    pub(super) fn known(&self, uri: &ObjectUri) -> Option<&Option<Arc<Object>>> {
        self.view.get(uri)
    }

    /// Keeps what was done in the bucket's history.
    async fn remember(
        &mut self,
        uri: &ObjectUri,
        action: history::Action,
        target: &str,
        permissions: &Permissions,
        by: &str,
    ) -> Result<(), Error> {
        if !self.ctx.collections.settings.history || matches!(uri.kind(), Kind::Account | Kind::History) {
            return Ok(());
        }
        let Some(bucket) = uri.bucket_id() else { return Ok(()) };
        let list = ListUri::history(bucket);
        let last = self.timestamp(&list).await?;
        let last_modified = self.now.as_millisecond().max(last + 1);
        self.set_timestamp(&list, last_modified);
        let entry = history::Entry { uri, action, target, permissions, by, date: self.now, last_modified };
        self.staged.push(Staged::Object(entry.row(&list)?));
        Ok(())
    }
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("mode", &self.mode)
            .field("staged", &self.staged.len())
            .finish_non_exhaustive()
    }
}
