//! Trees of keys and certificates, as the generator of the reference tool makes them.
//!
//! A tree is issued from its root down, in the order of [`TreeSpec::members`]. Names say all that matters:
//! `SRK1_sha256_4096_65537_v3_ca` is super root key 1 of a tree with SHA-256 and RSA-4096, an authority.
//!
//! ```
//! use countersign_pki::imx::tree::{Member, TreeSpec};
//!
//! let spec = TreeSpec::HAB;
//! let names: Vec<String> = spec.members().iter().take(4).map(|member| spec.common_name(*member)).collect();
//! assert_eq!(names[0], "CA1_sha256_4096_65537_v3_ca");
//! assert_eq!(names[1], "SRK1_sha256_4096_65537_v3_ca");
//! assert_eq!(names[2], "CSF1_1_sha256_4096_65537_v3_usr");
//! assert_eq!(spec.issuer(Member::Csf(1)), Member::Srk(1));
//! ```

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_KEY_USAGE};
use countersign_model::{HashAlg, KeyType, PublicKey, Scheme, ToSign};
use jiff::Timestamp;
use jiff::tz::Offset;

use crate::asn1;
use crate::extension::{self, Critical, KEY_CERT_SIGN, extension};
use crate::subject::Subject;
use crate::x509::{self, Body, Certificate, Pending, SerialNumber, Validity, X509Error};

/// What a tree is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HABv4: each super root key has a key for commands and one for images.
    Hab,
    /// AHAB: each super root key has a key for containers.
    Ahab,
}

/// How a tree is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSpec {
    /// For HABv4 or AHAB.
    pub kind: Kind,
    /// Of all keys: RSA 2048, 3072, 4096, P-256, P-384 or P-521.
    pub key_type: KeyType,
    /// What certificates are signed with. HABv4 knows SHA-256 only.
    pub hash: HashAlg,
    /// Whether super root keys issue the keys that sign, or sign themselves.
    pub srk_is_ca: bool,
}

/// A key and its certificate. Numbers are those of the super root key, 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// The root, which issues the super root keys and is in no image.
    Ca,
    /// A super root key.
    Srk(u8),
    /// HABv4: signs the commands.
    Csf(u8),
    /// HABv4: signs the image.
    Img(u8),
    /// AHAB: signs the container.
    Sgk(u8),
}

/// Super root keys of a tree.
pub const SRKS: u8 = 4;
/// How long certificates are valid.
pub const DAYS: u32 = 3650;

const NETSCAPE_COMMENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.13");
const COMMENT: &str = "OpenSSL Generated Certificate";

impl TreeSpec {
    /// What the signing service makes for HABv4.
    pub const HAB: Self =
        Self { kind: Kind::Hab, key_type: KeyType::Rsa(4096), hash: HashAlg::Sha256, srk_is_ca: true };

    /// What the signing service makes for AHAB.
    pub const AHAB: Self = Self { kind: Kind::Ahab, hash: HashAlg::Sha512, ..Self::HAB };

    /// All members in the order in which they are issued.
    pub fn members(&self) -> Vec<Member> {
        let mut members = vec![Member::Ca];
        for number in 1..=SRKS {
            members.push(Member::Srk(number));
            match self.kind {
                _ if !self.srk_is_ca => {}
                Kind::Hab => members.extend([Member::Csf(number), Member::Img(number)]),
                Kind::Ahab => members.push(Member::Sgk(number)),
            }
        }
        members
    }

    /// Who signs the certificate of `member`; the root signs its own.
    pub fn issuer(&self, member: Member) -> Member {
        match member {
            Member::Ca | Member::Srk(_) => Member::Ca,
            Member::Csf(number) | Member::Img(number) | Member::Sgk(number) => Member::Srk(number),
        }
    }

    /// The subject's common name; with `_crt.pem` and `_key.pem` the names of the files.
    pub fn common_name(&self, member: Member) -> String {
        let who = match member {
            Member::Ca => "CA1".to_owned(),
            Member::Srk(number) => format!("SRK{number}"),
            Member::Csf(number) => format!("CSF{number}_1"),
            Member::Img(number) => format!("IMG{number}_1"),
            Member::Sgk(number) => format!("SGK{number}_1"),
        };
        let key = match self.key_type {
            KeyType::Rsa(bits) => format!("{bits}_65537"),
            KeyType::P256 => "prime256v1".to_owned(),
            KeyType::P384 => "secp384r1".to_owned(),
            KeyType::P521 => "secp521r1".to_owned(),
            other => other.to_string(),
        };
        let usage = if self.is_authority(member) { "ca" } else { "usr" };
        format!("{who}_{}_{key}_v3_{usage}", self.hash)
    }

