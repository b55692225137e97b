//! Who signs: a private key in a file, a key of an SSH agent, or a command. Nothing of a private key leaves it, and
//! what it gives is verified before it is used.

mod agent;
mod command;

use std::path::Path;

use countersign_keyhost::soft::{ImportError, SoftKey};
use countersign_model::key::PrivateKey as _;
use countersign_model::{HashAlg, KeyType, PublicKey, Scheme, ssh};
use countersign_tuf::key::{Key, default_id, key_object};
use countersign_tuf::metadata::Document;
use countersign_tuf::root::{Keys, Role};
use serde_json::Value;

use crate::args::{Passphrase, SigningKeys};
use crate::failure::{Failure, Kind, OrUnknown as _};
use crate::files;
use crate::secret::{self, Prompt};

/// One that can sign.
pub struct Signer {
    /// Its public key.
    pub public: PublicKey,
    /// What it is called, for people.
    pub shown: String,
    holder: Holder,
}

enum Holder {
    Soft(Box<SoftKey>),
    Agent(agent::AgentKey),
    Command(String),
}

impl Signer {
    /// All that the options name, the private keys opened.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn all(options: &SigningKeys) -> Result<Vec<Self>, Failure> {
        let mut signers = Vec::new();
        for file in &options.keys {
            signers.push(Self::from_file(file, options.passphrase_file.as_deref())?);
        }
        for wanted in &options.agent_key {
            let key = agent::find(wanted)?;
            let shown = format!("`{}` of the SSH agent", key.comment);
            signers.push(Self { public: key.public.clone(), shown, holder: Holder::Agent(key) });
        }
        if let (Some(line), Some(file)) = (&options.signer, &options.signer_key) {
            let public = crate::commands::verify::read_public_key(file)?;
            let shown = format!("the command for `{}`", file.display());
            signers.push(Self { public, shown, holder: Holder::Command(line.clone()) });
        }
        Ok(signers)
    }

    /// The private key in a file, encrypted or not.
    ///
    /// # Errors
    /// If it is none, or the passphrase does not open it.
    pub fn from_file(file: &Path, passphrase_file: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self::of(read_private(file, passphrase_file)?, format!("`{}`", file.display())))
    }

    /// A private key at hand.
    pub fn of(key: SoftKey, shown: String) -> Self {
        Self { public: key.public().clone(), shown, holder: Holder::Soft(Box::new(key)) }
    }

    /// Signs `message` as `key`, and gives the signature as it stands in metadata.
    ///
    /// # Errors
    /// If it cannot, or what it gives does not verify.
    pub fn sign(&self, key: &Key, message: &[u8]) -> Result<String, Failure> {
        let failed = |why: String| Failure::unknown(format!("{} does not sign: {why}", self.shown));
        let scheme = key.signing_scheme().ok_or_else(|| failed("the key cannot be used".to_owned()))?;
        let text = match &self.holder {
            Holder::Soft(soft) => {
                let to_sign = key.to_sign(message).map_err(|error| failed(error.to_string()))?;
                let raw = soft.sign(scheme, &to_sign).map_err(|error| failed(error.to_string()))?;
                key.signature_text(&raw).map_err(|error| failed(error.to_string()))?
            }
            Holder::Agent(agent) => {
                let raw = agent.sign(scheme, message)?;
                key.signature_text(&raw).map_err(|error| failed(error.to_string()))?
            }
            Holder::Command(line) => return command::sign(line, key, message),
        };
        key.verify(message, &text).map_err(|error| failed(error.to_string()))?;
        Ok(text)
    }

    /// The key's object in metadata, in the scheme that this signer has.
    fn object(&self) -> Option<Value> {
        let scheme = match (&self.holder, self.public.key_type()) {
            // What an agent can do of RSA.
            (Holder::Agent(_), KeyType::Rsa(_)) => Scheme::RsaPkcs1(HashAlg::Sha256),
            (_, key_type) => default_scheme(key_type),
        };
        key_object(&self.public, scheme)
    }

    /// The ids under which it stands in `role`.
    pub fn ids<'a>(&'a self, keys: &'a Keys, role: &'a Role) -> impl Iterator<Item = (&'a str, &'a Key)> {
        role.keys(keys).filter(|(_, key)| key.public_key() == Some(&self.public))
    }
}

