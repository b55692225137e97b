//! What will end soon: tokens, the certificate of TLS, and the chains of content signatures.

pub mod chains;

use std::path::Path;

use countersign_server::config::Config;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use x509_cert::Certificate;

use super::{Check, State};
use crate::api::{Api, escape};
use crate::failure::Failure;
use crate::files;

/// What ends within this time is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// More names than these in one line help nobody.
const NAMED: usize = 5;

#[derive(Deserialize)]
struct Principals {
    principals: Vec<Principal>,
}

#[derive(Deserialize)]
struct Principal {
    name: String,
    disabled: bool,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Debug, Deserialize)]
struct Token {
    id: String,
    expires: Option<Timestamp>,
    revoked: Option<serde_json::Value>,
}

/// Looks at the tokens of everybody who is not disabled.
pub async fn tokens(api: &Api) -> Check {
    match all_tokens(api).await {
        Ok(tokens) => judge_tokens(&tokens, Timestamp::now()),
        Err(failure) => Check::new("tokens", State::Unseen, failure.message),
    }
}

async fn all_tokens(api: &Api) -> Result<Vec<(String, Token)>, Failure> {
    let list = api.list("/principals", "principals").await?;
    let principals: Principals = serde_json::from_slice(&list)
        .map_err(|error| Failure::unknown(format!("the list of principals cannot be read: {error}")))?;
    let mut all = Vec::new();
    for Principal { name, .. } in principals.principals.into_iter().filter(|one| !one.disabled) {
        let path = format!("/principals/{}/tokens", escape(&name));
        let tokens: Tokens = api.get(&path).await?.json()?;
        all.extend(tokens.tokens.into_iter().map(|token| (name.clone(), token)));
    }
    Ok(all)
}

fn judge_tokens(tokens: &[(String, Token)], now: Timestamp) -> Check {
    let in_force: Vec<_> = tokens
        .iter()
        .filter(|(_, token)| token.revoked.is_none() && token.expires.is_none_or(|end| end > now))
        .collect();
    let ending: Vec<String> = in_force
        .iter()
        .filter_map(|(name, token)| {
            let end = token.expires.filter(|end| end.duration_since(now) <= SOON)?;
            Some(format!("{} of {name} on {}", token.id, day(end)))
        })
        .collect();
    if ending.is_empty() {
        return Check::new("tokens", State::Good, format!("{} in force, none ends soon", in_force.len()));
    }
    let mut found = ending.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if ending.len() > NAMED {
        found.push_str(&format!(", and {} more", ending.len() - NAMED));
    }
    Check::new("tokens", State::Warning, format!("ending soon: {found}"))
        .hint("`countersign token create` makes new ones: give them out before the old ones end")
}

/// Looks at the certificate that the configuration names; `None` if it names none.
pub fn certificate(data: &Path, config: &Config) -> Option<Check> {
    let path = data.join(&config.tls.as_ref()?.certificate);
    let unusable = |why: String| Check::new("certificate", State::Bad, why);
    let pem = match files::read_small(&path) {
        Ok(pem) => pem,
        Err(failure) => return Some(unusable(failure.message)),
    };
    let chain = Certificate::load_pem_chain(&pem).unwrap_or_default();
    // The first is the server's own: the one that clients see end.
    let end = chain.first().and_then(|own| {
        let end = own.tbs_certificate().validity().not_after.to_unix_duration();
        Timestamp::from_second(i64::try_from(end.as_secs()).ok()?).ok()
    });
    Some(match end {
        Some(end) => judge_certificate(end, Timestamp::now()),
        None => unusable(format!("`{}` has no certificate that can be read", path.display())),
    })
}

fn judge_certificate(end: Timestamp, now: Timestamp) -> Check {
    let left = end.duration_since(now);
    let hint = "put a new one in its place: the server takes it by itself";
    if left.is_negative() {
        Check::new("certificate", State::Bad, format!("ended on {}", day(end))).hint(hint)
    } else if left <= SOON {
        Check::new("certificate", State::Warning, format!("ends on {}", day(end))).hint(hint)
    } else {
        Check::new("certificate", State::Good, format!("ends on {}", day(end)))
    }
}

fn day(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%d")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn token(id: &str, expires: Option<&str>, revoked: bool) -> (String, Token) {
        let revoked = revoked.then(|| serde_json::json!("2026-01-01T00:00:00Z"));
        ("ci".into(), Token { id: id.into(), expires: expires.map(time), revoked })
    }

    #[test]
    fn only_tokens_in_force_that_end_within_two_weeks_are_named() {
        let now = time("2026-06-01T00:00:00Z");
        let mut tokens = vec![
            token("never", None, false),
            token("later", Some("2026-06-16T00:00:00Z"), false),
            token("over", Some("2026-05-31T00:00:00Z"), false),
            token("gone", Some("2026-06-02T00:00:00Z"), true),
        ];
        let check = judge_tokens(&tokens, now);
        assert_eq!((check.state, check.found.as_str()), (State::Good, "2 in force, none ends soon"));
        tokens.push(token("soon", Some("2026-06-14T00:00:00Z"), false));
        let check = judge_tokens(&tokens, now);
        assert_eq!(
            (check.state, check.found.as_str()),
            (State::Warning, "ending soon: soon of ci on 2026-06-14")
        );
    }

    #[test]
    fn a_certificate_warns_two_weeks_before_its_end_and_is_bad_after_it() {
        let now = time("2026-06-01T00:00:00Z");
        for (end, state) in [
            ("2027-01-01T00:00:00Z", State::Good),
            ("2026-06-14T00:00:00Z", State::Warning),
            ("2026-05-31T23:59:59Z", State::Bad),
        ] {
            assert_eq!(judge_certificate(time(end), now).state, state, "{end}");
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_bad() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::parse("[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n").unwrap();
        assert_eq!(certificate(directory.path(), &config).unwrap().state, State::Bad);
        std::fs::write(directory.path().join("c.pem"), "nonsense").unwrap();
        assert_eq!(certificate(directory.path(), &config).unwrap().state, State::Bad);
        assert!(certificate(directory.path(), &Config::default()).is_none());
    }
}
