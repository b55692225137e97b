//! Chains of certificates: a leaf, the authorities above it, a root (RFC 5280, 6.1, for one path that is given).
//!
//! ```text
//! -----BEGIN CERTIFICATE-----     the leaf
//! -----BEGIN CERTIFICATE-----     who issued it
//! -----BEGIN CERTIFICATE-----     …, the root last
//! ```
//!
//! [`Chain::verify`] says that the chain holds together, now and for a purpose. Whether its root is to be
//! trusted is asked of whoever has it pinned: [`Chain::root_hash`].

mod constraints;

use countersign_model::digest::sha256;
use countersign_model::pem::{self, PemError};
use jiff::Timestamp;

use crate::extension::{self, Purpose};
use crate::x509::{Certificate, X509Error};
use constraints::NameConstraints;

/// The longest chain that is read.
pub const MAX_CERTIFICATES: usize = 10;

/// A chain as it was given. Nothing is verified by reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    leaf: Certificate,
    authorities: Vec<Certificate>,
}

/// Why a text is not a chain, or a chain is not believed. Certificates are counted from the leaf, which is 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A block that is not a certificate.
    #[error("the chain has a block `{label}`, which is no certificate")]
    Label {
        /// What it says it is.
        label: String,
    },
    /// A certificate that cannot be read.
    #[error("certificate {index} of the chain: {source}")]
    Certificate {
        /// Which one.
        index: usize,
        /// Why.
        source: X509Error,
    },
    /// More than [`MAX_CERTIFICATES`], or none.
    #[error("a chain has 1 to {MAX_CERTIFICATES} certificates, this one {got}")]
    Length {
        /// How many there are.
        got: usize,
    },
    /// A leaf without anybody above it.
    #[error("the chain has no authority above its leaf")]
    NoAuthority,
    /// The next certificate did not issue it.
    #[error("certificate {index} of the chain is not issued by the next one")]
    NotIssued {
        /// Which one.
        index: usize,
    },
    /// One above the leaf is no authority.
    #[error("certificate {index} of the chain is not that of an authority")]
    NotAnAuthority {
        /// Which one.
        index: usize,
    },
    /// The leaf is an authority, or its key may not sign.
    #[error("the leaf of the chain is not for signing content")]
    Leaf,
    /// More authorities below one than it allows.
    #[error("certificate {index} of the chain does not allow as many authorities below it")]
    PathLength {
        /// Which one.
        index: usize,
    },
    /// Valid later.
    #[error("certificate {index} of the chain is not valid before {not_before}")]
    NotYetValid {
        /// Which one.
        index: usize,
        /// Its first second.
        not_before: Timestamp,
    },
    /// Valid earlier.
    #[error("certificate {index} of the chain expired {not_after}")]
    Expired {
        /// Which one.
        index: usize,
        /// Its last second.
        not_after: Timestamp,
    },
    /// For other purposes.
    #[error("certificate {index} of the chain is not for the purpose `{purpose}`")]
    Purpose {
        /// Which one.
        index: usize,
        /// What is asked of it.
        purpose: Purpose,
    },
    /// A name of the leaf that an authority may not certify.
    #[error("certificate {index} of the chain may not certify the name `{name}`")]
    Name {
        /// Whose constraints they are.
        index: usize,
        /// The name.
        name: String,
    },
    /// A critical extension or a constraint that is not understood, so that it must be refused.
    #[error("certificate {index} of the chain says something that is not understood, and that it must be")]
    Critical {
        /// Which one.
        index: usize,
    },
    /// RSA with fewer than 2048 bits.
    #[error("certificate {index} of the chain has a key that is too weak to be believed")]
    WeakKey {
        /// Which one.
        index: usize,
    },
}

impl ChainError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Pem(_) | Self::Label { .. } | Self::Length { .. } | Self::NoAuthority => {
                "a chain is PEM: the leaf, then each the issuer of the one before, the root last"
            }
            Self::Certificate { source, .. } => source.hint(),
            Self::NotIssued { .. } => "the certificates stand in another order, or one of them is missing",
            Self::NotAnAuthority { .. } | Self::PathLength { .. } | Self::Name { .. } => {
                "somebody issued a certificate who may not: do not trust it"
            }
            Self::Leaf | Self::Purpose { .. } => {
                "the leaf needs the purpose `code-signing` and is no authority"
            }
            Self::NotYetValid { .. } => "is the clock right?",
            Self::Expired { .. } => "whoever signs renews the chain and signs again",
            Self::Critical { .. } | Self::WeakKey { .. } => "ask whoever signs for another chain",
        }
    }
}

impl Chain {
    /// - `certificates`: the leaf first, 1 to [`MAX_CERTIFICATES`].
    ///
    /// # Errors
    /// [`ChainError::Length`].
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, ChainError> {
        let got = certificates.len();
        let mut certificates = certificates.into_iter();
        match certificates.next() {
            Some(leaf) if got <= MAX_CERTIFICATES => Ok(Self { leaf, authorities: certificates.collect() }),
            _ => Err(ChainError::Length { got }),
        }
    }

