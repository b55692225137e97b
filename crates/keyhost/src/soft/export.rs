//! Private keys out, encrypted: PKCS#8 with PBES2: PBKDF2 and AES-256-CBC, which `openssl pkcs8` reads.

use countersign_model::key::KeyError;
use countersign_model::pem;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::pkcs5::pbes2::{self, Pbkdf2Params};
use zeroize::Zeroizing;

use super::{SoftKey, random};

/// Why a key was not exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The passphrase is too short to protect a key.
    #[error("the passphrase has fewer than {MIN_PASSPHRASE} characters")]
    ShortPassphrase,
    /// The library failed.
    #[error("the key could not be written: {0}")]
    Failed(String),
}

/// Characters that a passphrase must have at least.
pub const MIN_PASSPHRASE: usize = 12;

/// PBKDF2 with HMAC-SHA-256: what every OpenSSL since 1.0 reads.
const ITERATIONS: u32 = 600_000;

/// The key as an `ENCRYPTED PRIVATE KEY` block.
///
/// # Errors
/// [`ExportError`].
pub fn to_encrypted_pem(key: &SoftKey, passphrase: &[u8]) -> Result<Zeroizing<String>, ExportError> {
    let characters = String::from_utf8_lossy(passphrase).chars().count();
    if characters < MIN_PASSPHRASE {
        return Err(ExportError::ShortPassphrase);
    }
    let failed = |e: &dyn std::fmt::Display| ExportError::Failed(e.to_string());
    let clear = key.to_pkcs8().map_err(|e: KeyError| failed(&e))?;
    let salt = random::<16>().map_err(|e| failed(&e))?;
    let iv = random::<16>().map_err(|e| failed(&e))?;
    let kdf = Pbkdf2Params::hmac_sha256(ITERATIONS, salt.as_slice()).map_err(|e| failed(&e))?;
    let parameters =
        pbes2::Parameters { kdf: kdf.into(), encryption: pbes2::EncryptionScheme::Aes256Cbc { iv: *iv } };
    let info = PrivateKeyInfoRef::try_from(clear.as_slice()).map_err(|e| failed(&e))?;
    let encrypted = info.encrypt_with_params(parameters, passphrase).map_err(|e| failed(&e))?;
    Ok(Zeroizing::new(pem::encode("ENCRYPTED PRIVATE KEY", encrypted.as_bytes())))
}
