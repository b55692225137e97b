//! Transparency log: Merkle tiles, proofs, checkpoints, signed notes. Pure.
//!
//! A log is a growing list of entries and a Merkle tree over them (RFC 6962). Its writer publishes
//! static files in the C2SP `tlog-tiles` layout, from which any reader computes any proof:
//!
//! ```text
//! checkpoint                    signed note: origin, size, root            (tlog-checkpoint, signed-note)
//! tile/0/000 … tile/0/x001/234  256 leaf hashes each                       (tlog-tiles)
//! tile/1/000 …                  each hash is the root of a full tile below
//! tile/0/x001/235.p/17          the last one is partial: 17 hashes
//! tile/entries/000 …            the entries, each with its length before it
//! ```
//!
//! - To write a log: keep a [`tree::Tree`], [`append`](tree::Tree::append) leaf hashes, store the tiles it
//!   reports, and publish a [`checkpoint::Checkpoint`] signed by way of [`note::prepare`].
//! - To read one: [`checkpoint::Checkpoint::open`], then [`proof::inclusion`] and
//!   [`proof::consistency`] over a [`proof::TileReader`].
//! - To check one entry offline, years later: [`log_proof::LogProof`], a text in `tlog-proof@v1` form.
//!
//! ```
//! use countersign_tlog::{hash::Hash, proof, tree::Tree};
//!
//! let mut tree = Tree::new();
//! for entry in ["one", "two", "three"] {
//!     let full_tiles = tree.append(Hash::leaf(entry.as_bytes()));
//!     assert!(full_tiles.is_empty(), "a tile is full after 256 entries");
//! }
//! let head = tree.head();
//! let tiles = tree.partial_tiles();
//! let read = |id| tiles.iter().find(|t| t.id == id).map(|t| t.data.clone()).ok_or("no such tile");
//!
//! let path = proof::inclusion(1, head.size, &read)?;
//! proof::verify_inclusion(Hash::leaf(b"two"), 1, &head, &path)?;
//! assert!(proof::verify_inclusion(Hash::leaf(b"too"), 1, &head, &path).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod checkpoint;
pub mod hash;
pub mod log_proof;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;

mod text;
