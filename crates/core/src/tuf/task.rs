//! Tasks: what was accepted, and what became of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a task is. Only the last three end a client's waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// It waits. Also of one that never was.
    Pending,
    /// It is worked on.
    Started,
    /// What it changed is being published.
    Running,
    /// Done, durable and served.
    Success,
    /// Refused, or not possible; nothing was changed.
    Errored,
    /// It was not foreseen.
    Failure,
}

impl TaskState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Errored | Self::Failure)
    }

    /// As clients are told and as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Started => "STARTED",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Errored => "ERRORED",
            Self::Failure => "FAILURE",
        }
    }
}

/// What a task says when it is done: how the worker's steps end.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done in this transaction; nothing to be published.
    Done {
        /// `result.message`.
        message: String,
        /// `result.details`; `None` is left out.
        details: Option<Value>,
    },
    /// Done when what this transaction has set moving is public.
    Published {
        /// `result.message`.
        message: String,
        /// `result.details`.
        details: Option<Value>,
    },
    /// Refused; this transaction must have changed nothing for it.
    Refused {
        /// `result.message`, `Signature Failed`.
        message: String,
        /// `result.error`, `Invalid signature`.
        error: String,
    },
}

impl Outcome {
    /// A refusal.
    pub fn refused(message: &str, error: impl std::fmt::Display) -> Self {
        Self::Refused { message: message.to_owned(), error: error.to_string() }
    }
}
