//! Signed collections, checked offline: what a Remote Settings client checks before it believes a record.
//!
//! Needed are the signatures in the collection's metadata, a copy of its records, the chains of certificates
//! that the signatures name, what is trusted, and the time. Any one good signature is enough: while keys change
//! there are several.
//!
//! ```text
//! chain   read, each issued by the next, valid now, root pinned, leaf for code signing and of the expected name
//! bundle  r‖s by the leaf's key (or a key at hand) over the message of the copy, in the bundle's profile
//! ```

use std::collections::BTreeMap;

use countersign_model::digest::sha256;
use countersign_model::{KeyId, PublicKey, ToSign};
use countersign_pki::chain::{Chain, ChainError};
use countersign_pki::extension::{AltName, Purpose};
use countersign_pki::x509::Certificate;
use countersign_records::collections::changeset::ChangesetError;
use countersign_records::collections::content_signature::ContentSignatureError;
use jiff::Timestamp;

pub use countersign_records::collections::changeset::{Changeset, LocalCopy, bundles};
pub use countersign_records::collections::content_signature::{Bundle, Mode, Profile};

/// What a reader believes without being told by the server.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// SHA-256 of the DER of root certificates.
    pub root_hashes: Vec<[u8; 32]>,
    /// Root certificates themselves, also for chains that leave theirs out.
    pub roots: Vec<Certificate>,
    /// Keys that sign without a chain. A bundle that names a chain is checked by them only where no root is given.
    pub keys: Vec<PublicKey>,
    /// The name that a leaf must have; `None`: any.
    pub name: Option<ExpectedName>,
}

/// The name that is asked of a leaf's SubjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedName {
    /// This host name, e.g. `remote-settings.content-signature.mozilla.org`.
    Exactly(String),
    /// Any `NAME.content-signature.…`.
    Signer(String),
}

impl ExpectedName {
    /// A text with a point is a whole host name, any other the name of a signer.
    pub fn of(text: &str) -> Self {
        if text.contains('.') { Self::Exactly(text.to_owned()) } else { Self::Signer(text.to_owned()) }
    }

    fn fits(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => host.eq_ignore_ascii_case(name),
            Self::Signer(name) => host
                .to_ascii_lowercase()
                .strip_prefix(&name.to_ascii_lowercase())
                .is_some_and(|rest| rest.starts_with(".content-signature.")),
        }
    }
}

/// A signature that is good, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which of the bundles, from 0.
    pub bundle: usize,
    /// Which bytes were signed.
    pub profile: Profile,
    /// The key that signed.
    pub key: KeyId,
    /// The host names of the leaf; none for a key without a chain.
    pub names: Vec<String>,
    /// The certificates of the chain, the leaf first; none for a key without a chain.
    pub chain: Vec<Element>,
    /// What was wrong with the bundles before it.
    pub failures: Vec<BundleFailure>,
}

/// A certificate of a chain, and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Whose it is.
    pub subject: String,
    /// Its first second.
    pub not_before: Timestamp,
    /// Its last second.
    pub not_after: Timestamp,
}

impl Verdict {
    /// When the first of the chain's certificates expires; `None` for a key without a chain.
    pub fn expires(&self) -> Option<Timestamp> {
        self.chain.iter().map(|element| element.not_after).min()
    }
}

/// Why one bundle is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleFailure {
    /// The chain that it names is not here.
    #[error("the chain `{x5u}` is not at hand")]
    NoChain {
        /// What the bundle names.
        x5u: String,
    },
    /// It names no chain, and no key is trusted without one.
    #[error("it names no chain, and no key is given to check it by")]
    NoKey,
    /// A chain that is not believed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A chain under another root.
    #[error("the chain's root, of SHA-256 {}, is not one that is trusted", hex::encode(.root))]
    Root {
        /// SHA-256 of the root's DER.
        root: [u8; 32],
    },
    /// A leaf of another name.
    #[error("the chain's leaf is of {names:?}, which is not the expected name")]
    Name {
        /// The leaf's names.
        names: Vec<String>,
    },
    /// The signature is malformed, of another kind, or not good.
    #[error(transparent)]
    Signature(#[from] ContentSignatureError),
}

impl BundleFailure {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoChain { .. } => "fetch it, and give it under the address that the bundle names",
            Self::NoKey => "give the public key, from elsewhere than the server of the collection",
            Self::Chain(error) => error.hint(),
            Self::Root { .. } => "is it the root of this service? ask its operator for the root's hash",
            Self::Name { .. } => "the key signs other content: is it the right collection?",
            Self::Signature(error) => error.hint(),
        }
    }
}

/// Why a copy is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// No signature at all.
    #[error("the collection has no signature")]
    Unsigned,
    /// None of the signatures is good.
    #[error("no signature of the collection is good: {}", listed(.failures))]
    NoneGood {
        /// Why not, in the order of the bundles.
        failures: Vec<BundleFailure>,
    },
    /// The message of the copy cannot be made.
    #[error(transparent)]
    Copy(#[from] ChangesetError),
}

impl CollectionError {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unsigned => "the collection is not one that is published signed",
            Self::NoneGood { failures } => {
                failures.first().map_or("the collection is not signed", BundleFailure::hint)
            }
            Self::Copy(error) => error.hint(),
        }
    }
}

fn listed(failures: &[BundleFailure]) -> String {
    let texts = failures.iter().enumerate().map(|(index, failure)| format!("[{index}] {failure}"));
    texts.collect::<Vec<_>>().join("; ")
}

