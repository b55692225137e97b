//! Argon2id hashes of passwords, in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Memory in KiB, passes, lanes: what OWASP recommends for passwords.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// What begins every hash that is made here.
const HEAD: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The hash of a password. Takes some tens of milliseconds.
pub(super) fn hash(password: &str, salt: &[u8; 16]) -> Option<String> {
    let key = key(password, salt)?;
    Some(format!("{HEAD}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(key)))
}

/// Whether `password` is the one of `hash`; without a hash it takes as long, and is not.
pub(super) fn verify(hash: Option<&str>, password: &str) -> bool {
    let parsed = hash.and_then(parse);
    let (salt, wanted) = parsed.unwrap_or(([0; 16], [0; 32]));
    let Some(key) = key(password, &salt) else { return false };
    verify_slices_are_equal(&key, &wanted).is_ok() && parsed.is_some()
}

fn parse(hash: &str) -> Option<([u8; 16], [u8; 32])> {
    let (salt, key) = hash.strip_prefix(HEAD)?.split_once('$')?;
    let salt = STANDARD_NO_PAD.decode(salt).ok()?.try_into().ok()?;
    let key = STANDARD_NO_PAD.decode(key).ok()?.try_into().ok()?;
    Some((salt, key))
}

fn key(password: &str, salt: &[u8; 16]) -> Option<[u8; 32]> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut key)
        .ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone() {
        let made = hash("secret", &[7; 16]).unwrap();
        assert!(made.starts_with(HEAD), "{made}");
        assert!(verify(Some(&made), "secret"));
        assert!(!verify(Some(&made), "Secret"));
        assert!(!verify(None, "secret"));
        for bad in ["", "secret", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA", HEAD] {
            assert!(!verify(Some(bad), "secret"), "{bad}");
        }
    }
}
