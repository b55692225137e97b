//! Signatures over content of the caller's choice: one, a batch, a stream; and the verification of bare ones.
//!
//! Bare signatures are made here, those of other formats with [`format`](mod@format).

pub mod format;

use std::fmt;

use countersign_keyhost::client::{LogRef, SignedRef};
use countersign_model::digest::{DigestError, Hasher, sha256};
use countersign_model::public_key::VerifyError;
use countersign_model::{
    Digest, Encoding, Format, HashAlg, KeyId, KeyName, KeyType, PublicKey, RawSignature, RequestId, Scheme,
    ToSign, time,
};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::keys;
use crate::pipeline::{self, Admitted, Order};
use crate::snapshot::KeyState;

/// What is to be signed or verified.
#[derive(Clone)]
pub enum Content {
    /// The message itself.
    Message(Vec<u8>),
    /// Its digest.
    Digest(Digest),
    /// A digest that is too long or too short: refused, but not before permission was asked.
    WrongLength(DigestError),
    /// A message that was hashed as it arrived.
    Streamed {
        /// By the hash of the scheme, and still open: some formats hash more behind the content.
        hasher: Hasher,
        /// SHA-256 of the message.
        input: [u8; 32],
    },
}

/// Says how it was given, and nothing of what it is.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message(_) => "Message(..)",
            Self::Digest(_) | Self::WrongLength(_) => "Digest(..)",
            Self::Streamed { .. } => "Streamed(..)",
        })
    }
}

impl Content {
    /// Reads `sha256:HEX` and its like.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it is not of this form. A wrong length is kept, see
    /// [`Self::WrongLength`].
    pub fn from_digest_text(text: &str) -> Result<Self, Error> {
        match text.parse::<Digest>() {
            Ok(digest) => Ok(Self::Digest(digest)),
            Err(error @ DigestError::Length { .. }) => Ok(Self::WrongLength(error)),
            Err(error) => Err(error.into()),
        }
    }

    fn len(&self) -> usize {
        if let Self::Message(message) = self { message.len() } else { 0 }
    }
}

/// One signature that is asked for.
#[derive(Clone, Debug)]
pub struct SignRequest {
    /// The key.
    pub key: KeyName,
    /// `None`: the key's default, or the format's.
    pub scheme: Option<Scheme>,
    /// `None`: a bare signature.
    pub format: Option<format::Parameters>,
    /// The content.
    pub content: Content,
    /// How an ECDSA signature is to be written; `None`: in DER. For other schemes there is nothing to say.
    pub encoding: Option<Encoding>,
    /// What the content is, in the caller's words: for the log. At most 256 characters.
    pub subject: Option<String>,
}

/// A signature, and where its entry in the log stands. Serialises as the API's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignAnswer {
    /// The key.
    pub key: KeyName,
    /// Its id.
    pub key_id: KeyId,
    /// The scheme.
    pub scheme: Scheme,
    /// How the signature is written; `None`: bare.
    pub format: Option<Format>,
    /// The signature as it was asked for. Base64 in the document.
    pub signature: Vec<u8>,
    /// What was signed, where a bare signature's scheme has a hash.
    pub digest: Option<Digest>,
    /// Its entry in the log.
    pub log: LogRef,
    /// The request.
    pub request_id: RequestId,
}

impl Serialize for SignAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::STANDARD.encode(&self.signature);
        let members = 6 + usize::from(self.digest.is_some()) + usize::from(self.format.is_some());
        let mut document = serializer.serialize_struct("SignAnswer", members)?;
        document.serialize_field("key", &self.key.as_str())?;
        document.serialize_field("key_id", self.key_id.as_str())?;
        document.serialize_field("scheme", self.scheme.as_str())?;
        if let Some(format) = &self.format {
            document.serialize_field("format", format.as_str())?;
        }
        document.serialize_field("signature", &signature)?;
        if let Some(digest) = &self.digest {
            document.serialize_field("digest", &digest.to_string())?;
        }
        document.serialize_field("log", &LogDocument::from(&self.log))?;
        document.serialize_field("request_id", self.request_id.as_str())?;
        document.end()
    }
}

/// Origin and index of an entry, as documents write it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LogDocument<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// The entry's number, from 0.
    pub index: u64,
}

impl<'a> From<&'a LogRef> for LogDocument<'a> {
    fn from(log: &'a LogRef) -> Self {
        Self { origin: log.origin.as_str(), index: log.index }
    }
}

/// Above this many bytes a message is hashed beside the threads that serve requests.
const LONG: usize = 128 << 10;

