//! The rules of a new deployment: the built-in roles, and each surface's right to its own keys.

use super::{Effect, Rule};
use crate::format::Format;
use crate::surface::Surface;

/// The rules that a deployment starts with. They are rules like any other: `PUT /policy` replaces them.
pub fn builtin_rules() -> Vec<Rule> {
    let mut rules = vec![
        allow("admin", &["role:admin"], &["*"], &["*"], None),
        allow(
            "operator",
            &["role:operator"],
            &[
                "key:create",
                "key:read",
                "key:import",
                "key:sign",
                "key:retire",
                "key:revoke",
                "policy:read",
                "log:read",
                "metrics:read",
                "authority:*",
                "tag:*",
                "collection:admin",
                "tuf:*",
                "attestation:*",
            ],
            &["*"],
            None,
        ),
        allow(
            "signer",
            &["role:signer"],
            &["key:sign", "key:read", "authority:sign", "authority:read", "tag:*"],
            &["*"],
            None,
        ),
        allow("auditor", &["role:auditor"], &["*:read"], &["*"], None),
        allow(
            "reader",
            &["role:reader"],
            &["key:read", "authority:read", "tag:read", "tuf:read"],
            &["*"],
            None,
        ),
        allow(
            "appliance-make",
            APPLIANCE_PEOPLE,
            &["key:create", "key:import", "key:read"],
            &["key:appliance/*"],
            None,
        ),
        allow(
            "appliance-sign",
            APPLIANCE_PEOPLE,
            &["key:sign"],
            &["key:appliance/*"],
            Some(formats_of(Surface::Appliance)),
        ),
        allow(
            "appliance-export",
            &["role:admin", "role:appliance"],
            &["key:export"],
            &["key:appliance/*"],
            None,
        ),
    ];
    rules.extend(Surface::ALL.into_iter().filter(|s| s.owns_keys()).flat_map(surface_rules));
    rules
}

const APPLIANCE_PEOPLE: &[&str] = &["role:admin", "role:operator", "role:appliance"];

/// `surface:NAME` makes, reads, uses and ends the keys of its own, in the formats that it writes.
fn surface_rules(surface: Surface) -> [Rule; 2] {
    let who: &[&str] = &[&format!("surface:{surface}")];
    let keys: &[&str] = &[&format!("key:{surface}/*")];
    let make = ["key:create", "key:import", "key:read", "key:retire", "key:revoke"];
    [
        allow(&format!("surface-{surface}-make"), who, &make, keys, None),
        allow(&format!("surface-{surface}-sign"), who, &["key:sign"], keys, Some(formats_of(surface))),
    ]
}

/// The formats that a surface writes.
fn formats_of(surface: Surface) -> &'static [Format] {
    use Format::*;
    match surface {
        Surface::Appliance => {
            &[RawUnprefixed, Raw, Openpgp, X509, Cms, Authenticode, EfiVar, Kmod, RpiEeprom, Hab, Ahab]
        }
        Surface::Collections => &[ContentSignature, X509],
        Surface::Autograph => &[Raw, ContentSignature, X509, Openpgp],
        Surface::Tuf => &[Tuf],
        Surface::Tags => &[Tag, Raw, Attestation],
        Surface::Attestations => &[Attestation, Dsse, Sshsig],
        Surface::Log => &[Checkpoint],
        Surface::Native | Surface::Console => &[Raw],
    }
}

fn allow(
    id: &str,
    principals: &[&str],
    actions: &[&str],
    resources: &[&str],
    formats: Option<&[Format]>,
) -> Rule {
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Rule {
        id: id.parse().expect("a constant name"),
        effect: Effect::Allow,
        principals: texts(principals),
        actions: texts(actions),
        resources: texts(resources),
        formats: formats.map(|f| f.iter().map(|f| f.as_str().to_owned()).collect()),
        schemes: None,
    }
}
