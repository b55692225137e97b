//! What an Autograph answers: read strictly, and each signature checked before anybody sees it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::PublicKey;
use countersign_pki::chain::{Chain, ChainError};
use countersign_pki::extension::Purpose;
use countersign_records::collections::content_signature::{
    Bundle, ContentSignatureError, Encoding, Mode, Profile, prepare,
};
use jiff::Timestamp;

/// Why an answer is not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not a list of signatures.
    #[error("the answer is not a list of signatures: {0}")]
    Malformed(String),
    /// More or fewer than were asked for.
    #[error("{asked} signatures were asked for, {got} came")]
    Number {
        /// How many were asked for.
        asked: usize,
        /// How many came.
        got: usize,
    },
    /// Another signer's, or in another order.
    #[error("the signature of `{asked}` was asked for, that of `{got}` came")]
    Signer {
        /// Whose was asked for.
        asked: String,
        /// Whose came.
        got: String,
    },
    /// The other profile.
    #[error("a signature of the other profile came")]
    Profile,
    /// The key in it cannot be read.
    #[error("the public key of `{0}` cannot be read")]
    Key(String),
    /// Neither a key nor a chain: nobody could check it.
    #[error("the signature of `{0}` comes without a public key and without a chain")]
    NoKey(String),
    /// It is by one key, and names the chain of another.
    #[error("the signature of `{0}` comes with the chain of another key")]
    OtherKey(String),
    /// A root is pinned, and there is no chain that leads to it.
    #[error("`root_sha256` is given, and the signature of `{0}` comes without a chain that can be fetched")]
    NoChain(String),
    /// The chain leads to another root than those that are pinned.
    #[error("the chain of `{0}` leads to a root that is not in `root_sha256`")]
    OtherRoot(String),
    /// Keys are pinned, and it is by another.
    #[error("the signature of `{0}` is by a key that is not in `public_keys`")]
    NotPinned(String),
    /// The chain that it names is not believed.
    #[error("the chain of `{signer}`: {why}")]
    Chain {
        /// Whose it is.
        signer: String,
        /// Why.
        why: ChainError,
    },
    /// The signature is malformed or not good.
    #[error("the signature of `{signer}`: {why}")]
    Signature {
        /// Whose it is.
        signer: String,
        /// Why.
        why: ContentSignatureError,
    },
}

/// Reads an answer: one signature for each key that was asked, in that order. They are not checked yet.
///
/// # Errors
/// [`AnswerError`].
pub fn read(profile: Profile, asked: &[String], body: &[u8]) -> Result<Vec<Bundle>, AnswerError> {
    let mut bundles: Vec<Bundle> =
        serde_json::from_slice(body).map_err(|error| AnswerError::Malformed(error.to_string()))?;
    if bundles.len() != asked.len() {
        return Err(AnswerError::Number { asked: asked.len(), got: bundles.len() });
    }
    for (asked, bundle) in asked.iter().zip(&mut bundles) {
        if let Some(got) = bundle.signer_id.as_ref().filter(|got| *got != asked) {
            return Err(AnswerError::Signer { asked: asked.clone(), got: got.clone() });
        }
        match profile {
            Profile::Modern if bundle.signature_encoding.is_some() => return Err(AnswerError::Profile),
            Profile::Modern => {}
            // The first version of the service wrote it so, and did not say it.
            Profile::Seed if bundle.signature_encoding.is_none() => {
                bundle.signature_encoding = Some(Encoding::UrlSafe.as_str().into());
            }
            Profile::Seed => {}
        }
        bundle.raw().map_err(|why| AnswerError::Signature { signer: asked.clone(), why })?;
    }
    Ok(bundles)
}

/// The key that a bundle says it is by; `None` if it does not say.
///
/// # Errors
/// [`AnswerError::Key`].
pub fn key_of(signer: &str, bundle: &Bundle) -> Result<Option<PublicKey>, AnswerError> {
    let Some(text) = &bundle.public_key else { return Ok(None) };
    let spki = STANDARD.decode(text).ok();
    let key = spki.and_then(|spki| PublicKey::from_spki(&spki).ok());
    key.map(Some).ok_or_else(|| AnswerError::Key(signer.to_owned()))
}

/// The key of a chain's leaf, if the chain holds together at `at` and its root is one of `roots`: SHA-256 of their
/// DER, none for any.
///
/// # Errors
/// [`AnswerError::Chain`], [`AnswerError::OtherRoot`].
pub fn key_below(
    signer: &str,
    pem: &str,
    at: Timestamp,
    roots: &[[u8; 32]],
) -> Result<PublicKey, AnswerError> {
    let bad = |why| AnswerError::Chain { signer: signer.to_owned(), why };
    let chain = Chain::from_pem(pem).map_err(bad)?;
    chain.verify(Purpose::CodeSigning, at).map_err(bad)?;
    if !roots.is_empty() && !roots.contains(&chain.root_hash()) {
        return Err(AnswerError::OtherRoot(signer.to_owned()));
    }
    Ok(chain.leaf().public_key().clone())
}

/// Checks a signature over `content`, and adds what a reader wants to know and the answer left out.
///
/// # Errors
/// [`AnswerError::Signature`].
pub fn check(
    profile: Profile,
    signer: &str,
    mut bundle: Bundle,
    key: &PublicKey,
    content: &[u8],
) -> Result<Bundle, AnswerError> {
    let bad = |why| AnswerError::Signature { signer: signer.to_owned(), why };
    let mode: Mode = bundle.mode().map_err(bad)?;
    let (to_sign, _) = prepare(profile, mode, content);
    bundle.verify(key, &to_sign).map_err(bad)?;
    if profile == Profile::Modern {
        bundle.mode = Some(mode.as_str().into());
        let x5u = bundle.x5u.get_or_insert_default();
        let kind = if x5u.is_empty() { "contentsignature" } else { "contentsignaturepki" };
        bundle.kind.get_or_insert_with(|| kind.into());
        bundle.public_key.get_or_insert_with(|| STANDARD.encode(key.spki()));
        bundle.signer_id.get_or_insert_with(|| signer.to_owned());
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests;
