//! Fingerprints, and the shorter forms that people look keys up by.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The fingerprint of a version 4 key: SHA-1 over its public key packet (RFC 4880, 12.2). 40 upper-case hex
/// digits as text, either case when read.
///
/// SHA-1 only names the key here; nothing is trusted because of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// Of the body of a public key packet of version 4.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        let mut input = Vec::with_capacity(body.len() + 3);
        input.push(0x99);
        input.extend_from_slice(&(body.len() as u16).to_be_bytes());
        input.extend_from_slice(body);
        let mut bytes = [0; 20];
        bytes.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, &input).as_ref());
        Self(bytes)
    }

    /// The 20 bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The key id: the last 8 bytes.
    pub fn key_id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&self.0[12..]);
        id
    }
}

impl From<[u8; 20]> for Fingerprint {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = BadKeyQuery;
    fn from_str(text: &str) -> Result<Self, BadKeyQuery> {
        match text.parse()? {
            KeyQuery::Fingerprint(fingerprint) => Ok(fingerprint),
            KeyQuery::Long(_) | KeyQuery::Short(_) => Err(BadKeyQuery),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// How somebody names a key: 40, 16 or 8 hex digits, either case, no prefix and no spaces.
///
/// The shorter forms are no proof of anything; whoever looks keys up by [`Self::Short`] must refuse an
/// ambiguous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyQuery {
    /// The whole fingerprint.
    Fingerprint(Fingerprint),
    /// The key id, 16 digits.
    Long([u8; 8]),
    /// Its last half, 8 digits.
    Short([u8; 4]),
}

/// In upper case.
impl fmt::Display for KeyQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(whole) => write!(f, "{whole}"),
            Self::Long(id) => f.write_str(&hex::encode_upper(id)),
            Self::Short(id) => f.write_str(&hex::encode_upper(id)),
        }
    }
}

/// Not 40, 16 or 8 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an OpenPGP fingerprint or key id: 40, 16 or 8 hex digits are expected")]
pub struct BadKeyQuery;

impl KeyQuery {
    /// Whether the key with this fingerprint is meant.
    pub fn matches(&self, fingerprint: &Fingerprint) -> bool {
        match self {
            Self::Fingerprint(whole) => whole == fingerprint,
            Self::Long(id) => fingerprint.0.ends_with(id),
            Self::Short(id) => fingerprint.0.ends_with(id),
        }
    }
}

impl FromStr for KeyQuery {
    type Err = BadKeyQuery;
    fn from_str(text: &str) -> Result<Self, BadKeyQuery> {
        // Decoding only what has one of the three lengths keeps the work small whatever is given.
        let mut bytes = [0; 20];
        let bytes = bytes.get_mut(..text.len() / 2).ok_or(BadKeyQuery)?;
        hex::decode_to_slice(text, bytes).map_err(|_| BadKeyQuery)?;
        match *bytes {
            [a, b, c, d] => Ok(Self::Short([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => Ok(Self::Long([a, b, c, d, e, f, g, h])),
            _ => bytes.try_into().map(|b| Self::Fingerprint(Fingerprint(b))).map_err(|_| BadKeyQuery),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_fingerprint_and_by_either_key_id_in_either_case() {
        let fingerprint: Fingerprint = "e1724eb061cd4d589c5e0402385ceb0a479ab72a".parse().unwrap();
        assert_eq!(fingerprint.to_string(), "E1724EB061CD4D589C5E0402385CEB0A479AB72A");
        for text in ["E1724eb061CD4D589C5E0402385CEB0A479AB72A", "385ceb0a479ab72a", "479AB72A"] {
            assert!(text.parse::<KeyQuery>().unwrap().matches(&fingerprint), "{text}");
        }
        for text in ["E1724EB061CD4D589C5E0402385CEB0A479AB72A", "385CEB0A479AB72A", "479AB72A"] {
            assert_eq!(text.to_lowercase().parse::<KeyQuery>().unwrap().to_string(), text);
        }
        assert!(!"479AB72B".parse::<KeyQuery>().unwrap().matches(&fingerprint));
    }

    #[test]
    fn anything_but_40_16_or_8_hex_digits_is_refused() {
        for bad in [
            "",
            "0x479AB72A",
            "479AB72",
            "479AB72AA",
            "479AB72g",
            &"a".repeat(41),
            &"a".repeat(42),
            "é479AB7",
        ] {
            assert!(bad.parse::<KeyQuery>().is_err(), "{bad}");
        }
    }
}
