//! Names of certificates, in the grammar of `openssl req -subj`.
//!
//! ```text
//! /C=CH/O=Example, Inc./OU=a+OU=b/CN=1\/2     `/` begins an attribute, `+` joins it to the one before,
//!                                             `\` takes the next character as it is
//! ```
//!
//! Types are OpenSSL's short and long names, case-sensitive. An attribute with an empty value is skipped, a
//! final `/` is allowed, `/` alone is the empty name. What OpenSSL skips with a warning, an unknown type, is
//! refused: nobody wants a certificate without the part that was misspelt. So are control characters.

use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

use crate::asn1::{self, IA5_STRING, NotDer, PRINTABLE_STRING, Reader, SET, UTF8_STRING};

/// A Name (RFC 5280, 4.1.2.4), kept as it is written in DER.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    der: Vec<u8>,
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// It does not begin with `/`.
    #[error("a subject begins with `/`")]
    NoSlash,
    /// A type without `=`.
    #[error("`=` is missing after a type of the subject")]
    NoEquals,
    /// `\` at the end.
    #[error("the subject ends with `\\`, which takes a next character")]
    Escape,
    /// A type that is not known.
    #[error("unknown type in the subject: `{got}`")]
    UnknownType {
        /// What was given, escaped and cut.
        got: String,
    },
    /// A value with characters that its type cannot have.
    #[error("`{name}` in the subject has characters that it cannot have: {allowed}")]
    Characters {
        /// The type.
        name: &'static str,
        /// What it can have.
        allowed: &'static str,
    },
    /// A value that is too short or too long.
    #[error("`{name}` in the subject has {got} characters: {min} to {max} are allowed")]
    Length {
        /// The type.
        name: &'static str,
        /// Characters given.
        got: usize,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
}

impl SubjectError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSlash | Self::NoEquals => "write it like `/O=Example/CN=Example platform key`",
            Self::Escape => "write `\\\\` for a backslash",
            Self::UnknownType { .. } => {
                "types are OpenSSL's, in their case: `C ST L O OU CN emailAddress serialNumber UID DC` and more; \
                 `/` and `+` inside a value are written `\\/` and `\\+`"
            }
            Self::Characters { .. } | Self::Length { .. } => "reword the value, or leave the attribute out",
        }
    }
}

impl Subject {
    /// Reads a Name in DER.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, NotDer> {
        let mut outer = Reader::new(der);
        let mut names = outer.sequence()?;
        outer.finish()?;
        while !names.is_empty() {
            let mut set = names.inside(SET)?;
            while !set.is_empty() {
                let mut attribute = set.sequence()?;
                attribute.oid()?;
                attribute.next()?;
                attribute.finish()?;
            }
        }
        Ok(Self { der: der.to_vec() })
    }

    /// The Name in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attribute.
    pub fn is_empty(&self) -> bool {
        self.der == [asn1::SEQUENCE, 0]
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let mut rest = text.strip_prefix('/').ok_or(SubjectError::NoSlash)?;
        // Each inner list is one relative distinguished name.
        let mut names: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut joins = false;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(SubjectError::NoEquals)?;
            let (value, end, after) = value(after)?;
            let kind = Kind::find(name)?;
            // OpenSSL passes over an empty value, and what `+` joins goes to the one before it.
            if !value.is_empty() {
                let attribute = kind.attribute(&value)?;
                match names.last_mut() {
                    Some(last) if joins => last.push(attribute),
                    _ => names.push(vec![attribute]),
                }
            }
            joins = end == Some('+');
            rest = after;
        }
        let sets: Vec<Vec<u8>> = names.into_iter().map(asn1::set_of).collect();
        let parts: Vec<&[u8]> = sets.iter().map(Vec::as_slice).collect();
        Ok(Self { der: asn1::sequence(&parts) })
    }
}

/// The value at the beginning of `text`, unescaped; what ended it; what comes after.
fn value(text: &str) -> Result<(String, Option<char>, &str), SubjectError> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' | '+' => return Ok((value, Some(c), &text[at + 1..])),
            '\\' => value.push(chars.next().ok_or(SubjectError::Escape)?.1),
            _ => value.push(c),
        }
    }
    Ok((value, None, ""))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f).unwrap_or(Err(fmt::Error))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

