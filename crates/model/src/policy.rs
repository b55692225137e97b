//! Who may do what: rules as data, a pure decision, and the permit that only it can make.
//!
//! Deny by default: a request is allowed when an allow rule matches it and no deny rule does. The
//! [`Permit`] is the proof that later stages ask for; there is no other way to get one.

mod builtin;
mod reach;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Resource};
use crate::canonical;
use crate::digest::sha256_text;
use crate::format::Format;
use crate::name::{Name, PrincipalName};
use crate::scheme::Scheme;
use crate::surface::Surface;

pub use builtin::builtin_rules;
pub use reach::matches_a_resource;

/// Allows or denies some actions on some resources to some principals.
///
/// Patterns match the whole text; `*` stands for any run of characters. A principal pattern is a name, or
/// `role:ROLE`. `None` for formats or schemes means any, but [`Format::RawUnprefixed`] must be named
/// literally by the rule that allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described above, together")]
pub struct Rule {
    pub id: Name,
    pub effect: Effect,
    pub principals: Vec<String>,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemes: Option<Vec<String>>,
}

/// What a matching rule does. Deny wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Effect {
    Allow,
    Deny,
}

/// A set of rules that was found sound, and its hash.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    hash: String,
}

/// Why a set of rules is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {why}")]
pub struct BadRule {
    /// The id of the rule.
    pub rule: Name,
    /// In words.
    pub why: String,
}

/// What a token leaves of its principal's rights. It can narrow them, never widen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Patterns of actions; `None`: all.
    pub actions: Option<Vec<String>>,
    /// Patterns of resources; `None`: all.
    pub resources: Option<Vec<String>>,
}

impl Narrowing {
    fn lets_through(&self, action: Action, resource: &Resource) -> bool {
        let any = |patterns: &Option<Vec<String>>, text: &str| {
            patterns.as_ref().is_none_or(|p| p.iter().any(|p| matches(p, text)))
        };
        any(&self.actions, action.as_str()) && any(&self.resources, resource.as_str())
    }
}

/// A question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who caused the request; the log names them.
    pub caller: &'a PrincipalName,
    /// Whose rights count: the caller, or `surface:NAME` where the surface has permissions of its own.
    pub judged: &'a PrincipalName,
    /// The roles of `judged`.
    pub roles: &'a [Name],
    /// What the caller's token leaves of their rights.
    pub narrowing: Option<&'a Narrowing>,
    /// The surface that was asked.
    pub surface: Surface,
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub resource: &'a Resource,
    /// How the signature will be written, for `key:sign`.
    pub format: Option<Format>,
    /// The scheme, for `key:sign`.
    pub scheme: Option<Scheme>,
}

/// Proof that policy allows one action on one resource, for one request. Only [`Policy::permit`] makes it.
#[derive(Clone, Debug)]
pub struct Permit {
    caller: PrincipalName,
    surface: Surface,
    action: Action,
    resource: Resource,
    format: Option<Format>,
    scheme: Option<Scheme>,
    rule: Name,
    policy: String,
}

impl Permit {
    /// Who caused the request.
    pub fn caller(&self) -> &PrincipalName {
        &self.caller
    }
    /// The surface that was asked.
    pub fn surface(&self) -> Surface {
        self.surface
    }
    /// What is allowed.
    pub fn action(&self) -> Action {
        self.action
    }
    /// To what.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
    /// How the signature may be written.
    pub fn format(&self) -> Option<Format> {
        self.format
    }
    /// The scheme that may be used.
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }
    /// The rule that allows it.
    pub fn rule(&self) -> &Name {
        &self.rule
    }
    /// The hash of the policy that allows it, `sha256:HEX`.
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// Why a request is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// No allow rule matches.
    #[error("no rule allows it")]
    NoRule,
    /// A deny rule matches.
    #[error("rule `{0}` denies it")]
    Rule(Name),
    /// The key belongs to a surface and can be used through that only.
    #[error("the key belongs to the surface `{0}` and can be used through it only")]
    OwnedBy(Surface),
    /// The principal may, but this token may not.
    #[error("the token is limited to other actions or resources")]
    Narrowed,
}

impl Policy {
    /// Checks `rules` one by one.
    ///
    /// # Errors
    /// [`BadRule`] for an id that stands twice, an empty list, a pattern that can match nothing (no such
    /// action, format or scheme), and for sizes beyond reason.
    pub fn new(rules: Vec<Rule>) -> Result<Self, BadRule> {
        for (i, rule) in rules.iter().enumerate() {
            let bad = |why: String| Err(BadRule { rule: rule.id.clone(), why });
            if i >= MAX_RULES {
                return bad(format!("more than {MAX_RULES} rules"));
            }
            if rules[..i].iter().any(|other| other.id == rule.id) {
                return bad("the id stands twice".into());
            }
            if let Some(why) = rule.fault() {
                return bad(why);
            }
        }
        let value = serde_json::to_value(&rules).unwrap_or_default();
        let hash = sha256_text(&canonical::rfc8785(&value));
        Ok(Self { rules, hash })
    }

    /// The policy of a new deployment.
    pub fn builtin() -> Self {
        Self::new(builtin_rules()).expect("the built-in rules are checked by a test")
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// `sha256:HEX` of the rules in canonical JSON.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Decides, and makes the permit if the answer is yes.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn permit(&self, ask: &Ask<'_>) -> Result<Permit, Denial> {
        let rule = self.decide(ask)?;
        Ok(Permit {
            caller: ask.caller.clone(),
            surface: ask.surface,
            action: ask.action,
            resource: ask.resource.clone(),
            format: ask.format,
            scheme: ask.scheme,
            rule: rule.clone(),
            policy: self.hash.clone(),
        })
    }

