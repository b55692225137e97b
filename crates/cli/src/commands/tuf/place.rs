//! Where a repository is: on the web, in a directory, or at the server that commands speak to. What comes from there
//! is bounded in bytes and in time, and nothing of it is believed.

mod web;

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_tuf::names::decoded_file_name;
use http::StatusCode;

use crate::api::{Api, Request};
use crate::args::ReadOptions;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;

pub use web::{Patience, Web};
use web::{base_of, beside};

/// One place with metadata and target files.
pub enum Place {
    /// Files below two addresses, each ended by a slash.
    Web(Web),
    /// Files in two directories.
    Directory {
        /// Metadata.
        metadata: PathBuf,
        /// Target files.
        targets: PathBuf,
    },
    /// The server that commands speak to.
    Server(Api),
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum NotFetched {
    /// More than may be read: an endless file, maybe.
    #[error("`{file}` is longer than the {limit} bytes that it may have")]
    TooLong {
        /// The file.
        file: String,
        /// Its limit.
        limit: u64,
    },
    /// Fewer bytes in a second than the least.
    #[error("`{file}` comes too slowly: {bytes} bytes in {seconds} s")]
    TooSlow {
        /// The file.
        file: String,
        /// What came.
        bytes: u64,
        /// In which time.
        seconds: u64,
    },
    /// No answer, or one that says neither yes nor no.
    #[error("`{file}` cannot be had: {why}")]
    Unknown {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// What came cannot be written, or is not what it should be.
    #[error("{}", .0.message)]
    Stopped(Failure),
}

/// What takes the pieces of a file as they come.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + Send + 'a;

impl Place {
    /// All places that the options name, the first first.
    ///
    /// # Errors
    /// If one of them is malformed.
    pub fn all(context: &Context, place: &str, options: &ReadOptions) -> Result<Vec<Self>, Failure> {
        let targets = options.targets_url.as_deref();
        let mut all = vec![Self::of(context, place, targets, options)?];
        for mirror in &options.mirrors {
            all.push(Self::of(context, mirror, None, options)?);
        }
        Ok(all)
    }

    fn of(
        context: &Context,
        place: &str,
        targets: Option<&str>,
        options: &ReadOptions,
    ) -> Result<Self, Failure> {
        if !is_url(place) {
            return Self::directory(Path::new(place), targets.map(Path::new));
        }
        let metadata = base_of(place)?;
        let targets = targets.map_or_else(|| Ok(beside(&metadata)), base_of)?;
        let ca = match &options.repository_ca {
            Some(file) => Some(files::read_small(file)?),
            None => context.ca()?,
        };
        let patience =
            Patience { idle: Duration::from_secs(options.idle_timeout), least_rate: options.least_rate };
        Web::new(metadata, targets, ca.as_deref().map(Vec::as_slice), patience).map(Self::Web)
    }

    /// A directory with metadata, or one with `metadata` in it.
    fn directory(path: &Path, targets: Option<&Path>) -> Result<Self, Failure> {
        let inside = path.join(METADATA);
        let metadata = if inside.is_dir() { inside } else { path.to_owned() };
        if !metadata.is_dir() {
            return Err(Failure::unknown(format!("there is no directory `{}`", path.display()))
                .hint("give the directory with the metadata files, or a URL that begins with https://"));
        }
        let parent = metadata.parent().unwrap_or(Path::new("")).to_owned();
        let targets = targets.map_or_else(|| parent.join(TARGETS), Path::to_owned);
        Ok(Self::Directory { metadata, targets })
    }

    /// A metadata file of at most `limit` bytes; `None` if there is none of that name.
    ///
    /// - `name`: one segment, percent-encoded.
    ///
    /// # Errors
    /// [`NotFetched`].
    pub async fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, NotFetched> {
        let mut bytes = Vec::new();
        let mut sink = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        let found = match self {
            Self::Web(web) => web.fetch(&format!("{}{name}", web.metadata), name, limit, &mut sink).await?,
            Self::Directory { metadata, .. } => {
                read_file(&metadata.join(name), name, limit, &mut sink)?
                    || match decoded_file_name(name) {
                        Some(plain) => read_file(&metadata.join(plain), name, limit, &mut sink)?,
                        None => false,
                    }
            }
            Self::Server(api) => ask(api, &format!("/{METADATA}/{name}"), name, limit, &mut sink).await?,
        };
        Ok(found.then_some(bytes))
    }

    /// A target file, in pieces. `false`: there is none at this path.
    ///
    /// - `path`: below the place of target files, as metadata has it, with the hash in its last part where it has one.
    ///
    /// # Errors
    /// [`NotFetched`].
    pub async fn target(&self, path: &str, limit: u64, sink: &mut Sink<'_>) -> Result<bool, NotFetched> {
        let escaped = || path.split('/').map(crate::api::escape).collect::<Vec<_>>().join("/");
        match self {
            Self::Web(web) => web.fetch(&format!("{}{}", web.targets, escaped()), path, limit, sink).await,
            Self::Directory { targets, .. } => match below(targets, path) {
                Some(file) => read_file(&file, path, limit, sink),
                None => Ok(false),
            },
            Self::Server(api) => ask(api, &format!("/{TARGETS}/{}", escaped()), path, limit, sink).await,
        }
    }
}

/// Where metadata are, in an exported directory and at a server.
pub const METADATA: &str = "metadata";
/// Where target files are.
pub const TARGETS: &str = "targets";

/// The file at `path` below `directory`; `None` for a path that leads elsewhere: metadata may have any text.
pub fn below(directory: &Path, path: &str) -> Option<PathBuf> {
    let harmless = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    path.split('/').all(harmless).then(|| directory.join(path))
}

/// Whether it is an address, not a directory.
pub fn is_url(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

fn read_file(path: &Path, file: &str, limit: u64, sink: &mut Sink<'_>) -> Result<bool, NotFetched> {
    let unknown = |error: io::Error| NotFetched::Unknown { file: file.to_owned(), why: error.to_string() };
    let opened = match std::fs::File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        opened => opened.map_err(unknown)?,
    };
    let mut opened = opened.take(limit.saturating_add(1));
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let n = opened.read(&mut buffer).map_err(unknown)?;
        if n == 0 {
            return Ok(true);
        }
        bytes += n as u64;
        if bytes > limit {
            return Err(NotFetched::TooLong { file: file.to_owned(), limit });
        }
        sink(&buffer[..n]).map_err(NotFetched::Stopped)?;
    }
}

/// The pieces of an answer of the server, no more than may be read.
struct Bounded<'a, 'b> {
    sink: &'a mut Sink<'b>,
    left: u64,
    too_long: bool,
    stopped: Option<Failure>,
}

impl Write for Bounded<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            None => {
                self.too_long = true;
                Err(io::Error::other("too long"))
            }
            Some(left) => {
                self.left = left;
                (self.sink)(bytes).map_err(|failure| {
                    self.stopped = Some(failure);
                    io::Error::other("stopped")
                })?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn ask(api: &Api, path: &str, file: &str, limit: u64, sink: &mut Sink<'_>) -> Result<bool, NotFetched> {
    let mut out = Bounded { sink, left: limit, too_long: false, stopped: None };
    let answer = api.fetch(Request::get(path), &mut out).await;
    let (too_long, stopped) = (out.too_long, out.stopped);
    let unknown = |why: String| NotFetched::Unknown { file: file.to_owned(), why };
    match (answer, stopped) {
        (_, Some(failure)) => Err(NotFetched::Stopped(failure)),
        _ if too_long => Err(NotFetched::TooLong { file: file.to_owned(), limit }),
        (Err(failure), None) => Err(unknown(failure.message)),
        (Ok(answer), None) if answer.status.is_success() => Ok(true),
        (Ok(answer), None) if answer.status == StatusCode::NOT_FOUND => Ok(false),
        (Ok(answer), None) => Err(unknown(format!("the server answered {}", answer.status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_metadata_does_not_lead_out_of_a_directory() {
        let directory = Path::new("d");
        assert_eq!(below(directory, "a/b.tgz"), Some(PathBuf::from("d/a/b.tgz")));
        for bad in ["../x", "/etc/passwd", "a/../../x", "a//b", "", ".", "a\0"] {
            assert_eq!(below(directory, bad), None, "{bad:?}");
        }
    }
}
