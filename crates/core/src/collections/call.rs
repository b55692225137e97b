//! What a client asks, already taken from HTTP, and what it is answered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::{Error, Invalid};
use super::uri::{ListUri, ObjectUri};

/// One request, alone or in a batch.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is to be done.
    pub method: Method,
    /// To what.
    pub target: Target,
    /// `If-Match` and `If-None-Match`.
    pub conditions: Conditions,
    /// The query, decoded, in the order sent.
    pub query: Vec<(String, String)>,
    /// The body, or why it cannot be read: looked at only when the caller may do what is asked.
    pub body: Result<Option<Body>, BadBody>,
    /// `Response-Behavior` of a `PATCH`.
    pub behavior: Behavior,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Count, or read without the body.
    Head,
    /// Make in a list.
    Post,
    /// Make or replace.
    Put,
    /// Change.
    Patch,
    /// Delete.
    Delete,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A list.
    List(ListUri),
    /// An object.
    Object(ObjectUri),
    /// `/permissions`: everything that the caller has a permission on.
    Permissions,
}

/// Preconditions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<IfMatch>,
    /// `If-None-Match`.
    pub if_none_match: Option<IfNoneMatch>,
    /// A header that is not as it should be: judged when the caller may do what is asked.
    pub malformed: Option<Invalid>,
}

/// `If-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: only if it exists.
    Any,
    /// `"TIMESTAMP"`: only if it is in exactly this state.
    Timestamp(i64),
}

/// `If-None-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNoneMatch {
    /// `*`: only if it does not exist.
    Any,
    /// `"TIMESTAMP"`: only if it is another state.
    Timestamp(i64),
}

/// A body.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// How it is meant.
    pub form: Form,
    /// The JSON value. Of members that are there twice the last one counts.
    pub value: Value,
}

/// How a body is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/json`.
    Json,
    /// `application/merge-patch+json`, RFC 7396.
    MergePatch,
    /// `application/json-patch+json`, RFC 6902.
    JsonPatch,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// Not JSON.
    Malformed(Invalid),
    /// Of a type that is not taken.
    MediaType(String),
}

/// How much of the object the answer to a `PATCH` has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// All of it.
    #[default]
    Full,
    /// The members that were sent.
    Light,
    /// The members that are other than was sent.
    Diff,
}

/// Who may do what with an object: `write` → principals.
pub type Permissions = BTreeMap<String, BTreeSet<String>>;

/// What a request is answered.
#[derive(Debug)]
pub enum Answer {
    /// One object.
    Object {
        /// How it came to be in the answer.
        how: How,
        /// `data`, as JSON text: an object, ready to be sent.
        data: String,
        /// `permissions`: all of them for who may write, empty for others, `None` where they are left out.
        permissions: Option<Permissions>,
        /// For `ETag` and `Last-Modified`.
        timestamp: i64,
    },
    /// A list.
    List {
        /// `data`: JSON texts, each an object ready to be sent.
        items: Vec<String>,
        /// For `ETag` and `Last-Modified`: the list's.
        timestamp: i64,
        /// The token of the next page.
        next: Option<String>,
        /// How many there are in all; for `HEAD`.
        total: Option<u64>,
    },
    /// `304`.
    NotModified {
        /// For `ETag` and `Last-Modified`.
        timestamp: i64,
    },
    /// A refusal; what the request would have changed is as it was.
    Refused(Error),
}

/// How an object came to be in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It was read.
    Read,
    /// It was made: 201.
    Created,
    /// It was there already, and is unchanged: the answer of `POST` for an id that exists.
    Existing,
    /// It was replaced or changed.
    Changed,
    /// It was deleted: `data` is its tombstone.
    Deleted,
}

impl Answer {
    /// Bytes that it holds, about.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Object { data, permissions, .. } => {
                let names = permissions.iter().flatten().flat_map(|(_, who)| who);
                data.len() + names.map(|name| name.len() + 8).sum::<usize>()
            }
            Self::List { items, .. } => items.iter().map(|item| item.len() + 1).sum(),
            Self::Refused(Error::PreconditionFailed { existing: Some(existing), .. }) => weight(existing),
            Self::NotModified { .. } | Self::Refused(_) => 0,
        }
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 8,
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + 8,
        Value::Object(members) => {
            members.iter().map(|(name, member)| name.len() + weight(member)).sum::<usize>() + 8
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}
