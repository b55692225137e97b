//! The name of a list of certificates: a hash of the set of their ids.
//!
//! Order and repetition do not matter: a list is asked for in any order and always found again.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA3_256, digest};

/// The ids in the order that a list has them: sorted by their bytes, each once.
pub fn sorted_unique<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The name of the list of these certificates: lower-case hex SHA3-256 of the [`sorted_unique`] ids with a
/// NUL between them. Ids have no NUL themselves.
pub fn list_name<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    hex::encode(digest(&SHA3_256, sorted_unique(ids).join("\0").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        // printf 'a\0b' | openssl dgst -sha3-256
        let name = "b476fd9cc202c304856e5b838839a737fbaaa96a2f44808f8c28c8cff135db22";
        for ids in [&["a", "b"][..], &["b", "a"], &["b", "a", "b"]] {
            assert_eq!(list_name(ids.iter().copied()), name);
        }
        assert_ne!(list_name(["ab"]), name);
    }
}
