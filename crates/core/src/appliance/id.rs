//! Clients' names for certificates, and the names of the keys behind them.

use std::fmt;
use std::str::FromStr;

use countersign_model::digest::sha256;
use countersign_model::{KeyName, Surface};

use super::Error;

/// A client's name for a certificate: 1 to 128 of `A-Z a-z 0-9 . _ - + @ : =` and space, beginning with a letter
/// or digit. It is data and never part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(String);

impl CertificateId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key behind it: `appliance/cert/ID`. What a key's name cannot have is written `+XX`; an id that
    /// becomes too long is named by its hash.
    pub(crate) fn key_name(&self) -> Result<KeyName, Error> {
        const LONGEST: usize = 180;
        let mut text = String::new();
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@') {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("+{byte:02X}"));
            }
        }
        if text.len() > LONGEST {
            // No id begins with `+`.
            text = format!("+{}", hex::encode(sha256(self.0.as_bytes())));
        }
        key_name("cert", &text)
    }
}

/// The key `appliance/KIND/ID`.
pub(crate) fn key_name(kind: &str, id: &str) -> Result<KeyName, Error> {
    KeyName::owned(Surface::Appliance, &format!("{kind}/{id}"))
        .map_err(|error| crate::Error::Internal(error.to_string()).into())
}

impl FromStr for CertificateId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@:= ".contains(&byte);
        let good = (1..=128).contains(&text.len())
            && text.bytes().all(allowed)
            && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid(
                "a certificate id has 1 to 128 of `A-Z a-z 0-9 . _ - + @ : =` and space, and begins with a letter \
                 or digit",
            ))
        }
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_grammar() {
        for good in ["a", "balenaos-pk", "0.x_y", "a b=c:d@e+f", &"a".repeat(128)] {
            assert!(good.parse::<CertificateId>().is_ok(), "{good}");
        }
        for bad in ["", ".", "../x", "/tmp/x", "-a", " a", "a,b", "a/b", "a\n", "a\0", "ä", &"a".repeat(129)]
        {
            assert!(bad.parse::<CertificateId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_that_differ_have_keys_that_differ() {
        let long = "a:".repeat(64);
        let other = format!("{}b", "a:".repeat(63));
        let ids = ["a b", "a+20b", "a", "A", "a=b", "a:b", &long, &other];
        let mut names: Vec<_> =
            ids.iter().map(|id| id.parse::<CertificateId>().unwrap().key_name().unwrap()).collect();
        assert_eq!(names[0].as_str(), "appliance/cert/a+20b");
        assert_eq!(names[1].as_str(), "appliance/cert/a+2B20b");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ids.len());
    }
}
