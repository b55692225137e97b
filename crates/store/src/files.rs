//! Published files: a directory, or a bucket of S3 or a compatible service.
//!
//! A write is atomic on both: a reader sees the old content or the new one. On a directory it is durable
//! when the call returns. Names that never change their content (versions, tiles, hashed targets) go
//! through [`Files::put_new`]; the few that do (a checkpoint, a timestamp) through [`Files::put`], last,
//! by whoever holds the publication's lock. What may be large is written piece by piece: [`Files::create`];
//! what is many, together: [`Files::put_all_new`].

mod look;
mod many;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

pub use look::{FileEntry, FilePart};
pub use writer::FileWriter;

/// Where published files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesConfig {
    /// In this directory, which is made if it is not there.
    Directory(PathBuf),
    /// `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, all but the bucket optional. Credentials come
    /// from the environment (`AWS_ACCESS_KEY_ID` and so on) or the machine's role. Needs the feature
    /// `s3`.
    S3(String),
}

/// Names a published file: segments of `A-Z a-z 0-9 . _ @ + -`, none beginning with a dot, with `/`
/// between them; a segment has at most 255 bytes, the whole at most 512.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn path(&self) -> Path {
        // None of the characters of a name is written otherwise in a path: see the test below.
        Path::from(self.as_str())
    }
}

impl FromStr for FileName {
    type Err = FilesError;

    fn from_str(text: &str) -> Result<Self, FilesError> {
        let is_segment = |segment: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
            (1..=255).contains(&segment.len()) && !segment.starts_with('.') && segment.bytes().all(allowed)
        };
        if text.len() <= 512 && text.split('/').all(is_segment) {
            Ok(Self(text.into()))
        } else {
            Err(FilesError::BadName)
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a published file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// Not a name of a file.
    #[error("not a name of a published file")]
    BadName,
    /// A file that never changes is there with other content.
    #[error("`{name}` is published already with other content")]
    Differs {
        /// The file.
        name: FileName,
    },
    /// The disk is full.
    #[error("no room left for published files: {reason}")]
    Full {
        /// What the system says.
        reason: String,
    },
    /// The directory or service does not answer now. A retry can help.
    #[error("published files are not available: {reason}")]
    Unavailable {
        /// What the system or service says.
        reason: String,
    },
    /// The directory or bucket cannot be used as configured.
    #[error("published files cannot be used as configured: {reason}")]
    Configuration {
        /// What is wrong.
        reason: String,
    },
}

impl FilesError {
    /// Whether the same call can succeed later with nothing changed by anybody.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// One sentence for the person reading the terminal or the log.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::BadName => "a name has segments of `A-Z a-z 0-9 . _ @ + -`, none beginning with a dot",
            Self::Differs { .. } => "published versions never change: publish a new one",
            Self::Full { .. } => "make room on the disk of the published files",
            Self::Unavailable { .. } => "safe to retry",
            Self::Configuration { .. } => {
                "`[storage] files` is `directory` or `s3://BUCKET/PREFIX?endpoint=URL`"
            }
        })
    }
}

impl From<object_store::Error> for FilesError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error;
        let reason = error.to_string();
        if is_storage_full(&error) {
            return Self::Full { reason };
        }
        match error {
            Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::UnknownConfigurationKey { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. } => Self::Configuration { reason },
            _ => Self::Unavailable { reason },
        }
    }
}

fn is_storage_full(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| {
            use std::io::ErrorKind::{QuotaExceeded, StorageFull};
            matches!(error.kind(), StorageFull | QuotaExceeded)
        })
}

/// The place of published files. A clone is another handle of the same one.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    prefix: Option<FileName>,
    /// Where files are written many at a time.
    directory: Option<PathBuf>,
}

