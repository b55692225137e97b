//! Entries about many records, as the store makes them of the records' own texts.

use countersign_store::Entries;
use jiff::Timestamp;

use super::{Action, iso, text_of};
use crate::collections::error::Error;
use crate::collections::ids;
use crate::collections::uri::{ListUri, ObjectUri};

/// The same was done to many records, whose timestamps follow one another.
pub(in crate::collections) struct ManyEntries<'a> {
    /// The records. Those with permissions of their own are not told of.
    pub(in crate::collections) records: &'a ListUri,
    /// The timestamps of the first and the last one.
    pub(in crate::collections) timestamps: (i64, i64),
    pub(in crate::collections) action: Action,
    pub(in crate::collections) by: &'a str,
    pub(in crate::collections) date: Timestamp,
    /// The timestamp of the first entry; those of the others follow as those of the records do.
    pub(in crate::collections) last_modified: i64,
}

impl ManyEntries<'_> {
    /// What the store is to write in `list`. Each has the text that [`super::Entry::row`] gives it.
    pub(in crate::collections) fn entries(&self, list: &ListUri) -> Result<Entries, Error> {
        let id = ids::ordered(self.last_modified)?;
        let (first, last) = self.timestamps;
        let collection = ObjectUri::collection(
            self.records.bucket_id().unwrap_or_default(),
            self.records.collection_id().unwrap_or_default(),
        );
        let (action, date, by) = (self.action.as_str(), iso(self.date), text_of(&collection, self.by)?);
        Ok(Entries {
            list: list.to_string(),
            of: self.records.to_string(),
            first,
            last,
            timestamp: self.last_modified,
            // What comes before it is the timestamp.
            id_end: id.get(13..).unwrap_or_default().to_owned(),
            text: [
                format!(
                    r#"{{"action":"{action}","collection_id":"{}","date":"{date}","id":""#,
                    collection.id
                ),
                r#"","last_modified":"#.to_owned(),
                r#","record_id":""#.to_owned(),
                r#"","resource_name":"record","target":{"data":"#.to_owned(),
                format!(r#","permissions":{{}}}},"uri":"{}/"#, self.records),
                format!(r#"","user_id":{by}}}"#),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;
    use crate::collections::call::Permissions;

    #[test]
    fn an_entry_of_many_says_what_one_alone_would() {
        let (records, history) = (ListUri::records("b", "c"), ListUri::history("b"));
        let many = ManyEntries {
            records: &records,
            timestamps: (5, 9),
            action: Action::Update,
            by: "account:\"\u{e9}",
            date: Timestamp::UNIX_EPOCH,
            last_modified: 1_795_208_538_874,
        };
        let entries = many.entries(&history).unwrap();
        let alone = Entry {
            uri: &records.object("r"),
            action: many.action,
            target: r#"{"id":"r","last_modified":5}"#,
            permissions: &Permissions::new(),
            by: many.by,
            date: many.date,
            last_modified: many.last_modified,
        };
        let alone = alone.row(&history).unwrap();
        let [before_id, before_time, before_record, before_data, before_uri, end] = &entries.text;
        // The ids differ in what is random.
        let id = &alone.id;
        let text = format!(
            "{before_id}{id}{before_time}1795208538874{before_record}r{before_data}{}{before_uri}r{end}",
            r#"{"id":"r","last_modified":5}"#
        );
        assert_eq!(text, alone.data);
        assert_eq!(alone.id[..13], *"01a1fac4-6afa");
        assert_eq!((entries.id_end.len(), entries.id_end.starts_with("-7")), (23, true));
        assert_eq!(
            (entries.list.as_str(), entries.of.as_str()),
            (&*history.to_string(), &*records.to_string())
        );
    }
}
