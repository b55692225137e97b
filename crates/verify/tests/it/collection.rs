//! Collections that Python and OpenSSL signed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign_model::PublicKey;
use countersign_model::digest::sha256;
use countersign_pki::chain::ChainError;
use countersign_pki::x509::Certificate;
use countersign_records::collections::content_signature::ContentSignatureError;
use countersign_verify::collection::{
    BundleFailure, Changeset, CollectionError, ExpectedName, LocalCopy, Profile, Trust, Verdict, verify,
};
use jiff::Timestamp;

const X5U: &str = "https://x5u.example.org/chain.pem";
const NAME: &str = "books.content-signature.example.org";

fn file(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/content-signatures");
    std::fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

fn root() -> Certificate {
    Certificate::from_pem(&text("root.pem")).unwrap()
}

fn by_root() -> Trust {
    Trust { root_hashes: vec![sha256(root().der())], ..Trust::default() }
}

fn by_key(name: &str) -> Trust {
    Trust { keys: vec![PublicKey::from_pem(&text(name)).unwrap()], ..Trust::default() }
}

fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

/// A reader: a copy, and the changeset that it was brought up with.
struct Reader {
    copy: LocalCopy,
    last: Changeset,
    chain: String,
}

impl Reader {
    fn of(names: &[&str]) -> Self {
        let mut copy = LocalCopy::new();
        let changesets = names.iter().map(|name| Changeset::parse(&file(name)).unwrap());
        let all: Vec<_> = changesets.inspect(|changeset| copy.apply(changeset.clone()).unwrap()).collect();
        Self { copy, last: all.into_iter().next_back().unwrap(), chain: text("chains/good.pem") }
    }

    fn under(self, chain: &str) -> Self {
        Self { chain: text(&format!("chains/{chain}.pem")), ..self }
    }

    fn verify(&self, trust: &Trust) -> Result<Verdict, CollectionError> {
        let chains = BTreeMap::from([(X5U.to_owned(), self.chain.clone())]);
        verify(&self.last.bundles().unwrap(), &self.copy, &chains, trust, now())
    }

    #[track_caller]
    fn refused(&self, trust: &Trust) -> Vec<BundleFailure> {
        match self.verify(trust) {
            Err(CollectionError::NoneGood { failures }) => failures,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_collection_verifies_under_a_pinned_root_by_any_of_its_signatures() {
    let reader = Reader::of(&["full.json"]);
    assert_eq!(reader.copy.message(Profile::Modern).unwrap(), file("full.message"));
    for trust in [by_root(), Trust { roots: vec![root()], ..Trust::default() }] {
        let verdict = reader.verify(&trust).unwrap();
        assert_eq!((verdict.bundle, verdict.profile), (1, Profile::Modern));
        assert_eq!(verdict.key, PublicKey::from_pem(&text("leaf.pub")).unwrap().id());
        assert_eq!(verdict.names, [NAME]);
        assert_eq!(verdict.chain.len(), 3);
        assert_eq!(verdict.chain[0].subject, "/O=Example/CN=leaf");
        assert_eq!(verdict.expires(), Some("2056-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(verdict.failures, [BundleFailure::Signature(ContentSignatureError::Invalid)]);
    }
}

#[test]
fn a_root_at_hand_completes_a_chain_and_a_hash_does_not() {
    let reader = Reader::of(&["full.json"]).under("without-root");
    assert!(reader.verify(&Trust { roots: vec![root()], ..Trust::default() }).is_ok());
    let failures = reader.refused(&by_root());
    assert!(matches!(failures.last(), Some(BundleFailure::Root { .. })), "{failures:?}");
}

#[test]
fn a_copy_that_follows_the_changes_verifies_and_one_that_missed_some_does_not() {
    assert!(Reader::of(&["full.json", "diff.json"]).verify(&by_root()).is_ok());
    let failures = Reader::of(&["diff.json"]).refused(&by_root());
    assert_eq!(failures, [BundleFailure::Signature(ContentSignatureError::Invalid)]);
}

#[test]
fn what_openssl_signs_under_a_chain_of_its_own_verifies() {
    let reader = Reader::of(&["openssl.json"]).under("openssl");
    let chain = countersign_pki::chain::Chain::from_pem(&reader.chain).unwrap();
    let trust = Trust { root_hashes: vec![chain.root_hash()], ..Trust::default() };
    assert_eq!(reader.verify(&trust).unwrap().chain[1].subject, "/CN=openssl");
    assert!(matches!(reader.refused(&by_root())[..], [BundleFailure::Root { .. }]));
}

#[test]
fn without_a_chain_a_key_at_hand_is_needed() {
    for curve in ["p256", "p384", "p521"] {
        let reader = Reader::of(&[&format!("empty-{curve}.json")]);
        let key = format!("empty-{curve}.pub");
        let verdict = reader.verify(&by_key(&key)).unwrap();
        assert_eq!((verdict.chain.len(), verdict.expires()), (0, None));
        assert_eq!(reader.refused(&by_root()), [BundleFailure::NoKey]);
        let both = Trust { keys: by_key(&key).keys, ..by_root() };
        assert!(reader.verify(&both).is_ok());
        let other = if curve == "p256" { "empty-p384.pub" } else { "empty-p256.pub" };
        let failures = reader.refused(&by_key(other));
        assert!(
            matches!(failures[..], [BundleFailure::Signature(ContentSignatureError::Key { .. })]),
            "{failures:?}"
        );
    }
    // A key at hand is enough where no root is asked for; where one is, the chain is not passed over.
    assert!(Reader::of(&["full.json"]).verify(&by_key("leaf.pub")).is_ok());
    let stranger = Trust { root_hashes: vec![[0; 32]], ..by_key("leaf.pub") };
    let failures = Reader::of(&["full.json"]).refused(&stranger);
    assert!(matches!(failures[..], [BundleFailure::Root { .. }, BundleFailure::Root { .. }]), "{failures:?}");
}

#[test]
fn a_collection_of_2016_verifies_by_its_key() {
    let reader = Reader::of(&["seed.json"]);
    assert_eq!(reader.copy.message(Profile::Seed).unwrap(), file("seed.message"));
    assert_eq!(reader.verify(&by_key("leaf.pub")).unwrap().profile, Profile::Seed);
}

#[test]
fn the_leaf_has_the_expected_name() {
    let reader = Reader::of(&["full.json"]);
    let named = |name: &str| Trust { name: Some(ExpectedName::of(name)), ..by_root() };
    for name in [NAME, "Books.Content-Signature.example.org", "books"] {
        assert!(reader.verify(&named(name)).is_ok(), "{name}");
    }
    for name in ["content-signature.example.org", "book", "books.content-signature", "s"] {
        let failures = reader.refused(&named(name));
        let wanted = BundleFailure::Name { names: vec![NAME.to_owned()] };
        assert_eq!(failures, [wanted.clone(), wanted], "{name}");
    }
}

#[test]
fn a_chain_that_is_not_good_is_not_believed() {
    let full = || Reader::of(&["full.json"]);
    for hazard in
        ["leaf-expired", "middle-expired", "too-deep", "leaf-for-servers", "another-key-of-the-name"]
    {
        let failures = full().under(hazard).refused(&by_root());
        assert!(failures.iter().all(|failure| matches!(failure, BundleFailure::Chain(_))), "{hazard}");
    }
    let other = Reader { chain: "-----BEGIN".into(), ..full() };
    assert!(matches!(other.refused(&by_root())[0], BundleFailure::Chain(ChainError::Pem(_))));

    let bundles = full().last.bundles().unwrap();
    let without = verify(&bundles, &full().copy, &BTreeMap::new(), &by_root(), now());
    let Err(CollectionError::NoneGood { failures }) = without else { panic!() };
    assert_eq!(failures[0], BundleFailure::NoChain { x5u: X5U.into() });
    assert!(matches!(
        verify(&[], &full().copy, &BTreeMap::new(), &by_root(), now()),
        Err(CollectionError::Unsigned)
    ));
}
