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
        let short = generate(Kind::Group).unwrap();
        assert!(short.len() == 8 && is_id(&short));
        assert_ne!(generate(Kind::Bucket).unwrap(), generate(Kind::Bucket).unwrap());
    }
}
