use super::*;

fn rule(json: &str) -> Rule {
    serde_json::from_str(json).unwrap()
}

struct Case<'a> {
    caller: &'a str,
    judged: &'a str,
    roles: &'a [&'a str],
    surface: Surface,
    action: Action,
    resource: &'a str,
    format: Option<Format>,
}

fn native<'a>(roles: &'a [&'a str], action: Action, resource: &'a str) -> Case<'a> {
    let format = (action == Action::KeySign).then_some(Format::Raw);
    Case { caller: "p", judged: "p", roles, surface: Surface::Native, action, resource, format }
}

impl Case<'_> {
    fn ask(&self, policy: &Policy) -> Result<Permit, Denial> {
        let roles: Vec<Name> = self.roles.iter().map(|r| r.parse().unwrap()).collect();
        policy.permit(&Ask {
            caller: &self.caller.parse().unwrap(),
            judged: &self.judged.parse().unwrap(),
            roles: &roles,
            narrowing: None,
            surface: self.surface,
            action: self.action,
            resource: &self.resource.parse().unwrap(),
            format: self.format,
            scheme: None,
        })
    }
}

#[test]
fn patterns_match_the_whole_text() {
    for (pattern, text, wanted) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("", "", true),
        ("*", "", true),
        ("*", "anything", true),
        ("key:*", "key:a", true),
        ("key:*", "keys:a", false),
        ("*:read", "key:read", true),
        ("*:read", "key:readx", false),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "acb", false),
        ("ab*ba", "aba", false),
        ("a**a", "aa", true),
    ] {
        assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
    }
}

#[test]
fn nothing_is_allowed_without_a_rule_and_deny_wins() {
    let action = Action::KeySign;
    let empty = Policy::new(vec![]).unwrap();
    assert_eq!(native(&["admin"], action, "key:k").ask(&empty).unwrap_err(), Denial::NoRule);

    let allow = r#"{"id":"a","effect":"allow","principals":["p"],"actions":["key:*"],"resources":["*"]}"#;
    let deny = r#"{"id":"d","effect":"deny","principals":["*"],"actions":["*"],"resources":["key:k"]}"#;
    let policy = Policy::new(vec![rule(allow), rule(deny)]).unwrap();
    assert_eq!(native(&[], action, "key:other").ask(&policy).unwrap().rule().as_str(), "a");
    let denial = native(&[], action, "key:k").ask(&policy).unwrap_err();
    assert_eq!(denial, Denial::Rule("d".parse().unwrap()));
}

#[test]
fn every_role_may_do_exactly_what_the_documents_say() {
    let policy = Policy::builtin();
    let operator = |a: Action| {
        !matches!(a, Action::PrincipalRead | Action::PrincipalWrite | Action::PolicyWrite | Action::KeyExport)
    };
    let signer = |a: Action| {
        use Action::*;
        matches!(a, KeySign | KeyRead | AuthoritySign | AuthorityRead | TagRead | TagWrite)
    };
    let reader = |a: Action| {
        use Action::*;
        matches!(a, KeyRead | AuthorityRead | TagRead | TufRead)
    };
    for action in Action::ALL {
        let resource = match action.as_str().split_once(':').unwrap().0 {
            "key" => "key:k",
            "principal" => "principal:x",
            "policy" => "policy",
            "metrics" => "metrics",
            "log" => "log:node-1",
            "attestation" => "tag:a",
            "authority" => "authority:a",
            "tag" => "tag:t",
            "collection" => "collection:main",
            _ => "tuf:main",
        };
        let may = |role: &str| native(&[role], action, resource).ask(&policy).is_ok();
        assert!(may("admin"), "admin {action}");
        assert_eq!(may("operator"), operator(action), "operator {action}");
        assert_eq!(may("signer"), signer(action), "signer {action}");
        assert_eq!(may("auditor"), action.as_str().ends_with(":read"), "auditor {action}");
        assert_eq!(may("reader"), reader(action), "reader {action}");
        assert!(!may("appliance"), "appliance {action}");
        assert!(!may("nobody"), "nobody {action}");
    }
}

#[test]
fn an_unprefixed_signature_must_be_named_literally() {
    let policy = Policy::builtin();
    let format = Some(Format::RawUnprefixed);
    let ask = |policy: &Policy| Case { format, ..native(&["admin"], Action::KeySign, "key:k") }.ask(policy);
    assert_eq!(ask(&policy).unwrap_err(), Denial::NoRule);
    let with = |formats: &str| {
        let text = format!(
            r#"{{"id":"r","effect":"allow","principals":["role:admin"],"actions":["key:sign"],
                "resources":["*"],"formats":["{formats}"]}}"#
        );
        Policy::new(vec![rule(&text)]).unwrap()
    };
    assert_eq!(ask(&with("raw*")).unwrap_err(), Denial::NoRule);
    assert!(ask(&with("raw-unprefixed")).is_ok());
}

