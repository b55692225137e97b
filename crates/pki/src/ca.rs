//! A small certificate authority: certificates issued by a key of ours to other keys.
//!
//! [`prepare`] issues what [`Leaf`] says, within what the issuer's own certificate allows. Where a request
//! (CSR) comes from outside, [`Rules::check`] says what of it may be granted.

use countersign_model::{PublicKey, ToSign};

use crate::csr::Csr;
use crate::extension::{self, AltName, Critical, Purpose};
use crate::subject::Subject;
use crate::x509::{self, Body, Certificate, Pending, SerialNumber, Validity, X509Error};

/// Why a certificate is not issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The issuer's certificate is not that of an authority.
    #[error("the issuer's certificate is not that of an authority")]
    NotAnAuthority,
    /// An authority below one that may have none below it, or with a longer path than its issuer's.
    #[error("the issuer's path length does not allow this authority below it")]
    PathLength,
    /// Valid at times when the issuer is not.
    #[error("the certificate would be valid when its issuer is not")]
    Validity,
    /// More days than the rules allow.
    #[error("the certificate would be valid for more than {max_days} days")]
    TooLong {
        /// The most days.
        max_days: u32,
    },
    /// Neither a subject nor another name.
    #[error("a certificate has a subject or another name")]
    Nameless,
    /// A name that the rules do not allow.
    #[error("the name `{name}` is not one that this authority certifies")]
    AltName {
        /// The name.
        name: AltName,
    },
    /// The request has a name of a kind that is not certified.
    #[error("the request has a name of a kind that is not certified here")]
    OtherName,
    /// A purpose that the rules do not allow.
    #[error("the purpose `{purpose}` is not one that this authority certifies")]
    Purpose {
        /// The purpose.
        purpose: Purpose,
    },
    /// A request to become an authority.
    #[error("the request is for an authority, which the rules do not allow")]
    WantsAuthority,
    /// RSA with fewer than 2048 bits.
    #[error("the request's key is too weak: RSA has at least 2048 bits")]
    WeakKey,
    /// The certificate cannot be made.
    #[error(transparent)]
    X509(#[from] X509Error),
}

impl CaError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAnAuthority => "issue with a certificate whose basicConstraints say CA:TRUE",
            Self::PathLength => "issue it with an authority further up",
            Self::Validity => "give fewer days, or renew the issuer's certificate first",
            Self::TooLong { .. } => "give fewer days",
            Self::Nameless => "give a subject like `/CN=Example`, or another name like `dns:example.org`",
            Self::AltName { .. } | Self::OtherName | Self::Purpose { .. } | Self::WantsAuthority => {
                "an administrator can change the authority's rules; or make the request again without it"
            }
            Self::WeakKey => "make the request again with a new key",
            Self::X509(error) => error.hint(),
        }
    }
}

/// What a certified key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sign, but not certificates.
    End,
    /// Issue certificates, with at most `path_length` authorities between it and an end.
    Authority {
        /// The number of authorities that may stand below it; `None`: as many as the issuer allows.
        path_length: Option<u8>,
    },
}

/// Prepares the self-signed certificate of an authority. Unlike [`x509::prepare`], which follows another
/// program, it says that the key signs certificates: strict readers ask for that.
///
/// `path_length`: the number of authorities that may stand below it; `None`: any.
///
/// # Errors
/// [`X509Error::Scheme`] for types of key that certificates are not made with.
pub fn prepare_root(
    subject: &Subject,
    key: &PublicKey,
    serial: SerialNumber,
    validity: Validity,
    path_length: Option<u8>,
) -> Result<(ToSign, Pending), CaError> {
    if subject.is_empty() {
        return Err(CaError::Nameless);
    }
    let extensions = [
        extension::subject_key_identifier(&x509::key_identifier(key)),
        extension::basic_constraints_ca(path_length),
        extension::key_usage(extension::KEY_CERT_SIGN | extension::CRL_SIGN),
    ];
    let body = Body { serial, issuer: subject, validity, subject, key, extensions: &extensions };
    Ok(Pending::new(&body, key)?)
}

/// One certificate to be issued.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    /// Whose key it is; may be empty when there are other names.
    pub subject: &'a Subject,
    /// The key to be certified.
    pub key: &'a PublicKey,
    /// Its number, never given before by this issuer.
    pub serial: SerialNumber,
    /// From when to when, within the issuer's own validity.
    pub validity: Validity,
    /// What it may do.
    pub role: Role,
    /// What it is for; empty: not said.
    pub purposes: &'a [Purpose],
    /// Other names of the subject.
    pub alt_names: &'a [AltName],
}

/// Prepares a certificate, to be signed by the key of `issuer`.
///
/// # Errors
/// [`CaError`] if the issuer's certificate does not allow it.
pub fn prepare(issuer: &Certificate, leaf: &Leaf<'_>) -> Result<(ToSign, Pending), CaError> {
    check_issuer(issuer, leaf)?;
    if leaf.subject.is_empty() && leaf.alt_names.is_empty() {
        return Err(CaError::Nameless);
    }
    if leaf.key.is_weak() {
        return Err(CaError::WeakKey);
    }
    let extensions = extensions(issuer, leaf);
    let body = Body {
        serial: leaf.serial,
        issuer: issuer.subject(),
        validity: leaf.validity,
        subject: leaf.subject,
        key: leaf.key,
        extensions: &extensions,
    };
    Ok(Pending::new(&body, issuer.public_key())?)
}