    fn is_authority(&self, member: Member) -> bool {
        match member {
            Member::Ca => true,
            Member::Srk(_) => self.srk_is_ca,
            Member::Csf(_) | Member::Img(_) | Member::Sgk(_) => false,
        }
    }

    /// The scheme of all signatures of the tree; `None` for keys that no boot ROM knows.
    pub fn scheme(&self) -> Option<Scheme> {
        match self.key_type {
            KeyType::Rsa(2048 | 3072 | 4096) => Some(Scheme::RsaPkcs1(self.hash)),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => Some(Scheme::Ecdsa(self.hash)),
            _ => None,
        }
    }

    /// The serial number of `member`: the root's is random, the others' count up from the day's date, whose
    /// decimal digits are taken for hexadecimal ones.
    ///
    /// - `random`: 20 bytes for the root.
    pub fn serial(&self, member: Member, issued: Timestamp, random: [u8; 20]) -> SerialNumber {
        let place = self.members().iter().position(|other| *other == member).unwrap_or(0);
        if place == 0 {
            return SerialNumber::from_random(random);
        }
        let day = Offset::UTC.to_datetime(issued).date();
        let decimal =
            [i32::from(day.year()) / 100, i32::from(day.year()) % 100, day.month().into(), day.day().into()];
        let date = decimal.iter().fold(0u32, |date, two| {
            let two = two.unsigned_abs() % 100;
            (date << 8) | ((two / 10) << 4) | (two % 10)
        });
        // The number of a place in a tree is small.
        SerialNumber::from_number(date.saturating_add(place as u32 - 1))
    }
}

/// Prepares the certificate of `member`.
///
/// - `key`: its public key.
/// - `issuer`: the issuer's certificate; `None` for the root, which signs its own.
/// - `serial`: of [`TreeSpec::serial`].
///
/// # Errors
/// [`X509Error::Scheme`] for keys that no boot ROM knows.
pub fn prepare(
    spec: &TreeSpec,
    member: Member,
    key: &PublicKey,
    issuer: Option<&Certificate>,
    serial: SerialNumber,
    validity: Validity,
) -> Result<(ToSign, Pending), X509Error> {
    let subject: Subject =
        format!("/CN={}", spec.common_name(member)).parse().map_err(|_| X509Error::Malformed)?;
    let own_id = x509::key_identifier(key).to_vec();
    let (issuer_name, issuer_id, issuer_names) = match issuer {
        Some(issuer) => {
            (issuer.subject(), issuer.key_identifier(), (issuer.issuer(), issuer.serial().to_vec()))
        }
        None => (&subject, own_id.clone(), (&subject, serial.bytes())),
    };
    let extensions = if spec.is_authority(member) {
        let (issuers_issuer, issuers_serial) = issuer_names;
        authority_extensions(&own_id, &issuer_id, issuers_issuer, &issuers_serial)
    } else {
        end_extensions(&own_id, &issuer_id)
    };
    let scheme = spec.scheme().ok_or(X509Error::Scheme(spec.key_type))?;
    let body =
        Body { serial, issuer: issuer_name, validity, subject: &subject, key, extensions: &extensions };
    Pending::under(scheme, &body, spec.key_type)
}

/// The authority key identifier also names the issuer's certificate, by its issuer and serial number.
fn authority_extensions(own: &[u8], issuer: &[u8], issuers_issuer: &Subject, serial: &[u8]) -> Vec<Vec<u8>> {
    let name = asn1::element(asn1::context_constructed(4), &[issuers_issuer.der()]);
    let identifier = asn1::sequence(&[
        &asn1::element(asn1::context(0), &[issuer]),
        &asn1::element(asn1::context_constructed(1), &[&name]),
        &asn1::element(asn1::context(2), &[serial]),
    ]);
    let key_usage =
        asn1::element(asn1::BIT_STRING, &[&[KEY_CERT_SIGN.trailing_zeros() as u8], &[KEY_CERT_SIGN]]);
    vec![
        extension::subject_key_identifier(own),
        extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, Critical::No, &identifier),
        extension::basic_constraints_ca(None),
        extension(ID_CE_KEY_USAGE, Critical::No, &key_usage),
    ]
}

fn end_extensions(own: &[u8], issuer: &[u8]) -> Vec<Vec<u8>> {
    let comment = asn1::element(asn1::IA5_STRING, &[COMMENT.as_bytes()]);
    vec![
        extension(ID_CE_BASIC_CONSTRAINTS, Critical::No, &asn1::sequence(&[])),
        extension(NETSCAPE_COMMENT, Critical::No, &comment),
        extension::subject_key_identifier(own),
        extension::authority_key_identifier(issuer),
    ]
}
