//! Storage: SQLite and PostgreSQL behind one interface, durable tasks, published files.
//!
//! [`Store`] is the database: what it holds is in one file a subject (`keys`, `principals`, `tokens`,
//! `policy`, `heads`, `idempotency`, `tasks`, …), each a record type and the methods that read and
//! write it. Every method that writes is one transaction: after a crash its whole effect is there, or
//! none of it. [`Files`] is the place of published files, a directory or S3.
//!
//! ```no_run
//! # async fn example() -> Result<(), countersign_store::StoreError> {
//! use countersign_store::{PrincipalRecord, Store, StoreConfig};
//!
//! let store = Store::open(&StoreConfig::new("sqlite:/var/lib/countersign/db/countersign.db")).await?;
//! store
//!     .insert_principal(&PrincipalRecord {
//!         name: "alice".into(),
//!         roles: vec!["signer".into()],
//!         created: jiff::Timestamp::now(),
//!         disabled: false,
//!     })
//!     .await?;
//! assert!(store.principal("alice").await?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! Rules that hold in this crate:
//!
//! - SQL is written once for both engines, as constants with `$1` placeholders; no query text is ever
//!   made from a value. Names and limits are arguments.
//! - Time is an argument. It is kept in whole milliseconds: what is finer is cut off.
//! - Nothing secret is here in the clear: keys and Hawk secrets are sealed blobs, tokens are hashes.

mod appliance;
mod authorities;
mod authority_bundle;
mod autograph;
mod collections;
mod content_chains;
mod data_keys;
mod engine;
mod error;
pub mod files;
mod generation;
mod heads;
mod idempotency;
mod keys;
mod meta;
mod policy;
mod principals;
mod publication;
mod recorded;
pub mod snapshot;
mod sql;
mod store;
mod tag_requests;
mod tags;
mod tasks;
mod tokens;
mod tuf;

pub use appliance::{
    ApplianceBatch, CertificateRecord, ListRecord, OpenPgpRecord, RsaRecord, TreeMemberRecord, TreeRecord,
};
pub use authorities::{AuthorityKeyRecord, AuthorityRecord, AuthorityRevocation, KeyEnd};
pub use authority_bundle::BundleRecord;
pub use autograph::HawkRequest;
pub use collections::{
    ChangesChunk, CollectionStates, CollectionsTx, Difference, Entries, ObjectDifference, ObjectRow, Page,
    PageOrder, PageQuery, RecordsChunk, Writes,
};
pub use content_chains::{AuthorityRole, ContentAuthority, ContentChain};
pub use data_keys::DataKey;
pub use engine::Kind as EngineKind;
pub use error::StoreError;
pub use files::{FileEntry, FileName, FilePart, FileWriter, Files, FilesConfig, FilesError};
pub use heads::{HeadChange, LogHead};
pub use idempotency::Begin;
pub use keys::{KeyRecord, KeyState};
pub use policy::{NewPolicy, PolicyRecord};
pub use principals::PrincipalRecord;
pub use publication::{MAX_LEAF, PublicationEntry, PublicationLease};
pub use recorded::{RecordedSignature, RecordedTimes};
pub use snapshot::{Export, Import};
pub use store::{Store, StoreConfig};
pub use tag_requests::{NewTagRequest, TagRequestRecord, TagRequestState, TagVoice, Voice};
pub use tags::{
    ExpectedTag, TagFilter, TagHiding, TagRecord, TagSignature, TagSummary, TagVersionSummary, TagWrite,
    WrittenTag,
};
pub use tasks::{Failed, HeldClaim, NewTask, Task, TaskRecord, TaskState};
pub use tokens::{TokenKind, TokenRecord};
pub use tuf::{
    ArtifactPage, ArtifactRow, ChallengeRow, HostedRow, MAX_CHALLENGES, Moving, MovingRoles, NewArtifact,
    NewTufTask, PendingRow, QueuedTask, RoleRow, StagedChange, Staging, TaskChange, TufCounts, TufProgress,
    TufTask, TufTx, Waiting, WaitingTufTask,
};
