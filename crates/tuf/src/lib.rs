//! Metadata of The Update Framework (specification 1.0.3x; TAP 15). Pure: no file, socket, clock, randomness or
//! logger.
//!
//! ```text
//! {"signatures":[{"keyid":ID,"sig":HEX},…],"signed":{"_type":"root"|"timestamp"|"snapshot"|"targets",…}}
//!
//! N.root.json       keys of the four roles; signed by its own root keys and those of root N-1
//! timestamp.json    which snapshot is the newest
//! N.snapshot.json   which version of each targets role belongs to it
//! N.targets.json    files with length and hashes, and delegations: named roles, or hash bins
//! N.ROLE.json       the same for a delegated role or a bin
//! ```
//!
//! What is signed is the [`canonical`] form of `signed`, as a value with all members that it has.
//!
//! - To sign: [`build`] makes a [`metadata::Document`], says what a key signs for it, and puts the signature in;
//!   [`threshold`] tells who is missing. Days may pass in between.
//! - To sign much: [`text`] puts documents together from texts, without values in between.
//! - To publish: [`publication`] says what moves, [`check`] what is accepted from people, [`edit`] changes
//!   delegations, [`names`] has the names of files, [`proof`] how people show that they hold a key.
//! - To verify: [`client`] is the whole workflow of a client, over bytes that it is given.
//!
//! ```
//! use countersign_tuf::build::{self, Head};
//! use countersign_tuf::meta::Meta;
//!
//! let now = "2026-11-20T21:45:39.5Z".parse().unwrap();
//! let snapshot = build::snapshot(Head::first(now, 7), [("targets".to_owned(), Meta::version(1))])?;
//! assert_eq!(
//!     String::from_utf8_lossy(&snapshot.signed_bytes()),
//!     r#"{"_type":"snapshot","expires":"2026-11-27T21:45:39Z","meta":{"targets.json":{"version":1}},"#.to_owned()
//!         + r#""spec_version":"1.0.31","version":1}"#
//! );
//! # Ok::<(), countersign_tuf::metadata::MetadataError>(())
//! ```

pub mod bins;
pub mod build;
pub mod canonical;
pub mod check;
pub mod client;
pub mod delegation;
pub mod edit;
pub mod expires;
pub mod hashes;
pub mod key;
pub mod meta;
pub mod metadata;
pub mod names;
pub mod patterns;
pub mod proof;
mod pss;
pub mod publication;
pub mod root;
mod shape;
pub mod targets;
pub mod text;
pub mod threshold;
