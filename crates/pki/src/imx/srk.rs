//! Super root key tables and the fuse values that pin them.
//!
//! ```text
//! HABv4, big-endian                              AHAB, little-endian
//! D7 | u16 length | 40                           D7 | u16 length | 42
//! E1 | u16 length | 21 | 0 0 0 | CA              E1 | u16 length | 21 | hash | size | 0 | CA
//!    | u16 modulus | u16 exponent | bytes           | u16 modulus | u16 exponent | bytes
//! E1 | u16 length | 27 | 0 0 0 | CA              E1 | u16 length | 27 | hash | size | 0 | CA
//!    | curve | 0 | u16 bits | X | Y                 | u16 X | u16 Y | X | Y
//! EE | 00 24 | 17 | SHA-256 of an entry          (four keys, always)
//!
//! fuses: SHA-256 of the entries' SHA-256         fuses: SHA-512 of the table
//! ```
//!
//! CA is `80` for a key whose certificate may issue others, else `00`.

use countersign_model::digest::{sha256, sha256_parts};
use countersign_model::{HashAlg, KeyType, PublicKey};

/// A super root key: the public half, and whether its certificate is that of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuperRootKey {
    /// RSA of 2048, 3072 or 4096 bits, or P-256, P-384, P-521.
    pub key: PublicKey,
    /// Whether it issues the certificates of the keys that sign. All keys of a table agree.
    pub is_ca: bool,
}

/// What stands in a HABv4 table for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HabEntry {
    /// The key itself. A key can sign only where it stands in full.
    Key(SuperRootKey),
    /// Its entry's SHA-256, which gives the same fuse value and saves room in the image.
    Digest([u8; 32]),
}

/// Why keys make no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrkError {
    /// HABv4 has one to four keys, AHAB four.
    #[error("a table of super root keys has {want} keys, not {got}")]
    Count {
        /// How many there must be, in words.
        want: &'static str,
        /// How many were given.
        got: usize,
    },
    /// A type that no boot ROM knows.
    #[error("a super root key cannot be of type `{0}`: RSA 2048, 3072, 4096, P-256, P-384 or P-521")]
    KeyType(KeyType),
    /// An authority's key beside one that is not.
    #[error("all super root keys of a table must be authorities, or none")]
    Mixed,
    /// Bytes that are no table.
    #[error("not a table of super root keys: {0}")]
    Malformed(&'static str),
}

impl SrkError {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Count { .. } => "give the certificates SRK1 to SRK4 of one tree",
            Self::KeyType(_) => "make the tree with a type that the chip's boot ROM knows",
            Self::Mixed => "take all certificates from one tree",
            Self::Malformed(_) => "take `SRK_table.bin` as it was made with the tree",
        }
    }
}

const TABLE: u8 = 0xd7;
const HAB_VERSION: u8 = 0x40;
const AHAB_VERSION: u8 = 0x42;
const KEY: u8 = 0xe1;
const DIGEST: u8 = 0xee;
const RSA: u8 = 0x21;
const ECDSA: u8 = 0x27;
const SHA256: u8 = 0x17;
const CA: u8 = 0x80;

/// Makes a HABv4 table of one to four keys.
///
/// # Errors
/// [`SrkError`].
pub fn hab_table(entries: &[HabEntry]) -> Result<Vec<u8>, SrkError> {
    let entries = hab_entries(entries)?;
    let length = 4 + entries.iter().map(Vec::len).sum::<usize>();
    let mut table = vec![TABLE];
    table.extend_from_slice(&u16_of(length)?.to_be_bytes());
    table.push(HAB_VERSION);
    table.extend(entries.into_iter().flatten());
    Ok(table)
}

/// The 32 bytes to be burnt in a HABv4 chip's fuses: whether a key is given in full or by its digest makes
/// no difference.
///
/// # Errors
/// [`SrkError`].
pub fn hab_fuses(entries: &[HabEntry]) -> Result<[u8; 32], SrkError> {
    check_hab(entries)?;
    let digests = entries.iter().map(HabEntry::digest).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    Ok(sha256_parts(&parts))
}

impl HabEntry {
    /// SHA-256 of the entry of the key in full.
    fn digest(&self) -> Result<[u8; 32], SrkError> {
        match self {
            Self::Key(key) => Ok(sha256(&hab_entry(key)?)),
            Self::Digest(digest) => Ok(*digest),
        }
    }
}

