//! Texts with their signature behind them (RFC 4880, 7), as Debian's control files have them.
//!
//! ```text
//! -----BEGIN PGP SIGNED MESSAGE-----
//! Hash: SHA512
//!
//! the text, line by line
//! - - a line that begins with a dash
//! -----BEGIN PGP SIGNATURE-----
//!
//! iQEzBAEBCgAdFiEE…
//! -----END PGP SIGNATURE-----
//! ```
//!
//! White space at the end of a line, how lines end, and whether the last one does, are not signed.

use countersign_model::digest::Hasher;
use countersign_model::{RawSignature, Scheme, ToSign};

use crate::armor;
use crate::certificate::Certificate;
use crate::detached::{self, DetachedSignature, Good, MAX_SIGNATURES, Refusal};
use crate::key::FinishError;
use crate::material::Issuer;
use crate::packet;
use crate::signature::SignatureError;
use crate::unsigned::Unsigned;

/// Signature of a canonical text document (RFC 4880, 5.2.1).
const TEXT: u8 = 0x01;

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &[u8] = b"-----END PGP SIGNATURE-----";

/// What [`Self::finish`] needs when the signature has come.
#[derive(Clone, Debug)]
pub struct Pending {
    unsigned: Unsigned,
    text: Vec<u8>,
}

/// Prepares a signature over `text`, with SHA-512.
///
/// - `created`: Unix seconds.
pub fn prepare(issuer: &Issuer, text: Vec<u8>, created: u32) -> (ToSign, Pending) {
    // An `Issuer` is made for types that have a scheme only.
    let scheme = detached::scheme_for(issuer.public.key_type()).unwrap_or(Scheme::Ed25519);
    let mut content = detached::hasher();
    hash(lines(&text), &mut content);
    let (to_sign, unsigned) = Unsigned::prepare(issuer, scheme, TEXT, created, &[], content);
    (to_sign, Pending { unsigned, text })
}

impl Pending {
    /// The scheme to sign with.
    pub fn scheme(&self) -> Scheme {
        self.unsigned.scheme()
    }

    /// The whole document.
    ///
    /// # Errors
    /// [`FinishError::Signature`] if `raw` is not a signature over what was prepared.
    pub fn finish(self, raw: &RawSignature) -> Result<Vec<u8>, FinishError> {
        let Self { unsigned, text } = self;
        let packet = unsigned.finish(raw)?;
        let mut document = Vec::with_capacity(text.len() + text.len() / 32 + 2048);
        document.extend_from_slice(BEGIN);
        document.extend_from_slice(b"\nHash: SHA512\n\n");
        for line in lines(&text) {
            if line.starts_with(b"-") {
                document.extend_from_slice(b"- ");
            }
            document.extend_from_slice(line);
            document.push(b'\n');
        }
        document.extend_from_slice(armor::encode(armor::Kind::Signature, &packet).as_bytes());
        Ok(document)
    }
}

/// The lines of a text, without their ends. An end of the last line makes no further one.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.strip_suffix(b"\n").unwrap_or(text).split(|b| *b == b'\n')
}

/// Hashes the canonical form: lines without white space at their ends, `CR LF` between them.
fn hash<'a>(lines: impl Iterator<Item = &'a [u8]>, hasher: &mut Hasher) {
    for (number, line) in lines.enumerate() {
        if number > 0 {
            hasher.update(b"\r\n");
        }
        let end = line.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r')).map_or(0, |last| last + 1);
        hasher.update(line.get(..end).unwrap_or_default());
    }
}

/// A clear-signed document, as found.
#[derive(Clone, Debug)]
pub struct ClearSigned {
    text: Vec<u8>,
    signatures: Vec<DetachedSignature>,
}

impl ClearSigned {
    /// Whether `bytes` begin as a clear-signed document does.
    pub fn is_begun(bytes: &[u8]) -> bool {
        bytes.starts_with(BEGIN)
    }

    /// Reads a document that is a clear-signed text from its first to its last line.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], also for text before, after or between; others for signatures that are not
    /// of version 4, over a text, with a hash that is accepted.
    pub fn read(bytes: &[u8]) -> Result<Self, SignatureError> {
        let malformed = || SignatureError::Malformed;
        let mut rest = bytes;
        if take_line(&mut rest).map(trimmed) != Some(BEGIN) {
            return Err(malformed());
        }
        // Only the hash may be named here: whoever reads the text must not be shown more than what is signed.
        loop {
            match trimmed(take_line(&mut rest).ok_or_else(malformed)?) {
                b"" => break,
                line if line.starts_with(b"Hash: ") => {}
                _ => return Err(malformed()),
            }
        }
        let mut text = Vec::new();
        let signatures = loop {
            let before = rest;
            let line = take_line(&mut rest).ok_or_else(malformed)?;
            match line.strip_prefix(b"- ") {
                Some(line) => text.extend_from_slice(line),
                None if trimmed(line) == BEGIN_SIGNATURE => break before,
                None if line.starts_with(b"-") => return Err(malformed()),
                None => text.extend_from_slice(line),
            }
            text.push(b'\n');
        };
        Ok(Self { text, signatures: read_signatures(signatures)? })
    }

