//! Ids of the archive, and the names of keys made from them.

use std::fmt::Write as _;

use countersign_model::{KeyName, Surface, digest};

use super::{ArchiveError, ArchivedKey};

/// Whether `id` can name a certificate: 1 to 128 of `A-Z a-z 0-9 . _ - + @ : =` and space, the first a letter
/// or digit.
pub fn is_certificate_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+@:= ".contains(&b))
        && id.as_bytes()[0].is_ascii_alphanumeric()
}

/// Whether `name` can name a list of certificates: 64 lower-case hex digits.
pub fn is_list_name(name: &str) -> bool {
    name.len() == 64 && is_lower_hex(name)
}

/// Ids of RSA keys and of trees.
pub(super) fn is_hex_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && is_lower_hex(id)
}

/// Names of the keys of a tree, and parts of paths in it.
pub(super) fn is_plain_part(part: &str) -> bool {
    (1..=100).contains(&part.len())
        && !part.starts_with('.')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

pub(super) fn is_fingerprint(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Longer than this, an id is cut and completed by its hash: a key name has 200 characters at most.
const MAX_ESCAPED: usize = 180;

pub(super) fn key_name(key: &ArchivedKey) -> Result<KeyName, ArchiveError> {
    let (valid, id) = match key {
        ArchivedKey::Certificate(id) => (is_certificate_id(id), format!("cert/{}", escape(id))),
        ArchivedKey::Rsa(id) => (is_hex_id(id), format!("rsa/{id}")),
        ArchivedKey::OpenPgp(fingerprint) => (is_fingerprint(fingerprint), format!("gpg/{fingerprint}")),
        ArchivedKey::Pki { tree, name } => {
            (is_hex_id(tree) && is_plain_part(name), format!("imx/{tree}/{name}"))
        }
    };
    let bad = || ArchiveError::Id(shown(&id));
    if !valid {
        return Err(bad());
    }
    KeyName::owned(Surface::Appliance, &id).map_err(|_| bad())
}

/// See [`ArchivedKey::can_be`].
pub(super) fn can_be(key: &ArchivedKey, name: &KeyName) -> Result<bool, ArchiveError> {
    let own = key_name(key)?;
    let of_kind = |kind: &str| {
        let id = name.as_str().strip_prefix(kind);
        id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
    };
    Ok(own == *name
        || match key {
            ArchivedKey::Rsa(_) => of_kind("appliance/rsa/"),
            ArchivedKey::OpenPgp(_) => of_kind("appliance/gpg/"),
            ArchivedKey::Certificate(_) | ArchivedKey::Pki { .. } => false,
        })
}

/// An id for an error: escaped and cut.
pub(super) fn shown(id: &str) -> String {
    id.chars().take(80).flat_map(char::escape_debug).collect()
}

/// No two ids give the same text: `+` is escaped itself, so a `+` always has two digits behind it, or is one of
/// the two before the hash.
fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "+{byte:02X}");
        }
    }
    if escaped.len() > MAX_ESCAPED {
        // An id is ASCII, and so is its escaped form: it can be cut anywhere.
        escaped.truncate(MAX_ESCAPED - 34);
        escaped.push_str("++");
        for byte in &digest::sha256(id.as_bytes())[..16] {
            let _ = write!(escaped, "{byte:02x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(id: &str) -> Result<String, ArchiveError> {
        ArchivedKey::Certificate(id.into()).key_name().map(|name| name.to_string())
    }

    #[test]
    fn a_common_id_stays_as_it_is_and_others_are_escaped_without_clashes() {
        assert_eq!(certificate("balenaos-kmod").unwrap(), "appliance/cert/balenaos-kmod");
        assert_eq!(certificate("a b:c=d+e@f").unwrap(), "appliance/cert/a+20b+3Ac+3Dd+2Be@f");
        assert_ne!(certificate("a+20b").unwrap(), certificate("a b").unwrap());
        let long = |end: &str| certificate(&format!("a{}{end}", " ".repeat(126))).unwrap();
        assert_ne!(long("x"), long("y"));
    }

    #[test]
    fn only_keys_that_were_named_before_their_ids_were_known_have_names_of_their_own() {
        let rsa = ArchivedKey::Rsa("ab".into());
        let certificate = ArchivedKey::Certificate("a".into());
        for (key, name, can) in [
            (&rsa, "appliance/rsa/ab", true),
            (&rsa, "appliance/rsa/0123", true),
            (&rsa, "appliance/gpg/ab", false),
            (&rsa, "appliance/cert/ab", false),
            (&certificate, "appliance/cert/a", true),
            (&certificate, "appliance/cert/b", false),
        ] {
            assert_eq!(key.can_be(&name.parse().unwrap()).unwrap(), can, "{key:?} {name}");
        }
    }

    #[test]
    fn ids_that_break_the_grammar_name_nothing() {
        for bad in ["", " a", ".", "..", "../x", "a/b", "a,b", "ä", "a\n", &"a".repeat(129)] {
            assert!(certificate(bad).is_err(), "{bad}");
        }
        let others = [
            ArchivedKey::Rsa("AB".into()),
            ArchivedKey::Rsa(String::new()),
            ArchivedKey::OpenPgp("ab".repeat(20)),
            ArchivedKey::Pki { tree: "..".into(), name: "a".into() },
            ArchivedKey::Pki { tree: "ab".into(), name: "../a".into() },
        ];
        for bad in others {
            assert!(bad.key_name().is_err(), "{bad:?}");
        }
    }
}