/// Checks a copy of a collection.
///
/// - `bundles`: the signatures in the metadata, from [`Changeset::bundles`].
/// - `copy`: all live records and the timestamp of their list, after every change that was fetched.
/// - `chains`: PEM texts by the `x5u` of the bundles.
/// - `at`: now.
///
/// # Errors
/// [`CollectionError`]. A client that applied changes to an older copy fetches everything then and tries once more.
pub fn verify(
    bundles: &[Bundle],
    copy: &LocalCopy,
    chains: &BTreeMap<String, String>,
    trust: &Trust,
    at: Timestamp,
) -> Result<Verdict, CollectionError> {
    let mut messages = Messages::new(copy);
    let mut failures = Vec::new();
    for (index, bundle) in bundles.iter().enumerate() {
        let signers = match signers(bundle, chains, trust, at) {
            Ok(signers) => signers,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        match signers.try_all(bundle, &mut messages)? {
            Ok(key) => {
                let (names, chain) = signers.chain.as_ref().map(described).unwrap_or_default();
                let profile = bundle.profile();
                return Ok(Verdict { bundle: index, profile, key, names, chain, failures });
            }
            Err(error) => failures.push(error.into()),
        }
    }
    if bundles.is_empty() {
        Err(CollectionError::Unsigned)
    } else {
        Err(CollectionError::NoneGood { failures })
    }
}

/// Who may have signed a bundle.
struct Signers<'a> {
    chain: Option<Chain>,
    keys: &'a [PublicKey],
}

fn signers<'a>(
    bundle: &Bundle,
    chains: &BTreeMap<String, String>,
    trust: &'a Trust,
    at: Timestamp,
) -> Result<Signers<'a>, BundleFailure> {
    let by_key = trust.root_hashes.is_empty() && trust.roots.is_empty();
    match bundle.x5u() {
        Some(x5u) if !by_key => {
            let text = chains.get(x5u).ok_or_else(|| BundleFailure::NoChain { x5u: x5u.to_owned() })?;
            Ok(Signers { chain: Some(check_chain(text, trust, at)?), keys: &[] })
        }
        _ if trust.keys.is_empty() => Err(BundleFailure::NoKey),
        _ => Ok(Signers { chain: None, keys: &trust.keys }),
    }
}

/// Reads a chain and checks everything about it but what its leaf signed: for whoever serves it, and wants to
/// know that readers with this trust will take it.
///
/// # Errors
/// [`BundleFailure`].
pub fn check_chain(text: &str, trust: &Trust, at: Timestamp) -> Result<Chain, BundleFailure> {
    let chain = complete(Chain::from_pem(text)?, trust)?;
    chain.verify(Purpose::CodeSigning, at)?;
    let root = chain.root_hash();
    let known = trust.root_hashes.contains(&root) || trust.roots.contains(chain.root());
    if !known {
        return Err(BundleFailure::Root { root });
    }
    let names = names(chain.leaf());
    match &trust.name {
        Some(expected) if !names.iter().any(|name| expected.fits(name)) => Err(BundleFailure::Name { names }),
        _ => Ok(chain),
    }
}

/// The chain with its root, where it was left out and is at hand.
fn complete(chain: Chain, trust: &Trust) -> Result<Chain, ChainError> {
    let last = chain.root();
    if trust.root_hashes.contains(&sha256(last.der())) || trust.roots.contains(last) {
        return Ok(chain);
    }
    let issued =
        |root: &&Certificate| last.issuer() == root.subject() && last.is_signed_by(root.public_key()).is_ok();
    match trust.roots.iter().find(issued) {
        Some(root) => chain.under(root),
        None => Ok(chain),
    }
}

fn names(leaf: &Certificate) -> Vec<String> {
    let hosts = leaf.alt_names().iter().filter_map(|name| match name {
        AltName::Dns(host) => Some(host.clone()),
        _ => None,
    });
    hosts.collect()
}

fn described(chain: &Chain) -> (Vec<String>, Vec<Element>) {
    let elements = chain.certificates().map(|certificate| Element {
        subject: certificate.subject().to_string(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
    });
    (names(chain.leaf()), elements.collect())
}

impl Signers<'_> {
    /// The first key whose signature it is, else why it is not the last one's. The outer error is about the copy.
    fn try_all(
        &self,
        bundle: &Bundle,
        messages: &mut Messages<'_>,
    ) -> Result<Result<KeyId, ContentSignatureError>, ChangesetError> {
        let message = match bundle.mode() {
            Ok(mode) => messages.get(bundle.profile(), mode)?,
            Err(error) => return Ok(Err(error)),
        };
        let leaf = self.chain.iter().map(|chain| chain.leaf().public_key());
        let mut error = ContentSignatureError::Invalid;
        for key in leaf.chain(self.keys) {
            match bundle.verify(key, message) {
                Ok(()) => return Ok(Ok(key.id())),
                Err(why) => error = why,
            }
        }
        Ok(Err(error))
    }
}

/// What must have been signed, made once for all bundles of a kind.
struct Messages<'a> {
    copy: &'a LocalCopy,
    made: Vec<((Profile, Mode), ToSign)>,
}

impl<'a> Messages<'a> {
    fn new(copy: &'a LocalCopy) -> Self {
        Self { copy, made: Vec::new() }
    }

    fn get(&mut self, profile: Profile, mode: Mode) -> Result<&ToSign, ChangesetError> {
        let kind = (profile, mode);
        let index = match self.made.iter().position(|(made, _)| *made == kind) {
            Some(index) => index,
            None => {
                self.made.push((kind, self.copy.to_sign(profile, mode)?));
                self.made.len() - 1
            }
        };
        Ok(&self.made[index].1)
    }
}