/// Signs one content with one key.
///
/// # Errors
/// In this order: [`Error::InvalidRequest`] for a subject that is too long or an encoding that the scheme has
/// not, what [`pipeline::admit`] refuses, the encoding again where the scheme is the key's default, a content
/// that does not suit the scheme, and what the key host refuses.
pub async fn sign_one(ctx: &Context, caller: &Caller, request: SignRequest) -> Result<SignAnswer, Error> {
    let (order, pending) = if request.content.len() > LONG {
        let (ctx, caller) = (ctx.clone(), caller.clone());
        beside(move || prepare(&ctx, &caller, request)).await??
    } else {
        prepare(ctx, caller, request)?
    };
    let signed = pipeline::sign(ctx, caller, order).await?;
    pending.finish(signed, caller)
}

/// Signs many contents; one's refusal does not touch the others. Requests that could not even be read are
/// passed through, so that every answer is in its place.
pub async fn sign_batch(
    ctx: &Context,
    caller: &Caller,
    requests: Vec<Result<SignRequest, Error>>,
) -> Vec<Result<SignAnswer, Error>> {
    let long = requests.iter().flatten().map(|r| r.content.len()).sum::<usize>() > LONG;
    let prepared = if long {
        let (ctx, caller) = (ctx.clone(), caller.clone());
        let count = requests.len();
        let work = move || requests.into_iter().map(|r| prepare(&ctx, &caller, r?)).collect();
        beside(work).await.unwrap_or_else(|_| (0..count).map(|_| Err(batch_failed())).collect())
    } else {
        requests.into_iter().map(|request| prepare(ctx, caller, request?)).collect::<Vec<_>>()
    };

    let mut orders = Vec::with_capacity(prepared.len());
    let mut places = Vec::with_capacity(prepared.len());
    for item in prepared {
        places.push(item.map(|(order, pending)| {
            orders.push(order);
            pending
        }));
    }
    let (mut signed, failure) = match pipeline::sign_many(ctx, caller, orders).await {
        Ok(signed) => (signed.into_iter(), None),
        Err(error) => (Vec::new().into_iter(), Some(error)),
    };
    let finish = |place: Result<Pending, Error>| {
        let pending = place?;
        match signed.next() {
            Some(signed) => pending.finish(signed?, caller),
            None => Err(failure.clone().unwrap_or_else(batch_failed)),
        }
    };
    places.into_iter().map(finish).collect()
}

fn batch_failed() -> Error {
    Error::KeyHostUnavailable("the batch was not signed".into())
}

fn prepare(ctx: &Context, caller: &Caller, request: SignRequest) -> Result<(Order, Pending), Error> {
    check_subject(request.subject.as_deref())?;
    if let Some(parameters) = request.format {
        check_no_encoding(request.encoding)?;
        let admitted = format::admit(ctx, caller, &request.key, request.scheme, parameters.format())?;
        let signer = format::Signer { key: admitted.key.public()?, now: ctx.now() };
        let prepared = format::prepare(parameters, &signer, request.content, ctx.limits.message_bytes)?;
        let pending = Pending::new(&admitted, Written::In(Box::new(prepared.pending)));
        let format::Prepared { to_sign, input, .. } = prepared;
        return Ok((Order { admitted, to_sign, input, subject: request.subject }, pending));
    }
    let (admitted, encoding) = admit(ctx, caller, &request.key, request.scheme, request.encoding)?;
    let limit = ctx.limits.message_bytes;
    let (to_sign, input) = to_sign(admitted.scheme, admitted.key.key_type, request.content, limit)?;
    let digest = if let ToSign::Digest(digest) = &to_sign { Some(*digest) } else { None };
    let pending = Pending::new(&admitted, Written::Bare { digest, encoding });
    Ok((Order { admitted, to_sign, input, subject: request.subject }, pending))
}

/// As [`pipeline::admit`] for a bare signature, and how it is written.
fn admit(
    ctx: &Context,
    caller: &Caller,
    key: &KeyName,
    scheme: Option<Scheme>,
    encoding: Option<Encoding>,
) -> Result<(Admitted, Encoding), Error> {
    // What the request says by itself is checked before anything is looked up.
    scheme.map_or(Ok(Encoding::Der), |scheme| encoding_of(scheme, encoding))?;
    let admitted = pipeline::admit(ctx, caller, key, scheme, Format::of_native)?;
    let encoding = encoding_of(admitted.scheme, encoding)?;
    Ok((admitted, encoding))
}

