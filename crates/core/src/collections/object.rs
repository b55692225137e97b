//! One object as the store has it, and what decides whether two are the same.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use countersign_model::canonical::write_content_signature_members;
use countersign_store::ObjectRow;
use serde_json::{Map, Value};

use super::call::Permissions;
use super::error::Error;
use super::uri::{Kind, ObjectUri};

/// A bucket, group, collection, record, history entry or account that exists.
#[derive(Debug)]
pub struct Object {
    /// Where it is.
    pub uri: ObjectUri,
    /// Its timestamp: milliseconds, unique in its list.
    pub last_modified: i64,
    /// Who may do what with it.
    pub permissions: Arc<Permissions>,
    /// All of it as canonical JSON (the dialect of content signatures): what is stored, served and signed.
    text: String,
    /// What `text` says but for `id` and `last_modified`; read when somebody asks.
    data: OnceLock<Map<String, Value>>,
}

impl Object {
    /// What `row` says, if it is no tombstone.
    ///
    /// # Errors
    /// [`Error::Other`] if the permissions are not what was once written.
    pub fn from_row(uri: ObjectUri, row: ObjectRow) -> Result<Option<Self>, Error> {
        if row.deleted {
            return Ok(None);
        }
        let permissions = match &row.permissions {
            None => Permissions::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| damaged(&uri))?,
        };
        Ok(Some(Self {
            uri,
            last_modified: row.last_modified,
            permissions: Arc::new(permissions),
            text: row.data,
            data: OnceLock::new(),
        }))
    }

    /// An object that is about to be written.
    ///
    /// - `data`: its members, without `id` and `last_modified`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that has no canonical form; none that was read from JSON.
    pub fn new(
        uri: ObjectUri,
        last_modified: i64,
        data: Map<String, Value>,
        permissions: Arc<Permissions>,
    ) -> Result<Self, Error> {
        let text = text_of(&uri.id, last_modified, &data)?;
        Ok(Self { uri, last_modified, permissions, text, data: OnceLock::from(data) })
    }

    /// All of it as canonical JSON, with `id` and `last_modified`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its members but for `id` and `last_modified`.
    ///
    /// # Errors
    /// [`Error::Other`] if the store has something that is not a JSON object.
    pub fn data(&self) -> Result<&Map<String, Value>, Error> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let mut data: Map<String, Value> =
            serde_json::from_str(&self.text).map_err(|_| damaged(&self.uri))?;
        data.remove("id");
        data.remove("last_modified");
        Ok(self.data.get_or_init(|| data))
    }

    /// All of it as JSON, with `id` and `last_modified`.
    ///
    /// # Errors
    /// As [`Self::data`].
    pub fn value(&self) -> Result<Value, Error> {
        serde_json::from_str(&self.text).map_err(|_| damaged(&self.uri))
    }

    /// The row that it is in the store.
    pub(crate) fn row(&self) -> Result<ObjectRow, Error> {
        let content = match self.uri.kind() {
            Kind::Record => Some(content_of(&self.uri.id, self.data()?)?),
            _ => None,
        };
        let permissions = if self.permissions.is_empty() {
            None
        } else {
            Some(serde_json::to_string(&*self.permissions).map_err(|_| damaged(&self.uri))?)
        };
        Ok(ObjectRow {
            list: self.uri.list.to_string(),
            id: self.uri.id.clone(),
            last_modified: self.last_modified,
            deleted: false,
            data: self.text.clone(),
            permissions,
            content,
        })
    }
}

/// The row of a deleted object.
pub(crate) fn tombstone_row(uri: &ObjectUri, last_modified: i64) -> Result<ObjectRow, Error> {
    Ok(ObjectRow {
        list: uri.list.to_string(),
        id: uri.id.clone(),
        last_modified,
        deleted: true,
        data: tombstone_text(&uri.id, last_modified)?,
        permissions: None,
        content: None,
    })
}

/// What a deleted object is for readers.
pub(crate) fn tombstone_text(id: &str, last_modified: i64) -> Result<String, Error> {
    let deleted = Map::from_iter([("deleted".to_owned(), Value::Bool(true))]);
    text_of(id, last_modified, &deleted)
}

