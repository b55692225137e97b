//! TLS: the certificate, and taking a new one without a restart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The certificate in force, read again when its files change.
pub struct Certificate {
    files: Files,
    in_force: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Stamp>,
}

/// Where the certificate chain and its private key are, in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("`{path}`: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// The chain has no certificate.
    #[error("`{0}` has no certificate")]
    Empty(PathBuf),
    /// The certificate or the key is not usable, or they do not belong together.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsError {
    /// One sentence that says what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => {
                "`[tls]` names PEM files that this user can read, relative to the data directory"
            }
            Self::Empty(_) => "put the server's certificate first in it, then those of its issuers",
            Self::Unusable(_) => "check that the key is the certificate's: compare their public keys",
        }
    }
}

/// What tells that a file was changed.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads the certificate.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: Files) -> Result<Self, TlsError> {
        let seen = Mutex::new(files.stamp());
        let in_force = RwLock::new(Arc::new(files.read()?));
        Ok(Self { files, in_force, seen })
    }

    /// What ends TLS on new connections.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Reads the certificate again; the old one stays in force if the new one cannot be used.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.files.stamp();
        let new = Arc::new(self.files.read()?);
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Whether the files are others than when they were last read.
    pub fn is_stale(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != self.files.stamp()
    }
}

impl Files {
    fn read(&self) -> Result<ServerConfig, TlsError> {
        let file_error = |path: &PathBuf| {
            let path = path.clone();
            move |error| TlsError::File { path, error }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(file_error(&self.certificate))?;
        if chain.is_empty() {
            return Err(TlsError::Empty(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(file_error(&self.key))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        // HTTP/1.1 only: over HTTP/2 an answer to an upload that is still coming reaches some clients as
        // a stream error instead of a status.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        })
    }
}
