//! SPDX licence expressions, as far as manifests use them.

/// Whether `expression` can be satisfied with licences that `allowed` accepts.
///
/// `A WITH B` counts as `A`: an exception only permits more. The old spelling `A/B` is `A OR B`.
pub fn is_satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens = spaced.split_whitespace().peekable();
    let satisfied = any(&mut tokens, allowed)?;
    match tokens.next() {
        None => Ok(satisfied),
        Some(token) => Err(format!("`{token}` is too much")),
    }
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(tokens: &mut Tokens<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut satisfied = all(tokens, allowed)?;
    while tokens.next_if_eq(&"OR").is_some() {
        satisfied |= all(tokens, allowed)?;
    }
    Ok(satisfied)
}

fn all(tokens: &mut Tokens<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut satisfied = one(tokens, allowed)?;
    while tokens.next_if_eq(&"AND").is_some() {
        satisfied &= one(tokens, allowed)?;
    }
    Ok(satisfied)
}

fn one(tokens: &mut Tokens<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let satisfied = match tokens.next() {
        None => return Err("it ends where a licence should be".into()),
        Some("(") => {
            let inner = any(tokens, allowed)?;
            tokens.next_if_eq(&")").ok_or("a parenthesis is not closed")?;
            inner
        }
        Some(word @ (")" | "OR" | "AND" | "WITH")) => {
            return Err(format!("`{word}` where a licence should be"));
        }
        Some(id) => allowed(id),
    };
    if tokens.next_if_eq(&"WITH").is_some() {
        tokens.next().ok_or("`WITH` without an exception")?;
    }
    Ok(satisfied)
}

#[test]
fn a_licence_expression_is_satisfied_by_one_allowed_choice() {
    let allowed = |id: &str| matches!(id, "MIT" | "ISC");
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND OpenSSL", false),
        ("ISC WITH LLVM-exception OR GPL-3.0", true),
    ] {
        assert_eq!(is_satisfied(expression, &allowed), Ok(expected), "{expression}");
    }
    for malformed in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND MIT"] {
        assert!(is_satisfied(malformed, &allowed).is_err(), "{malformed}");
    }
}
