//! Answers of an SSH agent, and public keys in SSH's form.

use countersign_model::ssh;
use countersign_model::{HashAlg, Scheme};

/// Reads any bytes as an answer and as a key; a key that was read is a key again as PEM.
pub fn ssh(data: &[u8]) {
    for identity in ssh::identities(data).into_iter().flatten() {
        assert!(identity.fingerprint().starts_with("SHA256:"));
        assert_eq!(identity.public, ssh::public_key(&identity.blob).ok());
    }
    let Some((length, rest)) = data.split_first() else { return };
    let (blob, answer) = rest.split_at(usize::from(*length).min(rest.len()));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = ssh::public_key_line(text);
    }
    let Ok(key) = ssh::public_key(blob) else { return };
    for scheme in key.key_type().schemes() {
        if let Ok(raw) = ssh::signature(answer, &key, scheme) {
            assert!(!raw.0.is_empty());
        }
    }
    assert!(ssh::signature(answer, &key, Scheme::RsaPss(HashAlg::Sha256)).is_err());
}
