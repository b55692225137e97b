//! What a running node keeps for the TUF service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::publish::Steps;
use super::{Settings, host, serve};

/// In [`crate::Context`]. What is here can be lost at any time: the truth is in the database.
pub struct State {
    /// What the configuration says.
    pub settings: Settings,
    /// Who is told of each step of a publication.
    pub steps: Steps,
    /// Rung when a task was stored, so that the worker does not wait for its tick.
    pub(crate) submitted: Arc<tokio::sync::Notify>,
    /// Counts up whenever tasks end, so that who waits for one looks again.
    pub(crate) ended: tokio::sync::watch::Sender<u64>,
    /// Whether it was looked, after the start, that the database is not older than the files.
    pub(super) caught_up: AtomicBool,
    /// Whether what is due is looked for now.
    pub(super) look: AtomicBool,
    /// Files that are served.
    pub(super) served: serve::State,
    /// Target files that are on their way in.
    pub(super) uploads: host::Uploads,
}

impl State {
    /// Empty.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            steps: Steps::default(),
            submitted: Arc::default(),
            ended: tokio::sync::watch::Sender::new(0),
            caught_up: AtomicBool::new(false),
            look: AtomicBool::new(false),
            served: serve::State::default(),
            uploads: host::Uploads::default(),
        }
    }

    /// Looks now for what is due, not within a minute.
    pub fn look_again(&self) {
        self.look.store(true, Ordering::Release);
        self.submitted.notify_one();
    }
}
