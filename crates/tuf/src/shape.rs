//! Reading members of a JSON object, with errors that say where.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::metadata::MetadataError;

/// A JSON object's members.
pub(crate) type Members = Map<String, Value>;

/// `value` as an object. `at`: what it is, for the message.
pub(crate) fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Members, MetadataError> {
    value.as_object().ok_or_else(|| bad(at, "an object"))
}

pub(crate) fn member<'a>(members: &'a Members, name: &'static str) -> Result<&'a Value, MetadataError> {
    members.get(name).ok_or_else(|| bad(name, "there"))
}

pub(crate) fn text<'a>(members: &'a Members, name: &'static str) -> Result<&'a str, MetadataError> {
    member(members, name)?.as_str().ok_or_else(|| bad(name, "a text"))
}

pub(crate) fn object_member<'a>(
    members: &'a Members,
    name: &'static str,
) -> Result<&'a Members, MetadataError> {
    object(member(members, name)?, name)
}

pub(crate) fn array<'a>(members: &'a Members, name: &'static str) -> Result<&'a [Value], MetadataError> {
    member(members, name)?.as_array().map(Vec::as_slice).ok_or_else(|| bad(name, "an array"))
}

/// An integer from 1 up.
pub(crate) fn positive(members: &Members, name: &'static str) -> Result<u64, MetadataError> {
    let number = member(members, name)?.as_u64().filter(|number| *number > 0);
    number.ok_or_else(|| bad(name, "an integer from 1 up"))
}

/// An array of texts.
pub(crate) fn texts(members: &Members, name: &'static str) -> Result<Vec<String>, MetadataError> {
    let text = |item: &Value| item.as_str().map(str::to_owned);
    let texts: Option<Vec<String>> = array(members, name)?.iter().map(text).collect();
    texts.ok_or_else(|| bad(name, "an array of texts"))
}

/// An array of texts, none of them twice.
pub(crate) fn distinct_texts(members: &Members, name: &'static str) -> Result<Vec<String>, MetadataError> {
    let texts = texts(members, name)?;
    let distinct: BTreeSet<&String> = texts.iter().collect();
    if distinct.len() == texts.len() { Ok(texts) } else { Err(bad(name, "an array without duplicates")) }
}

pub(crate) fn bad(at: &str, wanted: &'static str) -> MetadataError {
    // A name may come from the document: not all of a long one, and no control characters.
    let at = at.chars().take(80).flat_map(char::escape_debug).collect();
    MetadataError::Shape { at, wanted }
}