/// Makes an AHAB table of four keys.
///
/// - `hash`: what the tree's signatures are made with.
///
/// # Errors
/// [`SrkError`].
pub fn ahab_table(keys: &[SuperRootKey; 4], hash: HashAlg) -> Result<Vec<u8>, SrkError> {
    check_ca(keys.iter())?;
    let records = keys.iter().map(|key| ahab_record(key, hash)).collect::<Result<Vec<_>, _>>()?;
    let length = 4 + records.iter().map(Vec::len).sum::<usize>();
    let mut table = vec![TABLE];
    table.extend_from_slice(&u16_of(length)?.to_le_bytes());
    table.push(AHAB_VERSION);
    table.extend(records.into_iter().flatten());
    Ok(table)
}

/// The 64 bytes to be burnt in an AHAB chip's fuses.
pub fn ahab_fuses(table: &[u8]) -> [u8; 64] {
    let digest = HashAlg::Sha512.digest(table);
    let mut fuses = [0; 64];
    fuses.copy_from_slice(digest.as_bytes());
    fuses
}

fn check_hab(entries: &[HabEntry]) -> Result<(), SrkError> {
    if !(1..=4).contains(&entries.len()) {
        return Err(SrkError::Count { want: "1 to 4", got: entries.len() });
    }
    check_ca(entries.iter().filter_map(|entry| match entry {
        HabEntry::Key(key) => Some(key),
        HabEntry::Digest(_) => None,
    }))
}

fn check_ca<'a>(mut keys: impl Iterator<Item = &'a SuperRootKey>) -> Result<(), SrkError> {
    let Some(first) = keys.next() else { return Ok(()) };
    if keys.all(|key| key.is_ca == first.is_ca) { Ok(()) } else { Err(SrkError::Mixed) }
}

fn hab_entries(entries: &[HabEntry]) -> Result<Vec<Vec<u8>>, SrkError> {
    check_hab(entries)?;
    let entry = |entry: &HabEntry| match entry {
        HabEntry::Key(key) => hab_entry(key),
        HabEntry::Digest(digest) => Ok([&[DIGEST, 0, 0x24, SHA256], digest.as_slice()].concat()),
    };
    entries.iter().map(entry).collect()
}

/// A key in numbers, as both tables write it.
enum Numbers {
    Rsa { size: u8, modulus: Vec<u8>, exponent: Vec<u8> },
    Curve { curve: u8, size: u8, bits: u16, x: Vec<u8>, y: Vec<u8> },
}

fn numbers(key: &PublicKey) -> Result<Numbers, SrkError> {
    let key_type = key.key_type();
    let unknown = SrkError::KeyType(key_type);
    let (curve, size, bits) = match key_type {
        KeyType::Rsa(bits) => {
            let size = match bits {
                2048 => 5,
                3072 => 6,
                4096 => 7,
                _ => return Err(unknown),
            };
            let (modulus, exponent) = key.rsa_components().ok_or(unknown)?;
            return Ok(Numbers::Rsa { size, modulus, exponent });
        }
        KeyType::P256 => (0x4b, 1, 256),
        KeyType::P384 => (0x4d, 2, 384),
        KeyType::P521 => (0x4e, 3, 521),
        KeyType::Secp256k1 | KeyType::Ed25519 => return Err(unknown),
    };
    let (x, y) = key.coordinates().ok_or(unknown)?;
    Ok(Numbers::Curve { curve, size, bits, x: x.to_vec(), y: y.to_vec() })
}

fn hab_entry(key: &SuperRootKey) -> Result<Vec<u8>, SrkError> {
    let (algorithm, head, one, two) = match numbers(&key.key)? {
        Numbers::Rsa { modulus, exponent, .. } => {
            let [m0, m1] = u16_of(modulus.len())?.to_be_bytes();
            let [e0, e1] = u16_of(exponent.len())?.to_be_bytes();
            (RSA, [m0, m1, e0, e1], modulus, exponent)
        }
        Numbers::Curve { curve, bits, x, y, .. } => {
            let [b0, b1] = bits.to_be_bytes();
            (ECDSA, [curve, 0, b0, b1], x, y)
        }
    };
    let length = u16_of(12 + one.len() + two.len())?.to_be_bytes();
    let ca = if key.is_ca { CA } else { 0 };
    Ok([&[KEY][..], &length, &[algorithm, 0, 0, 0, ca], &head, &one, &two].concat())
}

