//! What was done in a bucket, by whom and when: entries of `/buckets/B/history`.

mod many;

use std::fmt::Write as _;

use countersign_model::canonical::write_content_signature;
use countersign_store::ObjectRow;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::{Map, Value};

use super::call::Permissions;
use super::error::Error;
use super::ids;
use super::object::damaged;
use super::uri::{Kind, ListUri, ObjectUri};

pub(super) use many::ManyEntries;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// An entry before it is written.
pub(super) struct Entry<'a> {
    pub(super) uri: &'a ObjectUri,
    pub(super) action: Action,
    /// The object or its tombstone, canonical.
    pub(super) target: &'a str,
    pub(super) permissions: &'a Permissions,
    pub(super) by: &'a str,
    pub(super) date: Timestamp,
    pub(super) last_modified: i64,
}

impl Entry<'_> {
    /// The row of the entry. Its text is put together from the object's, which is canonical already; the members
    /// are in the order of their names.
    pub(super) fn row(&self, list: &ListUri) -> Result<ObjectRow, Error> {
        let id = ids::ordered(self.last_modified)?;
        let by = text_of(self.uri, self.by)?;
        let mut permissions = String::from("{");
        for (i, (name, principals)) in self.permissions.iter().enumerate() {
            permissions.push_str(if i == 0 { "" } else { "," });
            permissions.push_str(&text_of(self.uri, name)?);
            permissions.push(':');
            for (i, principal) in principals.iter().enumerate() {
                permissions.push(if i == 0 { '[' } else { ',' });
                permissions.push_str(&text_of(self.uri, principal)?);
            }
            permissions.push_str(if principals.is_empty() { "[]" } else { "]" });
        }
        permissions.push('}');
        let mut data = String::with_capacity(self.target.len() + 320);
        let mut members = |name: &str, value: std::fmt::Arguments<'_>| {
            let comma = if data.is_empty() { '{' } else { ',' };
            let _ = write!(data, "{comma}\"{name}\":{value}");
        };
        let kind = self.uri.kind();
        members("action", format_args!("\"{}\"", self.action.as_str()));
        if kind == Kind::Bucket {
            members("bucket_id", format_args!("\"{}\"", self.uri.id));
        }
        if let Some(collection) = self.uri.collection_id() {
            members("collection_id", format_args!("\"{collection}\""));
        }
        members("date", format_args!("\"{}\"", iso(self.date)));
        if kind == Kind::Group {
            members("group_id", format_args!("\"{}\"", self.uri.id));
        }
        members("id", format_args!("\"{id}\""));
        members("last_modified", format_args!("{}", self.last_modified));
        if kind == Kind::Record {
            members("record_id", format_args!("\"{}\"", self.uri.id));
        }
        members("resource_name", format_args!("\"{}\"", kind.as_str()));
        members("target", format_args!("{{\"data\":{},\"permissions\":{permissions}}}", self.target));
        members("uri", format_args!("\"{}\"", self.uri));
        members("user_id", format_args!("{by}"));
        data.push('}');
        Ok(ObjectRow {
            list: list.to_string(),
            id,
            last_modified: self.last_modified,
            deleted: false,
            data,
            permissions: None,
            content: None,
        })
    }
}

/// A text as canonical JSON.
fn text_of(uri: &ObjectUri, text: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len() + 2);
    write_content_signature(&Value::from(text), &mut out).map_err(|_| damaged(uri))?;
    Ok(out)
}

/// Takes out of an entry who may do what with its target, unless one of `principals` may write that.
pub(super) fn hide_permissions(entry: &mut Map<String, Value>, principals: &[String]) {
    let Some(Value::Object(target)) = entry.get_mut("target") else { return };
    let Some(shown) = target.get_mut("permissions") else { return };
    let writers = shown.get("write").and_then(Value::as_array);
    let mut writers = writers.into_iter().flatten().filter_map(Value::as_str);
    if !writers.any(|writer| principals.iter().any(|principal| principal == writer)) {
        *shown = Value::Object(Map::new());
    }
}

/// ISO 8601 with microseconds and `+00:00`: as history and the signer's fields have it.
pub fn iso(time: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    let text = PRINTER.timestamp_to_string(&time);
    text.strip_suffix('Z').map_or(text.clone(), |text| format!("{text}+00:00"))
}

#[cfg(test)]
mod tests {
    use countersign_model::canonical::content_signature;

    use super::*;

    #[test]
    fn dates_have_microseconds_and_an_offset() {
        let time: Timestamp = "2026-11-20T21:02:33.369808999Z".parse().unwrap();
        assert_eq!(iso(time), "2026-11-20T21:02:33.369808+00:00");
        assert_eq!(iso("2026-11-20T21:02:33Z".parse().unwrap()), "2026-11-20T21:02:33.000000+00:00");
    }

    #[test]
    fn an_entry_is_canonical_json_as_it_is_put_together() {
        let permissions = Permissions::from([
            ("read".into(), ["a".into(), "b".into()].into()),
            ("read:attributes".into(), [].into()),
            ("write".into(), ["account:\u{e9}".into()].into()),
        ]);
        for uri in [
            ObjectUri::bucket("b"),
            ObjectUri::group("b", "g"),
            ObjectUri::collection("b", "c"),
            ObjectUri::record("b", "c", "r"),
        ] {
            let entry = Entry {
                uri: &uri,
                action: Action::Update,
                target: r#"{"a":1,"id":"r","last_modified":7}"#,
                permissions: &permissions,
                by: "account:\"x",
                date: Timestamp::UNIX_EPOCH,
                last_modified: 9,
            };
            let row = entry.row(&ListUri::history("b")).unwrap();
            let value: Value = serde_json::from_str(&row.data).unwrap();
            assert_eq!(content_signature(&value).unwrap(), row.data);
            assert_eq!(value["uri"], uri.to_string());
            assert_eq!(value["resource_name"], uri.kind().as_str());
            assert_eq!(value["target"]["data"]["a"], 1);
            assert_eq!(value["user_id"], "account:\"x");
            assert_eq!(value["id"], row.id);
            assert_eq!(value.get("collection_id").is_some(), uri.collection_id().is_some());
        }
    }
}
