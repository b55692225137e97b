//! What a request is about to change, and what it has changed: for the rules of signing.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::call::Permissions;
use super::object::Object;
use super::uri::ObjectUri;

/// One object that is about to be made, changed or deleted: nothing is staged yet.
#[derive(Debug)]
pub struct Proposal<'a> {
    /// Where it is.
    pub uri: &'a ObjectUri,
    /// The object as it is; `None`: it is made.
    pub old: Option<&'a Arc<Object>>,
    /// The object as it is to be; `None`: it is deleted. May be adjusted.
    pub new: Option<Draft<'a>>,
    /// What the same request deletes, this included.
    pub together: &'a [Arc<Object>],
}

/// An object as it is to be.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its members without `id` and `last_modified`.
    pub data: &'a mut Map<String, Value>,
    /// Who may do what with it; whoever writes is among the writers already.
    pub permissions: &'a mut Permissions,
}

/// One object that was made, changed or deleted: it is staged.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it is.
    pub uri: ObjectUri,
    /// The object as it was; `None`: it was made.
    pub old: Option<Arc<Object>>,
    /// The object as it is; `None`: it was deleted.
    pub new: Option<Arc<Object>>,
}
