//! The other opinion: `openssl`, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use countersign_model::Scheme;

use crate::failure::{Failure, OrUnknown as _};

/// An `openssl` that answered.
pub struct Openssl {
    /// What it says it is.
    pub version: String,
}

impl Openssl {
    /// Finds it on the path.
    pub fn find() -> Option<Self> {
        let output = Command::new("openssl").arg("version").stdin(Stdio::null()).output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(Self { version })
    }

    /// Whether it takes `signature` for one of `file`, by the public key in `pem`.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn verify(&self, scheme: Scheme, pem: &Path, file: &Path, signature: &Path) -> Result<bool, Failure> {
        let mut command = Command::new("openssl");
        match scheme {
            Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash) | Scheme::Ecdsa(hash) => {
                command.arg("dgst").arg(format!("-{hash}")).arg("-verify").arg(pem);
                if matches!(scheme, Scheme::RsaPss(_)) {
                    command.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
                }
                command.arg("-signature").arg(signature).arg(file);
            }
            Scheme::Ed25519 | Scheme::RsaPkcs1Raw => {
                command.args(["pkeyutl", "-verify", "-pubin", "-inkey"]).arg(pem);
                if scheme == Scheme::Ed25519 {
                    command.arg("-rawin");
                } else {
                    // Without a digest named, the padding holds the bytes themselves.
                    command.args(["-pkeyopt", "rsa_padding_mode:pkcs1"]);
                }
                command.arg("-in").arg(file).arg("-sigfile").arg(signature);
            }
        }
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        Ok(status.or_unknown("cannot run openssl")?.success())
    }
}