/// The canonical JSON of an object.
fn text_of(id: &str, last_modified: i64, data: &Map<String, Value>) -> Result<String, Error> {
    let (id, last_modified) = (Value::from(id), Value::from(last_modified));
    let mut text = String::with_capacity(128);
    write(data, &[("id", &id), ("last_modified", &last_modified)], |_| true, &mut text)?;
    Ok(text)
}

/// SHA-256 of what makes a record the same as another: all but when it was written and by which schema, which is a
/// number; anything else called so is content.
fn content_of(id: &str, data: &Map<String, Value>) -> Result<[u8; 32], Error> {
    let id = Value::from(id);
    let mut text = String::with_capacity(128);
    let stamped = data.get("schema").is_some_and(Value::is_number);
    write(data, &[("id", &id)], |name| !stamped || name != "schema", &mut text)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    Ok(hash)
}

/// Writes `data` with the members `own`, which come in the order of their names, where they belong.
fn write(
    data: &Map<String, Value>,
    own: &[(&str, &Value)],
    keep: impl Fn(&str) -> bool,
    out: &mut String,
) -> Result<(), Error> {
    let mut own = own.iter().copied().peekable();
    let mut rest = data
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| keep(name) && *name != "id" && *name != "last_modified")
        .peekable();
    let merged = std::iter::from_fn(|| match (own.peek(), rest.peek()) {
        (Some(mine), Some(other)) if other.0 < mine.0 => rest.next(),
        (Some(_), _) => own.next(),
        (None, _) => rest.next(),
    });
    write_content_signature_members(merged, out)
        .map_err(|error| Error::invalid(super::Location::Body, "data", error.to_string()))
}

pub(crate) fn damaged(uri: &ObjectUri) -> Error {
    Error::Other(crate::Error::Internal(format!("the database is damaged: `{uri}` cannot be read")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(data: Value) -> Object {
        let Value::Object(data) = data else { panic!("an object") };
        Object::new(ObjectUri::record("b", "c", "r"), 7, data, Arc::default()).unwrap()
    }

    #[test]
    fn an_object_is_stored_as_it_is_signed() {
        let made = object(json!({"z": "é", "a": 1.0, "k": null}));
        let text = r#"{"a":1E0,"id":"r","k":null,"last_modified":7,"z":"\u00e9"}"#;
        assert_eq!(made.text(), text);
        let read = Object::from_row(made.uri.clone(), made.row().unwrap()).unwrap().unwrap();
        assert_eq!(read.text(), text);
        assert_eq!(read.data().unwrap(), made.data().unwrap());
        assert!(!read.data().unwrap().contains_key("id"));
        assert_eq!(read.value().unwrap()["id"], "r");
    }

    #[test]
    fn records_are_the_same_whenever_and_by_whatever_schema_they_were_written() {
        let content = |value| object(value).row().unwrap().content.unwrap();
        assert_eq!(content(json!({"a": 1, "schema": 5})), content(json!({"a": 1, "schema": 6})));
        assert_eq!(content(json!({"a": 1, "schema": 5})), content(json!({"a": 1})));
        assert_ne!(content(json!({"a": 1})), content(json!({"a": 2})));
        assert_ne!(content(json!({"a": 1})), content(json!({"a": 1.0})));
    }

    #[test]
    fn a_tombstone_has_id_and_time_and_says_that_it_is_one() {
        let row = tombstone_row(&ObjectUri::record("b", "c", "r"), 9).unwrap();
        assert_eq!(row.data, r#"{"deleted":true,"id":"r","last_modified":9}"#);
        assert!(Object::from_row(ObjectUri::record("b", "c", "r"), row).unwrap().is_none());
    }

    #[test]
    fn what_clients_call_id_or_last_modified_does_not_count() {
        let made = object(json!({"id": "other", "last_modified": 1}));
        assert_eq!(made.text(), r#"{"id":"r","last_modified":7}"#);
    }
}