/// How a signature is written: a choice with ECDSA only.
fn encoding_of(scheme: Scheme, encoding: Option<Encoding>) -> Result<Encoding, Error> {
    match (scheme, encoding) {
        (Scheme::Ecdsa(_), encoding) => Ok(encoding.unwrap_or_default()),
        (_, None) => Ok(Encoding::Der),
        (_, Some(_)) => {
            let why = format!("signatures of `{scheme}` have one form: `encoding` is for ECDSA only");
            Err(Error::invalid("encoding", why))
        }
    }
}

/// Formats say themselves how a signature is written.
fn check_no_encoding(encoding: Option<Encoding>) -> Result<(), Error> {
    match encoding {
        None => Ok(()),
        Some(_) => Err(Error::invalid("encoding", "`encoding` is for bare signatures only")),
    }
}

/// What the answer needs beside the signature.
struct Pending {
    key: KeyName,
    key_id: KeyId,
    scheme: Scheme,
    written: Written,
}

/// How the signature will be written.
enum Written {
    Bare { digest: Option<Digest>, encoding: Encoding },
    In(Box<format::Pending>),
}

impl Pending {
    fn new(admitted: &Admitted, written: Written) -> Self {
        let key = &admitted.key;
        Self { key: key.name.clone(), key_id: key.id.clone(), scheme: admitted.scheme, written }
    }

    /// Never releases a signature in a format that does not verify.
    fn finish(self, signed: SignedRef, caller: &Caller) -> Result<SignAnswer, Error> {
        let (format, signature, digest) = match self.written {
            Written::Bare { digest, encoding } => {
                (None, signed.signature.encode(self.scheme, encoding), digest)
            }
            Written::In(pending) => (Some(pending.format()), pending.finish(signed.signature)?, None),
        };
        Ok(SignAnswer {
            key: self.key,
            key_id: self.key_id,
            scheme: self.scheme,
            format,
            signature,
            digest,
            log: signed.log,
            request_id: caller.request_id.clone(),
        })
    }
}

/// How a body that is about to arrive will be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPlan {
    /// The scheme.
    pub scheme: Scheme,
    /// What to hash it with; `None`: the scheme or the format takes the whole content, which must be collected.
    pub hash: Option<HashAlg>,
    /// The most bytes.
    pub limit: u64,
}

/// Checks, before a body is read, that it could be signed.
///
/// # Errors
/// As [`sign_one`], but for the content.
pub fn plan_stream(
    ctx: &Context,
    caller: &Caller,
    key: &KeyName,
    scheme: Option<Scheme>,
    encoding: Option<Encoding>,
    format: Option<Format>,
) -> Result<StreamPlan, Error> {
    let (scheme, hash) = match format {
        None => {
            let (admitted, _) = admit(ctx, caller, key, scheme, encoding)?;
            (admitted.scheme, admitted.scheme.hash())
        }
        Some(format) => {
            check_no_encoding(encoding)?;
            let scheme = format::admit(ctx, caller, key, scheme, format)?.scheme;
            (scheme, format::streamed_hash(format, scheme))
        }
    };
    let limits = &ctx.limits;
    let limit = if hash.is_some() { limits.streamed_bytes } else { limits.message_bytes };
    Ok(StreamPlan { scheme, hash, limit })
}

/// Checks a `subject`.
///
/// # Errors
/// [`Error::InvalidRequest`] for more than 256 characters.
pub fn check_subject(subject: Option<&str>) -> Result<(), Error> {
    // A text of at most 256 bytes has no more characters than that.
    match subject {
        Some(text) if text.len() > 256 && text.chars().count() > 256 => {
            Err(Error::invalid("subject", "a subject has at most 256 characters"))
        }
        _ => Ok(()),
    }
}

/// What the key gets, and SHA-256 of what the caller gave.
fn to_sign(
    scheme: Scheme,
    key_type: KeyType,
    content: Content,
    limit: u64,
) -> Result<(ToSign, Option<[u8; 32]>), Error> {
    let (to_sign, input) = match content {
        Content::WrongLength(error) => {
            return Err(if scheme.hash().is_none() {
                Error::DigestNotSupported(scheme)
            } else {
                error.into()
            });
        }
        Content::Digest(digest) => (ToSign::Digest(digest), None),
        Content::Streamed { hasher, input } => (ToSign::Digest(hasher.finish()), Some(input)),
        Content::Message(message) => {
            let to_sign = match scheme.hash() {
                Some(hash) => ToSign::Digest(hash.digest(&message)),
                None if message.len() as u64 > limit => {
                    return Err(Error::TooLarge { what: "the message", limit });
                }
                None => {
                    check_unprefixed(scheme, key_type, message.len())?;
                    let input = sha256(&message);
                    return Ok((ToSign::Message(message), Some(input)));
                }
            };
            let input = match &to_sign {
                // The same hash of the same bytes.
                ToSign::Digest(digest) if digest.alg() == HashAlg::Sha256 => {
                    digest.as_bytes().try_into().unwrap_or_else(|_| sha256(&message))
                }
                _ => sha256(&message),
            };
            (to_sign, Some(input))
        }
    };
    check_suits(scheme, &to_sign)?;
    Ok((to_sign, input))
}

