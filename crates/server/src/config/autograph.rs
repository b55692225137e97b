//! `[autograph]` and `[[autograph.signer]]`.

use countersign_core::autograph::{
    Autograph as Surface, Kind, OpenPgpMode, Padding, Settings, SettingsError, SignerSettings,
};
use countersign_model::{HashAlg, KeyName};
use serde::Deserialize;

use super::ConfigError;

/// `[autograph]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Autograph {
    /// Whether the surface answers.
    pub enabled: bool,
    /// By how many seconds the time in a request may differ from the server's. Default 60.
    pub skew_seconds: u32,
    /// The largest body, in MiB. Default 64.
    pub body_mib: u32,
    /// The Hawk id that stands behind the id `monitor`: the original's monitor knows no other.
    pub monitor: Option<String>,
    /// Signers whose id is not the name of their key, or that make something else than keys of their type do.
    pub signer: Vec<AutographSigner>,
}

impl Default for Autograph {
    fn default() -> Self {
        Self { enabled: true, skew_seconds: 60, body_mib: 64, monitor: None, signer: Vec::new() }
    }
}

/// `[[autograph.signer]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutographSigner {
    /// What clients call it.
    pub id: String,
    /// The native key.
    pub key: KeyName,
    /// What it makes. Default: `contentsignature` for EC keys, `genericrsa` for RSA keys.
    #[serde(rename = "type")]
    pub kind: Option<SignerType>,
    /// `pkcs15` (default) or `pss`; `gpg2` (default) or `debsign`.
    pub mode: Option<SignerMode>,
    /// The hash of an RSA signature: `sha256` (default), `sha384` or `sha512`.
    pub hash: Option<SignerHash>,
    /// Where the certificate chain of a content signer is.
    pub x5u: Option<String>,
    /// The OpenPGP certificate, in armor.
    pub certificate: Option<String>,
}

/// What a signer makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the original's")]
pub enum SignerType {
    ContentSignature,
    ContentSignaturePki,
    GenericRsa,
    Gpg2,
}

/// How a signer signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the original's")]
pub enum SignerMode {
    Pkcs15,
    Pss,
    Gpg2,
    Debsign,
}

/// The hash of a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum SignerHash {
    Sha256,
    Sha384,
    Sha512,
}

impl Autograph {
    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, why: &str| Err(ConfigError::Value { key, why: why.into() });
        if !(1..=900).contains(&self.skew_seconds) {
            return bad("autograph.skew_seconds", "1 to 900");
        }
        if !(1..=1500).contains(&self.body_mib) {
            return bad("autograph.body_mib", "1 to 1500");
        }
        self.settings().map(drop).or_else(|why| bad("autograph.signer", &why))
    }

    /// The largest body in bytes.
    pub(crate) fn body(&self) -> u64 {
        u64::from(self.body_mib) << 20
    }

    /// What the surface keeps; made of a configuration that was checked.
    pub(crate) fn surface(&self) -> Surface {
        Surface::new(self.settings().unwrap_or_default())
    }

    fn settings(&self) -> Result<Settings, String> {
        let signers: Result<Vec<_>, String> = self.signer.iter().map(AutographSigner::settings).collect();
        let (skew_seconds, monitor) = (self.skew_seconds, self.monitor.clone());
        let settings = Settings { skew_seconds, monitor, signers: signers? };
        settings.check().map_err(|error| error.to_string())
    }
}

impl AutographSigner {
    fn settings(&self) -> Result<SignerSettings, String> {
        let Self { id, key, x5u, .. } = self;
        let kind = self.kind().map_err(|why| format!("signer `{id}`: {why}"))?;
        Ok(SignerSettings { id: id.clone(), key: key.clone(), kind, x5u: x5u.clone() })
    }

