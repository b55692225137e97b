//! Whether the server could sign what a task sets moving. Asked before the task changes anything.

use std::sync::Arc;

use countersign_store::TufTx;
use countersign_tuf::build::BINS;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::Root;

use super::error::Error;
use super::publish::{self, signers};
use super::repository::Repository;
use super::request::Request;
use super::root;
use crate::context::Context;

/// Whether what this request asks for is signed with online keys, those of snapshot and timestamp among them. Roots are
/// not: they may be what replaces a key that signs no more.
pub(super) fn needs_keys(request: &Request) -> bool {
    match request {
        // A role that people sign is published with the last signature.
        Request::SignMetadata { role, .. } => role != Kind::Root.as_str(),
        Request::MetadataDelegation(_)
        | Request::AddArtifacts(_)
        | Request::RemoveArtifacts { .. }
        | Request::PublishArtifacts => true,
        // What is asked for is judged role by role.
        Request::ForceOnlineMetadataUpdate { .. }
        | Request::Bootstrap(_)
        | Request::UpdateSettings { .. }
        | Request::MetadataUpdate { .. }
        | Request::DeleteSignMetadata { .. }
        | Request::OverrideSignMetadata { .. } => false,
    }
}

/// The roles as they are, to be asked which of them can be signed now.
pub(super) struct Ready {
    /// None before there is a repository: then nothing is in the way.
    root: Option<Root>,
    delegations: Option<Arc<Delegations>>,
}

impl Ready {
    /// Reads root and delegations in force.
    ///
    /// # Errors
    /// When the database fails or is damaged.
    pub(super) async fn read(tx: &mut TufTx, repository: &Repository) -> Result<Self, Error> {
        if !repository.bootstrap.is_finished() {
            return Ok(Self { root: None, delegations: None });
        }
        let text =
            tx.root(repository.root_version).await?.ok_or_else(|| root::damaged("the root in force"))?;
        let document = Document::parse(text.as_bytes()).and_then(|document| document.root());
        let view = document.map_err(|_| root::damaged("the root in force"))?;
        let delegations = match tx.role(Kind::Targets.as_str()).await? {
            Some(targets) => publish::delegations_of(&targets)?.map(Arc::new),
            None => None,
        };
        Ok(Self { root: Some(view), delegations })
    }

    /// Whether the keys of ours that may sign a role now meet its threshold.
    ///
    /// # Errors
    /// Why not: `Role bins cannot be signed: …`.
    pub(super) fn role(&self, ctx: &Context, name: &str) -> Result<(), String> {
        let Some(root) = &self.root else { return Ok(()) };
        if let Some(kind) = Kind::of_name(name) {
            return signers::enough(ctx, name, root.role(kind), &root.keys).map(drop);
        }
        let delegations = self.delegations.as_deref();
        match delegations.and_then(|known| Some((known, known.role(name)?))) {
            Some((known, role)) => {
                let shown = if self.are_bins() { BINS } else { name };
                signers::enough(ctx, shown, role, &known.keys).map(drop)
            }
            None => Err(format!("Role {name} cannot be signed: nobody delegates to it")),
        }
    }

    /// Whether what is above every change can be signed: snapshot and timestamp.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn above(&self, ctx: &Context) -> Result<(), String> {
        self.role(ctx, Kind::Snapshot.as_str())?;
        self.role(ctx, Kind::Timestamp.as_str())
    }

    /// Those of `names` that can be signed, and why each of the others cannot.
    pub(super) fn able(&self, ctx: &Context, names: Vec<String>) -> (Vec<String>, Vec<(String, String)>) {
        let mut bins = None;
        let (mut able, mut unable) = (Vec::new(), Vec::new());
        for name in names {
            let is_bin = self.are_bins() && Kind::of_name(&name).is_none();
            // All bins have the same keys.
            let judged = if is_bin {
                bins.get_or_insert_with(|| self.role(ctx, &name)).clone()
            } else {
                self.role(ctx, &name)
            };
            match judged {
                Ok(()) => able.push(name),
                Err(why) => unable.push((name, why)),
            }
        }
        (able, unable)
    }

    fn are_bins(&self) -> bool {
        self.delegations.as_deref().is_some_and(|known| matches!(known.delegated, Delegated::Bins(_)))
    }
}
