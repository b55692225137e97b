//! Parts of files that may be long, and what there is.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::{GetOptions, ObjectStoreExt};

use super::{FileName, Files, FilesError};

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// How many bytes the whole file has.
    pub length: u64,
    /// The bytes that were asked for, as far as there are any.
    pub bytes: Bytes,
}

/// A file in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name.
    pub name: FileName,
    /// In bytes.
    pub length: u64,
    /// When it was written.
    pub written: Timestamp,
}

impl Files {
    /// Up to `count` bytes of a file, from `first` on; `None` if there is no file of that name.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn part(
        &self,
        name: &FileName,
        first: u64,
        count: u64,
    ) -> Result<Option<FilePart>, FilesError> {
        let path = self.path(name)?;
        if count > 0 {
            let range = first..first.saturating_add(count);
            match self.store.get_opts(&path, GetOptions::new().with_range(Some(range))).await {
                Ok(found) => {
                    let length = found.meta.size;
                    return Ok(Some(FilePart { length, bytes: found.bytes().await? }));
                }
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                // Maybe it begins beyond the end: that is looked at below.
                Err(_) => {}
            }
        }
        match self.store.head(&path).await {
            Ok(meta) if count == 0 || meta.size <= first => {
                Ok(Some(FilePart { length: meta.size, bytes: Bytes::new() }))
            }
            Ok(_) => Err(FilesError::Unavailable { reason: "a part of a file cannot be read".into() }),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All files whose first segments are `under`, one by one and in no order.
    pub fn entries(&self, under: &FileName) -> BoxStream<'_, Result<FileEntry, FilesError>> {
        let path = match self.path(under) {
            Ok(path) => path,
            Err(error) => return futures_util::stream::once(async { Err(error) }).boxed(),
        };
        let entry = |meta: object_store::ObjectMeta| {
            let name = self.name_of(meta.location.as_ref())?;
            let written = Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok()?;
            Some(FileEntry { name, length: meta.size, written })
        };
        // What is not a name of ours was put there by somebody else.
        let named = self.store.list(Some(&path)).map_err(FilesError::from);
        named.try_filter_map(move |meta| async move { Ok(entry(meta)) }).boxed()
    }
}
