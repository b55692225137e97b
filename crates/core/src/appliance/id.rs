//! Clients' names for certificates, and the names of the keys behind them.

use std::fmt;
use std::str::FromStr;

use countersign_keyhost::archive::{ArchivedKey, is_certificate_id};
use countersign_model::{KeyName, Surface};

use super::Error;
use crate::random;

/// A client's name for a certificate: 1 to 128 of `A-Z a-z 0-9 . _ - + @ : =` and space, beginning with a letter
/// or digit. It is data and never part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(String);

impl CertificateId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key behind it: `appliance/cert/ID`, by the rule of archives.
    pub(crate) fn key_name(&self) -> Result<KeyName, Error> {
        place(&ArchivedKey::Certificate(self.0.clone()))
    }
}

/// The key of a member of a tree: `appliance/imx/TREE/NAME`.
pub(crate) fn member_key(tree: &str, name: &str) -> Result<KeyName, Error> {
    place(&ArchivedKey::Pki { tree: tree.to_owned(), name: name.to_owned() })
}

/// The one rule of names: a key that is exported and imported again is the same key.
fn place(key: &ArchivedKey) -> Result<KeyName, Error> {
    key.key_name().map_err(|error| crate::Error::Internal(error.to_string()).into())
}

/// The name of a new key of which the client's id follows from its public half, `appliance/KIND/RANDOM`: the name
/// is sealed with the key, so it must be there first. An imported one has its id in the name; the tables of this
/// surface say which key an id means, and an import compares public halves.
///
/// - `kind`: `gpg` or `rsa`.
pub(crate) fn random_key_name(kind: &str) -> Result<KeyName, Error> {
    let id = hex::encode(random::bytes::<10>()?);
    KeyName::owned(Surface::Appliance, &format!("{kind}/{id}"))
        .map_err(|error| crate::Error::Internal(error.to_string()).into())
}

impl FromStr for CertificateId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_certificate_id(text) {
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
