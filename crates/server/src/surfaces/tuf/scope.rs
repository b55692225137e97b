//! Scopes: what a request needs, in the words of the original, and who may do that.
//!
//! A token has what policy gives its principal, narrowed to the token's own actions: each scope is an action on
//! `tuf:default`.

use countersign_core::tuf::Error;
use countersign_core::{Caller, Code, pipeline};
use countersign_model::{Action, Resource, Surface};
use http::StatusCode;
use http::request::Parts;

use super::error::Refusal;
use crate::app::{App, Meta};
use crate::auth::{self, Shown};
use crate::problem::Problem;

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the original's")]
pub enum Scope {
    ReadBootstrap,
    WriteBootstrap,
    ReadSettings,
    WriteSettings,
    WriteMetadata,
    ReadMetadataSign,
    WriteMetadataSign,
    DeleteMetadataSign,
    WriteArtifacts,
    DeleteArtifacts,
    WriteDelegations,
    ReadTasks,
    ReadKeys,
    WriteKeys,
}

impl Scope {
    /// As the original writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadBootstrap => "read:bootstrap",
            Self::WriteBootstrap => "write:bootstrap",
            Self::ReadSettings => "read:settings",
            Self::WriteSettings => "write:settings",
            Self::WriteMetadata => "write:metadata",
            Self::ReadMetadataSign => "read:metadata_sign",
            Self::WriteMetadataSign => "write:metadata_sign",
            Self::DeleteMetadataSign => "delete:metadata_sign",
            Self::WriteArtifacts => "write:artifacts",
            Self::DeleteArtifacts => "delete:artifacts",
            Self::WriteDelegations => "write:delegations",
            Self::ReadTasks => "read:tasks",
            Self::ReadKeys => "read:keys",
            Self::WriteKeys => "write:keys",
        }
    }

    /// The action that policy knows it as.
    pub fn action(self) -> Action {
        match self {
            Self::ReadBootstrap
            | Self::ReadSettings
            | Self::ReadMetadataSign
            | Self::ReadTasks
            | Self::ReadKeys => Action::TufRead,
            Self::WriteMetadataSign => Action::TufSign,
            Self::DeleteMetadataSign | Self::DeleteArtifacts => Action::TufDelete,
            Self::WriteBootstrap
            | Self::WriteSettings
            | Self::WriteMetadata
            | Self::WriteArtifacts
            | Self::WriteDelegations
            | Self::WriteKeys => Action::TufWrite,
        }
    }
}

/// The one repository.
const REPOSITORY: &str = "tuf:default";

/// Who asks, with a good token that has all of `scopes`. Credentials in other forms are as if absent.
///
/// # Errors
/// 401, and 403 for a scope that is missing.
pub fn caller(app: &App, parts: &Parts, scopes: &[Scope]) -> Result<Caller, Refusal> {
    let meta = parts.extensions.get::<Meta>();
    let meta = meta.ok_or_else(|| Problem::new(Code::Internal, "no request id"))?;
    let shown = Shown::bearer_or_basic(&parts.headers)?.filter(|shown| !matches!(shown, Shown::Named { .. }));
    let caller = auth::caller_showing(app, shown, meta, Surface::Tuf)?;
    let repository: Resource = REPOSITORY
        .parse()
        .map_err(|error| Error::Other(countersign_core::Error::Internal(format!("{error}"))))?;
    for scope in scopes {
        match pipeline::authorise_person(&app.ctx, &caller, scope.action(), &repository) {
            Ok(_) => {}
            Err(countersign_core::Error::NotPermitted { .. }) => {
                let (action, scope) = (scope.action().as_str(), scope.as_str());
                let error = format!("The scope {scope} is needed: {action} on {REPOSITORY}");
                return Err(Refusal::because(StatusCode::FORBIDDEN, "Not permitted.", &error));
            }
            Err(error) => return Err(Error::Other(error).into()),
        }
    }
    Ok(caller)
}
