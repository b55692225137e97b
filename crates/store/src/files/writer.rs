//! A file that is written piece by piece, so that it is never in memory as a whole.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};

use super::{FileName, Files, FilesError};

/// A file while it is written: see [`Files::create`] and [`Files::replace`].
///
/// Nobody sees it before [`FileWriter::finish`].
pub struct FileWriter {
    files: Files,
    name: FileName,
    path: Path,
    over: Over,
    /// What is less than a part.
    rest: Vec<u8>,
    to: To,
}

/// What becomes of a file that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// It stays, and must be the same.
    Same,
    /// It is replaced.
    Any,
}

/// Where the parts go.
enum To {
    /// There is none yet: a short file is written at once.
    Nowhere,
    /// Into a file that takes its name at the end.
    Upload(Box<dyn MultipartUpload>),
    /// There is a file of that name: is it the same?
    Stored(Stored),
}

/// What is left of a file to be compared with.
struct Stored {
    content: BoxStream<'static, object_store::Result<Bytes>>,
    piece: Bytes,
}

/// Bytes of a part: S3 takes no shorter ones but the last.
const PART: usize = 5 << 20;

impl Files {
    /// Begins a file that never changes, to be written piece by piece. Where it is there already, what is written is
    /// compared with it.
    ///
    /// One at a time writes a name: whoever holds the publication's lock.
    ///
    /// # Errors
    /// [`FilesError::BadName`] if it is too long here.
    pub fn create(&self, name: &FileName) -> Result<FileWriter, FilesError> {
        self.writer(name, Over::Same)
    }

    /// Begins a file, to be written piece by piece, that takes the place of what is there.
    ///
    /// # Errors
    /// [`FilesError::BadName`] if it is too long here.
    pub fn replace(&self, name: &FileName) -> Result<FileWriter, FilesError> {
        self.writer(name, Over::Any)
    }

    fn writer(&self, name: &FileName, over: Over) -> Result<FileWriter, FilesError> {
        let path = self.path(name)?;
        Ok(FileWriter {
            files: self.clone(),
            name: name.clone(),
            path,
            over,
            rest: Vec::new(),
            to: To::Nowhere,
        })
    }
}

impl FileWriter {
    /// Writes what comes next.
    ///
    /// # Errors
    /// [`FilesError::Differs`] if it is there with other content, and those of [`Files::put`]; then the file is to be
    /// given up.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), FilesError> {
        let mut piece = piece;
        while !piece.is_empty() {
            let (now, later) = piece.split_at(piece.len().min(PART - self.rest.len()));
            self.rest.extend_from_slice(now);
            piece = later;
            if self.rest.len() == PART {
                let part = std::mem::take(&mut self.rest);
                self.part(part.into()).await?;
            }
        }
        Ok(())
    }

    /// Publishes the file. The same content again is success.
    ///
    /// # Errors
    /// As [`Self::write`]; nothing is published then.
    pub async fn finish(mut self) -> Result<(), FilesError> {
        let ended = self.end().await;
        if ended.is_err() {
            self.give_up().await;
        }
        ended
    }

    /// Leaves nothing of it. A directory has nothing left of a file that is dropped either; a service may keep the
    /// parts.
    pub async fn give_up(&mut self) {
        if let To::Upload(upload) = &mut self.to {
            // What is left is not published, whatever becomes of it.
            let _ = upload.abort().await;
        }
    }

    async fn part(&mut self, part: Bytes) -> Result<(), FilesError> {
        if matches!(self.to, To::Nowhere) {
            self.to = To::open(&self.files, &self.path, self.over).await?;
        }
        let same = match &mut self.to {
            To::Upload(upload) => {
                upload.put_part(part.into()).await?;
                true
            }
            To::Stored(stored) => stored.continues_with(&part).await?,
            To::Nowhere => true,
        };
        if same { Ok(()) } else { Err(self.differs()) }
    }

    async fn end(&mut self) -> Result<(), FilesError> {
        let rest = Bytes::from(std::mem::take(&mut self.rest));
        if matches!(self.to, To::Nowhere) {
            return match self.over {
                Over::Same => self.files.put_new(&self.name, rest).await,
                Over::Any => self.files.put(&self.name, rest).await,
            };
        }
        if !rest.is_empty() {
            self.part(rest).await?;
        }
        let same = match &mut self.to {
            To::Upload(upload) => {
                // It would be replaced.
                if self.over == Over::Same && self.files.exists(&self.name).await? {
                    return Err(FilesError::Unavailable { reason: "written meanwhile".into() });
                }
                upload.complete().await?;
                true
            }
            To::Stored(stored) => stored.is_over().await?,
            To::Nowhere => true,
        };
        if same { Ok(()) } else { Err(self.differs()) }
    }

    fn differs(&self) -> FilesError {
        FilesError::Differs { name: self.name.clone() }
    }
}

impl To {
    async fn open(files: &Files, path: &Path, over: Over) -> Result<Self, FilesError> {
        if over == Over::Any {
            return Ok(Self::Upload(files.store.put_multipart(path).await?));
        }
        match files.store.get(path).await {
            Ok(found) => {
                Ok(Self::Stored(Stored { content: found.into_stream().boxed(), piece: Bytes::new() }))
            }
            Err(object_store::Error::NotFound { .. }) => {
                Ok(Self::Upload(files.store.put_multipart(path).await?))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Stored {
    /// Whether the next bytes are these.
    async fn continues_with(&mut self, mut part: &[u8]) -> Result<bool, FilesError> {
        while !part.is_empty() {
            if self.is_over().await? {
                return Ok(false);
            }
            let both = part.len().min(self.piece.len());
            if self.piece.split_to(both) != part[..both] {
                return Ok(false);
            }
            part = &part[both..];
        }
        Ok(true)
    }

    /// Whether there are no more bytes.
    async fn is_over(&mut self) -> Result<bool, FilesError> {
        while self.piece.is_empty() {
            match self.content.try_next().await? {
                Some(piece) => self.piece = piece,
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter").field("name", &self.name).finish_non_exhaustive()
    }
}