#[test]
fn a_surface_key_is_reached_through_its_surface_only_whatever_the_rules_say() {
    let all = r#"{"id":"all","effect":"allow","principals":["*"],"actions":["*"],"resources":["*"]}"#;
    let policy = Policy::new(vec![rule(all)]).unwrap();
    for action in [Action::KeySign, Action::KeyCreate, Action::KeyImport, Action::KeyExport] {
        for (key, owner) in [("key:tuf/online", Surface::Tuf), ("key:appliance/x", Surface::Appliance)] {
            let denial = native(&["admin"], action, key).ask(&policy).unwrap_err();
            assert_eq!(denial, Denial::OwnedBy(owner));
        }
        let through =
            |judged| Case { judged, surface: Surface::Tuf, ..native(&[], action, "key:tuf/online") };
        assert!(through("surface:tuf").ask(&policy).is_ok());
        assert!(through("p").ask(&policy).is_err(), "a person is not the surface");
        assert!(through("surface:tags").ask(&policy).is_err());
    }
    for action in [Action::KeyRead, Action::KeyRetire, Action::KeyRevoke] {
        assert!(native(&["admin"], action, "key:tuf/online").ask(&policy).is_ok());
    }
}

#[test]
fn each_surface_uses_its_own_keys_by_the_built_in_rules() {
    let policy = Policy::builtin();
    for surface in Surface::ALL.into_iter().filter(|s| s.owns_keys()) {
        let judged = format!("surface:{surface}");
        let resource = format!("key:{surface}/a");
        let foreign = if surface == Surface::Tuf { "key:tags/a/1" } else { "key:tuf/a" };
        let format = Some(builtin_format(surface));
        let base = Case { judged: &judged, surface, format, ..native(&[], Action::KeySign, &resource) };
        assert!(base.ask(&policy).is_ok(), "{surface}");
        assert!(Case { resource: foreign, ..base }.ask(&policy).is_err(), "{surface}");
    }
    for (role, allowed) in [("admin", true), ("operator", true), ("appliance", true), ("signer", false)] {
        let roles = [role];
        let person = Case {
            surface: Surface::Appliance,
            format: Some(Format::RawUnprefixed),
            ..native(&roles, Action::KeySign, "key:appliance/rsa/1")
        };
        assert_eq!(person.ask(&policy).is_ok(), allowed, "{role}");
    }
}

fn builtin_format(surface: Surface) -> Format {
    match surface {
        Surface::Appliance => Format::RawUnprefixed,
        Surface::Tuf => Format::Tuf,
        Surface::Tags => Format::Tag,
        Surface::Attestations => Format::Attestation,
        Surface::Log => Format::Checkpoint,
        _ => Format::ContentSignature,
    }
}

#[test]
fn a_token_narrows_and_never_widens() {
    let policy = Policy::builtin();
    let narrowing = |actions: &str, resources: &str| Narrowing {
        actions: Some(vec![actions.into()]),
        resources: Some(vec![resources.into()]),
    };
    let ask = |role: &str, action: Action, narrowing: &Narrowing| {
        policy.permit(&Ask {
            caller: &"p".parse().unwrap(),
            judged: &"p".parse().unwrap(),
            roles: &[role.parse().unwrap()],
            narrowing: Some(narrowing),
            surface: Surface::Native,
            action,
            resource: &"key:k".parse().unwrap(),
            format: None,
            scheme: None,
        })
    };
    assert!(ask("admin", Action::KeyRead, &narrowing("key:read", "key:*")).is_ok());
    let denial = ask("admin", Action::KeySign, &narrowing("key:read", "*")).unwrap_err();
    assert_eq!(denial, Denial::Narrowed);
    assert_eq!(ask("admin", Action::KeyRead, &narrowing("*", "key:x")).unwrap_err(), Denial::Narrowed);
    assert_eq!(ask("reader", Action::KeySign, &narrowing("*", "*")).unwrap_err(), Denial::NoRule);
}

#[test]
fn unsound_rules_are_refused_with_a_reason() {
    let base = r#"{"id":"a","effect":"allow","principals":["p"],"actions":["key:sign"],"resources":["*"]}"#;
    let twice = Policy::new(vec![rule(base), rule(base)]).unwrap_err();
    assert!(twice.why.contains("twice"));
    for (from, to, why) in [
        ("key:sign", "key:fly", "matches no action"),
        ("[\"p\"]", "[]", "empty"),
        ("[\"*\"]", "[\"\"]", "empty"),
        ("}", ",\"formats\":[\"png\"]}", "no format"),
        ("}", ",\"schemes\":[\"md5\"]}", "no scheme"),
    ] {
        let error = Policy::new(vec![rule(&base.replace(from, to))]).unwrap_err();
        assert!(error.why.contains(why), "{error}");
    }
}

#[test]
fn the_hash_names_the_rules() {
    assert_eq!(Policy::builtin().hash(), Policy::builtin().hash());
    assert_ne!(Policy::builtin().hash(), Policy::new(vec![]).unwrap().hash());
}
