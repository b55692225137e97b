//! Requests in a batch, and their answers.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::kinto::refusal;
use crate::failure::Failure;

/// A request in a batch.
#[derive(Clone, Debug)]
pub struct Inner {
    /// The method.
    pub method: Method,
    /// Path and query below `/v1`.
    pub path: String,
    /// Headers by name.
    pub headers: Map<String, Value>,
    /// The document.
    pub body: Option<Value>,
}

/// An answer in a batch.
#[derive(Debug, Deserialize)]
pub struct Part {
    /// The status.
    pub status: u16,
    /// The document.
    #[serde(default)]
    pub body: Value,
}

impl Inner {
    /// `PUT` of an object.
    pub fn put(path: String, body: Value) -> Self {
        Self { method: Method::PUT, path, headers: Map::new(), body: Some(body) }
    }

    /// A request without a body.
    pub fn bare(method: Method, path: String) -> Self {
        Self { method, path, headers: Map::new(), body: None }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// As it stands in the batch.
    pub fn to_json(&self) -> Value {
        let mut request = json!({ "method": self.method.as_str(), "path": self.path });
        if !self.headers.is_empty() {
            request["headers"] = Value::Object(self.headers.clone());
        }
        if let Some(body) = &self.body {
            request["body"] = body.clone();
        }
        request
    }
}

impl Part {
    /// Why it was refused.
    pub fn failure(&self, what: &str) -> Failure {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        refusal(status, self.body.to_string().into(), what)
    }
}
