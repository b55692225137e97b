//! Signed notes: a text and the signatures of those who stand for it.
//!
//! ```text
//! Ognuno sta solo sul cuor della terra              the text; its last line feed is signed
//!
//! — example.org/log NnugSzTjtV…                     em dash, key name, base64 of key id ‖ signature
//! — witness.example J6Pq1kXl0b…                     and any number more
//! ```
//!
//! Follows C2SP `signed-note`; of its signature types Ed25519 is made and verified, signatures of
//! other types are kept. To sign: [`prepare`], give the bytes to the key, [`Pending::finish`].

use std::fmt;
use std::str::FromStr;

use countersign_model::digest::sha256_parts;
use countersign_model::public_key::PublicKey;
use countersign_model::scheme::Scheme;
use countersign_model::signing::{RawSignature, ToSign};

use crate::text::{base64_decode, base64_encode};

/// The longest note that is read, in bytes.
pub const MAX_NOTE: usize = 1 << 20;

/// The most signatures that a note may have.
pub const MAX_SIGNATURES: usize = 100;

/// The signature type byte of Ed25519.
const TYPE_ED25519: u8 = 0x01;

/// Bytes of an Ed25519 signature.
const ED25519_SIGNATURE: usize = 64;

const SIGNATURE_LINE: &str = "\u{2014} ";

/// The name of a key in notes, by custom a URL without scheme, for a log its origin. Not empty, no
/// space of any kind, no control character, no `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteKeyName(String);

impl NoteKeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NoteKeyName {
    type Err = NoteError;

    fn from_str(name: &str) -> Result<Self, NoteError> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.contains(bad) {
            return Err(NoteError::KeyName);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for NoteKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first four bytes of a hash of name, type and public key. Finds a key, proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteKeyId([u8; 4]);

impl fmt::Display for NoteKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NoteKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKeyId({self})")
    }
}

/// The public half of a key that signs notes. Written `NAME+ID+KEY`: the key id as 8 hex digits, then
/// base64 of the type byte `0x01` and the 32 bytes of the Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: NoteKeyName,
    id: NoteKeyId,
    public_key: PublicKey,
    /// The bytes of `public_key`.
    ed25519: [u8; 32],
}

impl VerifierKey {
    /// The verifier of an Ed25519 key.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`] if the key is of another type.
    pub fn new(name: NoteKeyName, public_key: PublicKey) -> Result<Self, NoteError> {
        let ed25519 =
            public_key.ed25519_bytes().ok_or(NoteError::VerifierKey("only Ed25519 keys sign notes"))?;
        let hash = sha256_parts(&[name.as_str().as_bytes(), b"\n", &[TYPE_ED25519], &ed25519]);
        let id = NoteKeyId([hash[0], hash[1], hash[2], hash[3]]);
        Ok(Self { name, id, public_key, ed25519 })
    }

    /// The key's name, which signature lines bear.
    pub fn name(&self) -> &NoteKeyName {
        &self.name
    }

    /// The key's id, which signatures begin with.
    pub fn id(&self) -> NoteKeyId {
        self.id
    }

    /// The public key itself.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn made(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.id == signature.id
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base64 has `+` too: only the first two divide.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey("it has the form NAME+ID+KEY"));
        };
        let name = name.parse()?;
        let key = base64_decode(key).ok_or(NoteError::VerifierKey("KEY is base64"))?;
        let Some((&TYPE_ED25519, ed25519)) = key.split_first() else {
            return Err(NoteError::VerifierKey("only keys of type 1, Ed25519, are read"));
        };
        let wrong = NoteError::VerifierKey("KEY is not an Ed25519 public key");
        let ed25519 = ed25519.try_into().map_err(|_| wrong.clone())?;
        let verifier = Self::new(name, PublicKey::from_ed25519(ed25519).map_err(|_| wrong)?)?;
        if verifier.id.to_string() != id {
            return Err(NoteError::VerifierKey("ID does not belong to NAME and KEY"));
        }
        Ok(verifier)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![TYPE_ED25519];
        key.extend_from_slice(&self.ed25519);
        write!(f, "{}+{}+{}", self.name, self.id, base64_encode(&key))
    }
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key that, it says, made it.
    pub name: NoteKeyName,
    /// That key's id.
    pub id: NoteKeyId,
    /// The signature's bytes, of whatever type; at least one.
    pub signature: Vec<u8>,
}

/// Why a text is no note, or a note is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than [`MAX_NOTE`] bytes.
    #[error("a note of {got} bytes is too long: at most {MAX_NOTE}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// More than [`MAX_SIGNATURES`] signatures.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not UTF-8, or control characters in it.
    #[error("a note is UTF-8 text without control characters other than line feeds")]
    NotText,
    /// The text to be signed does not end a line.
    #[error("the text of a note is not empty and ends with a line feed")]
    NoFinalLineFeed,
    /// No blank line followed by signature lines.
    #[error("the text is no signed note: it does not end in a blank line and signature lines")]
    NoSignatures,
    /// A line after the text that is no signature.
    #[error("signature line {line} of the note is malformed")]
    SignatureLine {
        /// Its number among the signature lines, from 1.
        line: usize,
    },
    /// A key name that notes cannot have.
    #[error("a key name is not empty and has no spaces, control characters or `+`")]
    KeyName,
    /// A verifier key that cannot be read.
    #[error("not a verifier key: {0}")]
    VerifierKey(&'static str),
    /// A key backend's answer that is no Ed25519 signature.
    #[error("an Ed25519 signature has 64 bytes, this one {got}")]
    SignatureLength {
        /// Its length in bytes.
        got: usize,
    },
    /// None of the signatures is of this key.
    #[error("the note is not signed by `{key}`")]
    NotSignedBy {
        /// The name of the key.
        key: NoteKeyName,
    },
    /// A signature of this key does not verify.
    #[error("the note's signature of `{key}` is invalid")]
    BadSignature {
        /// The name of the key.
        key: NoteKeyName,
    },
}