/// Signs `document` with every signer that is a key of one of the roles; each gives one signature. Returns the ids.
///
/// # Errors
/// If a signer is no key of them, or cannot sign.
pub fn sign_by_roles(
    document: &mut Document,
    signers: &[Signer],
    roles: &[(&Keys, &Role)],
) -> Result<Vec<String>, Failure> {
    let message = document.signed_bytes();
    let mut signed = Vec::new();
    for signer in signers {
        let mut found = false;
        for (keyid, key) in roles.iter().flat_map(|(keys, role)| signer.ids(keys, role)) {
            found = true;
            if signed.iter().any(|known| known == keyid) {
                continue;
            }
            let signature = signer.sign(key, &message)?;
            document.put_signature(keyid, &signature);
            signed.push(keyid.to_owned());
        }
        if !found {
            return Err(Failure::refused(format!("{} is not a key that may sign this", signer.shown))
                .hint("`countersign tuf status` lists the keys that are missing"));
        }
    }
    Ok(signed)
}

/// A key object of TUF from a file: JSON of one, PEM (public, or private, of which the public half is taken), or a
/// public SSH key.
///
/// # Errors
/// If it is none of them, or a key that cannot be used.
pub fn public_object(file: &Path) -> Result<Value, Failure> {
    let bytes = files::read_small(file)?;
    let bad = |why: String| {
        Failure::unknown(format!("`{}` is not a key: {why}", file.display()))
            .hint("PEM, a public SSH key, or a TUF key in JSON is one; `openssl genpkey -algorithm ed25519` makes one")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is not text".to_owned()))?.trim_start();
    let object = if text.starts_with('{') {
        let value =
            countersign_tuf::canonical::read(text.as_bytes()).map_err(|error| bad(error.to_string()))?;
        let mut members = value.as_object().cloned().unwrap_or_default();
        members.remove("keyid");
        Some(Value::Object(members))
    } else if text.contains("PRIVATE KEY-----") {
        Signer::from_file(file, None)?.object()
    } else if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        let public = ssh::public_key_line(text).map_err(|error| bad(error.to_string()))?;
        let scheme = match public.key_type() {
            KeyType::Rsa(_) => Scheme::RsaPkcs1(HashAlg::Sha256),
            other => default_scheme(other),
        };
        key_object(&public, scheme)
    } else {
        let public = PublicKey::from_pem(text).map_err(|error| bad(error.to_string()))?;
        key_object(&public, default_scheme(public.key_type()))
    };
    let object = object.ok_or_else(|| bad("TUF has no name for its kind".to_owned()))?;
    let key = Key::from_value(&object).map_err(|error| bad(error.to_string()))?;
    match key.usable() {
        Ok(()) => Ok(object),
        Err(error) => Err(bad(error.to_string()).hint(error.hint())),
    }
}

/// The id of a key object.
///
/// # Errors
/// If it is none.
pub fn id_of(object: &Value) -> Result<String, Failure> {
    default_id(object).or_unknown("not a key of TUF")
}

fn default_scheme(key_type: KeyType) -> Scheme {
    match key_type {
        KeyType::Rsa(_) => Scheme::RsaPss(HashAlg::Sha256),
        other => other.default_scheme(),
    }
}

