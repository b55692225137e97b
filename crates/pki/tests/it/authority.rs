//! Certificates issued by an authority of ours.

use countersign_model::KeyType;
use countersign_pki::ca::{self, CaError, Leaf, NameRule, Role, Rules};
use countersign_pki::csr::{self, Csr};
use countersign_pki::extension::{AltName, Purpose};
use countersign_pki::subject::Subject;
use countersign_pki::x509::{Certificate, Validity, X509Error};

use crate::support::{TestKey, forty_years, now, serial, time};
use crate::tools::Bench;

fn root_of(key: &TestKey) -> Certificate {
    let subject = "/CN=root".parse().unwrap();
    let (to_sign, pending) =
        ca::prepare_root(&subject, &key.public(), serial(), forty_years(), None).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

/// Issues `role` to `key` and panics if it is not allowed.
fn issue(issuer: (&TestKey, &Certificate), key: &TestKey, role: Role, names: &[&str]) -> Certificate {
    try_issue(issuer, key, role, names).unwrap()
}

fn try_issue(
    (issuer_key, issuer): (&TestKey, &Certificate),
    key: &TestKey,
    role: Role,
    names: &[&str],
) -> Result<Certificate, CaError> {
    let subject: Subject = "/O=Example/CN=issued".parse().unwrap();
    let names: Vec<AltName> = names.iter().map(|name| name.parse().unwrap()).collect();
    let leaf = Leaf {
        subject: &subject,
        key: &key.public(),
        serial: serial(),
        validity: Validity::days(time("2026-01-01T00:00:00Z"), 365).unwrap(),
        role,
        purposes: if role == Role::End { &[Purpose::CodeSigning] } else { &[] },
        alt_names: &names,
    };
    let (to_sign, pending) = ca::prepare(issuer, &leaf)?;
    let signature = issuer_key.sign(pending.scheme(), &to_sign);
    Ok(pending.finish(signature)?)
}

#[test]
fn openssl_verifies_a_chain_with_an_authority_between() {
    let (root_key, middle_key, end_key) =
        (TestKey::of("pk"), TestKey::ecdsa(KeyType::P384), TestKey::ecdsa(KeyType::P256));
    let root = root_of(&root_key);
    let middle = issue((&root_key, &root), &middle_key, Role::Authority { path_length: Some(0) }, &[]);
    let end = issue((&middle_key, &middle), &end_key, Role::End, &["dns:a.example.org"]);

    let bench = Bench::new(&[
        ("root.pem", root.to_pem().as_bytes()),
        ("middle.pem", middle.to_pem().as_bytes()),
        ("end.pem", end.to_pem().as_bytes()),
    ]);
    let at = now().as_second();
    let chain = format!("openssl verify -x509_strict -attime {at} -CAfile root.pem -untrusted middle.pem");
    bench.run(&format!("{chain} -verify_hostname a.example.org end.pem"));
    assert!(!bench.agrees(&format!("{chain} -verify_hostname b.example.org end.pem")));
    let text = bench.run("openssl x509 -in end.pem -noout -text");
    for part in ["CA:FALSE", "Digital Signature", "Code Signing", "DNS:a.example.org"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    assert_eq!(ca::verify(&end, &middle, now()), Ok(()));
    assert_eq!(ca::verify(&end, &middle, time("2027-06-01T00:00:00Z")), Err(CaError::Validity));
    assert_eq!(ca::verify(&end, &root, now()), Err(X509Error::NotSignedBy.into()));
}

#[test]
fn an_issuer_does_not_go_beyond_its_own_certificate() {
    let (root_key, key) = (TestKey::of("pk"), TestKey::of("kek"));
    let root = root_of(&root_key);
    let middle = issue((&root_key, &root), &key, Role::Authority { path_length: Some(1) }, &[]);
    let authority = |path_length| Role::Authority { path_length };
    for (role, allowed) in
        [(Role::End, true), (authority(Some(0)), true), (authority(None), true), (authority(Some(1)), false)]
    {
        let issued = try_issue((&key, &middle), &TestKey::of("db"), role, &[]);
        assert_eq!(issued.is_ok(), allowed, "{role:?}: {issued:?}");
    }
    let last = issue((&root_key, &root), &key, authority(Some(0)), &[]);
    let below = try_issue((&key, &last), &TestKey::of("db"), authority(None), &[]);
    assert_eq!(below, Err(CaError::PathLength));

    let end = issue((&root_key, &root), &key, Role::End, &[]);
    assert_eq!(try_issue((&key, &end), &key, Role::End, &[]), Err(CaError::NotAnAuthority));
}

#[test]
fn a_certificate_does_not_outlive_its_issuer() {
    let key = TestKey::of("pk");
    let root = root_of(&key);
    let subject = "/CN=a".parse().unwrap();
    let leaf = |validity| Leaf {
        subject: &subject,
        key: root.public_key(),
        serial: serial(),
        validity,
        role: Role::End,
        purposes: &[],
        alt_names: &[],
    };
    let before = Validity::days(time("2019-12-31T00:00:00Z"), 10).unwrap();
    let after = Validity::days(time("2059-12-30T00:00:00Z"), 10).unwrap();
    for validity in [before, after] {
        assert_eq!(ca::prepare(&root, &leaf(validity)).unwrap_err(), CaError::Validity);
    }
}

#[test]
fn a_certificate_has_some_name() {
    let key = TestKey::of("pk");
    let root = root_of(&key);
    let names = ["dns:a.example.org".parse().unwrap()];
    let mut leaf = Leaf {
        subject: &"/".parse().unwrap(),
        key: root.public_key(),
        serial: serial(),
        validity: Validity::days(time("2026-01-01T00:00:00Z"), 365).unwrap(),
        role: Role::End,
        purposes: &[],
        alt_names: &[],
    };
    assert_eq!(ca::prepare(&root, &leaf).unwrap_err(), CaError::Nameless);
    leaf.alt_names = &names;
    let (to_sign, pending) = ca::prepare(&root, &leaf).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    let certificate = pending.finish(signature).unwrap();
    let bench =
        Bench::new(&[("root.pem", root.to_pem().as_bytes()), ("end.pem", certificate.to_pem().as_bytes())]);
    let text = bench.run("openssl x509 -in end.pem -noout -text");
    assert!(text.contains("X509v3 Subject Alternative Name: critical"), "{text}");
    bench.run(&format!("openssl verify -x509_strict -attime {} -CAfile root.pem end.pem", now().as_second()));
}

fn request(names: &[&str]) -> Csr {
    let key = TestKey::of("db");
    let names: Vec<AltName> = names.iter().map(|name| name.parse().unwrap()).collect();
    let (to_sign, pending) = csr::prepare(&"/CN=a".parse().unwrap(), &key.public(), &names).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

/// What `openssl req` makes with these extensions.
fn openssl_request(extensions: &[&str]) -> Csr {
    let bench = Bench::new(&[]);
    let key = crate::support::fixture_path("keys/db.pem");
    let extensions: String = extensions.iter().map(|line| format!(" -addext {line}")).collect();
    bench.run(&format!("openssl req -new -key {} -subj /CN=a -out r.pem{extensions}", key.display()));
    Csr::from_pem(&String::from_utf8(bench.get("r.pem")).unwrap()).unwrap()
}

#[test]
fn rules_grant_what_they_name_and_nothing_else() {
    let rules = Rules {
        max_days: 30,
        names: vec![NameRule::Below("example.org".into())],
        purposes: vec![Purpose::ServerAuth],
    };
    let days = |days| Validity::days(now(), days).unwrap();
    let check = |request: &Csr| rules.check(request, days(30));
    let refused = |name: &str| Err(CaError::AltName { name: name.parse().unwrap() });

    assert_eq!(check(&request(&[])), Ok(()));
    assert_eq!(check(&request(&["dns:a.example.org"])), Ok(()));
    assert_eq!(check(&request(&["dns:a.example.org", "dns:example.net"])), refused("dns:example.net"));
    assert_eq!(check(&request(&["ip:192.0.2.1"])), refused("ip:192.0.2.1"));
    assert_eq!(rules.check(&request(&[]), days(31)), Err(CaError::TooLong { max_days: 30 }));

    assert_eq!(check(&openssl_request(&["extendedKeyUsage=serverAuth"])), Ok(()));
    assert_eq!(
        check(&openssl_request(&["extendedKeyUsage=serverAuth,codeSigning"])),
        Err(CaError::Purpose { purpose: Purpose::CodeSigning })
    );
    for wants in ["basicConstraints=CA:TRUE", "keyUsage=keyCertSign"] {
        assert_eq!(check(&openssl_request(&[wants])), Err(CaError::WantsAuthority), "{wants}");
    }
    assert_eq!(check(&openssl_request(&["subjectAltName=RID:1.2.3"])), Err(CaError::OtherName));
}
