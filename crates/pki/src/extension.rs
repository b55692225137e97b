//! Extensions of certificates and requests (RFC 5280, 4.2): those that are made and looked at here.

use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME, ID_CE_SUBJECT_KEY_IDENTIFIER, ID_KP_CLIENT_AUTH,
    ID_KP_CODE_SIGNING, ID_KP_EMAIL_PROTECTION, ID_KP_SERVER_AUTH,
};

use crate::asn1::{self, BIT_STRING, INTEGER, NotDer, OCTET_STRING, Reader};

/// Another name of a subject (RFC 5280, 4.2.1.6). Text form `dns:NAME`, `email:ADDRESS`, `ip:ADDRESS` or
/// `uri:URI`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AltName {
    /// A host name: labels of letters, digits and `-`; the first may be `*`.
    Dns(String),
    /// A mail address, ASCII.
    Email(String),
    /// An IP address.
    Ip(IpAddr),
    /// A URI, ASCII.
    Uri(String),
}

/// A text that is not another name of a subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not another name of a subject: `dns:NAME`, `email:ADDRESS`, `ip:ADDRESS` or `uri:URI`")]
pub struct BadAltName;

impl FromStr for AltName {
    type Err = BadAltName;

    fn from_str(text: &str) -> Result<Self, BadAltName> {
        let (kind, name) = text.split_once(':').ok_or(BadAltName)?;
        let visible = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        match kind {
            "dns" if is_host(name) => Ok(Self::Dns(name.to_owned())),
            "email" if visible && is_address(name) => Ok(Self::Email(name.to_owned())),
            "ip" => name.parse().map(Self::Ip).map_err(|_| BadAltName),
            "uri" if visible && name.contains(':') => Ok(Self::Uri(name.to_owned())),
            _ => Err(BadAltName),
        }
    }
}

fn is_address(name: &str) -> bool {
    name.split_once('@').is_some_and(|(local, host)| !local.is_empty() && is_host(host))
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::Ip(address) => write!(f, "ip:{address}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
        }
    }
}

impl AltName {
    fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Email(name) => asn1::element(asn1::context(1), &[name.as_bytes()]),
            Self::Dns(name) => asn1::element(asn1::context(2), &[name.as_bytes()]),
            Self::Uri(name) => asn1::element(asn1::context(6), &[name.as_bytes()]),
            Self::Ip(IpAddr::V4(address)) => asn1::element(asn1::context(7), &[&address.octets()]),
            Self::Ip(IpAddr::V6(address)) => asn1::element(asn1::context(7), &[&address.octets()]),
        }
    }

    /// Through the text form, so that nothing gets in from DER that could not be written.
    fn from_der(element: asn1::Element<'_>) -> Option<Self> {
        let text = || std::str::from_utf8(element.content).ok();
        match element.tag {
            0x81 => format!("email:{}", text()?).parse().ok(),
            0x82 => format!("dns:{}", text()?).parse().ok(),
            0x86 => format!("uri:{}", text()?).parse().ok(),
            0x87 => match *element.content {
                [a, b, c, d] => Some(Self::Ip([a, b, c, d].into())),
                _ => <[u8; 16]>::try_from(element.content).ok().map(|octets| Self::Ip(octets.into())),
            },
            _ => None,
        }
    }
}

/// What a certified key is for (RFC 5280, 4.2.1.12). Text form `server-auth`, `code-signing`, …, or an OID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// TLS servers.
    ServerAuth,
    /// TLS clients.
    ClientAuth,
    /// Code.
    CodeSigning,
    /// Mail.
    EmailProtection,
    /// Any other, by its object identifier.
    Other(ObjectIdentifier),
}

impl Purpose {
    const NAMED: [(Self, &'static str, ObjectIdentifier); 4] = [
        (Self::ServerAuth, "server-auth", ID_KP_SERVER_AUTH),
        (Self::ClientAuth, "client-auth", ID_KP_CLIENT_AUTH),
        (Self::CodeSigning, "code-signing", ID_KP_CODE_SIGNING),
        (Self::EmailProtection, "email-protection", ID_KP_EMAIL_PROTECTION),
    ];

    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::ServerAuth => ID_KP_SERVER_AUTH,
            Self::ClientAuth => ID_KP_CLIENT_AUTH,
            Self::CodeSigning => ID_KP_CODE_SIGNING,
            Self::EmailProtection => ID_KP_EMAIL_PROTECTION,
            Self::Other(oid) => oid,
        }
    }

    fn of_oid(oid: ObjectIdentifier) -> Self {
        Self::NAMED.into_iter().find(|named| named.2 == oid).map_or(Self::Other(oid), |named| named.0)
    }
}