impl NoteError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::KeyName | Self::VerifierKey(_) => {
                "copy the verifier key whole: `NAME+ID+KEY` on one line, from a source you trust"
            }
            Self::NotSignedBy { .. } => {
                "name and id must both be the key's: the key may be another of the same name"
            }
            Self::BadSignature { .. } => "the text or the signature was altered: do not trust it",
            Self::SignatureLength { .. } => "sign with an Ed25519 key",
            Self::NoFinalLineFeed => "add a line feed to the end of the text",
            Self::TooLong { .. }
            | Self::TooManySignatures
            | Self::NotText
            | Self::NoSignatures
            | Self::SignatureLine { .. } => "fetch the note again; editors may have changed its lines",
        }
    }
}

/// A text with signatures. That it exists says nothing about whether they verify: see
/// [`verify`](Self::verify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Puts together a note from its text and its signatures, at least one.
    ///
    /// # Errors
    /// [`NoteError`] if either cannot be in a note, or the whole is too large.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        check_text(&text)?;
        if signatures.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        if let Some(empty) = signatures.iter().position(|s| s.signature.is_empty()) {
            return Err(NoteError::SignatureLine { line: empty + 1 });
        }
        let note = Self { text, signatures };
        let got = note.to_string().len();
        if got > MAX_NOTE { Err(NoteError::TooLong { got }) } else { Ok(note) }
    }

    /// Reads a note. What it reads, [`to_string`](ToString::to_string) writes again byte by byte.
    ///
    /// # Errors
    /// [`NoteError`] if it is malformed or too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLong { got: bytes.len() });
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if whole.contains(forbidden) {
            return Err(NoteError::NotText);
        }
        // The text may have blank lines of its own: the last one divides.
        let blank = whole.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, rest) = whole.split_at(blank + 1);
        let lines = rest[1..].strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let malformed = NoteError::SignatureLine { line: number + 1 };
            signatures.push(parse_signature(line).ok_or(malformed)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text with its final line feed. Not to be believed before [`verify`](Self::verify).
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, known and unknown.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks that `key` signed the text. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::NotSignedBy`] if there is no signature with the key's name and id;
    /// [`NoteError::BadSignature`] if there is one that does not verify, even beside one that does.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut found = false;
        for signature in self.signatures.iter().filter(|s| key.made(s)) {
            let message = ToSign::Message(self.text.as_bytes().to_vec());
            key.public_key
                .verify(Scheme::Ed25519, &message, &RawSignature(signature.signature.clone()))
                .map_err(|_| NoteError::BadSignature { key: key.name.clone() })?;
            found = true;
        }
        if found { Ok(()) } else { Err(NoteError::NotSignedBy { key: key.name.clone() }) }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        for line in &self.signatures {
            let mut bytes = line.id.0.to_vec();
            bytes.extend_from_slice(&line.signature);
            writeln!(f, "{SIGNATURE_LINE}{} {}", line.name, base64_encode(&bytes))?;
        }
        Ok(())
    }
}

/// What [`Pending::finish`] will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    text: String,
    key: VerifierKey,
    others: Vec<NoteSignature>,
}

/// Prepares `text` to be signed by the private half of `key`, as its first signature.
///
/// # Errors
/// [`NoteError`] if notes cannot have this text.
pub fn prepare(text: &str, key: &VerifierKey) -> Result<(ToSign, Pending), NoteError> {
    check_text(text)?;
    let to_sign = ToSign::Message(text.as_bytes().to_vec());
    Ok((to_sign, Pending { text: text.to_owned(), key: key.clone(), others: Vec::new() }))
}

/// Prepares one more signature, by the private half of `key`, on a note that has some already. Those
/// are kept as they are.
pub fn prepare_another(note: SignedNote, key: &VerifierKey) -> (ToSign, Pending) {
    let to_sign = ToSign::Message(note.text.as_bytes().to_vec());
    (to_sign, Pending { text: note.text, key: key.clone(), others: note.signatures })
}

impl Pending {
    /// Puts the signature into the note, after those it had. Does not check it: release the note only
    /// after [`SignedNote::verify`].
    ///
    /// # Errors
    /// [`NoteError::SignatureLength`] if `raw` is no Ed25519 signature; [`NoteError::TooManySignatures`],
    /// [`NoteError::TooLong`] if there is no room for it.
    pub fn finish(self, raw: RawSignature) -> Result<SignedNote, NoteError> {
        if raw.0.len() != ED25519_SIGNATURE {
            return Err(NoteError::SignatureLength { got: raw.0.len() });
        }
        let mut signatures = self.others;
        signatures.push(NoteSignature { name: self.key.name, id: self.key.id, signature: raw.0 });
        SignedNote::new(self.text, signatures)
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.contains(forbidden) {
        return Err(NoteError::NotText);
    }
    if !text.ends_with('\n') {
        return Err(NoteError::NoFinalLineFeed);
    }
    if text.len() > MAX_NOTE {
        return Err(NoteError::TooLong { got: text.len() });
    }
    Ok(())
}

/// ASCII control characters other than the line feed.
fn forbidden(c: char) -> bool {
    c < ' ' && c != '\n'
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix(SIGNATURE_LINE)?.split_once(' ')?;
    let name = name.parse().ok()?;
    let bytes = base64_decode(base64)?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name, id: NoteKeyId(*id), signature: signature.to_vec() })
}
