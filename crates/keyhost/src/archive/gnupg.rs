//! A GnuPG home: `private-keys-v1.d/KEYGRIP.key` in both of its forms, and the keybox `pubring.kbx`.
//!
//! ```text
//! (11:private-key(3:rsa(1:n257:…)(1:e3:…)(1:d256:…)(1:p129:…)(1:q129:…)(1:u128:…)))      canonical
//!
//! Created: 20261120T213253                                                                extended
//! Key: (private-key (rsa (n #00E90ABA…
//!  39909…#)(e #010001#)…))
//! ```
//! The keybox holds the packets of each public key; they are kept as they are. What they say is left to the
//! front; here only the first packet is read, to find the private key that belongs to it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use zeroize::Zeroizing;

use super::ArchiveError;
use super::rsa::{self, Numbers};
use super::sexp::{Sexp, write_atom};
use crate::soft::{ImportError, SoftKey};

/// Reads a private key file.
///
/// - `path`: for errors.
///
/// # Errors
/// [`ArchiveError::Protected`] for one under a passphrase of its own; [`ArchiveError::Key`] if it is not an RSA
/// private key.
pub fn read_private_key(path: &str, file: &[u8]) -> Result<SoftKey, ArchiveError> {
    let refused = |why: &str| ArchiveError::key(path, ImportError::Malformed(why.into()));
    let text = extended_value(file);
    let sexp = Sexp::parse(text.as_deref().map_or(file, |value| value))
        .ok_or_else(|| refused("it is not an S-expression"))?;
    match sexp.name() {
        Some(b"private-key") => {}
        Some(b"protected-private-key" | b"shadowed-private-key") => {
            return Err(ArchiveError::Protected { path: path.into() });
        }
        _ => return Err(refused("it holds no private key")),
    }
    let rsa = sexp.named("private-key").and_then(|items| items.iter().find_map(|item| item.named("rsa")));
    let rsa = rsa.ok_or_else(|| {
        ArchiveError::key(path, ImportError::Unsupported("an OpenPGP key that is not RSA".into()))
    })?;
    let number = |name: &str| {
        let value = rsa.iter().find_map(|item| item.named(name)).and_then(|items| items.first()?.atom());
        value.map(unsigned).ok_or_else(|| refused("a number is missing"))
    };
    let (n, e, d) = (number("n")?, number("e")?, number("d")?);
    let (p, q, u) = (number("p")?, number("q")?, number("u")?);
    rsa::from_numbers(&Numbers { n, e, d, p, q, u }).map_err(|error| ArchiveError::key(path, error))
}

/// The value of `Key:` in the extended form, its continuation lines joined; `None` for the canonical form.
fn extended_value(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if file.first() == Some(&b'(') {
        return None;
    }
    let mut value: Option<Zeroizing<Vec<u8>>> = None;
    for line in file.split(|b| *b == b'\n') {
        let continued = line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
        match (&mut value, line.get(..4)) {
            (Some(value), _) if continued => value.extend_from_slice(line),
            (Some(_), _) => break,
            (None, Some(name)) if name.eq_ignore_ascii_case(b"key:") => {
                // With room for all lines: growing would leave digits behind.
                let mut first = Zeroizing::new(Vec::with_capacity(file.len()));
                first.extend_from_slice(&line[4..]);
                value = Some(first);
            }
            (None, _) => {}
        }
    }
    value
}

/// Without leading zeros, of which Libgcrypt writes one before a set top bit.
fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    &number[zeros..]
}

/// A number as Libgcrypt writes it: a zero before a set top bit.
fn signed(number: &[u8]) -> Zeroizing<Vec<u8>> {
    let number = unsigned(number);
    let mut bytes = Zeroizing::new(Vec::with_capacity(number.len() + 1));
    if number.first().is_some_and(|b| b & 0x80 != 0) {
        bytes.push(0);
    }
    bytes.extend_from_slice(number);
    bytes
}

