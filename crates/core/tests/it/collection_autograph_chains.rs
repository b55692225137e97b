//! When the chains end that an Autograph names, which `openssl` made here.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign_core::Context;
use countersign_core::collections::settings::Pins;
use countersign_core::collections::signer::heartbeat;
use countersign_core::collections::{autograph, chain};
use countersign_model::pem;
use countersign_pki::chain::Chain;
use jiff::Timestamp;
use serde_json::json;

use crate::collection_autograph::{Peer, open};
use crate::collection_signing_site::Site;
use crate::support::{Database, House};

const SOURCE: &str = "/buckets/source/collections/c";
const PUBLISHED: &str = "/buckets/destination/collections/c";
const OLD: &str = "https://chains.test/old.pem";
const NEW: &str = "https://chains.test/new.pem";

fn openssl(dir: &Path, args: &str) -> String {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A root.
fn authority() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    openssl(
        dir.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout root.key -subj /CN=root -days 3650 \
         -addext keyUsage=critical,keyCertSign -out root.pem",
    );
    dir
}

/// A chain of the stand-in's key that lasts so many days, and its end.
fn certify(authority: &Path, peer: &Peer, days: u32) -> (String, Timestamp) {
    std::fs::write(authority.join("key.pem"), pem::encode("PUBLIC KEY", peer.public().spki())).unwrap();
    let extensions = "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n";
    std::fs::write(authority.join("extensions"), extensions).unwrap();
    openssl(
        authority,
        &format!(
            "x509 -new -force_pubkey key.pem -subj /CN=leaf -CA root.pem -CAkey root.key -days {days} \
             -extfile extensions -out leaf.pem"
        ),
    );
    let read = |name: &str| std::fs::read_to_string(authority.join(name)).unwrap();
    (read("leaf.pem") + &read("root.pem"), end_of(authority, "leaf.pem"))
}

/// `notAfter=2026-12-11 21:59:03Z`
fn end_of(dir: &Path, name: &str) -> Timestamp {
    let text = openssl(dir, &format!("x509 -in {name} -noout -enddate -dateopt iso_8601"));
    text.trim().strip_prefix("notAfter=").unwrap().parse().unwrap()
}

/// What is told of Autographs: whose, which, and when it ends.
fn told(ctx: &Context) -> Vec<(String, &'static str, Timestamp)> {
    let all = chain::in_use(ctx).into_iter().map(|one| (one.key.to_string(), one.element, one.not_after));
    all.filter(|(key, ..)| key.starts_with("autograph:")).collect()
}

fn of_both_keys(leaf: Timestamp, root: Timestamp) -> Vec<(String, &'static str, Timestamp)> {
    let of =
        |id: &str| [(format!("autograph:{id}"), "leaf", leaf), (format!("autograph:{id}"), "root", root)];
    [of("one"), of("two")].concat()
}

#[tokio::test]
async fn the_chains_that_an_autograph_uses_and_those_that_are_still_published_are_told_with_their_ends() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let (authority, peer) = (authority(), Peer::new());
        let (old, old_end) = certify(authority.path(), &peer, 20);
        let root_end = end_of(authority.path(), "root.pem");
        *peer.chain.lock().unwrap() = Some((OLD, Some(old.clone())));
        let dir = tempfile::tempdir().unwrap();
        let ctx = open(dir.path(), database.as_ref(), &peer, Pins::default()).await;
        assert!(told(&ctx).is_empty());
        autograph::look(&ctx).await.unwrap();
        assert_eq!(told(&ctx), of_both_keys(old_end, root_end), "before anything was signed");
        let asked = peer.asked().len();
        autograph::look(&ctx).await.unwrap();
        assert_eq!(peer.asked().len(), asked, "that is known");

        let house = House { dir, ctx, database };
        let site = Site::of(&house);
        site.make("source").await;
        assert_eq!(site.get(PUBLISHED).await["signature"]["x5u"], OLD);

        // The service has a new chain, and this server is started again.
        let (new, new_end) = certify(authority.path(), &peer, 40);
        *peer.chain.lock().unwrap() = Some((NEW, Some(new)));
        peer.places.lock().unwrap().insert(OLD.into(), old);
        drop(site);
        let House { dir, ctx, database } = house;
        ctx.shutdown().await;
        let ctx = open(dir.path(), database.as_ref(), &peer, Pins::default()).await;
        let house = House { dir, ctx, database };
        let (site, ctx) = (Site::of(&house), &house.ctx);
        heartbeat(ctx).await.unwrap();
        assert_eq!(told(ctx), of_both_keys(new_end, root_end));
        autograph::look(ctx).await.unwrap();
        assert_eq!(told(ctx), of_both_keys(old_end, root_end), "readers need the old one");

        // It cannot be fetched for a while.
        peer.places.lock().unwrap().insert(OLD.into(), "trouble".into());
        autograph::look(ctx).await.unwrap();
        assert_eq!(told(ctx), of_both_keys(old_end, root_end), "what was known stays");

        site.status(&site.admin(), SOURCE, "to-resign").await.unwrap();
        assert_eq!(site.get(PUBLISHED).await["signature"]["x5u"], NEW);
        autograph::look(ctx).await.unwrap();
        assert_eq!(told(ctx), of_both_keys(new_end, root_end));
        house.end().await;
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_where_somebody_says_that_a_chain_is() {
    let (authority, peer) = (authority(), Peer::new());
    let (pem, end) = certify(authority.path(), &peer, 20);
    *peer.chain.lock().unwrap() = Some((OLD, Some(pem)));
    let dir = tempfile::tempdir().unwrap();
    let ctx = open(dir.path(), None, &peer, Pins::default()).await;
    let house = House { dir, ctx, database: None };
    let site = Site::of(&house);
    site.make("source").await;
    let mut signatures = site.get(PUBLISHED).await["signatures"].clone();
    signatures[0]["x5u"] = json!("https://inside.test/delete-everything");
    signatures[1]["x5u"] = json!(NEW);
    site.patch(&site.admin(), PUBLISHED, json!({ "signatures": signatures })).await.unwrap();
    peer.fetched.lock().unwrap().clear();
    autograph::look(&house.ctx).await.unwrap();
    let mut fetched = peer.fetched.lock().unwrap().clone();
    fetched.sort();
    assert_eq!(fetched, [NEW, OLD], "OLD is named by `signature`");
    assert_eq!(told(&house.ctx), of_both_keys(end, end_of(authority.path(), "root.pem")));
    house.end().await;
}

#[tokio::test]
async fn a_chain_that_has_ended_is_told_though_nothing_is_signed_with_it_and_one_that_is_not_believed_is_not()
{
    let (authority, peer) = (authority(), Peer::new());
    let (pem, end) = certify(authority.path(), &peer, 0);
    *peer.chain.lock().unwrap() = Some((OLD, Some(pem.clone())));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let pinned = Chain::from_pem(&pem).unwrap().root_hash();
    for (root, believed) in [(pinned, true), ([7; 32], false)] {
        let dir = tempfile::tempdir().unwrap();
        let ctx = open(dir.path(), None, &peer, Pins { roots: vec![root], ..Pins::default() }).await;
        assert!(heartbeat(&ctx).await.is_err());
        autograph::look(&ctx).await.unwrap();
        let expected = of_both_keys(end, end_of(authority.path(), "root.pem"));
        // The second key is not looked at when the first is refused.
        assert_eq!(told(&ctx), if believed { &expected[..2] } else { &[] });
        ctx.shutdown().await;
    }
}
