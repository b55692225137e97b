//! What a running node keeps for the TUF service.

use super::Settings;

/// In [`crate::Context`]. What is here can be lost at any time: the truth is in the database.
pub struct State {
    /// What the configuration says.
    pub settings: Settings,
    /// Rung when a task was stored, so that the worker does not wait for its tick.
    pub(crate) submitted: tokio::sync::Notify,
    /// Counts up whenever tasks end, so that who waits for one looks again.
    pub(crate) ended: tokio::sync::watch::Sender<u64>,
}

impl State {
    /// Empty.
    pub fn new(settings: Settings) -> Self {
        Self { settings, submitted: tokio::sync::Notify::new(), ended: tokio::sync::watch::Sender::new(0) }
    }
}