impl Files {
    /// Opens the place.
    ///
    /// # Errors
    /// [`FilesError::Configuration`] if it cannot work.
    pub fn open(config: &FilesConfig) -> Result<Self, FilesError> {
        match config {
            FilesConfig::Directory(path) => {
                let unusable = |error: String| FilesError::Configuration {
                    reason: format!("the directory `{}`: {error}", path.display()),
                };
                std::fs::create_dir_all(path).map_err(|error| unusable(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(path)
                    .map_err(|error| unusable(error.to_string()))?
                    .with_fsync(true);
                let directory = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
                Ok(Self { store: Arc::new(store), prefix: None, directory: Some(directory) })
            }
            FilesConfig::S3(url) => open_s3(url),
        }
    }

    /// Publishes a file that never changes. The same content again is success.
    ///
    /// # Errors
    /// [`FilesError::Differs`] if it is there with other content.
    pub async fn put_new(&self, name: &FileName, content: Bytes) -> Result<(), FilesError> {
        let options = PutOptions::from(PutMode::Create);
        let path = self.path(name)?;
        match self.store.put_opts(&path, content.clone().into(), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => match self.get(name).await? {
                Some(stored) if stored == content => Ok(()),
                Some(_) => Err(FilesError::Differs { name: name.clone() }),
                None => Err(FilesError::Unavailable { reason: "removed meanwhile".into() }),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes a file in the place of what is there.
    ///
    /// # Errors
    /// [`FilesError::Full`], [`FilesError::Unavailable`]: the old content is still there.
    pub async fn put(&self, name: &FileName, content: Bytes) -> Result<(), FilesError> {
        self.store.put(&self.path(name)?, content.into()).await?;
        Ok(())
    }

    /// The content of a file; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn get(&self, name: &FileName) -> Result<Option<Bytes>, FilesError> {
        match self.store.get(&self.path(name)?).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is a file of that name.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn exists(&self, name: &FileName) -> Result<bool, FilesError> {
        match self.store.head(&self.path(name)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes are free on the disk of the files; `None` where that is not known: not in a directory, or the
    /// system does not say.
    pub fn free(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.directory.as_deref()?).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// The names of all files whose first segments are `under`, sorted; of all files if `None`.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn list(&self, under: Option<&FileName>) -> Result<Vec<FileName>, FilesError> {
        let path = match (under, &self.prefix) {
            (Some(name), _) => Some(self.path(name)?),
            (None, prefix) => prefix.as_ref().map(FileName::path),
        };
        let mut listing = self.store.list(path.as_ref());
        let mut names = Vec::new();
        while let Some(found) = listing.try_next().await? {
            // What is not a name of ours was put there by somebody else.
            names.extend(self.name_of(found.location.as_ref()));
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file. One that is not there is fine.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn delete(&self, name: &FileName) -> Result<(), FilesError> {
        match self.store.delete(&self.path(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The name of what is at this path.
    fn name_of(&self, path: &str) -> Option<FileName> {
        let name = match &self.prefix {
            Some(prefix) => path.strip_prefix(prefix.as_str())?.strip_prefix('/')?,
            None => path,
        };
        name.parse().ok()
    }

    fn path(&self, name: &FileName) -> Result<Path, FilesError> {
        Ok(match &self.prefix {
            Some(prefix) => FileName::from_str(&format!("{prefix}/{name}"))?.path(),
            None => name.path(),
        })
    }
}

#[cfg(not(feature = "s3"))]
fn open_s3(_url: &str) -> Result<Files, FilesError> {
    Err(FilesError::Configuration { reason: "this program was built without S3".into() })
}

#[cfg(feature = "s3")]
fn open_s3(url: &str) -> Result<Files, FilesError> {
    use std::time::Duration;

    use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
    use object_store::{ClientOptions, RetryConfig};

    let location = S3Location::parse(url)?;
    let plain_http = location.endpoint.is_some_and(|url| url.starts_with("http://"));
    let client = ClientOptions::new()
        .with_allow_http(plain_http)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(30));
    let retry =
        RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(location.bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(client)
        .with_retry(retry);
    if let Some(endpoint) = location.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = location.region {
        builder = builder.with_region(region);
    }
    let store = builder.build().map_err(|error| FilesError::Configuration { reason: error.to_string() })?;
    Ok(Files { store: Arc::new(store), prefix: location.prefix, directory: None })
}

/// The parts of `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`.
#[cfg(feature = "s3")]
#[derive(Debug, PartialEq, Eq)]
struct S3Location<'a> {
    bucket: &'a str,
    prefix: Option<FileName>,
    endpoint: Option<&'a str>,
    region: Option<&'a str>,
}

#[cfg(feature = "s3")]
impl<'a> S3Location<'a> {
    fn parse(url: &'a str) -> Result<Self, FilesError> {
        let bad = |reason: &str| FilesError::Configuration { reason: reason.into() };
        let rest = url.strip_prefix("s3://").ok_or_else(|| bad("not an `s3://` URL"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(bad("no bucket in the URL"));
        }
        let prefix = match prefix.trim_end_matches('/') {
            "" => None,
            prefix => Some(prefix.parse().map_err(|_| bad("a prefix that is no file name"))?),
        };
        let mut location = Self { bucket, prefix, endpoint: None, region: None };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("endpoint", value)) => location.endpoint = Some(value),
                Some(("region", value)) => location.region = Some(value),
                _ => return Err(bad("the URL takes `endpoint` and `region` only")),
            }
        }
        Ok(location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", ".hidden", "a/.b", "a b", "a\\b", "a%2Fb",
            "a\0b", "ä", "a:b", "a#1", "a~", &long,
        ] {
            assert!(bad.parse::<FileName>().is_err(), "{bad:?}");
        }
        assert!(["abc"; 129].join("/").parse::<FileName>().is_err());
        for good in ["a", "1.root.json", "tile/0/x001/234.p/8", "A-Z_@+.txt", &long[..255]] {
            let name: FileName = good.parse().unwrap();
            assert_eq!(name.path().as_ref(), good);
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn an_s3_url_has_a_bucket_a_prefix_an_endpoint_and_a_region() {
        let url = "s3://bucket/some/where/?endpoint=http://127.0.0.1:9000&region=eu-1";
        let expected = S3Location {
            bucket: "bucket",
            prefix: Some("some/where".parse().unwrap()),
            endpoint: Some("http://127.0.0.1:9000"),
            region: Some("eu-1"),
        };
        assert_eq!(S3Location::parse(url).unwrap(), expected);
        assert_eq!(S3Location::parse("s3://b").unwrap().prefix, None);
        for bad in ["http://b", "s3://", "s3:///a", "s3://b/../c", "s3://b?secret=x"] {
            assert!(S3Location::parse(bad).is_err(), "{bad}");
        }
    }
}
