//! Where the files of a repository are read from.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// Metadata files by name.
pub trait Source: Send + Sync {
    /// The file `name` (one segment of a path); `None` if there is none. One that is longer than `limit` bytes is an
    /// error.
    ///
    /// # Errors
    /// Those of the system.
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>>;
}

/// A directory with the files of a repository, as an RSTUF server or a web server keeps them.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Source for Directory {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a metadata file"));
        }
        let file = match File::open(self.0.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {limit} bytes")));
        }
        Ok(Some(bytes))
    }
}
