//! What clients ask: read and checked by the surface, stored with the task, done by the worker.
//!
//! Metadata stay values with every member that came; the rest is typed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a task is to do. Stored as JSON, tagged with the task's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Request {
    /// POST bootstrap.
    Bootstrap(Bootstrap),
    /// PUT config: lifetimes in days by role; checked to be from 1 up.
    UpdateSettings {
        /// Role and days.
        expiration: Vec<(String, i64)>,
    },
    /// POST metadata: a new root.
    MetadataUpdate {
        /// The whole document.
        root: Value,
    },
    /// POST metadata/online; none: all.
    ForceOnlineMetadataUpdate {
        /// The roles.
        roles: Vec<String>,
    },
    /// POST metadata/sign.
    SignMetadata {
        /// What is pending.
        role: String,
        /// Whose key.
        keyid: String,
        /// The signature, hex.
        sig: String,
    },
    /// POST metadata/sign/delete, DELETE metadata/sign.
    DeleteSignMetadata {
        /// What is pending.
        role: String,
        /// Shows that the caller holds a root key.
        proof: Option<Proof>,
    },
    /// PATCH metadata/sign.
    OverrideSignMetadata {
        /// The whole new root.
        root: Value,
        /// The settings of the bootstrap that take the place of the stored ones.
        settings: Option<BootstrapSettings>,
        /// Shows that the caller holds a root key.
        proof: Option<Proof>,
    },
    /// POST, PUT delegations and POST delegations/delete.
    MetadataDelegation(Delegations),
    /// POST artifacts.
    AddArtifacts(AddArtifacts),
    /// POST artifacts/delete.
    RemoveArtifacts {
        /// Paths.
        artifacts: Vec<String>,
        /// Whether they are published now.
        publish: bool,
    },
    /// POST artifacts/publish.
    PublishArtifacts,
}

/// The body of POST bootstrap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Lifetimes and delegation.
    pub settings: BootstrapSettings,
    /// The whole first root.
    pub root: Value,
}

/// `settings.roles` of a bootstrap, checked: days from 1 up, exactly one of bins and delegations, a number of bins that
/// is a power of two from 2 to 16384, names of roles, paths that are not empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapSettings {
    /// `root`, `targets`, `snapshot`, `timestamp` in days.
    pub root: u32,
    /// Days.
    pub targets: u32,
    /// Days.
    pub snapshot: u32,
    /// Days.
    pub timestamp: u32,
    /// To whom.
    pub delegated: BootstrapDelegation,
}

/// To whom a new repository delegates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootstrapDelegation {
    /// Hash bins.
    Bins {
        /// Days.
        expiration: u32,
        /// A power of two.
        count: u32,
    },
    /// Named roles: `{"keys":{…},"roles":[…]}`.
    Roles(Value),
}

/// A change of the delegations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delegations {
    /// `{"keys","roles"}`.
    Add(Value),
    /// `{"keys","roles"}`.
    Update(Value),
    /// Names.
    Delete(Vec<String>),
}

/// The body of POST artifacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddArtifacts {
    /// In the order of the request, each checked by `countersign_tuf::check::artifact`.
    pub artifacts: Vec<Artifact>,
    /// Whether they are published now.
    pub publish: bool,
    /// Whether each gets `custom.added_by_task_id`.
    pub add_task_id_to_custom: bool,
}

/// One artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// As given: opaque text.
    pub path: String,
    /// `{"length","hashes",("custom")}` as it goes into metadata.
    pub info: Map<String, Value>,
}

/// A proof of possession (`countersign_tuf::proof`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Hex, from the challenge.
    pub nonce: String,
    /// A root key of the pending root or of the one in force.
    pub keyid: String,
    /// Over the challenge's text.
    pub sig: String,
}

impl Request {
    /// The task's name, `result.task`.
    pub fn task(&self) -> &'static str {
        match self {
            Self::Bootstrap(_) => "bootstrap",
            Self::UpdateSettings { .. } => "update_settings",
            Self::MetadataUpdate { .. } => "metadata_update",
            Self::ForceOnlineMetadataUpdate { .. } => "force_online_metadata_update",
            Self::SignMetadata { .. } => "sign_metadata",
            Self::DeleteSignMetadata { .. } => "delete_sign_metadata",
            Self::OverrideSignMetadata { .. } => "override_sign_metadata",
            Self::MetadataDelegation(_) => "metadata_delegation",
            Self::AddArtifacts(_) => "add_artifacts",
            Self::RemoveArtifacts { .. } => "remove_artifacts",
            Self::PublishArtifacts => "publish_artifacts",
        }
    }
}