    /// The text, every line of it with its end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Judges the signatures: as [`DetachedSignature::verify`], for the first that holds.
    ///
    /// # Errors
    /// [`Refusal`], the first one's.
    pub fn verify(&self, trusted: &[Certificate], at: u32) -> Result<Good, Refusal> {
        let mut refusal = None;
        for signature in &self.signatures {
            let mut content = Hasher::new(signature.hash());
            hash(lines(&self.text), &mut content);
            match signature.verify(content, trusted, at) {
                Ok(good) => return Ok(good),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or(Refusal::Invalid))
    }
}

/// The next line without its end; `None` at the end.
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|b| *b == b'\n');
    let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
    *rest = after.strip_prefix(b"\n").unwrap_or(after);
    Some(line)
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

/// Reads one armored block, with nothing behind it.
fn read_signatures(block: &[u8]) -> Result<Vec<DetachedSignature>, SignatureError> {
    if trimmed(block).strip_suffix(END_SIGNATURE).is_none_or(|rest| rest.ends_with(b"-"))
        || block.windows(END_SIGNATURE.len()).filter(|window| *window == END_SIGNATURE).count() != 1
    {
        return Err(SignatureError::Malformed);
    }
    let packets = armor::decode(armor::Kind::Signature, block).ok_or(SignatureError::Malformed)?;
    let (mut rest, mut found) = (packets.as_slice(), Vec::new());
    while !rest.is_empty() {
        let packet = packet::take(&mut rest).map_err(|_| SignatureError::Malformed)?;
        match packet.tag {
            packet::SIGNATURE if found.len() == MAX_SIGNATURES => return Err(SignatureError::TooMany),
            packet::SIGNATURE => found.push(DetachedSignature::of_type(&packet, TEXT)?),
            packet::MARKER | packet::PADDING => {}
            _ => return Err(SignatureError::Malformed),
        }
    }
    if found.is_empty() { Err(SignatureError::Malformed) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use countersign_model::PublicKey;

    use super::*;
    use crate::{UserId, key};

    struct Someone(Ed25519KeyPair, Certificate);

    impl Someone {
        fn new() -> Self {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = PublicKey::from_ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
            let user = UserId::new("Some one", "", "some@example.org").unwrap();
            let (to_sign, pending) = key::prepare(&public, &user, 1000).unwrap();
            let raw = RawSignature(pair.sign(to_sign.as_bytes()).as_ref().to_vec());
            Self(pair, pending.finish(&raw).unwrap())
        }

        fn sign(&self, text: &[u8]) -> Vec<u8> {
            let (to_sign, pending) = prepare(&self.1.issuer(), text.to_vec(), 2000);
            let raw = RawSignature(self.0.sign(to_sign.as_bytes()).as_ref().to_vec());
            pending.finish(&raw).unwrap()
        }
    }

    #[test]
    fn what_is_signed_is_read_and_believed_and_a_changed_text_is_not() {
        let someone = Someone::new();
        for text in
            ["", "a", "a\n", "a\n\n", "- a\n-----BEGIN PGP SIGNATURE-----\n", "a \t\r\nb  \n", "ü\n- \n"]
        {
            let document = someone.sign(text.as_bytes());
            let read = ClearSigned::read(&document).unwrap();
            let whole = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
            assert_eq!(read.text(), whole.as_bytes());
            assert!(read.verify(std::slice::from_ref(&someone.1), 3000).is_ok(), "{text:?}");
            assert!(read.verify(&[Someone::new().1], 3000).is_err());
        }
        let document = String::from_utf8(someone.sign(b"Version: 1\nSource: x\n")).unwrap();
        for (from, to, good) in [
            ("Version: 1", "Version: 2", false),
            ("Version: 1\n", "Version: 1\n\n", false),
            ("Version: 1", " Version: 1", false),
            ("Version: 1", "Version: 1  ", true),
            ("Version: 1", "- Version: 1", true),
            ("Hash: SHA512\n", "", true),
        ] {
            let read = ClearSigned::read(document.replace(from, to).as_bytes()).unwrap();
            assert_eq!(read.verify(std::slice::from_ref(&someone.1), 3000).is_ok(), good, "{to}");
        }
    }

    #[test]
    fn nothing_that_is_not_signed_stands_beside_the_text() {
        let document = String::from_utf8(Someone::new().sign(b"a\n-b\n")).unwrap();
        let again = format!("{document}{document}");
        for bad in [
            format!("x\n{document}"),
            format!("{document}x\n"),
            again,
            document.replace("Hash: SHA512\n", "Hash: SHA512\nComment: x\n"),
            document.replace("- -b", "-b"),
            document.replace("-----END PGP SIGNATURE-----", ""),
            document.replace("BEGIN PGP SIGNATURE", "BEGIN PGP"),
            String::new(),
        ] {
            assert!(ClearSigned::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let detached = "-----BEGIN PGP SIGNATURE-----\n";
        assert!(ClearSigned::read(detached.as_bytes()).is_err());
    }
}
