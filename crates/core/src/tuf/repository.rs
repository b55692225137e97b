//! The state of the repository that is not metadata: one document in the database, changed in the transaction of the
//! task that changes it.

use std::collections::BTreeMap;

use countersign_store::TufTx;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Error;

/// How far the bootstrap is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bootstrap {
    /// Nothing has begun.
    #[default]
    None,
    /// The task of this id is to be done.
    Pre(String),
    /// The first root waits for signatures. The id is the first bootstrap task's.
    Signing(String),
    /// There is a repository. The id is the first bootstrap task's.
    Finished(String),
}

impl Bootstrap {
    /// `None`, `pre`, `signing` or `finished`, as clients are told.
    pub fn state_text(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Pre(_) => "pre",
            Self::Signing(_) => "signing",
            Self::Finished(_) => "finished",
        }
    }

    /// The id of the first bootstrap task.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Pre(id) | Self::Signing(id) | Self::Finished(id) => Some(id),
        }
    }

    /// Whether there is a repository.
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Finished(_))
    }
}

/// To whom artifacts are delegated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delegation {
    /// To nobody: an adopted repository whose top-level targets lists them. Also before the bootstrap.
    #[default]
    None,
    /// To 2 to the power of this many hash bins.
    Bins(u8),
    /// To the roles in the top-level targets.
    Custom,
}

/// What is stored of the repository beside roles, roots, artifacts and what is pending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repository {
    /// How far the bootstrap is.
    pub bootstrap: Bootstrap,
    /// Days that each role lives: `root`, `targets`, `snapshot`, `timestamp`, `bins`, custom roles.
    pub days: BTreeMap<String, u32>,
    /// To whom artifacts are delegated.
    pub delegation: Delegation,
    /// The version of the root in force; 0: none.
    pub root_version: u64,
    /// What POST bootstrap asked for, until it is finished.
    pub asked: Option<Value>,
    /// SHA-256 (hex) of canonical `signed` that was withdrawn in this round of signing the root.
    pub withdrawn: Vec<String>,
}

impl Repository {
    /// As it is stored; the default one if there was never one.
    ///
    /// # Errors
    /// When the database fails, or what it has is damaged.
    pub(super) async fn load(tx: &mut TufTx) -> Result<Self, Error> {
        let Some(text) = tx.repository().await? else { return Ok(Self::default()) };
        let damaged = |_| crate::Error::Internal("the database's record of the repository is damaged".into());
        Ok(serde_json::from_str(&text).map_err(damaged)?)
    }

    /// Stores it.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn save(&self, tx: &mut TufTx) -> Result<(), Error> {
        let text = serde_json::to_string(self).map_err(|error| crate::Error::Internal(error.to_string()))?;
        Ok(tx.set_repository(&text).await?)
    }

    /// How many days a role lives: its own, or, of a bin, those of `bins`. 1 if it was never said.
    pub fn days_of(&self, role: &str) -> u32 {
        let own = self.days.get(role).copied();
        let bins = || matches!(self.delegation, Delegation::Bins(_)).then(|| self.days.get("bins").copied());
        own.or_else(|| bins().flatten()).unwrap_or(1)
    }
}
