//! Chains of the keys that sign collections: made, believed by others' readers, renewed before they end.

use std::path::Path;
use std::process::Command;

use countersign_core::collections::signer::refresh;
use countersign_core::collections::{Settings, chain};
use countersign_core::{Context, startup};
use countersign_pki::chain::Chain;
use countersign_pki::extension::Purpose;
use countersign_verify::collection::{ExpectedName, Trust, check_chain};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, beside, house, on_both, settings, verify};
use crate::support::{House, options};

const RECORD: &str = "/buckets/source/collections/c/records/r";
const PUBLISHED: &str = "/buckets/destination/collections/c";

fn days(days: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * days)
}

/// A collection with a record, signed.
async fn publish(site: &Site) -> Value {
    let source = site.make("source").await;
    site.put(&site.admin(), RECORD, json!({"a": 1})).await;
    site.status(&site.admin(), &source, "to-sign").await.unwrap();
    site.changeset(PUBLISHED, None).await
}

fn x5u(changeset: &Value) -> String {
    changeset["metadata"]["signature"]["x5u"].as_str().unwrap().to_owned()
}

/// What is at an `x5u`.
async fn fetch(ctx: &Context, x5u: &str) -> String {
    let name = x5u.rsplit('/').next().unwrap().strip_suffix(".pem").unwrap();
    let pem = chain::pem(ctx, name).await.unwrap().unwrap();
    assert_eq!(hex::encode(countersign_model::digest::sha256(pem.as_bytes())), name);
    pem
}

async fn trust(ctx: &Context, host: &str) -> Trust {
    let root = chain::root(ctx).await.unwrap().unwrap();
    let root = Chain::from_pem(&root).unwrap().root_hash();
    let name = Some(ExpectedName::Exactly(host.into()));
    Trust { root_hashes: vec![root], name, ..Trust::default() }
}

fn openssl(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Reads the three certificates on its standard input, and believes nothing of them.
const READER: &str = r#"
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
leaf, intermediate, root = x509.load_pem_x509_certificates(open(sys.argv[1], "rb").read())
now = datetime.datetime.now(datetime.timezone.utc)
for certificate, issuer in [(leaf, intermediate), (intermediate, root), (root, root)]:
    certificate.verify_directly_issued_by(issuer)
    assert certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
    assert isinstance(certificate.public_key().curve, ec.SECP384R1)
extension = lambda c, kind: c.extensions.get_extension_for_class(kind).value
code_signing = x509.oid.ExtendedKeyUsageOID.CODE_SIGNING
assert list(extension(leaf, x509.ExtendedKeyUsage)) == [code_signing]
assert list(extension(intermediate, x509.ExtendedKeyUsage)) == [code_signing]
assert not extension(leaf, x509.BasicConstraints).ca
assert extension(intermediate, x509.BasicConstraints).path_length == 0
assert extension(root, x509.BasicConstraints).ca
names = extension(leaf, x509.SubjectAlternativeName).get_values_for_type(x509.DNSName)
assert names == ["main.content-signature.countersign.local"], names
lasts = leaf.not_valid_after_utc - leaf.not_valid_before_utc
assert lasts == datetime.timedelta(days=31), lasts
"#;

#[tokio::test]
async fn a_published_collection_is_believed_by_readers_who_have_the_root_pinned() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let changeset = publish(&site).await;
        let bundle = &changeset["metadata"]["signature"];
        assert_eq!(bundle["type"], "contentsignaturepki");
        assert!(x5u(&changeset).starts_with("http://127.0.0.1:8080/chains/"), "{bundle}");
        let pem = fetch(&house.ctx, &x5u(&changeset)).await;
        let trust = trust(&house.ctx, "main.content-signature.countersign.local").await;
        check_chain(&pem, &trust, Timestamp::now()).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let parts: Vec<&str> = pem.split_inclusive("-----END CERTIFICATE-----\n").collect();
        assert_eq!(parts.len(), 3);
        for (name, text) in
            [("leaf", parts[0]), ("intermediate", parts[1]), ("root", parts[2]), ("all", &pem)]
        {
            write(name, text);
        }
        let how = ["verify", "-x509_strict", "-purpose", "any"];
        let certificates = ["-CAfile", "root", "-untrusted", "intermediate", "leaf"];
        assert_eq!(openssl(dir.path(), &[&how[..], &certificates].concat()), "leaf: OK\n");
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-venv/bin/python");
        let mut python = Command::new(python);
        python.args(["-W", "ignore", "-c", READER, "all"]).current_dir(dir.path());
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let key = openssl(dir.path(), &["x509", "-in", "leaf", "-noout", "-pubkey"]);
        assert!(verify(&changeset, &key), "the leaf's key signed the records");
        house.end().await;
    }
}

