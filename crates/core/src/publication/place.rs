//! Where the log's hash tiles and its checkpoint are: published files below `log/ORIGIN/`.

use std::collections::BTreeMap;
use std::fmt::Display;

use bytes::Bytes;
use countersign_model::Name;
use countersign_store::{FileName, Files, FilesError};
use countersign_tlog::proof::TileReader;
use countersign_tlog::tile::{Tile, TileId};

use super::Halt;
use crate::error::Error;

/// The files of one log.
pub(super) struct Place<'a> {
    pub files: &'a Files,
    pub origin: &'a Name,
}

impl Place<'_> {
    fn name(&self, path: impl Display) -> Result<FileName, Error> {
        let name = format!("log/{}/{path}", self.origin);
        name.parse().map_err(|_| Error::Internal(format!("`{name}` is no name of a file")))
    }

    /// The published checkpoint, unchecked.
    pub(super) async fn checkpoint(&self) -> Result<Option<Bytes>, Error> {
        self.files.get(&self.name("checkpoint")?).await.map_err(of_files)
    }

    /// Shows a checkpoint in the place of the one before.
    pub(super) async fn put_checkpoint(&self, note: &str) -> Result<(), Error> {
        let note = Bytes::copy_from_slice(note.as_bytes());
        self.files.put(&self.name("checkpoint")?, note).await.map_err(of_files)
    }

    /// Writes a tile. The same one again is fine.
    pub(super) async fn put_tile(&self, tile: Tile) -> Result<(), Error> {
        self.files.put_new(&self.name(tile.id)?, tile.data.into()).await.map_err(of_files)
    }

    /// A tile of exactly this width.
    pub(super) async fn tile(&self, id: TileId) -> Result<Option<Bytes>, Error> {
        self.files.get(&self.name(id)?).await.map_err(of_files)
    }

    /// Removes the partial tiles in the place of a full one.
    pub(super) async fn remove_partial(&self, full: TileId) -> Result<(), Error> {
        let below = self.name(format_args!("{full}.p"))?;
        for name in self.files.list(Some(&below)).await.map_err(of_files)? {
            self.files.delete(&name).await.map_err(of_files)?;
        }
        Ok(())
    }
}

/// The path and the reason are for the server's own log: a client gets neither.
fn of_files(error: FilesError) -> Error {
    match error {
        FilesError::Differs { name } => Error::PublicationStopped(Halt::Differs { name: name.to_string() }),
        FilesError::Full { reason } => {
            tracing::warn!(reason, "no room for published files");
            Error::StorageFull("place of published files")
        }
        other => {
            tracing::warn!(error = %other, "published files cannot be reached");
            Error::StorageUnavailable("published files cannot be reached".into())
        }
    }
}

/// Tiles in memory, for what is computed from them.
#[derive(Default)]
pub(super) struct Fetched(pub BTreeMap<TileId, Bytes>);

impl TileReader for Fetched {
    type Error = &'static str;

    fn read(&self, tile: TileId) -> Result<Vec<u8>, Self::Error> {
        self.0.get(&tile).map(|data| data.to_vec()).ok_or("it is not there")
    }
}
