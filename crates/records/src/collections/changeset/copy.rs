//! A reader's copy of a collection.

use std::collections::BTreeMap;

use countersign_model::canonical::python_compact;
use countersign_model::{ToSign, strict_json};
use serde_json::Value;

use super::{Change, Changeset, ChangesetError};
use crate::collections::content_signature::{Mode, PREFIX, Profile, Writer};

/// The live records of a collection, and the time of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCopy {
    /// Canonical texts by id, whose order is that of the message.
    records: BTreeMap<String, String>,
    timestamp: i64,
}

impl LocalCopy {
    /// A copy of nothing, from before every change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings the copy to the state of a changeset, which has what changed since [`Self::timestamp`] or everything.
    ///
    /// # Errors
    /// [`ChangesetError::Older`]: the copy is as it was.
    pub fn apply(&mut self, changeset: Changeset) -> Result<(), ChangesetError> {
        let Changeset { timestamp, changes, .. } = changeset;
        if timestamp < self.timestamp {
            return Err(ChangesetError::Older { got: timestamp, have: self.timestamp });
        }
        for Change { id, record, .. } in changes {
            match record {
                Some(text) => self.records.insert(id, text),
                None => self.records.remove(&id),
            };
        }
        self.timestamp = timestamp;
        Ok(())
    }

    /// When the records last changed, in milliseconds since 1970.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records' canonical texts by id, in the order of ids.
    pub fn records(&self) -> impl Iterator<Item = (&str, &str)> {
        self.records.iter().map(|(id, text)| (id.as_str(), text.as_str()))
    }

    /// What must have been signed for a signature to be good for this copy.
    ///
    /// # Errors
    /// None for a copy made by [`Self::apply`].
    pub fn to_sign(&self, profile: Profile, mode: Mode) -> Result<ToSign, ChangesetError> {
        let mut writer = Writer::new(profile, mode);
        for (id, text) in self.records() {
            match profile {
                Profile::Modern => writer.record(id, text)?,
                Profile::Seed => writer.record(id, &of_2016(text)?)?,
            }
        }
        Ok(writer.finish(self.timestamp).0)
    }

    /// The same as bytes: for small collections, and to look at.
    ///
    /// # Errors
    /// None for a copy made by [`Self::apply`].
    pub fn message(&self, profile: Profile) -> Result<Vec<u8>, ChangesetError> {
        let texts: Vec<String> = match profile {
            Profile::Modern => self.records.values().cloned().collect(),
            Profile::Seed => self.records.values().map(|text| of_2016(text)).collect::<Result<_, _>>()?,
        };
        let data = texts.join(",");
        Ok(match profile {
            Profile::Modern => {
                let content = format!("{{\"data\":[{data}],\"last_modified\":\"{}\"}}", self.timestamp);
                [PREFIX, content.as_bytes()].concat()
            }
            Profile::Seed => format!("[{data}]").into_bytes(),
        })
    }
}

/// A record's text in the dialect of the seed. The two differ in numbers that are no integers.
fn of_2016(text: &str) -> Result<String, ChangesetError> {
    let value: Value = strict_json::parse(text.as_bytes())?;
    Ok(python_compact(&value))
}