impl Subject {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> Result<fmt::Result, NotDer> {
        let mut names = Reader::new(&self.der).sequence()?;
        if names.is_empty() {
            return Ok(f.write_str("/"));
        }
        while !names.is_empty() {
            let mut set = names.inside(SET)?;
            let mut separator = '/';
            while !set.is_empty() {
                let mut attribute = set.sequence()?;
                let oid = attribute.oid()?;
                let value = attribute.next()?;
                if write_attribute(f, separator, &oid, value).is_err() {
                    return Ok(Err(fmt::Error));
                }
                separator = '+';
            }
        }
        Ok(Ok(()))
    }
}

fn write_attribute(
    f: &mut fmt::Formatter<'_>,
    separator: char,
    oid: &ObjectIdentifier,
    value: asn1::Element<'_>,
) -> fmt::Result {
    match KINDS.iter().find(|kind| kind.oid == *oid) {
        Some(kind) => write!(f, "{separator}{}=", kind.short)?,
        None => write!(f, "{separator}{oid}=")?,
    }
    let text = match value.tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => std::str::from_utf8(value.content).ok(),
        _ => None,
    };
    // Other kinds of string are shown as OpenSSL's `dump_der` does.
    let Some(text) = text else { return write!(f, "#{}", hex::encode(value.raw)) };
    for c in text.chars() {
        match c {
            '/' | '+' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "{}", c.escape_default())?,
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

/// A type of attribute and what its values can be (RFC 5280, appendix A.1; OpenSSL's string table).
struct Kind {
    short: &'static str,
    long: &'static str,
    oid: ObjectIdentifier,
    string: StringType,
    min: usize,
    max: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StringType {
    Utf8,
    Printable,
    Ia5,
}

impl Kind {
    fn find(name: &str) -> Result<&'static Self, SubjectError> {
        KINDS.iter().find(|kind| kind.short == name || kind.long == name).ok_or_else(|| {
            SubjectError::UnknownType { got: name.chars().take(40).flat_map(char::escape_default).collect() }
        })
    }

    /// An AttributeTypeAndValue.
    fn attribute(&self, value: &str) -> Result<Vec<u8>, SubjectError> {
        let bad = |allowed| SubjectError::Characters { name: self.short, allowed };
        let tag = match self.string {
            // OpenSSL takes them; a terminal or a log that shows the name would obey them.
            _ if value.contains(char::is_control) => return Err(bad("no control characters")),
            StringType::Utf8 => UTF8_STRING,
            StringType::Printable if value.bytes().all(is_printable) => PRINTABLE_STRING,
            StringType::Printable => return Err(bad("letters, digits, space and `'()+,-./:=?`")),
            StringType::Ia5 if value.is_ascii() => IA5_STRING,
            StringType::Ia5 => return Err(bad("ASCII only")),
        };
        let got = value.chars().count();
        if !(self.min..=self.max).contains(&got) {
            return Err(SubjectError::Length { name: self.short, got, min: self.min, max: self.max });
        }
        Ok(asn1::sequence(&[&asn1::oid(&self.oid), &asn1::element(tag, &[value.as_bytes()])]))
    }
}

/// The characters of a PrintableString (X.680, 41.4).
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

const fn kind(
    short: &'static str,
    long: &'static str,
    oid: &'static str,
    string: StringType,
    max: usize,
) -> Kind {
    let min = if max == COUNTRY { COUNTRY } else { 1 };
    Kind { short, long, oid: ObjectIdentifier::new_unwrap(oid), string, min, max }
}

/// A country has exactly two letters.
const COUNTRY: usize = 2;

/// `ub-name`.
const LONG: usize = 32768;

const UNLIMITED: usize = usize::MAX;

use StringType::{Ia5, Printable, Utf8};

static KINDS: &[Kind] = &[
    kind("C", "countryName", "2.5.4.6", Printable, COUNTRY),
    kind("ST", "stateOrProvinceName", "2.5.4.8", Utf8, 128),
    kind("L", "localityName", "2.5.4.7", Utf8, 128),
    kind("O", "organizationName", "2.5.4.10", Utf8, 64),
    kind("OU", "organizationalUnitName", "2.5.4.11", Utf8, 64),
    kind("CN", "commonName", "2.5.4.3", Utf8, 64),
    kind("emailAddress", "emailAddress", "1.2.840.113549.1.9.1", Ia5, 128),
    kind("SN", "surname", "2.5.4.4", Utf8, LONG),
    kind("GN", "givenName", "2.5.4.42", Utf8, LONG),
    kind("initials", "initials", "2.5.4.43", Utf8, LONG),
    kind("name", "name", "2.5.4.41", Utf8, LONG),
    kind("serialNumber", "serialNumber", "2.5.4.5", Printable, 64),
    kind("UID", "userId", "0.9.2342.19200300.100.1.1", Utf8, UNLIMITED),
    kind("DC", "domainComponent", "0.9.2342.19200300.100.1.25", Ia5, UNLIMITED),
    kind("title", "title", "2.5.4.12", Utf8, UNLIMITED),
    kind("description", "description", "2.5.4.13", Utf8, UNLIMITED),
    kind("street", "streetAddress", "2.5.4.9", Utf8, UNLIMITED),
    kind("businessCategory", "businessCategory", "2.5.4.15", Utf8, UNLIMITED),
    kind("postalCode", "postalCode", "2.5.4.17", Utf8, UNLIMITED),
    kind("generationQualifier", "generationQualifier", "2.5.4.44", Utf8, UNLIMITED),
    kind("dnQualifier", "dnQualifier", "2.5.4.46", Printable, UNLIMITED),
    kind("pseudonym", "pseudonym", "2.5.4.65", Utf8, UNLIMITED),
    kind("organizationIdentifier", "organizationIdentifier", "2.5.4.97", Utf8, UNLIMITED),
    kind("jurisdictionC", "jurisdictionCountryName", "1.3.6.1.4.1.311.60.2.1.3", Printable, COUNTRY),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(text: &str) -> String {
        hex::encode(text.parse::<Subject>().unwrap().der())
    }

    #[test]
    fn an_attribute_is_a_set_of_its_own_unless_joined() {
        assert_eq!(hex_of("/"), "3000");
        assert_eq!(hex_of("/CN=a"), "300c310a30080603550403".to_owned() + "0c0161");
        let single = hex_of("/O=b/OU=a");
        let joined = hex_of("/O=b+OU=a");
        assert_ne!(single, joined);
        assert_eq!(joined, hex_of("/OU=a+O=b"), "DER sorts a set");
    }

    #[test]
    fn an_empty_value_is_skipped_and_a_final_slash_means_nothing() {
        assert_eq!(hex_of("/CN=a/"), hex_of("/CN=a"));
        assert_eq!(hex_of("/O=/CN=a"), hex_of("/CN=a"));
        assert_eq!(hex_of("/O=b/OU=+CN=a"), hex_of("/O=b+CN=a"));
        assert_eq!(hex_of("/OU=+CN=a"), hex_of("/CN=a"));
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for text in ["/", "/C=us/CN=Zürich", r"/CN=a\/b\+c\\d=e", "/DC=example/DC=org/CN=2+UID=1"] {
            let subject: Subject = text.parse().unwrap();
            assert_eq!(subject.to_string(), text);
            assert_eq!(Subject::from_der(subject.der()), Ok(subject));
        }
    }

    #[test]
    fn what_is_not_a_subject_is_refused_with_the_reason() {
        let length = |name, got, min, max| SubjectError::Length { name, got, min, max };
        for (text, error) in [
            ("", SubjectError::NoSlash),
            ("CN=a", SubjectError::NoSlash),
            ("/CN", SubjectError::NoEquals),
            ("/CN=a/O", SubjectError::NoEquals),
            (r"/CN=a\", SubjectError::Escape),
            ("//CN=a", SubjectError::UnknownType { got: "/CN".into() }),
            ("/cn=a", SubjectError::UnknownType { got: "cn".into() }),
            ("/C=CHE", length("C", 3, 2, 2)),
            ("/C=C", length("C", 1, 2, 2)),
            (&format!("/CN={}", "a".repeat(65)), length("CN", 65, 1, 64)),
            ("/emailAddress=ä", SubjectError::Characters { name: "emailAddress", allowed: "ASCII only" }),
        ] {
            assert_eq!(text.parse::<Subject>(), Err(error), "{text}");
        }
        for control in ["/CN=a\nb", "/O=\0", "/C=C\x7f"] {
            assert!(
                matches!(control.parse::<Subject>(), Err(SubjectError::Characters { .. })),
                "{control:?}"
            );
        }
        assert!(matches!("/C=C_".parse::<Subject>(), Err(SubjectError::Characters { .. })));
        assert!(format!("/CN={}", "ü".repeat(64)).parse::<Subject>().is_ok(), "characters, not bytes");
    }
}
