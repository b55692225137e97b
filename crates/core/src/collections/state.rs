//! What an open deployment keeps for collections.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::outside::HttpClient;
use super::settings::Settings;
use super::{accounts, attachment, autograph, chain, reading, schema, signer, webhook, writer};
use crate::error::Error;

/// Settings, memories, and the queue of writers.
#[derive(Debug)]
pub struct State {
    /// What the configuration says.
    pub settings: Arc<Settings>,
    /// When this process began, in milliseconds: the timestamp of lists that were never written.
    started: i64,
    /// What is signed.
    pub resources: signer::Resources,
    pub(crate) reading: reading::State,
    pub(super) writer: writer::Queue,
    pub(super) schemas: Arc<schema::Cache>,
    /// A permit for each look at all objects.
    pub(super) scans: Arc<Semaphore>,
    pub(super) accounts: accounts::Memory,
    pub(super) uploads: attachment::Uploads,
    pub(super) chains: chain::State,
    pub(super) autographs: autograph::State,
    pub(super) webhooks: webhook::State,
    pub(super) refreshed: signer::refresh::State,
    /// What sends requests to others.
    pub(super) http: Option<Arc<dyn HttpClient>>,
}

/// How many look at all objects at the same time.
const SCANS: usize = 2;

impl State {
    /// The state of a deployment that was just opened.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for resources that cannot be as they are configured; [`Error::Internal`] if there
    /// is no randomness.
    pub(crate) fn new(
        settings: Settings,
        http: Option<Arc<dyn HttpClient>>,
        now: jiff::Timestamp,
    ) -> Result<Self, Error> {
        chain::check(&settings)?;
        let resources = signer::Resources::new(&settings)
            .map_err(|error| Error::invalid("collections.resource", error.to_string()))?;
        Ok(Self {
            resources,
            reading: reading::State::default(),
            started: now.as_millisecond(),
            writer: writer::Queue::default(),
            schemas: Arc::default(),
            scans: Arc::new(Semaphore::new(SCANS)),
            accounts: accounts::Memory::new()?,
            uploads: attachment::Uploads::default(),
            chains: chain::State::default(),
            autographs: autograph::State::new(&settings),
            webhooks: webhook::State::default(),
            refreshed: signer::refresh::State::default(),
            http,
            settings: Arc::new(settings),
        })
    }

    pub(super) fn started(&self) -> i64 {
        self.started
    }
}