#[tokio::test]
async fn a_leaf_is_renewed_when_half_its_time_is_over_and_what_names_the_old_chain_is_signed_again() {
    for house in on_both(settings()).await {
        let (site, ctx) = (Site::of(&house), &house.ctx);
        let before = publish(&site).await;
        assert_eq!(chain::renew(ctx, days(14)).await.unwrap(), 0, "more than half is left");
        assert!(refresh::due(ctx).await.unwrap().is_empty());

        assert_eq!(chain::renew(ctx, days(16)).await.unwrap(), 1);
        assert_eq!(refresh::due(ctx).await.unwrap().len(), 1);
        refresh::run(ctx).await.unwrap();
        let after = site.changeset(PUBLISHED, None).await;
        assert_ne!(x5u(&after), x5u(&before));
        assert_eq!(after["timestamp"], before["timestamp"], "the records are as they were");
        assert!(refresh::due(ctx).await.unwrap().is_empty());

        let trust = trust(ctx, "main.content-signature.countersign.local").await;
        check_chain(&fetch(ctx, &x5u(&after)).await, &trust, days(45)).unwrap();
        check_chain(&fetch(ctx, &x5u(&before)).await, &trust, days(29)).unwrap();
        house.end().await;
    }
}

#[tokio::test]
async fn the_intermediate_is_certified_again_with_a_year_left_and_nothing_outlives_the_root() {
    let house = house(None, settings()).await;
    let ctx = &house.ctx;
    let ends = |element: &str| {
        let found = chain::in_use(ctx).into_iter().find(|one| one.element == element).unwrap();
        found.not_after
    };
    let (intermediate, root) = (ends("intermediate"), ends("root"));
    chain::renew(ctx, days(360)).await.unwrap();
    assert_eq!(ends("intermediate"), intermediate);
    chain::renew(ctx, days(400)).await.unwrap();
    assert!(ends("intermediate") > intermediate);
    chain::renew(ctx, days(3640)).await.unwrap();
    assert_eq!((ends("root"), ends("intermediate"), ends("leaf")), (root, root, root));
    let trust = trust(ctx, "main.content-signature.countersign.local").await;
    let x5u = chain::x5u_of(ctx, &"collections/main".parse().unwrap()).unwrap();
    check_chain(&fetch(ctx, &x5u).await, &trust, days(3641)).unwrap();
    house.end().await;
}

#[tokio::test]
async fn of_several_nodes_one_makes_a_chain_and_all_use_it() {
    let [sqlite, house] = on_both(settings()).await;
    sqlite.end().await;
    let dir = tempfile::tempdir().unwrap();
    let other = beside(&house, dir.path(), settings()).await;
    let key = "collections/main".parse().unwrap();
    assert_eq!(chain::x5u_of(&other, &key), chain::x5u_of(&house.ctx, &key), "the first start made it");

    let at = days(16);
    let (one, two) = tokio::join!(chain::renew(&house.ctx, at), chain::renew(&other, at));
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    for ctx in [&house.ctx, &other] {
        assert_eq!(chain::renew(ctx, at).await.unwrap(), 0);
    }
    assert_eq!(chain::x5u_of(&other, &key), chain::x5u_of(&house.ctx, &key));
    other.shutdown().await;
    house.end().await;
}

#[tokio::test]
async fn a_native_key_that_is_named_gets_a_chain_once_it_is_there() {
    let named = Settings { chain_keys: vec!["remote-settings".parse().unwrap()], ..Settings::default() };
    let house = house(None, named).await;
    let (ctx, key) = (&house.ctx, "remote-settings".parse().unwrap());
    assert_eq!(chain::renew(ctx, Timestamp::now()).await.unwrap(), 0, "there is no such key");
    house.key("remote-settings", "p384").await;
    assert_eq!(chain::renew(ctx, Timestamp::now()).await.unwrap(), 1);
    let x5u = chain::x5u_of(ctx, &key).unwrap();
    let chain = Chain::from_pem(&fetch(ctx, &x5u).await).unwrap();
    chain.verify(Purpose::CodeSigning, Timestamp::now()).unwrap();
    let names: Vec<String> = chain.leaf().alt_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["dns:remote-settings.content-signature.countersign.local"]);
    house.end().await;
}

#[tokio::test]
async fn nobody_gets_a_certificate_for_the_name_of_a_key_that_signs_collections() {
    for named in ["main", "collections/main", "appliance/x"] {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), None);
        options.collections = Settings { chain_keys: vec![named.parse().unwrap()], ..settings() };
        let error = startup::open(options).await.err().unwrap().to_string();
        assert!(error.contains("`collections.chain_keys`"), "{named}: {error}");
    }
}

#[tokio::test]
async fn without_chains_there_are_none_and_no_keys_for_them() {
    let house: House = house(None, Settings { chains: false, ..settings() }).await;
    let changeset = publish(&Site::of(&house)).await;
    assert_eq!(x5u(&changeset), "");
    assert_eq!(changeset["metadata"]["signature"]["type"], "contentsignature");
    assert!(chain::root(&house.ctx).await.unwrap().is_none() && chain::in_use(&house.ctx).is_empty());
    assert!(house.ctx.store().content_authorities().await.unwrap().is_empty());
    house.end().await;
}