/// A text that is not a purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a purpose: `server-auth`, `client-auth`, `code-signing`, `email-protection` or an OID")]
pub struct BadPurpose;

impl FromStr for Purpose {
    type Err = BadPurpose;

    fn from_str(text: &str) -> Result<Self, BadPurpose> {
        match Self::NAMED.into_iter().find(|named| named.1 == text) {
            Some(named) => Ok(named.0),
            None => ObjectIdentifier::new(text).map(Self::of_oid).map_err(|_| BadPurpose),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.into_iter().find(|named| named.0 == *self) {
            Some(named) => f.write_str(named.1),
            None => write!(f, "{}", self.oid()),
        }
    }
}

/// Bits of KeyUsage (RFC 5280, 4.2.1.3) that are used here, as they stand in its first octet.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

/// Whether readers that do not know an extension must refuse the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Critical {
    Yes,
    No,
}

pub(crate) fn extension(oid: ObjectIdentifier, critical: Critical, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = match critical {
        Critical::Yes => &[asn1::BOOLEAN, 1, 0xff],
        Critical::No => &[],
    };
    asn1::sequence(&[&asn1::oid(&oid), flag, &asn1::octet_string(value)])
}

pub(crate) fn subject_key_identifier(id: &[u8]) -> Vec<u8> {
    extension(ID_CE_SUBJECT_KEY_IDENTIFIER, Critical::No, &asn1::octet_string(id))
}

/// With the key identifier only.
pub(crate) fn authority_key_identifier(id: &[u8]) -> Vec<u8> {
    let key_id = asn1::element(asn1::context(0), &[id]);
    extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, Critical::No, &asn1::sequence(&[&key_id]))
}

/// Of an authority, with the number of authorities that may stand below it.
pub(crate) fn basic_constraints_ca(path_length: Option<u8>) -> Vec<u8> {
    let limit = path_length.map(|limit| asn1::unsigned(&[limit])).unwrap_or_default();
    let value = asn1::sequence(&[&[asn1::BOOLEAN, 1, 0xff], &limit]);
    extension(ID_CE_BASIC_CONSTRAINTS, Critical::Yes, &value)
}

/// Of one that is no authority.
pub(crate) fn basic_constraints_end() -> Vec<u8> {
    extension(ID_CE_BASIC_CONSTRAINTS, Critical::Yes, &asn1::sequence(&[]))
}

pub(crate) fn key_usage(bits: u8) -> Vec<u8> {
    let unused = [bits.trailing_zeros() as u8];
    extension(ID_CE_KEY_USAGE, Critical::Yes, &asn1::element(BIT_STRING, &[&unused, &[bits]]))
}

pub(crate) fn extended_key_usage(purposes: &[Purpose]) -> Vec<u8> {
    let oids: Vec<u8> = purposes.iter().flat_map(|purpose| asn1::oid(&purpose.oid())).collect();
    extension(ID_CE_EXT_KEY_USAGE, Critical::No, &asn1::sequence(&[&oids]))
}

/// `critical` where the subject is empty (RFC 5280, 4.2.1.6).
pub(crate) fn subject_alt_name(names: &[AltName], critical: Critical) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(AltName::to_der).collect();
    extension(ID_CE_SUBJECT_ALT_NAME, critical, &asn1::sequence(&[&names]))
}

/// What the extensions of a certificate or a request say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) subject_key_identifier: Option<Vec<u8>>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<u8>,
    pub(crate) purposes: Vec<Purpose>,
    pub(crate) alt_names: Vec<AltName>,
    /// A name in SubjectAltName of a kind that [`AltName`] does not have.
    pub(crate) other_names: bool,
    /// The value of NameConstraints, which [`crate::chain`] reads.
    pub(crate) name_constraints: Option<Vec<u8>>,
    /// A critical extension that is not read here.
    pub(crate) unknown_critical: bool,
}

/// BasicConstraints (RFC 5280, 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u8>,
}

