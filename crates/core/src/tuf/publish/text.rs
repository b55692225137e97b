//! Rows as text: what [`countersign_tuf::text`] puts together from what the database has.

use countersign_store::RoleRow;
use countersign_tuf::build::Head;
use countersign_tuf::meta::Meta;
use countersign_tuf::text::{self, SignedText};
use serde_json::{Map, Value};

use crate::error::Error;

/// `signed` of targets metadata.
///
/// - `entries`: members of `targets`, sorted by path, with a comma between each two.
pub(super) fn targets(row: &RoleRow, entries: &str) -> Result<SignedText, Error> {
    Ok(text::targets(head(row), &others(row)?, entries))
}

/// `signed` of the snapshot that lists `versions`.
pub(super) fn snapshot(row: &RoleRow, versions: Vec<(String, u64)>) -> Result<SignedText, Error> {
    Ok(text::snapshot(head(row), &others(row)?, versions))
}

/// `signed` of the timestamp that names this snapshot.
pub(super) fn timestamp(row: &RoleRow, snapshot: &Meta) -> Result<SignedText, Error> {
    Ok(text::timestamp(head(row), &others(row)?, snapshot))
}

fn head(row: &RoleRow) -> Head {
    Head { version: row.version, expires: row.expires }
}

/// Members of `signed` beside those that every document has.
fn others(row: &RoleRow) -> Result<Map<String, Value>, Error> {
    let Some(head) = &row.head else { return Ok(Map::new()) };
    serde_json::from_str(head)
        .map_err(|_| Error::Internal(format!("the database's record of role `{}` is damaged", row.name)))
}

#[cfg(test)]
mod tests {
    use countersign_store::Moving;
    use countersign_tuf::metadata::Document;
    use serde_json::json;

    use super::*;

    fn row(head: &str) -> RoleRow {
        RoleRow {
            name: "team".into(),
            version: 3,
            expires: "2026-11-27T21:45:39Z".parse().unwrap(),
            days: 7,
            head: Some(head.to_owned()),
            signatures: None,
            moving: Moving::ToSign,
            listed: true,
            online: true,
            document: None,
            bytes: 0,
        }
    }

    #[test]
    fn what_a_row_says_is_in_its_document() {
        let row = row(r#"{"x-one-two":"\u0001","delegations":{"roles":[],"keys":{}}}"#);
        let text = targets(&row, r#""a":{"hashes":{"sha256":"00"},"length":1}"#).unwrap();
        let document = Document::parse(text.file("[]").as_bytes()).unwrap();
        let signed = json!({
            "_type": "targets", "spec_version": "1.0.31", "version": 3, "expires": "2026-11-27T21:45:39Z",
            "x-one-two": "\u{1}", "delegations": {"keys": {}, "roles": []}, "targets": {"a": {"length": 1, "hashes": {"sha256": "00"}}},
        });
        assert_eq!(Value::Object(document.signed().clone()), signed);
        assert_eq!(document.signed_bytes(), text.canonical().as_bytes());
    }

    #[test]
    fn a_damaged_row_is_said_to_be() {
        assert!(targets(&row("{"), "").unwrap_err().to_string().contains("team"));
    }
}
