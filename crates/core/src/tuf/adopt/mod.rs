//! A repository that was made elsewhere goes on here.
//!
//! [`plan`] verifies all of it as a client does, with every delegated role, and says which online keys it is signed with.
//! When these were taken in with [`import`], as `tuf/NAME`, [`adopt`] takes the repository over: its files are served as they are, byte for
//! byte, and the next version of each role is made here. What is not understood is refused, never left out: unknown
//! members stay.
//!
//! Files are copied before the database says anything, and can be copied again: an adoption that was cut short is done
//! by adopting once more.

mod days;
mod keys;
mod plan;
mod rows;
mod source;

pub use keys::{Called, Imported, import};
pub use plan::{OnlineKey, Plan, plan};
pub use source::{Directory, Source};

use bytes::Bytes;
use countersign_model::entry::Op;
use countersign_store::FilesError;
use countersign_tuf::client::ClientError;
use serde_json::Value;

use super::Error;
use super::repository::{Bootstrap, Repository};
use super::serve::{self, TIMESTAMP};
use crate::caller::Caller;
use crate::context::Context;
use crate::{pipeline, random};

/// Files that are copied together.
const TOGETHER: usize = 256;

/// Why a repository is not adopted. Nothing is served then that was not before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// A file cannot be read.
    #[error("`{file}` cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is missing that another names.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A client would refuse it.
    #[error("the repository does not verify: {0}")]
    Client(#[from] ClientError),
    /// A delegated role does not verify.
    #[error("the repository does not verify: `{file}`: {why}")]
    Role {
        /// Its file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The root that is trusted is not one of the repository's.
    #[error("the trusted root is not the root {version} of this repository")]
    OtherRoot {
        /// Its version.
        version: u64,
    },
    /// Files without versions in their names.
    #[error("the repository has no consistent snapshots (`consistent_snapshot` is not true)")]
    NotConsistent,
    /// Delegations below delegations.
    #[error("the delegated role `{0}` delegates to others, which is not supported")]
    Nested(String),
    /// Bins that are not called as ours.
    #[error("hash bins must be 2 to 16384 and be called `bins-…`, not `{0}`")]
    Bins(String),
    /// One file in two roles.
    #[error("`{path}` is listed by `{one}` and by `{other}`: remove one of them first")]
    Twice {
        /// The target's path.
        path: String,
        /// A role.
        one: String,
        /// Another one.
        other: String,
    },
    /// An online role cannot be signed here.
    #[error("the role `{role}` is signed with keys that are not here or cannot be used: {}", keyids.join(", "))]
    NoKey {
        /// The role.
        role: String,
        /// Ids of its keys.
        keyids: Vec<String>,
    },
    /// The name of a role cannot be one of a file here.
    #[error(
        "the role `{0}` cannot be published here: names are of letters, digits, `.`, `_`, `@`, `+` and `-`"
    )]
    RoleName(String),
    /// Its snapshot lists what is no targets role.
    #[error(
        "its snapshot lists `{0}`, which is no targets role: clients that know it would refuse any later one"
    )]
    SnapshotEntry(String),
    /// A private key that is not the repository's.
    #[error(
        "the key `{0}` signs neither timestamp, snapshot, targets nor a delegated role of this repository"
    )]
    ForeignKey(String),
    /// Another key has the name.
    #[error("there is another key `{0}` already")]
    NameTaken(String),
    /// The key was retired or revoked, or may not sign metadata.
    #[error(
        "the key is here already as `{0}`, and may not sign metadata: it is retired, revoked, or for other formats"
    )]
    EndedKey(String),
    /// Another repository is here.
    #[error("there is a repository here already")]
    NotFree,
    /// A file changed after it was verified.
    #[error("`{0}` is not the file any more that was verified")]
    Changed(String),
    /// A file of that name and other content is published here.
    #[error("cannot write `{file}`: {source}")]
    Write {
        /// The file.
        file: String,
        /// What is wrong.
        source: FilesError,
    },
    /// Not permitted, no log, no database.
    #[error(transparent)]
    Core(#[from] Error),
}

