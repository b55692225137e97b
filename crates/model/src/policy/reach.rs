//! Patterns that can match nothing: a slip in a rule, which would look like a right or a prohibition.

use super::{Rule, matches};
use crate::action::{Action, Resource};

/// The resources that have no name behind their kind.
const NAMELESS: [&str; 2] = ["policy", "metrics"];

impl Rule {
    /// Why the rule, or one of its resource patterns, can match nothing; `None` if each can match something.
    ///
    /// Asked when rules are written, not when they are read: a policy in force stays in force when this
    /// becomes stricter.
    pub fn reaches_nothing(&self) -> Option<String> {
        if let Some(pattern) = self.resources.iter().find(|pattern| !matches_a_resource(pattern)) {
            return Some(format!(
                "`{pattern}` matches no resource: resources are `KIND:NAME`, `policy` and `metrics`"
            ));
        }
        let actions =
            || Action::ALL.into_iter().filter(|a| self.actions.iter().any(|p| matches(p, a.as_str())));
        let reached = |action: Action| match kind_of(action) {
            Some(kind) => self.resources.iter().any(|pattern| matches_kind(pattern, kind)),
            None => true,
        };
        (!actions().any(reached)).then(|| "none of its actions is possible on any of its resources".into())
    }
}

/// Whether `pattern` matches any resource that there can be.
pub fn matches_a_resource(pattern: &str) -> bool {
    Resource::KINDS.into_iter().chain(NAMELESS).any(|kind| matches_kind(pattern, kind))
}

/// Whether `pattern` matches any resource of one kind.
fn matches_kind(pattern: &str, kind: &str) -> bool {
    if NAMELESS.contains(&kind) {
        return matches(pattern, kind);
    }
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern.split_once(':').is_some_and(|(k, _)| k == kind)
            && pattern.parse::<Resource>().is_ok();
    };
    let head = format!("{kind}:");
    match first.strip_prefix(&head) {
        // What stands for itself must be in the alphabet of the names; where it stands does not matter here.
        Some(name) => [name, rest].iter().all(|part| part.chars().all(|c| c == '*' || in_names(kind, c))),
        // `*` may stand for the rest of the kind and more; what follows it can be part of a name, or reach back
        // into the kind as in `k*:a`.
        None => head.starts_with(first) && rest.chars().all(|c| matches!(c, '*' | ':') || in_names(kind, c)),
    }
}

/// Whether a character can be in a name of `kind`.
fn in_names(kind: &str, c: char) -> bool {
    match kind {
        // A native key has lower case only; keys of surfaces, which have a `/`, more.
        "key" => c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-' | '/'),
        "log" => c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'),
        "principal" => c.is_ascii_graphic(),
        _ => !c.is_ascii_control(),
    }
}

/// The kind of resource that an action is done to, where that is settled; the surfaces choose theirs.
fn kind_of(action: Action) -> Option<&'static str> {
    let (kind, _) = action.as_str().split_once(':')?;
    ["key", "principal", "policy", "log", "metrics"].into_iter().find(|settled| *settled == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_no_resource_can_have_matches_none() {
        for good in [
            "*",
            "key:*",
            "key:release",
            "key:tuf/online",
            "key:appliance/cert/*",
            "k*",
            "*:release",
            "*release*",
            "policy",
            "pol*",
            "*y",
            "metrics",
            "m*s",
            "principal:balena:*",
            "principal:ana",
            "log:node-*",
            "tag:*",
            "tuf:main",
            "collection:Main Bucket",
            "authority:*",
            "*:*",
            "k*:a",
            "**",
        ] {
            assert!(matches_a_resource(good), "{good}");
        }
        for bad in [
            "key",
            "keys:*",
            "Key:*",
            "key:Release",
            "key:a b",
            "key:nosuch/a",
            "polic",
            "policy:*",
            "metrics:a",
            "log:Node*",
            "key:ä*",
            "*\n",
            "release",
            "rel*",
            ":*",
        ] {
            assert!(!matches_a_resource(bad), "{bad}");
        }
    }

    #[test]
    fn a_rule_is_for_actions_on_resources_of_their_own_kind() {
        let rule = |actions: &[&str], resources: &[&str]| -> Rule {
            let rule = serde_json::json!({"id": "a", "effect": "allow", "principals": ["p"],
                "actions": actions, "resources": resources});
            serde_json::from_value(rule).unwrap()
        };
        for (actions, resources) in [
            (&["key:sign"] as &[&str], &["key:*"] as &[&str]),
            (&["*"], &["policy"]),
            (&["key:sign", "policy:read"], &["policy"]),
            (&["key:*"], &["principal:a", "*"]),
            (&["attestation:write"], &["tag:a"]),
            (&["tag:write"], &["authority:a"]),
        ] {
            assert_eq!(rule(actions, resources).reaches_nothing(), None, "{actions:?} {resources:?}");
        }
        for (actions, resources) in [
            (&["key:sign"] as &[&str], &["principal:*"] as &[&str]),
            (&["policy:*"], &["key:policy"]),
            (&["log:read", "metrics:read"], &["key:*", "policy"]),
            (&["*"], &["key:*", "kez:*"]),
        ] {
            assert!(rule(actions, resources).reaches_nothing().is_some(), "{actions:?} {resources:?}");
        }
    }

    #[test]
    fn every_built_in_rule_reaches_something() {
        for rule in super::super::builtin_rules() {
            assert_eq!(rule.reaches_nothing(), None, "{}", rule.id);
        }
    }
}