fn ahab_record(key: &SuperRootKey, hash: HashAlg) -> Result<Vec<u8>, SrkError> {
    let (algorithm, size, one, two) = match numbers(&key.key)? {
        Numbers::Rsa { size, modulus, exponent } => (RSA, size, modulus, exponent),
        Numbers::Curve { size, x, y, .. } => (ECDSA, size, x, y),
    };
    let hash = match hash {
        HashAlg::Sha256 => 0,
        HashAlg::Sha384 => 1,
        HashAlg::Sha512 => 2,
    };
    let length = u16_of(12 + one.len() + two.len())?.to_le_bytes();
    let ca = if key.is_ca { CA } else { 0 };
    let (one_len, two_len) = (u16_of(one.len())?.to_le_bytes(), u16_of(two.len())?.to_le_bytes());
    Ok([&[KEY][..], &length, &[algorithm, hash, size, 0, ca], &one_len, &two_len, &one, &two].concat())
}

/// No key that [`numbers`] knows is as long as that.
fn u16_of(length: usize) -> Result<u16, SrkError> {
    u16::try_from(length).map_err(|_| SrkError::Malformed("it is too long"))
}

/// Which table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// HABv4.
    Hab,
    /// AHAB, containers of version 1.
    Ahab,
}

/// The entries of a table, one after the other, each with its head.
///
/// Reads both families; what the entries mean is not looked at beyond their lengths.
///
/// # Errors
/// [`SrkError::Malformed`], [`SrkError::Count`].
pub fn entries(table: &[u8]) -> Result<(Family, Vec<&[u8]>), SrkError> {
    let (head, mut rest) = table.split_at_checked(4).ok_or(SrkError::Malformed("it is too short"))?;
    let family = match (head[0], head[3]) {
        (TABLE, HAB_VERSION) => Family::Hab,
        (TABLE, AHAB_VERSION) => Family::Ahab,
        _ => return Err(SrkError::Malformed("it does not begin as one")),
    };
    if family.length(head) != table.len() {
        return Err(SrkError::Malformed("its length is another than it says"));
    }
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let length = rest.get(..4).map(|head| family.length(head));
        let split = length.filter(|length| *length >= 4).and_then(|length| rest.split_at_checked(length));
        let (entry, after) = split.ok_or(SrkError::Malformed("an entry is cut off"))?;
        let known = entry[0] == KEY || (family == Family::Hab && entry[0] == DIGEST);
        if !known || entries.len() == 4 {
            return Err(SrkError::Malformed("an entry is none"));
        }
        entries.push(entry);
        rest = after;
    }
    match (family, entries.len()) {
        (Family::Hab, 1..=4) | (Family::Ahab, 4) => Ok((family, entries)),
        (Family::Hab, got) => Err(SrkError::Count { want: "1 to 4", got }),
        (Family::Ahab, got) => Err(SrkError::Count { want: "4", got }),
    }
}

impl Family {
    /// The length in the head of a table or an entry.
    fn length(self, head: &[u8]) -> usize {
        let bytes = [head[1], head[2]];
        usize::from(match self {
            Self::Hab => u16::from_be_bytes(bytes),
            Self::Ahab => u16::from_le_bytes(bytes),
        })
    }
}

/// The fuse value that a table matches, from the table alone.
///
/// # Errors
/// As [`entries`].
pub fn fuses(table: &[u8]) -> Result<Vec<u8>, SrkError> {
    let (family, entries) = entries(table)?;
    if family == Family::Ahab {
        return Ok(ahab_fuses(table).to_vec());
    }
    let digests = entries.iter().map(|entry| match **entry {
        [DIGEST, _, _, SHA256, ref digest @ ..] if digest.len() == 32 => Ok(digest.to_vec()),
        [KEY, ..] => Ok(sha256(entry).to_vec()),
        _ => Err(SrkError::Malformed("a digest of a kind that is not known")),
    });
    let digests = digests.collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&[u8]> = digests.iter().map(Vec::as_slice).collect();
    Ok(sha256_parts(&parts).to_vec())
}