impl AdoptError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::OtherRoot { .. } => "give a root that you know to be the repository's own",
            Self::NotConsistent | Self::Nested(_) | Self::Bins(_) | Self::SnapshotEntry(_) => {
                "change it where it was made, or start a new repository"
            }
            Self::NoKey { .. } => "import the private keys, or first let a new root name keys of this server",
            Self::RoleName(_) => "delegate to a role of another name first",
            Self::ForeignKey(_) => {
                "`--dry-run` says which keys are needed; keys of people who sign the root stay with them"
            }
            Self::NameTaken(_) => "give it another name: `--online-key NAME=FILE`",
            Self::EndedKey(_) => "first let a new root name another key, where the repository was made",
            Self::NotFree => "adopt into a data directory of its own",
            Self::Changed(_) => "stop what writes to the repository and begin anew",
            _ => return None,
        })
    }
}

impl From<countersign_store::StoreError> for AdoptError {
    fn from(error: countersign_store::StoreError) -> Self {
        Self::Core(error.into())
    }
}

impl From<crate::Error> for AdoptError {
    fn from(error: crate::Error) -> Self {
        Self::Core(error.into())
    }
}

/// What was adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The version of the root in force.
    pub root_version: u64,
    /// How many delegated roles are in its snapshot.
    pub roles: usize,
    /// How many target files they list.
    pub artifacts: u64,
    /// Delegated roles that wait for people when they change: their keys are not here.
    pub signed_by_people: Vec<String>,
}

/// Takes a repository over that was verified by [`plan`].
///
/// - `source`: where it is.
/// - `config`: what `GET /api/v1/config/` of an RSTUF server said, for the lifetimes of roles. Without it they are those
///   of the delegations, or the usual ones, and not shorter than what is left.
///
/// # Errors
/// [`AdoptError`].
pub async fn adopt(
    ctx: &Context,
    caller: &Caller,
    source: &dyn Source,
    plan: &Plan,
    config: Option<&Value>,
) -> Result<Adopted, AdoptError> {
    let permit = keys::permit(ctx, caller)?;
    check_free(&Repository::load(&mut ctx.store.tuf_read().await?).await?)?;
    let online = plan.online(ctx)?;
    copy(ctx, source, plan).await?;
    let timestamp = plan.timestamp_file(source)?;

    let mut tx = ctx.store.tuf_write().await?;
    check_free(&Repository::load(&mut tx).await?)?;
    let lifetimes = days::Days::new(config, ctx.now());
    let mut repository = rows::put(&mut tx, source, plan, &online, &lifetimes).await?;
    repository.bootstrap = Bootstrap::Finished(hex::encode(random::bytes::<16>()?));
    repository.save(&mut tx).await?;
    let artifacts = tx.counts().await?.artifacts;

    let subject = format!("root {} adopted {}", plan.root_version(), plan.root_digest());
    pipeline::record(ctx, caller, &permit, Op::TufChange, None, Some(subject)).await?;
    // Before the database: with this file alone nothing has begun, and it can be written again.
    write_timestamp(ctx, &timestamp).await?;
    tx.commit().await?;
    serve::published(ctx, timestamp).await?;
    Ok(Adopted {
        root_version: plan.root_version(),
        roles: plan.roles.len(),
        artifacts,
        signed_by_people: plan.people(&online),
    })
}

fn check_free(repository: &Repository) -> Result<(), AdoptError> {
    match repository.bootstrap {
        Bootstrap::None => Ok(()),
        _ => Err(AdoptError::NotFree),
    }
}

/// Copies every file that has a version in its name.
async fn copy(ctx: &Context, source: &dyn Source, plan: &Plan) -> Result<(), AdoptError> {
    let mut files = Vec::new();
    for (name, bytes) in plan.root_files() {
        files.push((file(&name)?, bytes));
    }
    for verified in plan.files() {
        files.push((file(&verified.file)?, verified.read(source)?));
        if files.len() >= TOGETHER {
            put(ctx, std::mem::take(&mut files)).await?;
        }
    }
    put(ctx, files).await
}

async fn put(ctx: &Context, files: Vec<(countersign_store::FileName, Bytes)>) -> Result<(), AdoptError> {
    let first = files.first().map(|(name, _)| name.as_str().to_owned()).unwrap_or_default();
    ctx.files.put_all_new(files).await.map_err(|source| AdoptError::Write { file: first, source })
}

async fn write_timestamp(ctx: &Context, timestamp: &Bytes) -> Result<(), AdoptError> {
    let written = ctx.files.put(&file(TIMESTAMP)?, timestamp.clone()).await;
    written.map_err(|source| AdoptError::Write { file: TIMESTAMP.to_owned(), source })
}

fn file(name: &str) -> Result<countersign_store::FileName, AdoptError> {
    let internal = || crate::Error::Internal(format!("`{name}` is no name of a file"));
    Ok(serve::file(name).ok_or_else(internal)?)
}