    /// The rule that allows what is asked.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn decide(&self, ask: &Ask<'_>) -> Result<&Name, Denial> {
        if let Some(owner) = foreign_owner(ask) {
            return Err(Denial::OwnedBy(owner));
        }
        let mut allowed_by = None;
        for rule in &self.rules {
            if rule.matches(ask) {
                match rule.effect {
                    Effect::Deny => return Err(Denial::Rule(rule.id.clone())),
                    Effect::Allow => allowed_by = allowed_by.or(Some(&rule.id)),
                }
            }
        }
        let allowed_by = allowed_by.ok_or(Denial::NoRule)?;
        if ask.narrowing.is_some_and(|n| !n.lets_through(ask.action, ask.resource)) {
            return Err(Denial::Narrowed);
        }
        Ok(allowed_by)
    }

    /// Every role that a rule mentions by its plain name.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.rules
            .iter()
            .flat_map(|rule| &rule.principals)
            .filter_map(|pattern| pattern.strip_prefix("role:"))
            .filter(|role| !role.contains('*'))
    }
}

const MAX_RULES: usize = 1000;
const MAX_PATTERNS: usize = 200;
const MAX_PATTERN: usize = 300;

impl Rule {
    fn fault(&self) -> Option<String> {
        let lists = [
            ("principals", Some(&self.principals)),
            ("actions", Some(&self.actions)),
            ("resources", Some(&self.resources)),
            ("formats", self.formats.as_ref()),
            ("schemes", self.schemes.as_ref()),
        ];
        for (name, list) in lists {
            let Some(list) = list else { continue };
            if list.is_empty() {
                return Some(format!("`{name}` is empty, so the rule can match nothing"));
            }
            if list.len() > MAX_PATTERNS {
                return Some(format!("`{name}` has more than {MAX_PATTERNS} patterns"));
            }
            if list.iter().any(|p| p.is_empty() || p.len() > MAX_PATTERN) {
                return Some(format!("a pattern of `{name}` is empty or over {MAX_PATTERN} bytes"));
            }
        }
        let unknown = |list: Option<&Vec<String>>, known: &[&str]| {
            let known_one = |p: &&String| !known.iter().any(|text| matches(p, text));
            list.and_then(|list| list.iter().find(known_one)).cloned()
        };
        let actions = Action::ALL.map(Action::as_str);
        if let Some(pattern) = unknown(Some(&self.actions), &actions) {
            return Some(format!("`{pattern}` matches no action"));
        }
        if let Some(pattern) = unknown(self.formats.as_ref(), &Format::ALL.map(Format::as_str)) {
            return Some(format!("`{pattern}` matches no format"));
        }
        if let Some(pattern) = unknown(self.schemes.as_ref(), &Scheme::ALL.map(Scheme::as_str)) {
            return Some(format!("`{pattern}` matches no scheme"));
        }
        None
    }

    /// Whether the rule names `principal`, who has `roles`.
    pub fn concerns(&self, principal: &PrincipalName, roles: &[Name]) -> bool {
        self.principals.iter().any(|p| matches_principal(p, principal, roles))
    }

    fn matches(&self, ask: &Ask<'_>) -> bool {
        self.actions.iter().any(|p| matches(p, ask.action.as_str()))
            && self.concerns(ask.judged, ask.roles)
            && self.resources.iter().any(|p| matches(p, ask.resource.as_str()))
            && self.matches_format(ask.format)
            && matches_optional(self.schemes.as_deref(), ask.scheme.map(Scheme::as_str))
    }

    fn matches_format(&self, format: Option<Format>) -> bool {
        if format == Some(Format::RawUnprefixed) && self.effect == Effect::Allow {
            let literal = Format::RawUnprefixed.as_str();
            return self.formats.as_ref().is_some_and(|f| f.iter().any(|p| p == literal));
        }
        matches_optional(self.formats.as_deref(), format.map(Format::as_str))
    }
}

/// The surface that a key belongs to, if it is not reached through it. Reading, retiring and revoking are
/// open to all whom the rules allow; making, using and taking out are for the owner.
fn foreign_owner(ask: &Ask<'_>) -> Option<Surface> {
    use Action::{KeyCreate, KeyExport, KeyImport, KeySign};
    if !matches!(ask.action, KeyCreate | KeyExport | KeyImport | KeySign) {
        return None;
    }
    let owner = ask.resource.as_key()?.owner()?;
    let through_owner =
        ask.surface == owner && (owner.judges_people() || *ask.judged == PrincipalName::surface(owner));
    (!through_owner).then_some(owner)
}

fn matches_principal(pattern: &str, principal: &PrincipalName, roles: &[Name]) -> bool {
    match pattern.strip_prefix("role:") {
        Some(role) => roles.iter().any(|r| matches(role, r.as_str())),
        None => matches(pattern, principal.as_str()),
    }
}

fn matches_optional(patterns: Option<&[String]>, text: Option<&str>) -> bool {
    match (patterns, text) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(patterns), Some(text)) => patterns.iter().any(|p| matches(p, text)),
    }
}

/// Whether `pattern` matches the whole of `text`; `*` stands for any run of characters.
///
/// Takes time in proportion to the product of the lengths at worst.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Says in words what a decision was, for `policy check`.
pub fn explain(decision: &Result<&Name, Denial>) -> String {
    match decision {
        Ok(rule) => format!("rule `{rule}` allows it"),
        Err(denial) => denial.to_string(),
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

#[cfg(test)]
mod tests;
