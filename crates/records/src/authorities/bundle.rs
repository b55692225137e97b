//! The bundle: all authorities with their keys in one document, signed by a root key, for readers that
//! cannot or will not ask.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::canonical::{self, NotAnInteger};
use countersign_model::{Encoding, KeyId, KeyType, RawSignature, Scheme, ToSign, strict_json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AuthorityKey, AuthorityKeys, DuplicateKey, KeyRevocation, timestamp};
use crate::tag::{self, AuthorityName};

/// What a bundle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Only grows: who has seen a number takes no lower one.
    pub version: u64,
    /// When it was written.
    pub issued: Timestamp,
    /// Up to and with this second it may be relied on.
    pub expires: Timestamp,
    /// Every authority by its name.
    pub authorities: BTreeMap<AuthorityName, AuthorityKeys>,
    /// Every revoked key, also those of authorities that are gone.
    pub revocations: Vec<Revocation>,
}

/// A revoked key in a bundle: what its KEY says too, found without knowing whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose key it is.
    pub authority: AuthorityName,
    /// The key.
    pub key: KeyId,
    /// Since when and why.
    #[serde(flatten)]
    pub revocation: KeyRevocation,
}

impl Content {
    /// A bundle of these authorities. Its revocations are those of their keys; a key of several authorities that
    /// one of them has revoked is revoked for all, with everything in doubt that any of them doubts.
    pub fn new(
        version: u64,
        issued: Timestamp,
        expires: Timestamp,
        authorities: impl IntoIterator<Item = AuthorityKeys>,
    ) -> Self {
        let mut authorities: BTreeMap<_, _> =
            authorities.into_iter().map(|authority| (authority.name.clone(), authority)).collect();
        unite(&mut authorities);
        let revoked = |authority: &AuthorityKeys| {
            let name = authority.name.clone();
            let revocations = authority.keys.iter().filter_map(|key| Some((&key.id, key.revoked.clone()?)));
            let found = revocations.map(|(key, revocation)| Revocation {
                authority: name.clone(),
                key: key.clone(),
                revocation,
            });
            found.collect::<Vec<_>>()
        };
        let revocations = authorities.values().flat_map(revoked).collect();
        Self { version, issued, expires, authorities, revocations }
    }

    fn to_value(&self) -> Value {
        let keys: BTreeMap<_, _> = self.authorities.iter().map(|(name, a)| (name, &a.keys)).collect();
        serde_json::json!({
            "type": TYPE,
            "version": self.version,
            "issued": countersign_model::time::seconds(self.issued),
            "expires": countersign_model::time::seconds(self.expires),
            "authorities": keys,
            "revocations": self.revocations,
        })
    }
}

/// What a bundle is, in its member `type`: a root key signs nothing else under this name.
const TYPE: &str = "countersign-authorities";

/// Versions are below this, so that every reader of JSON has the same number.
const VERSIONS: u64 = 1 << 53;

/// The scheme that a root key signs bundles with: Ed25519, or as for tags SHA-256 with PKCS#1 v1.5 or ECDSA in
/// DER, so that `openssl dgst -sha256` can.
pub fn root_scheme(key_type: KeyType) -> Scheme {
    tag::scheme_for(key_type).unwrap_or(Scheme::Ed25519)
}

/// A bundle that waits for its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    scheme: Scheme,
    signed: Value,
}

/// Prepares a bundle to be signed by a root key of this type, under [`root_scheme`].
///
/// # Errors
/// [`MalformedBundle::Version`].
pub fn prepare(content: &Content, root: KeyType) -> Result<(ToSign, Pending), MalformedBundle> {
    check_version(content.version)?;
    let signed = content.to_value();
    // Nothing is signed that no reader would take.
    Signed::deserialize(&signed)?.into_content()?;
    let bytes = canonical::python(&signed)?;
    let scheme = root_scheme(root);
    Ok((ToSign::of_message(scheme, &bytes), Pending { scheme, signed }))
}