    /// Reads a PEM text with nothing but certificates, the leaf first.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        let blocks = pem::blocks(text)?;
        if blocks.len() > MAX_CERTIFICATES {
            return Err(ChainError::Length { got: blocks.len() });
        }
        let certificates = blocks.into_iter().enumerate().map(|(index, block)| match block.label.as_str() {
            "CERTIFICATE" => {
                Certificate::from_der(&block.der).map_err(|source| ChainError::Certificate { index, source })
            }
            label => Err(ChainError::Label { label: label.to_owned() }),
        });
        Self::new(certificates.collect::<Result<_, _>>()?)
    }

    /// The chain as PEM, the leaf first.
    pub fn to_pem(&self) -> String {
        self.certificates().map(Certificate::to_pem).collect()
    }

    /// The certificate that signs content.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The last one: the leaf itself where nobody is above it.
    pub fn root(&self) -> &Certificate {
        self.authorities.last().unwrap_or(&self.leaf)
    }

    /// SHA-256 of the root's DER: what is pinned.
    pub fn root_hash(&self) -> [u8; 32] {
        sha256(self.root().der())
    }

    /// All of them, the leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.authorities)
    }

    /// The chain with this root at its end, unless it has it already: some leave out what everybody has.
    ///
    /// # Errors
    /// [`ChainError::Length`].
    pub fn under(mut self, root: &Certificate) -> Result<Self, ChainError> {
        if self.root() == root {
            return Ok(self);
        }
        if self.certificates().count() == MAX_CERTIFICATES {
            return Err(ChainError::Length { got: MAX_CERTIFICATES + 1 });
        }
        self.authorities.push(root.clone());
        Ok(self)
    }

    /// Checks that each is issued by the next, an authority that may, that all are valid at `at`, and that the
    /// leaf is no authority and for `purpose`.
    ///
    /// # Errors
    /// The first [`ChainError`] found.
    pub fn verify(&self, purpose: Purpose, at: Timestamp) -> Result<(), ChainError> {
        if self.authorities.is_empty() {
            return Err(ChainError::NoAuthority);
        }
        for (index, certificate) in self.certificates().enumerate() {
            check_one(index, certificate, at)?;
        }
        self.check_leaf(purpose)?;
        // RFC 5280, 4.2.1.9: authorities that issued a certificate for themselves do not count.
        let mut below = 0;
        let mut issued = &self.leaf;
        for (index, authority) in self.authorities.iter().enumerate() {
            check_issued(index, issued, authority)?;
            self.check_authority(index + 1, authority, below, purpose)?;
            below += u8::from(authority.subject() != authority.issuer());
            issued = authority;
        }
        Ok(())
    }

    fn check_leaf(&self, purpose: Purpose) -> Result<(), ChainError> {
        let extensions = self.leaf.extensions();
        let ca = extensions.basic_constraints.is_some_and(|constraints| constraints.ca);
        let signs = extensions.key_usage.is_none_or(|usage| usage & extension::DIGITAL_SIGNATURE != 0);
        if ca || !signs {
            return Err(ChainError::Leaf);
        }
        if self.leaf.purposes().contains(&purpose) {
            Ok(())
        } else {
            Err(ChainError::Purpose { index: 0, purpose })
        }
    }

    /// `below`: how many authorities stand between this one and the leaf.
    fn check_authority(
        &self,
        index: usize,
        authority: &Certificate,
        below: u8,
        purpose: Purpose,
    ) -> Result<(), ChainError> {
        if !authority.is_authority() {
            return Err(ChainError::NotAnAuthority { index });
        }
        let extensions = authority.extensions();
        let limit = extensions.basic_constraints.and_then(|constraints| constraints.path_length);
        if limit.is_some_and(|limit| below > limit) {
            return Err(ChainError::PathLength { index });
        }
        // The root's own purposes are the trust in it, which is not asked here.
        let is_root = index == self.authorities.len();
        let purposes = authority.purposes();
        if !is_root && !purposes.is_empty() && !purposes.contains(&purpose) {
            return Err(ChainError::Purpose { index, purpose });
        }
        let Some(constraints) = &extensions.name_constraints else { return Ok(()) };
        let constraints = NameConstraints::read(constraints).ok_or(ChainError::Critical { index })?;
        match self.leaf.alt_names().iter().find(|name| !constraints.allow(name)) {
            Some(name) => Err(ChainError::Name { index, name: name.to_string() }),
            None if self.leaf.extensions().other_names => Err(ChainError::Critical { index: 0 }),
            None => Ok(()),
        }
    }
}

fn check_one(index: usize, certificate: &Certificate, at: Timestamp) -> Result<(), ChainError> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    if certificate.extensions().unknown_critical {
        Err(ChainError::Critical { index })
    } else if certificate.public_key().is_weak() {
        Err(ChainError::WeakKey { index })
    } else if at < not_before {
        Err(ChainError::NotYetValid { index, not_before })
    // The last second counts to its end.
    } else if at.as_second() > not_after.as_second() {
        Err(ChainError::Expired { index, not_after })
    } else {
        Ok(())
    }
}

fn check_issued(index: usize, issued: &Certificate, issuer: &Certificate) -> Result<(), ChainError> {
    if issued.issuer() != issuer.subject() {
        return Err(ChainError::NotIssued { index });
    }
    match issued.is_signed_by(issuer.public_key()) {
        Ok(()) => Ok(()),
        Err(X509Error::NotSignedBy) => Err(ChainError::NotIssued { index }),
        Err(source) => Err(ChainError::Certificate { index, source }),
    }
}