impl Extensions {
    /// Reads the content of an `Extensions` SEQUENCE. An extension may come once.
    pub(crate) fn read(mut list: Reader<'_>) -> Result<Self, NotDer> {
        let mut all = Self::default();
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        while !list.is_empty() {
            let mut extension = list.sequence()?;
            let oid = extension.oid()?;
            // The bound keeps the search short: certificates have about ten.
            if seen.contains(&oid) || seen.len() == 64 {
                return Err(NotDer);
            }
            seen.push(oid);
            let critical = extension.flag()?;
            let value = extension.expect(OCTET_STRING)?.content;
            extension.finish()?;
            all.read_one(oid, critical, Reader::new(value))?;
        }
        Ok(all)
    }

    fn read_one(
        &mut self,
        oid: ObjectIdentifier,
        critical: bool,
        mut value: Reader<'_>,
    ) -> Result<(), NotDer> {
        match oid {
            ID_CE_SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_identifier = Some(value.expect(OCTET_STRING)?.content.to_vec());
            }
            ID_CE_BASIC_CONSTRAINTS => self.basic_constraints = Some(read_constraints(value.sequence()?)?),
            ID_CE_KEY_USAGE => self.key_usage = Some(first_octet(&mut value)?),
            ID_CE_EXT_KEY_USAGE => {
                let mut oids = value.sequence()?;
                while !oids.is_empty() {
                    self.purposes.push(Purpose::of_oid(oids.oid()?));
                }
            }
            ID_CE_SUBJECT_ALT_NAME => {
                let mut names = value.sequence()?;
                while !names.is_empty() {
                    match AltName::from_der(names.next()?) {
                        Some(name) => self.alt_names.push(name),
                        None => self.other_names = true,
                    }
                }
            }
            ID_CE_NAME_CONSTRAINTS => {
                self.name_constraints = Some(value.expect(asn1::SEQUENCE)?.content.to_vec())
            }
            ID_CE_AUTHORITY_KEY_IDENTIFIER => return Ok(()),
            _ => {
                self.unknown_critical |= critical;
                return Ok(());
            }
        }
        value.finish()
    }
}

fn read_constraints(mut value: Reader<'_>) -> Result<BasicConstraints, NotDer> {
    let ca = value.flag()?;
    let mut path_length = None;
    if !value.is_empty() {
        // Longer paths than 255 exist nowhere: no limit.
        let number = value.expect(INTEGER)?;
        path_length = Reader::new(number.raw).small_integer().ok();
        if number.content.first().is_none_or(|b| b & 0x80 != 0) {
            return Err(NotDer);
        }
    }
    value.finish()?;
    Ok(BasicConstraints { ca, path_length })
}

/// The first octet of a BIT STRING of named bits.
fn first_octet(value: &mut Reader<'_>) -> Result<u8, NotDer> {
    match value.expect(BIT_STRING)?.content {
        [0..=7, bits, ..] => Ok(*bits),
        _ => Err(NotDer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round_as_text_and_in_der() {
        for text in [
            "dns:a.example.org",
            "dns:*.example.org",
            "email:a@b.ch",
            "ip:192.0.2.1",
            "ip:2001:db8::1",
            "uri:urn:x",
        ] {
            let name: AltName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
            let der = name.to_der();
            assert_eq!(AltName::from_der(Reader::new(&der).next().unwrap()), Some(name));
        }
        for bad in [
            "dns:",
            "dns:a..b",
            "dns:a b",
            "dns:-a",
            "dns:a.*.b",
            "email:a",
            "ip:1.2.3",
            "uri:x",
            "x",
            "dns:ä",
        ] {
            assert_eq!(bad.parse::<AltName>(), Err(BadAltName), "{bad}");
        }
    }

    #[test]
    fn an_extension_given_twice_is_refused() {
        let one = key_usage(DIGITAL_SIGNATURE);
        assert!(Extensions::read(Reader::new(&one)).is_ok());
        assert_eq!(Extensions::read(Reader::new(&[one.clone(), one].concat())), Err(NotDer));
    }

    #[test]
    fn purposes_go_round() {
        for text in ["code-signing", "server-auth", "1.3.6.1.4.1.311.10.3.6"] {
            assert_eq!(text.parse::<Purpose>().unwrap().to_string(), text);
        }
        assert_eq!("1.3.6.1.5.5.7.3.3".parse(), Ok(Purpose::CodeSigning));
    }
}