/// The document, in canonical form with a line feed at its end. What stands between `"signed": ` and the last
/// brace are the signed bytes.
///
/// # Errors
/// None for what [`prepare`] gave.
pub fn finish(pending: Pending, root: &KeyId, signature: &RawSignature) -> Result<Vec<u8>, MalformedBundle> {
    let signature = signature.encode(pending.scheme, Encoding::Der);
    let document = serde_json::json!({
        "signed": pending.signed,
        "signatures": [WrittenSignature { keyid: root.clone(), sig: STANDARD.encode(signature) }],
    });
    let mut bytes = canonical::python(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A bundle as it was found. Nothing is verified by reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    signed: Vec<u8>,
    content: Content,
    signatures: Vec<(KeyId, Vec<u8>)>,
}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedBundle {
    /// Not JSON, or a member is missing or of another form.
    #[error("not a key bundle: {0}")]
    Json(#[from] serde_json::Error),
    /// Another type of document.
    #[error("not a key bundle: its type is not `{TYPE}`")]
    Type,
    /// A number that has more than one way to be written.
    #[error(transparent)]
    Number(#[from] NotAnInteger),
    /// A number that readers of JSON do not agree on.
    #[error("version {0} of the key bundle is not from 1 to 2^53 - 1")]
    Version(u64),
    /// A signature that is not base64.
    #[error("the signature by `{0}` is not base64")]
    Base64(KeyId),
    /// An authority that has a key twice.
    #[error(transparent)]
    Duplicate(#[from] DuplicateKey),
    /// A key is revoked in one place, and otherwise in another.
    #[error("the bundle says two things about the revocation of key `{0}`")]
    Contradiction(KeyId),
}

impl MalformedBundle {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        "fetch it again: `GET /authorities/bundle` of the tag service"
    }
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`MalformedBundle`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedBundle> {
        let document: Document = serde_json::from_value(strict_json::parse(bytes)?)?;
        let signed = canonical::python(&document.signed)?;
        let content = Signed::deserialize(document.signed)?.into_content()?;
        let decode = |signature: WrittenSignature| match STANDARD.decode(&signature.sig) {
            Ok(bytes) => Ok((signature.keyid, bytes)),
            Err(_) => Err(MalformedBundle::Base64(signature.keyid)),
        };
        let signatures = document.signatures.into_iter().map(decode).collect::<Result<_, _>>()?;
        Ok(Self { signed, content, signatures })
    }

    /// The bytes that are signed.
    pub fn signed_bytes(&self) -> &[u8] {
        &self.signed
    }

    /// What it says.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// What it says.
    pub fn into_content(self) -> Content {
        self.content
    }

    /// The signatures by key id: RSA and Ed25519 as they are, ECDSA in DER.
    pub fn signatures(&self) -> impl Iterator<Item = (&KeyId, &[u8])> {
        self.signatures.iter().map(|(key, signature)| (key, signature.as_slice()))
    }
}

#[derive(Deserialize)]
struct Document {
    signed: Value,
    signatures: Vec<WrittenSignature>,
}

#[derive(Serialize, Deserialize)]
struct WrittenSignature {
    keyid: KeyId,
    sig: String,
}

#[derive(Deserialize)]
struct Signed {
    r#type: String,
    version: u64,
    #[serde(with = "timestamp")]
    issued: Timestamp,
    #[serde(with = "timestamp")]
    expires: Timestamp,
    authorities: BTreeMap<AuthorityName, Vec<AuthorityKey>>,
    revocations: Vec<Revocation>,
}

impl Signed {
    fn into_content(self) -> Result<Content, MalformedBundle> {
        if self.r#type != TYPE {
            return Err(MalformedBundle::Type);
        }
        check_version(self.version)?;
        let mut authorities = BTreeMap::new();
        for (name, keys) in self.authorities {
            authorities.insert(name.clone(), AuthorityKeys::new(name, keys)?);
        }
        apply(&self.revocations, &mut authorities)?;
        Ok(Content {
            version: self.version,
            issued: self.issued,
            expires: self.expires,
            authorities,
            revocations: self.revocations,
        })
    }
}

fn check_version(version: u64) -> Result<(), MalformedBundle> {
    if (1..VERSIONS).contains(&version) { Ok(()) } else { Err(MalformedBundle::Version(version)) }
}

/// Lets all authorities that have a key say the same of its revocation.
fn unite(authorities: &mut BTreeMap<AuthorityName, AuthorityKeys>) {
    let mut by_key: BTreeMap<KeyId, KeyRevocation> = BTreeMap::new();
    for key in authorities.values().flat_map(|authority| &authority.keys) {
        let Some(revoked) = &key.revoked else { continue };
        match by_key.entry(key.id.clone()) {
            Entry::Vacant(free) => {
                free.insert(revoked.clone());
            }
            Entry::Occupied(mut other) => {
                let both = other.get_mut();
                both.at = both.at.min(revoked.at);
                both.from = both.from.zip(revoked.from).map(|(a, b)| a.min(b));
                both.until =
                    both.until.zip(revoked.until).map(|(a, b)| a.max(b)).filter(|_| both.from.is_some());
            }
        }
    }
    for key in authorities.values_mut().flat_map(|authority| &mut authority.keys) {
        if let Some(revoked) = by_key.get(&key.id) {
            key.revoked = Some(revoked.clone());
        }
    }
}

/// Revokes the keys that the list names, whoever's they are: a key that leaked is good for nobody.
fn apply(
    revocations: &[Revocation],
    authorities: &mut BTreeMap<AuthorityName, AuthorityKeys>,
) -> Result<(), MalformedBundle> {
    let mut by_key: BTreeMap<&KeyId, &KeyRevocation> = BTreeMap::new();
    for Revocation { key, revocation, .. } in revocations {
        if by_key.insert(key, revocation).is_some_and(|other| other != revocation) {
            return Err(MalformedBundle::Contradiction(key.clone()));
        }
    }
    for key in authorities.values_mut().flat_map(|authority| &mut authority.keys) {
        let Some(revocation) = by_key.get(&key.id) else { continue };
        match &key.revoked {
            Some(own) if own != *revocation => return Err(MalformedBundle::Contradiction(key.id.clone())),
            _ => key.revoked = Some((*revocation).clone()),
        }
    }
    Ok(())
}