/// Writes an RSA key in the canonical form, which every GnuPG since 2.1 reads, and its keygrip as 40 upper-case
/// hex digits. `None` for other types of key.
pub fn write_private_key(pkcs8: &[u8]) -> Option<(String, Zeroizing<Vec<u8>>)> {
    rsa::with_numbers(pkcs8, |numbers| {
        let size: usize = pkcs8.len() + 200;
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.extend_from_slice(b"(11:private-key(3:rsa");
        let Numbers { n, e, d, p, q, u } = *numbers;
        for (name, number) in [("n", n), ("e", e), ("d", d), ("p", p), ("q", q), ("u", u)] {
            out.push(b'(');
            write_atom(name.as_bytes(), &mut out);
            write_atom(&signed(number), &mut out);
            out.push(b')');
        }
        out.extend_from_slice(b"))");
        (keygrip(n), out)
    })
}

/// SHA-1 over the modulus as Libgcrypt writes it.
fn keygrip(modulus: &[u8]) -> String {
    hex_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, &signed(modulus)).as_ref())
}

fn hex_upper(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// A public key's packets, and what names it.
pub struct KeyBlock<'a> {
    /// 40 upper-case hex digits.
    pub fingerprint: String,
    /// The packets, with GnuPG's own trust packets among them.
    pub packets: &'a [u8],
    /// The modulus, if the primary key is RSA.
    pub modulus: Option<&'a [u8]>,
}

impl<'a> KeyBlock<'a> {
    /// Reads the first packet: a public key of version 4 (RFC 4880, 5.5.2).
    pub fn of_packets(packets: &'a [u8]) -> Option<Self> {
        let body = packet(&mut { packets }).filter(|(tag, _)| *tag == PUBLIC_KEY)?.1;
        let (head, material) = body.split_first_chunk::<6>()?;
        if head[0] != 4 {
            return None;
        }
        let modulus = matches!(head[5], RSA | RSA_SIGN).then(|| mpi(material)).flatten();
        Some(Self { fingerprint: hex_upper(&fingerprint(body)), packets, modulus })
    }
}

const PUBLIC_KEY: u8 = 6;
const PUBLIC_SUBKEY: u8 = 14;
const USER_ID: u8 = 13;
const USER_ATTRIBUTE: u8 = 17;
const SIGNATURE: u8 = 2;
const RSA: u8 = 1;
const RSA_SIGN: u8 = 3;

/// SHA-1 over a public key packet (RFC 4880, 12.2).
fn fingerprint(body: &[u8]) -> [u8; 20] {
    let head = [0x99, (body.len() >> 8) as u8, body.len() as u8];
    let mut out = [0; 20];
    out.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&head, body].concat()).as_ref());
    out
}

/// Takes one packet with an old-format header off `bytes`: its tag and body. Keyboxes have no others.
fn packet<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let first = *bytes.first()?;
    let octets = match first & 0xc3 {
        0x80 => 1,
        0x81 => 2,
        0x82 => 4,
        _ => return None,
    };
    let length = bytes.get(1..1 + octets)?.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let (whole, rest) = bytes.split_at_checked(length.checked_add(1 + octets)?)?;
    *bytes = rest;
    Some((first >> 2 & 0x0f, &whole[1 + octets..]))
}

fn mpi(material: &[u8]) -> Option<&[u8]> {
    let (bits, rest) = material.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*bits)).div_ceil(8)).map(unsigned)
}

/// Blob types of a keybox.
const BLOB_HEADER: u8 = 1;
const BLOB_OPENPGP: u8 = 2;
/// The most public keys that are read from one keybox.
const MAX_BLOCKS: usize = 10_000;

/// Reads the public keys of a keybox. Those of other kinds than version 4 are passed over.
///
/// # Errors
/// [`ArchiveError::Keybox`] if it is damaged.
pub fn read_keybox(keybox: &[u8]) -> Result<Vec<KeyBlock<'_>>, ArchiveError> {
    let mut blocks = Vec::new();
    let mut rest = keybox;
    while !rest.is_empty() {
        let blob = take_blob(&mut rest).ok_or(ArchiveError::Keybox)?;
        if blob.get(4) != Some(&BLOB_OPENPGP) {
            continue;
        }
        if blocks.len() == MAX_BLOCKS {
            return Err(ArchiveError::TooLarge);
        }
        let number =
            |at: usize| blob.get(at..at + 4).map(|b| b.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)));
        let (start, length) = number(8).zip(number(12)).ok_or(ArchiveError::Keybox)?;
        let end = start.checked_add(length).ok_or(ArchiveError::Keybox)?;
        let packets = blob.get(start..end).ok_or(ArchiveError::Keybox)?;
        blocks.extend(KeyBlock::of_packets(packets));
    }
    Ok(blocks)
}

