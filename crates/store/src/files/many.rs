//! Many files at once: what costs on a disk is to wait for it, so they wait together.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{FileName, Files, FilesError};

/// How many are written at a time.
const AT_ONCE: usize = 32;

impl Files {
    /// Publishes files that never change. The same content again is success.
    ///
    /// When the call returns, all are durable. In between, and after an error, some are there, each of them whole.
    ///
    /// # Errors
    /// [`FilesError::Differs`] if one is there with other content, and those of [`Files::put`].
    pub async fn put_all_new(&self, files: Vec<(FileName, Bytes)>) -> Result<(), FilesError> {
        match &self.directory {
            Some(directory) => put_in(directory, files).await,
            None => {
                let put = async |(name, content): (FileName, Bytes)| self.put_new(&name, content).await;
                stream::iter(files).map(put).buffer_unordered(AT_ONCE).try_collect().await
            }
        }
    }
}

async fn put_in(directory: &Path, files: Vec<(FileName, Bytes)>) -> Result<(), FilesError> {
    let mut above = BTreeSet::new();
    for (name, _) in &files {
        let path = directory.join(name.as_str());
        above.extend(
            path.ancestors().skip(1).take_while(|dir| dir.starts_with(directory)).map(Path::to_path_buf),
        );
    }
    let share = files.len().div_ceil(AT_ONCE).max(1);
    let mut files = files.into_iter();
    let mut threads = Vec::new();
    loop {
        let some: Vec<_> = files.by_ref().take(share).collect();
        if some.is_empty() {
            break;
        }
        let directory = directory.to_path_buf();
        threads.push(tokio::task::spawn_blocking(move || put_some(&directory, &some)));
    }
    // All are waited for: after an error none goes on.
    let mut first = Ok(());
    for thread in threads {
        first = first.and(thread.await.map_err(unavailable)?);
    }
    first?;
    tokio::task::spawn_blocking(move || above.iter().try_for_each(|dir| sync(dir)))
        .await
        .map_err(unavailable)?
}

fn put_some(directory: &Path, files: &[(FileName, Bytes)]) -> Result<(), FilesError> {
    files.iter().try_for_each(|(name, content)| {
        let path = directory.join(name.as_str());
        if let Some(same) = is_stored(&path, content)? {
            return if same { Ok(()) } else { Err(FilesError::Differs { name: name.clone() }) };
        }
        let staged = Staged::write(&path, content)?;
        match std::fs::hard_link(&staged.0, &path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match is_stored(&path, content)? {
                Some(true) => Ok(()),
                Some(false) => Err(FilesError::Differs { name: name.clone() }),
                None => Err(FilesError::Unavailable { reason: "removed meanwhile".into() }),
            },
            Err(error) => Err(failed(&path, &error)),
        }
    })
}

/// Whether what is there has this content; `None` if there is nothing.
fn is_stored(path: &Path, content: &[u8]) -> Result<Option<bool>, FilesError> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() != content.len() as u64 => return Ok(Some(false)),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    }
    match std::fs::read(path) {
        Ok(stored) => Ok(Some(stored == content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// A file that has no name of a published one yet, and is removed in the end.
struct Staged(PathBuf);

impl Staged {
    /// Writes the file, durably, beside `path`.
    fn write(path: &Path, content: &[u8]) -> Result<Self, FilesError> {
        let (staged, mut file) = Self::create(path).map_err(|error| failed(path, &error))?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map(|()| staged).map_err(|error| failed(path, &error))
    }

    fn create(path: &Path) -> std::io::Result<(Self, File)> {
        let mut number = 1u64;
        loop {
            // No published file has such a name. One is left where a process was killed.
            let mut staged = path.as_os_str().to_owned();
            staged.push(format!("#{number}"));
            let staged = PathBuf::from(staged);
            match File::create_new(&staged) {
                Ok(file) => return Ok((Self(staged), file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What is left is not a published file, whatever becomes of it.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn sync(directory: &Path) -> Result<(), FilesError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(|error| failed(directory, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> FilesError {
    let reason = format!("`{}`: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FilesError::Full { reason },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            FilesError::Configuration { reason }
        }
        _ => FilesError::Unavailable { reason },
    }
}

fn unavailable(error: tokio::task::JoinError) -> FilesError {
    FilesError::Unavailable { reason: error.to_string() }
}