fn check_suits(scheme: Scheme, to_sign: &ToSign) -> Result<(), Error> {
    match (to_sign, scheme.hash()) {
        (ToSign::Digest(_), None) => Err(Error::DigestNotSupported(scheme)),
        (ToSign::Digest(digest), Some(want)) if digest.alg() != want => {
            Err(Error::OtherHash { scheme, want, got: digest.alg() })
        }
        _ => Ok(()),
    }
}

/// PKCS#1 v1.5 padding needs 11 bytes of the modulus.
fn check_unprefixed(scheme: Scheme, key_type: KeyType, got: usize) -> Result<(), Error> {
    let (Scheme::RsaPkcs1Raw, KeyType::Rsa(bits)) = (scheme, key_type) else { return Ok(()) };
    let (got, max) = (got as u64, u64::from(bits.div_ceil(8)).saturating_sub(11));
    if got > max { Err(Error::MessageTooLong { got, max }) } else { Ok(()) }
}

/// Whose signature it should be.
#[derive(Clone, Debug)]
pub enum VerifyKey {
    /// One of ours.
    Named(KeyName),
    /// Anybody's.
    Public(Box<PublicKey>),
}

/// A signature to be checked.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// Whose it should be.
    pub key: VerifyKey,
    /// The scheme.
    pub scheme: Scheme,
    /// The content.
    pub content: Content,
    /// The signature.
    pub signature: Vec<u8>,
    /// How it is written, for ECDSA; `None`: in DER.
    pub encoding: Option<Encoding>,
}

/// Whether a signature is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub valid: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl Verdict {
    fn invalid(reason: impl Into<String>) -> Self {
        Self { valid: false, reason: Some(reason.into()) }
    }
}

/// Checks a signature. Open to every principal. By the name of a revoked key nothing is valid.
///
/// # Errors
/// [`Error::InvalidRequest`] for an encoding that the scheme has not, [`Error::UnknownKey`], and a scheme or
/// content that does not suit the key.
pub async fn verify(ctx: &Context, _caller: &Caller, request: VerifyRequest) -> Result<Verdict, Error> {
    encoding_of(request.scheme, request.encoding)?;
    let public = match &request.key {
        VerifyKey::Public(public) => (**public).clone(),
        VerifyKey::Named(name) => {
            let key = keys::find(ctx, name)?;
            if let KeyState::Revoked { at, .. } = &key.state {
                return Ok(Verdict::invalid(format!("the key was revoked at {}", time::seconds(*at))));
            }
            key.public()?.clone()
        }
    };
    let limit = ctx.limits.message_bytes;
    if request.content.len() > LONG {
        beside(move || check_signature(&public, request, limit)).await?
    } else {
        check_signature(&public, request, limit)
    }
}

fn check_signature(public: &PublicKey, request: VerifyRequest, limit: u64) -> Result<Verdict, Error> {
    let (scheme, key_type) = (request.scheme, public.key_type());
    if !scheme.fits(key_type) {
        return Err(Error::SchemeMismatch { scheme, key_type });
    }
    let (to_sign, _) = to_sign(scheme, key_type, request.content, limit)?;
    let encoding = encoding_of(scheme, request.encoding)?;
    let signature = match RawSignature::decode(&request.signature, key_type.ecdsa_width(), encoding) {
        Ok(signature) => signature,
        Err(error) => return Ok(Verdict::invalid(error.to_string())),
    };
    match public.verify(scheme, &to_sign, &signature) {
        Ok(()) => Ok(Verdict { valid: true, reason: None }),
        Err(VerifyError::SchemeMismatch(scheme, key_type)) => Err(Error::SchemeMismatch { scheme, key_type }),
        Err(error) => Ok(Verdict::invalid(error.to_string())),
    }
}

/// Runs work that takes milliseconds beside the threads that serve requests.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Internal("work was cut short".into()))
}
