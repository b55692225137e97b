//! Data and hashes: what is signed, and how the signature is written.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg, RawSignature, Scheme, ToSign};

use super::client::Client;
use super::files::{self, OpenPgpPending};
use super::plan::{Chosen, Plan, Subject};
use super::settings::{Kind, OpenPgpMode};
use super::signer::{Described, Signer};
use super::{Autograph, Content, Error};
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline::{self, Order};
use crate::random;

/// A signature that is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The signer's id; `None` for the client's default.
    pub key_id: Option<&'a str>,
    /// What is to be signed.
    pub content: Content<'a>,
    /// How.
    pub how: How,
}

/// How a content is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As the signer signs data.
    Data,
    /// It is a hash.
    Hash,
    /// A file, with the signature in it: no signer makes such.
    File,
    /// As the first version of the service did, with EC keys alone.
    Seed {
        /// The hash to be made of it; `None`: it is one.
        hash: Option<HashAlg>,
        /// Whether the prefix of content signatures goes before it.
        prefixed: bool,
        /// How the signature is written.
        encoding: Encoding,
    },
}

/// How an ECDSA signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// R and S in the URL's base64 without padding.
    #[default]
    RsBase64Url,
    /// R and S in base64.
    RsBase64,
    /// DER in the URL's base64 without padding.
    DerBase64Url,
    /// DER in base64.
    DerBase64,
}

/// A signature that was made.
#[derive(Clone, Debug)]
pub struct Signed {
    /// A random text, for whoever looks for the request.
    pub reference: String,
    /// Who signed.
    pub signer: Described,
    /// The signature, or the signed files.
    pub made: Made,
}

/// What a signer made.
#[derive(Clone, Debug)]
pub enum Made {
    /// A signature, in its own encoding.
    Signature(String),
    /// Signed files with their names.
    Files(Vec<(String, Vec<u8>)>),
}

/// The fewest bytes of data that are signed as content: as the original has it.
const SHORTEST: u64 = 10;

/// What the monitor has signed.
const MONITORED: &[u8] = b"AUTOGRAPH MONITORING";

/// The most signers that the monitor asks.
const MOST_MONITORED: usize = 1000;

/// Signatures that are allowed and not made yet: the contents are hashed, and not needed any more.
pub struct Prepared {
    orders: Vec<Order>,
    pending: Vec<Pending>,
}

/// What finishing one needs.
struct Pending {
    signer: Described,
    written: Written,
}

enum Written {
    Ecdsa(Scheme, Encoding),
    Rsa,
    OpenPgp(Box<OpenPgpPending>),
}