fn check_issuer(issuer: &Certificate, leaf: &Leaf<'_>) -> Result<(), CaError> {
    if !issuer.is_authority() {
        return Err(CaError::NotAnAuthority);
    }
    if leaf.validity.not_before() < issuer.not_before() || leaf.validity.not_after() > issuer.not_after() {
        return Err(CaError::Validity);
    }
    let limit = issuer.extensions().basic_constraints.and_then(|constraints| constraints.path_length);
    match (leaf.role, limit) {
        (Role::End, _) | (Role::Authority { .. }, None) => Ok(()),
        (Role::Authority { path_length: Some(below) }, Some(limit)) if below < limit => Ok(()),
        // Without a limit of its own it has what its issuer leaves it.
        (Role::Authority { path_length: None }, Some(1..)) => Ok(()),
        (Role::Authority { .. }, Some(_)) => Err(CaError::PathLength),
    }
}

fn extensions(issuer: &Certificate, leaf: &Leaf<'_>) -> Vec<Vec<u8>> {
    let mut extensions = vec![
        extension::subject_key_identifier(&x509::key_identifier(leaf.key)),
        extension::authority_key_identifier(&issuer.key_identifier()),
    ];
    match leaf.role {
        Role::End => {
            extensions.push(extension::basic_constraints_end());
            extensions.push(extension::key_usage(extension::DIGITAL_SIGNATURE));
        }
        Role::Authority { path_length } => {
            extensions.push(extension::basic_constraints_ca(path_length));
            extensions.push(extension::key_usage(extension::KEY_CERT_SIGN | extension::CRL_SIGN));
        }
    }
    if !leaf.purposes.is_empty() {
        extensions.push(extension::extended_key_usage(leaf.purposes));
    }
    if !leaf.alt_names.is_empty() {
        let critical = if leaf.subject.is_empty() { Critical::Yes } else { Critical::No };
        extensions.push(extension::subject_alt_name(leaf.alt_names, critical));
    }
    extensions
}

/// Checks that `issuer` issued `certificate`: name, signature, authority and validity at `at`.
///
/// # Errors
/// [`X509Error::NotSignedBy`], [`X509Error::Algorithm`], or [`CaError`] for the rest.
pub fn verify(certificate: &Certificate, issuer: &Certificate, at: jiff::Timestamp) -> Result<(), CaError> {
    if certificate.issuer() != issuer.subject() {
        return Err(X509Error::NotSignedBy.into());
    }
    if !issuer.is_authority() {
        return Err(CaError::NotAnAuthority);
    }
    certificate.is_signed_by(issuer.public_key())?;
    let valid = |c: &Certificate| (c.not_before()..=c.not_after()).contains(&at);
    if valid(certificate) && valid(issuer) { Ok(()) } else { Err(CaError::Validity) }
}

/// What an authority certifies when a request asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The most days of validity.
    pub max_days: u32,
    /// Names that may be certified. Nothing is allowed that is not here.
    pub names: Vec<NameRule>,
    /// Purposes that may be certified.
    pub purposes: Vec<Purpose>,
}

/// Which other names may be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// This name and no other.
    Exactly(AltName),
    /// Host names below this one, and mail addresses at it or below: `example.org` allows
    /// `dns:a.example.org` and `email:a@example.org`, not `dns:example.org`.
    Below(String),
}

impl NameRule {
    fn allows(&self, name: &AltName) -> bool {
        match (self, name) {
            (Self::Exactly(allowed), name) => allowed == name,
            (Self::Below(domain), AltName::Dns(host)) => is_below(host, domain),
            (Self::Below(domain), AltName::Email(address)) => address
                .rsplit_once('@')
                .is_some_and(|(_, host)| host.eq_ignore_ascii_case(domain) || is_below(host, domain)),
            (Self::Below(_), AltName::Ip(_) | AltName::Uri(_)) => false,
        }
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    let at = host.len().checked_sub(domain.len() + 1);
    // Host names are ASCII, but a rule may be anything: `get` never splits a character.
    at.and_then(|at| host.get(at..)).is_some_and(|end| {
        end.strip_prefix('.').is_some_and(|end| end.eq_ignore_ascii_case(domain)) && end.len() < host.len()
    })
}

impl Rules {
    /// Checks that everything that a request asks for may be granted for `validity`.
    ///
    /// The subject's own attributes are not checked: whoever issues gives the subject.
    ///
    /// # Errors
    /// The first [`CaError`] found.
    pub fn check(&self, request: &Csr, validity: Validity) -> Result<(), CaError> {
        let seconds = validity.not_after().as_second() - validity.not_before().as_second();
        if seconds > i64::from(self.max_days) * 86400 {
            return Err(CaError::TooLong { max_days: self.max_days });
        }
        if request.public_key().is_weak() {
            return Err(CaError::WeakKey);
        }
        if request.wants_authority() {
            return Err(CaError::WantsAuthority);
        }
        if request.has_other_names() {
            return Err(CaError::OtherName);
        }
        let allowed = |name: &&AltName| !self.names.iter().any(|rule| rule.allows(name));
        if let Some(name) = request.alt_names().iter().find(allowed) {
            return Err(CaError::AltName { name: name.clone() });
        }
        match request.purposes().iter().find(|purpose| !self.purposes.contains(purpose)) {
            Some(purpose) => Err(CaError::Purpose { purpose: *purpose }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_allows_what_is_below_it_and_nothing_that_only_looks_like_it() {
        let rule = NameRule::Below("example.org".into());
        for (name, allowed) in [
            ("dns:a.example.org", true),
            ("dns:*.example.org", true),
            ("dns:A.EXAMPLE.ORG", true),
            ("dns:example.org", false),
            ("dns:badexample.org", false),
            ("dns:example.org.evil.net", false),
            ("email:a@example.org", true),
            ("email:a@b.example.org", true),
            ("email:a@badexample.org", false),
            ("uri:https://a.example.org", false),
        ] {
            assert_eq!(rule.allows(&name.parse().unwrap()), allowed, "{name}");
        }
    }
}