fn take_blob<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(*bytes.first_chunk::<4>()?) as usize;
    // Length, type and version at least: a shorter one would not move on.
    let (blob, rest) = bytes.split_at_checked(length).filter(|(blob, _)| blob.len() >= 6)?;
    *bytes = rest;
    Some(blob)
}

/// Writes a keybox with these keys: the packets of each, old-format headers.
///
/// - `time`: Unix seconds.
///
/// Follows GnuPG's `kbx/keybox-blob.c`, version 1.
///
/// # Errors
/// [`ArchiveError::Keybox`] if the packets of one are not those of a key.
pub fn write_keybox<'a>(
    keys: impl IntoIterator<Item = &'a [u8]>,
    time: u32,
) -> Result<Vec<u8>, ArchiveError> {
    let mut keybox = Vec::new();
    keybox.extend_from_slice(&32u32.to_be_bytes());
    // Version 1; flag 2: the keybox is used by GnuPG.
    keybox.extend_from_slice(&[BLOB_HEADER, 1, 0, 2]);
    keybox.extend_from_slice(b"KBXf\0\0\0\0");
    keybox.extend_from_slice(&time.to_be_bytes());
    keybox.extend_from_slice(&time.to_be_bytes());
    keybox.extend_from_slice(&[0; 8]);
    for packets in keys {
        keybox.extend_from_slice(&openpgp_blob(packets, time).ok_or(ArchiveError::Keybox)?);
    }
    Ok(keybox)
}

fn openpgp_blob(packets: &[u8], time: u32) -> Option<Vec<u8>> {
    let (mut fingerprints, mut user_ids, mut signatures) = (Vec::new(), Vec::new(), 0usize);
    let mut rest = packets;
    while !rest.is_empty() {
        let (tag, body) = packet(&mut rest)?;
        match tag {
            PUBLIC_KEY | PUBLIC_SUBKEY => fingerprints.push(fingerprint(body)),
            USER_ID | USER_ATTRIBUTE => {
                let offset = packets.len() - rest.len() - body.len();
                user_ids.push((offset, body.len()));
            }
            SIGNATURE => signatures += 1,
            _ => {}
        }
    }
    let count = |n: usize| u16::try_from(n).ok().map(u16::to_be_bytes);
    let head = 20 + 28 * fingerprints.len() + 2 + 4 + 12 * user_ids.len() + 4 + 4 * signatures + 20;
    let number = |n: usize| u32::try_from(n).ok().map(u32::to_be_bytes);

    let mut blob = Vec::with_capacity(head + packets.len() + 20);
    blob.extend_from_slice(&number(head + packets.len() + 20)?);
    blob.extend_from_slice(&[BLOB_OPENPGP, 1, 0, 0]);
    blob.extend_from_slice(&number(head)?);
    blob.extend_from_slice(&number(packets.len())?);
    blob.extend_from_slice(&count(fingerprints.len()).filter(|_| !fingerprints.is_empty())?);
    blob.extend_from_slice(&28u16.to_be_bytes());
    for fingerprint in &fingerprints {
        // The key id is the end of the fingerprint: its offset points there.
        let key_id = blob.len() + 12;
        blob.extend_from_slice(fingerprint);
        blob.extend_from_slice(&number(key_id)?);
        blob.extend_from_slice(&[0; 4]);
    }
    // No serial number.
    blob.extend_from_slice(&[0; 2]);
    blob.extend_from_slice(&count(user_ids.len())?);
    blob.extend_from_slice(&12u16.to_be_bytes());
    for (offset, length) in user_ids {
        blob.extend_from_slice(&number(head + offset)?);
        blob.extend_from_slice(&number(length)?);
        blob.extend_from_slice(&[0; 4]);
    }
    blob.extend_from_slice(&count(signatures)?);
    blob.extend_from_slice(&4u16.to_be_bytes());
    blob.resize(blob.len() + 4 * signatures, 0);
    // Ownertrust, validity, next check and newest signature: unknown.
    blob.extend_from_slice(&[0; 12]);
    blob.extend_from_slice(&time.to_be_bytes());
    // No reserved space.
    blob.extend_from_slice(&[0; 4]);
    blob.extend_from_slice(packets);
    let checksum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &blob);
    blob.extend_from_slice(checksum.as_ref());
    Some(blob)
}