/// Allows and hashes what is asked: all, or nothing is signed.
///
/// # Errors
/// The first refusal: [`Error::NotForYou`], [`Error::NoDefault`], [`Error::NotImplemented`], [`Error::Invalid`] for
/// a content that is not base64 or not what the signer takes; [`Error::Core`] for a key that does not sign.
pub fn prepare(
    autograph: &Autograph,
    ctx: &Context,
    caller: &Caller,
    id: &str,
    asked: &[Asked<'_>],
) -> Result<Prepared, Error> {
    let client = Client { caller, id };
    let mut prepared =
        Prepared { orders: Vec::with_capacity(asked.len()), pending: Vec::with_capacity(asked.len()) };
    let mut last: Option<(Option<&str>, Signer)> = None;
    for Asked { key_id, content, how } in asked {
        // A batch is usually by one signer.
        let signer = match last.take() {
            Some((id, signer)) if id == *key_id => signer,
            _ => client.signer(autograph, ctx, *key_id)?,
        };
        prepared.add(ctx, &client, &signer, *content, *how)?;
        last = Some((*key_id, signer));
    }
    Ok(prepared)
}

/// Prepares a signature of a constant text by every signer that the client may use.
///
/// # Errors
/// The first refusal.
pub fn monitor(autograph: &Autograph, ctx: &Context, caller: &Caller, id: &str) -> Result<Prepared, Error> {
    let client = Client { caller, id };
    let mut prepared = Prepared { orders: Vec::new(), pending: Vec::new() };
    for mut signer in client.signers(autograph, ctx, MOST_MONITORED) {
        if let Kind::OpenPgp(mode, _) = &mut signer.kind {
            // One that signs files is asked for a signature of data here.
            *mode = OpenPgpMode::Gpg2;
        }
        prepared.add(ctx, &client, &signer, Content::Bytes(MONITORED), How::Data)?;
    }
    Ok(prepared)
}

/// Makes what was prepared, with one durable write to the log: all, or an error.
///
/// # Errors
/// [`Error::Core`] for a key that was ended since, and when the key host fails.
pub async fn sign(ctx: &Context, caller: &Caller, prepared: Prepared) -> Result<Vec<Signed>, Error> {
    let Prepared { orders, pending } = prepared;
    let signed = pipeline::sign_many(ctx, caller, orders).await?;
    let finish = |(pending, signed): (Pending, Result<_, crate::Error>)| {
        let Pending { signer, written } = pending;
        let signed: countersign_keyhost::client::SignedRef = signed?;
        let made = Made::Signature(written.finish(signed.signature)?);
        Ok(Signed { reference: reference()?, signer, made })
    };
    pending.into_iter().zip(signed).map(finish).collect()
}

impl Prepared {
    fn add(
        &mut self,
        ctx: &Context,
        client: &Client<'_>,
        signer: &Signer,
        content: Content<'_>,
        how: How,
    ) -> Result<(), Error> {
        let Plan { scheme, format, subject } = Plan::of(signer, how)?;
        let scheme = match scheme {
            Chosen::Scheme(scheme) => scheme,
            Chosen::ByLength(fallback) => hash_scheme(content)?.unwrap_or(fallback),
        };
        // Permission before anything is hashed.
        let admitted = signer.admit(ctx, client, scheme, format)?;
        let (to_sign, input, written) = match subject {
            Subject::Digest => {
                let digest = given_digest(scheme, content, signer)?;
                (ToSign::Digest(digest), None, written_bare(signer, scheme, how))
            }
            Subject::Data { prefix } => {
                let (digest, input) = hash(scheme, prefix, content, signer)?;
                (ToSign::Digest(digest), Some(input), written_bare(signer, scheme, how))
            }
            Subject::Document => {
                let (to_sign, input, pending) = files::prepare_detached(ctx, signer, content)?;
                (to_sign, Some(input), Written::OpenPgp(Box::new(pending)))
            }
        };
        self.orders.push(Order { admitted, to_sign, input, subject: None });
        self.pending.push(Pending { signer: signer.describe(ctx), written });
        Ok(())
    }
}

fn written_bare(signer: &Signer, scheme: Scheme, how: How) -> Written {
    match (&signer.kind, how) {
        (Kind::Content { .. }, How::Seed { encoding, .. }) => Written::Ecdsa(scheme, encoding),
        (Kind::Content { .. }, _) => Written::Ecdsa(scheme, Encoding::default()),
        _ => Written::Rsa,
    }
}

/// The scheme for a hash of that length; `None` for a length that no hash has.
fn hash_scheme(content: Content<'_>) -> Result<Option<Scheme>, Error> {
    let length = content.each(|_| {})?;
    let hashes = [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512];
    Ok(hashes.into_iter().find(|hash| hash.digest_len() as u64 == length).map(Scheme::Ecdsa))
}

fn given_digest(scheme: Scheme, content: Content<'_>, signer: &Signer) -> Result<Digest, Error> {
    let bytes = content.bytes()?;
    let digest = scheme.hash().and_then(|hash| Digest::new(hash, &bytes).ok());
    digest.ok_or_else(|| {
        let expected = match (&signer.kind, scheme.hash()) {
            (Kind::Rsa(..), Some(hash)) => hash.digest_len().to_string(),
            _ => "32, 48 or 64".to_owned(),
        };
        Error::Invalid(format!("refusing to sign input hash. length {}, expected {expected}", bytes.len()))
    })
}

/// The digest that is signed, and SHA-256 of the content, in one pass.
fn hash(
    scheme: Scheme,
    prefix: &[u8],
    content: Content<'_>,
    signer: &Signer,
) -> Result<(Digest, [u8; 32]), Error> {
    let hash = scheme.hash().ok_or_else(|| crate::Error::Internal("a signer without a hash".into()))?;
    let mut hasher = Hasher::new(hash);
    hasher.update(prefix);
    let mut input = Hasher::new(HashAlg::Sha256);
    // Without a prefix they are the same hash of the same bytes.
    let same = prefix.is_empty() && hash == HashAlg::Sha256;
    let length = content.each(|bytes| {
        hasher.update(bytes);
        if !same {
            input.update(bytes);
        }
    })?;
    if matches!(signer.kind, Kind::Content { .. }) && length < SHORTEST {
        return Err(Error::invalid("refusing to sign input data shorter than 10 bytes"));
    }
    let digest = hasher.finish();
    let input = if same { digest } else { input.finish() };
    let input = input
        .as_bytes()
        .try_into()
        .map_err(|_| crate::Error::Internal("a SHA-256 of another length".into()))?;
    Ok((digest, input))
}

impl Written {
    /// Content signatures and RSA were verified by the key host before it gave them out.
    fn finish(self, raw: RawSignature) -> Result<String, Error> {
        Ok(match self {
            Self::Rsa => STANDARD.encode(raw.0),
            Self::Ecdsa(_, Encoding::RsBase64Url) => URL_SAFE_NO_PAD.encode(raw.0),
            Self::Ecdsa(_, Encoding::RsBase64) => STANDARD.encode(raw.0),
            Self::Ecdsa(scheme, Encoding::DerBase64Url) => URL_SAFE_NO_PAD.encode(der(&raw, scheme)),
            Self::Ecdsa(scheme, Encoding::DerBase64) => STANDARD.encode(der(&raw, scheme)),
            Self::OpenPgp(pending) => pending.finish_detached(&raw)?,
        })
    }
}

fn der(raw: &RawSignature, scheme: Scheme) -> Vec<u8> {
    raw.encode(scheme, countersign_model::Encoding::Der)
}

/// 128 random bits in the original's form: two numbers with digits and small letters.
pub(super) fn reference() -> Result<String, Error> {
    let mut text = String::with_capacity(26);
    for _ in 0..2 {
        let mut number = u64::from_be_bytes(random::bytes()?);
        let mut digits = Vec::with_capacity(13);
        while digits.is_empty() || number > 0 {
            // Below 36, so it is a digit.
            digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
            number /= 36;
        }
        text.extend(digits.into_iter().rev());
    }
    Ok(text)
}
