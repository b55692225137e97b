//! Requests and answers as they stand in bodies. Texts are borrowed from the body: data are large.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::autograph::{self as core, Made, RsaOptions, Signed};
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most signatures of one request.
pub const MAX_REQUESTS: usize = 1000;

/// A text of the body. Borrowed unless it has escapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// What `/sign/data`, `/sign/hash`, `/sign/file` and `/sign/files` take, one of a list. Members that it does not
/// know, `options` among them, do not matter.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are the original's")]
pub struct Request<'a> {
    #[serde(borrow, default)]
    pub input: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub keyid: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub files: Option<Bounded<File<'a>, { core::MAX_FILES }>>,
}

/// A file that is to be signed.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are the original's")]
pub struct File<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub content: Text<'a>,
}

/// What `/signature` takes, one of a list.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are the original's")]
pub struct SeedRequest<'a> {
    #[serde(borrow, default)]
    pub input: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub keyid: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub hashwith: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub template: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub signature_encoding: Option<Text<'a>>,
}

/// The text of a member; none if it is absent, `null` or empty.
pub fn text<'a>(member: &'a Option<Text<'_>>) -> Option<&'a str> {
    member.as_ref().map(|text| &*text.0).filter(|text| !text.is_empty())
}

/// A list of at most `MOST` items: what is longer is refused before it takes memory.
#[derive(Debug)]
pub struct Bounded<T, const MOST: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor::<T, MOST>(PhantomData))
    }
}

struct BoundedVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for BoundedVisitor<T, MOST> {
    type Value = Bounded<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(item);
        }
        Ok(Bounded(list))
    }
}

/// One signature of an answer.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(rename = "ref")]
    reference: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: &'static str,
    signer_id: &'a str,
    public_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_files: Option<SignedFiles<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5u: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer_opts: Option<RsaOptions>,
}

impl<'a> Answer<'a> {
    fn of(signed: &'a Signed) -> Self {
        let Signed { reference, signer, made } = signed;
        let (signature, signed_files) = match made {
            Made::Signature(signature) => (Some(signature.as_str()), None),
            Made::Files(files) => (None, Some(SignedFiles(files))),
        };
        Self {
            reference,
            kind: signer.kind,
            mode: signer.mode,
            signer_id: &signer.id,
            public_key: &signer.public_key,
            signature,
            signed_files,
            x5u: signer.x5u.as_deref(),
            signer_opts: signer.options,
        }
    }
}

struct SignedFiles<'a>(&'a [(String, Vec<u8>)]);

impl Serialize for SignedFiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct SignedFile<'a> {
            name: &'a str,
            content: String,
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, bytes) in self.0 {
            list.serialize_element(&SignedFile { name, content: STANDARD.encode(bytes) })?;
        }
        list.end()
    }
}

/// Signatures as a list.
///
/// # Errors
/// None that can happen: every part is a text or a number.
pub fn list(signed: &[Signed]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(512 * signed.len() + 2);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    serializer.collect_seq(signed.iter().map(Answer::of))?;
    Ok(bytes)
}

/// Signatures as documents on lines of their own, as the original's monitor reads them.
///
/// # Errors
/// As [`list`].
pub fn stream(signed: &[Signed]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(512 * signed.len());
    for signed in signed {
        serde_json::to_writer(&mut bytes, &Answer::of(signed))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// What `/signature` answers, one of a list.
#[derive(Serialize)]
pub struct SeedAnswer {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5u: Option<String>,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_algorithm: Option<String>,
    signature_encoding: String,
    signature: String,
}

impl SeedAnswer {
    /// - `hash_algorithm` and `signature_encoding`: as they were asked for.
    pub fn new(signed: Signed, hash_algorithm: Option<String>, signature_encoding: String) -> Self {
        let Signed { reference, signer, made } = signed;
        let signature = match made {
            Made::Signature(signature) => signature,
            Made::Files(_) => String::new(),
        };
        let x5u = signer.x5u.filter(|x5u| !x5u.is_empty());
        let public_key = signer.public_key;
        Self { reference, x5u, public_key, hash_algorithm, signature_encoding, signature }
    }
}