    fn kind(&self) -> Result<Option<Kind>, String> {
        use SignerType::{ContentSignature, ContentSignaturePki, GenericRsa, Gpg2};
        let only = |given: bool, what: &str, with: &str| {
            if given { Err(format!("`{what}` is for `type = \"{with}\"` only")) } else { Ok(()) }
        };
        let of_rsa = self.kind == Some(GenericRsa);
        let of_openpgp = self.kind == Some(Gpg2);
        only(self.mode.is_some() && !of_rsa && !of_openpgp, "mode", "genericrsa\"` and `\"gpg2")?;
        only(self.hash.is_some() && !of_rsa, "hash", "genericrsa")?;
        only(self.certificate.is_some() && !of_openpgp, "certificate", "gpg2")?;
        only(self.x5u.is_some() && (of_rsa || of_openpgp), "x5u", "contentsignature")?;
        Ok(match self.kind {
            None => None,
            Some(ContentSignature) => Some(Kind::Content { pki: false }),
            Some(ContentSignaturePki) => Some(Kind::Content { pki: true }),
            Some(GenericRsa) => Some(self.rsa()?),
            Some(Gpg2) => Some(self.openpgp()?),
        })
    }

    fn rsa(&self) -> Result<Kind, String> {
        let padding = match self.mode {
            None | Some(SignerMode::Pkcs15) => Padding::Pkcs15,
            Some(SignerMode::Pss) => Padding::Pss,
            Some(_) => return Err("the mode is `pkcs15` or `pss`".into()),
        };
        let hash = match self.hash {
            None | Some(SignerHash::Sha256) => HashAlg::Sha256,
            Some(SignerHash::Sha384) => HashAlg::Sha384,
            Some(SignerHash::Sha512) => HashAlg::Sha512,
        };
        Ok(Kind::Rsa(padding, hash))
    }

    fn openpgp(&self) -> Result<Kind, String> {
        let mode = match self.mode {
            None | Some(SignerMode::Gpg2) => OpenPgpMode::Gpg2,
            Some(SignerMode::Debsign) => OpenPgpMode::Debsign,
            Some(_) => return Err("the mode is `gpg2` or `debsign`".into()),
        };
        let certificate = self.certificate.as_deref().ok_or("`certificate` is missing")?;
        Kind::openpgp(&self.id, mode, certificate).map_err(|error| match error {
            // The id stands before it already.
            SettingsError::Certificate { error, .. } => {
                format!("the OpenPGP certificate cannot be used: {error}")
            }
            other => other.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn signers_are_checked_at_the_start() {
        let good = "[[autograph.signer]]\nid = \"a\"\nkey = \"release\"\ntype = \"genericrsa\"\nmode = \"pss\"\nhash = \"sha512\"";
        assert!(Config::parse(good).is_ok());
        for (text, named) in [
            ("[autograph]\nskew_seconds = 0", "autograph.skew_seconds"),
            ("[autograph]\nbody_mib = 0", "autograph.body_mib"),
            ("[[autograph.signer]]\nid = \"\"\nkey = \"k\"", "signer id"),
            ("[[autograph.signer]]\nid = \"a b\"\nkey = \"k\"", "signer id"),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"tuf/online\"", "another surface"),
            (
                "[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\n[[autograph.signer]]\nid = \"a\"\nkey = \"l\"",
                "twice",
            ),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\nmode = \"pss\"", "`mode` is for"),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\nhash = \"sha256\"", "`hash` is for"),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\ntype = \"genericrsa\"\nhash = \"sha1\"", "sha1"),
            (
                "[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\ntype = \"genericrsa\"\nmode = \"debsign\"",
                "the mode is",
            ),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\ntype = \"gpg2\"", "`certificate` is missing"),
            (
                "[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\ntype = \"gpg2\"\ncertificate = \"x\"",
                "cannot be used",
            ),
            (
                "[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\ntype = \"genericrsa\"\nx5u = \"https://x\"",
                "`x5u` is for",
            ),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\ntype = \"xpi\"", "xpi"),
            ("[[autograph.signer]]\nid = \"a\"\nkey = \"k\"\nprivatekey = \"k\"", "privatekey"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.to_string().contains(named), "{text}: {error}");
        }
    }
}
