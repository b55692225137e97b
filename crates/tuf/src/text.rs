//! Documents as text, for repositories of any size: put together from the texts of their parts, with no value made of
//! them in between. What comes out is what [`crate::build`] gives for the same content, byte for byte.
//!
//! ```text
//! Head + other members + entries ──▶ SignedText ──canonical──▶ what is signed
//!                                        └──file(signatures)──▶ what is published
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::build::{Head, SPEC_VERSION};
use crate::canonical;
use crate::expires;
use crate::meta::Meta;
use crate::metadata::Kind;

/// The member `signed` of a document: compact JSON, all members sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText(String);

/// Targets metadata, top-level or delegated.
///
/// - `others`: members of `signed` beside those that every document begins with and `targets`: `delegations`, and
///   what only its author knows. One of those names that is in it all the same is passed over.
/// - `entries`: what [`entry`] gives for each target, sorted by the bytes of the paths, with a comma between each two;
///   no path twice.
pub fn targets(head: Head, others: &Map<String, Value>, entries: &str) -> SignedText {
    document(Kind::Targets, head, others, "targets", entries)
}

/// A member of `targets`.
///
/// - `info`: what [`crate::check::artifact`] gives.
pub fn entry(path: &str, info: &Value) -> String {
    format!("{}:{}", quoted(path), canonical::compact(info))
}

/// Snapshot metadata with no more than the versions of roles: where there are many, lengths and hashes would be most
/// of it.
///
/// - `roles`: names and versions, in any order; no name twice.
pub fn snapshot(
    head: Head,
    others: &Map<String, Value>,
    roles: impl IntoIterator<Item = (String, u64)>,
) -> SignedText {
    // By the names of the files: `a-b.json` comes before `a.json`.
    let mut files: Vec<(String, u64)> =
        roles.into_iter().map(|(role, version)| (format!("{role}.json"), version)).collect();
    files.sort_unstable();
    let mut meta = String::with_capacity(files.iter().map(|(name, _)| name.len() + 24).sum());
    for (at, (file, version)) in files.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(meta, "{comma}{}:{{\"version\":{version}}}", quoted(file));
    }
    document(Kind::Snapshot, head, others, "meta", &meta)
}

/// Timestamp metadata.
///
/// - `snapshot`: the snapshot that is newest, best with length and hashes.
pub fn timestamp(head: Head, others: &Map<String, Value>, snapshot: &Meta) -> SignedText {
    let entry = entry("snapshot.json", &snapshot.to_value());
    document(Kind::Timestamp, head, others, "meta", &entry)
}

impl SignedText {
    /// The text, as it stands in the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What signatures are over: the canonical form, which may not be JSON.
    pub fn canonical(&self) -> Cow<'_, str> {
        canonical::of_compact(&self.0)
    }

    /// The whole file.
    ///
    /// - `signatures`: the list of signatures as compact JSON, from [`signatures`].
    pub fn file(&self, signatures: &str) -> String {
        ["{\"signatures\":", signatures, ",\"signed\":", &self.0, "}"].concat()
    }
}

/// A list of signatures as compact JSON: key id and signature of each, no key id twice.
pub fn signatures<'a>(signatures: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("[");
    for (at, (keyid, sig)) in signatures.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{{\"keyid\":{},\"sig\":{}}}", quoted(keyid), quoted(sig));
    }
    text.push(']');
    text
}

/// `content`: the inside of the object that is the member `name`.
fn document(kind: Kind, head: Head, others: &Map<String, Value>, name: &str, content: &str) -> SignedText {
    let mut members: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in others {
        members.insert(name, canonical::compact(value).into());
    }
    members.insert("_type", quoted(kind.as_str()).into());
    members.insert("expires", quoted(&expires::render(head.expires)).into());
    members.insert("spec_version", quoted(SPEC_VERSION).into());
    members.insert("version", head.version.to_string().into());
    members.insert(name, Cow::Borrowed(""));
    let length = members.iter().map(|(name, value)| name.len() + value.len() + 8).sum::<usize>();
    let mut text = String::with_capacity(length + content.len());
    for (member, value) in members {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&quoted(member));
        text.push(':');
        if member == name {
            text.push('{');
            text.push_str(content);
            text.push('}');
        } else {
            text.push_str(&value);
        }
    }
    text.push('}');
    SignedText(text)
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("writing text to memory cannot fail")
}