fn read_private(file: &Path, passphrase_file: Option<&Path>) -> Result<SoftKey, Failure> {
    let pem = secret::read_pem(file)?;
    let bad = |error: ImportError| {
        let kind = if error == ImportError::WrongPassphrase { Kind::Refused } else { Kind::Unknown };
        let hint = match error {
            ImportError::Malformed(_) => {
                "keys of ssh-keygen are used through the agent: `ssh-add`, `--agent-key`"
            }
            _ => error.hint(),
        };
        let message = format!("`{}`: {error}", file.display());
        Failure { kind, message, hint: Some(hint.to_owned()), document: None }
    };
    match SoftKey::from_pem(&pem, None) {
        Err(ImportError::Encrypted) => {
            let from = Passphrase { passphrase_file: passphrase_file.map(Path::to_owned) };
            let passphrase = secret::passphrase(&from, &format!("`{}`", file.display()), Prompt::Existing)?;
            SoftKey::from_pem(&pem, Some(passphrase.as_bytes())).map_err(bad)
        }
        other => other.map_err(bad),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn write(directory: &Path, name: &str, text: &str) -> std::path::PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn openssl(directory: &Path, words: &[&str]) {
        let done = Command::new("openssl").args(words).current_dir(directory).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn keys(directory: &Path) {
        openssl(directory, &["genpkey", "-algorithm", "ed25519", "-out", "ed.pem"]);
        let curve =
            ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "p256.pem"];
        openssl(directory, &curve);
        openssl(directory, &["genpkey", "-algorithm", "RSA", "-out", "rsa.pem"]);
        for key in ["ed", "p256", "rsa"] {
            openssl(
                directory,
                &["pkey", "-in", &format!("{key}.pem"), "-pubout", "-out", &format!("{key}.pub")],
            );
        }
    }

    #[test]
    fn every_kind_of_key_in_a_file_signs_and_its_public_half_is_the_same_object() {
        let directory = tempfile::tempdir().unwrap();
        keys(directory.path());
        for (name, scheme) in
            [("ed", "ed25519"), ("p256", "ecdsa-sha2-nistp256"), ("rsa", "rsassa-pss-sha256")]
        {
            let private = directory.path().join(format!("{name}.pem"));
            let object = public_object(&private).unwrap();
            assert_eq!(object, public_object(&directory.path().join(format!("{name}.pub"))).unwrap());
            assert_eq!(object["scheme"], scheme);
            let json = write(directory.path(), "key.json", &object.to_string());
            assert_eq!(public_object(&json).unwrap(), object);
            let key = Key::from_value(&object).unwrap();
            let signature = Signer::from_file(&private, None).unwrap().sign(&key, b"{}").unwrap();
            assert!(key.verify(b"{}", &signature).is_ok());
            assert!(key.verify(b"{ }", &signature).is_err());
        }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let directory = tempfile::tempdir().unwrap();
        keys(directory.path());
        let words =
            ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "1000", "-in", "p256.pem", "-out", "e.pem"];
        openssl(directory.path(), &[words.as_slice(), &["-passout", "pass:secret"]].concat());
        let file = directory.path().join("e.pem");
        let good = write(directory.path(), "good", "secret\n");
        let bad = write(directory.path(), "bad", "other\n");
        assert!(Signer::from_file(&file, Some(&good)).is_ok());
        assert_eq!(Signer::from_file(&file, Some(&bad)).err().unwrap().code(), 1);
    }

    #[test]
    fn what_a_command_prints_is_believed_in_any_form_if_it_verifies() {
        let directory = tempfile::tempdir().unwrap();
        keys(directory.path());
        let path = |name: &str| directory.path().join(name);
        let shown = |name: &str| path(name).display().to_string();
        let rsa = format!(
            "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1 -sign {}",
            shown("rsa.pem")
        );
        let der = format!("openssl dgst -sha256 -sign {}", shown("p256.pem"));
        let ed =
            format!("f=$(mktemp); cat >$f; openssl pkeyutl -sign -rawin -in $f -inkey {}", shown("ed.pem"));
        for (name, line) in [
            ("rsa", rsa.clone()),
            ("rsa", format!("{rsa} | base64")),
            ("p256", der.clone()),
            ("p256", format!("{der} | od -An -v -tx1 | tr -d ' \\n'")),
            ("ed", ed),
        ] {
            let key = Key::from_value(&public_object(&path(&format!("{name}.pub"))).unwrap()).unwrap();
            let signature = command::sign(&line, &key, b"message").unwrap();
            assert!(key.verify(b"message", &signature).is_ok(), "{line}");
        }
        let key = Key::from_value(&public_object(&path("ed.pub")).unwrap()).unwrap();
        for bad in ["true", "false", "echo no", "cat", "head -c 100000 /dev/zero"] {
            assert!(command::sign(bad, &key, b"message").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_that_is_none_says_so() {
        let directory = tempfile::tempdir().unwrap();
        for text in
            ["", "x", "{}", "ssh-dss AAAA x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
        {
            assert!(public_object(&write(directory.path(), "k", text)).is_err(), "{text}");
        }
    }
}
