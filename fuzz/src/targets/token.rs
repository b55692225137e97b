//! API tokens.

use countersign_model::token::Token;

/// A token has one spelling; the id in it is a part of what was given.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(token) = Token::parse(text) {
        assert_eq!(token.expose(), text);
        assert!(text.contains(token.id()));
        assert!(!format!("{token:?}").contains(token.expose()), "a token does not show itself");
    }
}
