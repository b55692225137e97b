//! Ids of objects whose maker names none: random.

use super::error::Error;
use super::uri::Kind;
use crate::random;

/// A random id: a UUID for a record, eight letters and digits for anything else.
pub(super) fn generate(kind: Kind) -> Result<String, Error> {
    match kind {
        Kind::Record | Kind::History => uuid(),
        _ => short(),
    }
}

/// A random UUID (version 4).
pub(super) fn uuid() -> Result<String, Error> {
    let mut bytes = random::bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    Ok(hyphenated(bytes))
}

/// The id of an entry in a list that only grows: a UUID (version 7) that begins with its timestamp, in milliseconds.
/// Entries then lie in the order in which they were made: random ids would scatter each over the whole list, and
/// touch a page of the database for each.
pub(super) fn ordered(timestamp: i64) -> Result<String, Error> {
    let mut bytes = random::bytes::<16>()?;
    bytes[..6].copy_from_slice(&timestamp.to_be_bytes()[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    Ok(hyphenated(bytes))
}

/// 16 bytes as a UUID of the usual variant; the version is the caller's.
pub(super) fn hyphenated(mut bytes: [u8; 16]) -> String {
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn short() -> Result<String, Error> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut number = u64::from_be_bytes(random::bytes()?);
    let mut id = String::with_capacity(8);
    for _ in 0..8 {
        id.push(char::from(LETTERS[(number % 62) as usize]));
        number /= 62;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::uri::is_id;

    #[test]
    fn records_get_uuids_and_others_eight_characters() {
        let uuid = generate(Kind::Record).unwrap();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
        assert!("89ab".contains(&uuid[19..20]));
        assert!(is_id(&uuid));
        let (first, second) = (ordered(1_795_208_538_874).unwrap(), ordered(1_795_208_538_875).unwrap());
        assert!(first < second && is_id(&first), "{first} {second}");
        assert!(first.starts_with("01a1fac4-6afa-7"), "{first}");
        let short = generate(Kind::Group).unwrap();
        assert!(short.len() == 8 && is_id(&short));
        assert_ne!(generate(Kind::Bucket).unwrap(), generate(Kind::Bucket).unwrap());
    }
}
