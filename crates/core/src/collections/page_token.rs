//! `_token`: where the next page of a list begins.
//!
//! It holds the sort keys of the last object of the page before, so that what is made or deleted meanwhile moves
//! nothing: base64url of six bytes of a hash and the keys as JSON. The hash is over the list and its order too: a
//! token that was changed, or is of another list, is refused. It protects nothing, and needs no key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{Error, Location};
use super::sort::{Key, Sort};

/// Bytes of the hash.
const CHECK: usize = 6;

/// No token of ours is longer: sixteen keys of 256 characters.
const LONGEST: usize = 64 << 10;

/// The token of the page after an object with these keys.
///
/// - `list`: the list's URI.
pub fn write(list: &str, sort: &Sort, keys: &[Key]) -> String {
    // Keys are JSON as it was read.
    let keys = serde_json::to_string(keys).unwrap_or_default();
    let mut bytes = check(list, sort, &keys).to_vec();
    bytes.extend_from_slice(keys.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The keys in a token.
///
/// # Errors
/// [`Error::Invalid`] if it was not made for this list in this order.
pub fn read(list: &str, sort: &Sort, token: &str) -> Result<Vec<Key>, Error> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() <= LONGEST)?;
        let (hash, keys) = bytes.split_at_checked(CHECK)?;
        let keys = std::str::from_utf8(keys).ok()?;
        if hash != check(list, sort, keys) {
            return None;
        }
        serde_json::from_str::<Vec<Key>>(keys).ok().filter(|keys| keys.len() == sort.len())
    };
    read().ok_or_else(|| Error::nameless(Location::Querystring, "_token has invalid content"))
}

fn check(list: &str, sort: &Sort, keys: &str) -> [u8; CHECK] {
    let hash = digest(&SHA256, format!("page\n{list}\n{sort}\n{keys}").as_bytes());
    let mut check = [0; CHECK];
    check.copy_from_slice(&hash.as_ref()[..CHECK]);
    check
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_for_its_list_and_order_alone() {
        let sort = Sort::parse("n,-s", "last_modified");
        let object = json!({"n": 1.5, "s": "é", "last_modified": 7});
        let keys = sort.keys(object.as_object().unwrap());
        let token = write("/buckets", &sort, &keys);
        assert_eq!(read("/buckets", &sort, &token).unwrap(), keys);

        let refused = |list: &str, sort: &Sort, token: &str| {
            assert_eq!(
                read(list, sort, token).unwrap_err().to_string(),
                "querystring: _token has invalid content"
            );
        };
        refused("/accounts", &sort, &token);
        refused("/buckets", &Sort::parse("n,s", "last_modified"), &token);
        for bad in ["", "abc", "eyJ", &token[1..], &format!("{token}="), "\u{e9}", &"A".repeat(100_000)] {
            refused("/buckets", &sort, bad);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            refused("/buckets", &sort, &URL_SAFE_NO_PAD.encode(&bytes));
            bytes[at] ^= 1;
        }
    }
}
