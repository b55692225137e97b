//! Tokens of pages.

use countersign_core::collections::page_token;
use countersign_core::collections::sort::Sort;

/// The first line is the order, the second the token. One that is taken is the one that would be given.
pub fn collection_page_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (sort, token) = text.split_once('\n').unwrap_or(("", text));
    let sort = Sort::parse(sort, "last_modified");
    let Ok(keys) = page_token::read("/buckets", &sort, token) else { return };
    assert_eq!(keys.len(), sort.len());
    let again = page_token::write("/buckets", &sort, &keys);
    assert_eq!(page_token::read("/buckets", &sort, &again).expect("a token that was just made"), keys);
    assert!(page_token::read("/accounts", &sort, token).is_err());
}
