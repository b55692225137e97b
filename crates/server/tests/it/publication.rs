use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign_core::publication;
use countersign_tlog::tile::{TileId, parse_bundle};
use serde_json::json;
use tlog_tiles::HashReader as _;

use crate::support::{Answer, House};

const LOG: &str = "/tags/log";

fn leaf(number: u64) -> String {
    format!("{{\"n\":{number}}}")
}

async fn publish(house: &House, numbers: std::ops::Range<u64>) {
    let ctx = &house.app.ctx;
    let last = numbers.end - 1;
    let leaves: Vec<_> = numbers.map(|number| leaf(number).into_bytes()).collect();
    ctx.store().publish_leaves(&leaves).await.unwrap();
    assert!(publication::wait(ctx, last, Duration::from_secs(20)).await);
}

async fn get(house: &House, path: &str) -> Answer {
    house.ask_as_nobody("GET", &format!("{LOG}/{path}")).send().await
}

/// All tiles of a log, for the other implementation.
struct Tiles(HashMap<TileId, Vec<u8>>);

impl Tiles {
    async fn fetch(house: &House, size: u64) -> Self {
        let mut tiles = HashMap::new();
        for level in 0..2u8 {
            let have = size >> (8 * level);
            for index in 0..have.div_ceil(256) {
                let id = TileId::new(level, index, (have - index * 256).min(256) as u16).unwrap();
                let answer = get(house, &id.to_string()).await;
                answer.expect(200);
                tiles.insert(id, answer.body);
            }
        }
        Self(tiles)
    }
}

impl tlog_tiles::TileReader for Tiles {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let width = u16::try_from(tile.width()).unwrap();
            self.0[&TileId::new(tile.level(), tile.level_index(), width).unwrap()].clone()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[tokio::test]
async fn another_implementation_reads_checkpoint_tiles_and_proofs() {
    let house = House::open().await;
    publish(&house, 0..3).await;
    let old = checkpoint(&house).await;
    publish(&house, 3..700).await;
    let new = checkpoint(&house).await;
    assert_eq!((old.size(), new.size()), (3, 700));

    // The reader checks every tile against the root that was signed.
    let tiles = Tiles::fetch(&house, 700).await;
    let reader = tlog_tiles::TileHashReader::new(700, *new.hash(), &tiles);
    for index in [0, 255, 256, 699] {
        let place = tlog_tiles::stored_hash_index(0, index);
        let hash = tlog_tiles::record_hash(leaf(index).as_bytes());
        assert_eq!(reader.read_hashes(&[place]).unwrap(), [hash]);

        let proof = get(&house, &format!("inclusion?index={index}&size=700")).await.expect(200);
        assert_eq!((&proof["leaf"], &proof["size"]), (&json!(index), &json!(700)));
        tlog_tiles::check_record(&hashes(&proof), 700, *new.hash(), index, hash).unwrap();
    }
    let proof = get(&house, "consistency?first=3&second=700").await.expect(200);
    tlog_tiles::check_tree(&hashes(&proof), 700, *new.hash(), 3, *old.hash()).unwrap();
    assert_eq!(get(&house, "consistency?first=3").await.expect(200), proof, "the newest, if none is named");
    house.close().await;
}

/// The checkpoint, opened by the other implementation.
async fn checkpoint(house: &House) -> tlog_tiles::Checkpoint {
    let key = get(house, "key").await;
    key.expect(200);
    let verifier = signed_note::StandardVerifier::new(key.text().trim_end()).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let answer = get(house, "checkpoint").await;
    answer.expect(200);
    let note = signed_note::Note::from_bytes(&answer.body).unwrap();
    let (verified, _) = note.verify(&known).unwrap();
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((verified.len(), verified[0].name()), (1, checkpoint.origin()));
    checkpoint
}

fn hashes(proof: &serde_json::Value) -> Vec<tlog_tiles::Hash> {
    let hash = |text: &serde_json::Value| {
        tlog_tiles::Hash(BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap())
    };
    proof["hashes"].as_array().unwrap().iter().map(hash).collect()
}

#[tokio::test]
async fn entries_are_given_as_bundles_and_in_json_and_masked_ones_by_their_hash() {
    let house = House::open().await;
    publish(&house, 0..1100).await;
    let found = get(&house, "entries?start=1&end=3").await.expect(200);
    let base64: Vec<_> = (1..=3).map(|number| BASE64_STANDARD.encode(leaf(number))).collect();
    assert_eq!(found, json!({"start": 1, "entries": base64}));
    let most = get(&house, "entries?start=0&end=999999").await.expect(200);
    assert_eq!(most["entries"].as_array().unwrap().len(), 1000);
    let end = get(&house, "entries?start=1100&end=1100").await.expect(200);
    assert_eq!(end, json!({"start": 1100, "entries": []}));

    house.app.ctx.store().mask_publication_entry(2).await.unwrap();
    let masked = format!("masked:{}", countersign_tlog::hash::Hash::leaf(leaf(2).as_bytes()));
    let found = get(&house, "entries?start=2&end=2").await.expect(200);
    assert_eq!(found["entries"], json!([BASE64_STANDARD.encode(&masked)]));
    let bundle = get(&house, "tile/entries/000").await;
    bundle.expect(200);
    let entries = parse_bundle(&bundle.body, 256).unwrap();
    assert_eq!((entries[1], entries[2]), (leaf(1).as_bytes(), masked.as_bytes()));
    house.close().await;
}

#[tokio::test]
async fn answers_say_how_long_they_last_and_what_the_client_has_is_not_sent_again() {
    let house = House::open().await;
    publish(&house, 0..300).await;
    for (path, kind, cache) in [
        ("checkpoint", "text/plain; charset=utf-8", "no-cache"),
        ("key", "text/plain; charset=utf-8", "public, max-age=300"),
        ("tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/0/001.p/9", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/entries/000", "application/octet-stream", "public, max-age=300"),
        ("entries?start=0&end=1", "application/json", "public, max-age=300"),
        ("inclusion?index=0&size=9", "application/json", "public, max-age=31536000, immutable"),
        ("inclusion?index=0", "application/json", "no-cache"),
    ] {
        let answer = get(&house, path).await;
        answer.expect(200);
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), (kind, cache), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let url = format!("{LOG}/{path}");
        let again = house.ask_as_nobody("GET", &url).header("if-none-match", answer.header("etag"));
        let again = again.send().await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}");
        let head = house.ask_as_nobody("HEAD", &url).send().await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_the_log_does_not_have_is_refused_in_the_words_of_its_clients() {
    let house = House::open().await;
    publish(&house, 0..5).await;
    for (path, status, word) in [
        ("tile/0/000.p/6", 404, "not-found"),
        ("tile/0/000", 404, "not-found"),
        ("tile/entries/001.p/1", 404, "not-found"),
        ("tile/0/x", 404, "not-found"),
        ("..%2fcheckpoint", 404, "not-found"),
        ("state", 404, "not-found"),
        ("%ff", 404, "not-found"),
        ("inclusion?index=5", 400, "bad-request"),
        ("inclusion?index=0&size=6", 400, "bad-request"),
        ("inclusion?size=5", 400, "bad-request"),
        ("inclusion?index=0&x=1", 400, "bad-request"),
        ("consistency?first=6", 400, "bad-request"),
        ("consistency?first=3&second=2", 400, "bad-request"),
        ("entries?start=6&end=6", 400, "bad-request"),
        ("entries?start=2&end=1", 400, "bad-request"),
        ("entries?start=-1&end=1", 400, "bad-request"),
        ("entries", 400, "bad-request"),
    ] {
        let answer = get(&house, path).await;
        let document = answer.expect(status);
        assert_eq!((&document["code"], &document["error"]), (&json!(status), &json!(word)), "{path}");
        assert!(!document["message"].as_str().unwrap().is_empty());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    house.close().await;
}

#[tokio::test]
async fn the_log_is_open_to_all_though_the_signing_log_is_not() {
    let house = House::open().await;
    // Nothing was published yet: there is a signed, empty log.
    let checkpoint = get(&house, "checkpoint").await;
    checkpoint.expect(200);
    assert_eq!(checkpoint.text().lines().nth(1), Some("0"));
    assert_eq!(get(&house, "entries?start=0&end=0").await.expect(200), json!({"start": 0, "entries": []}));
    let origin = checkpoint.text().lines().next().unwrap().to_owned();
    house.ask_as_nobody("GET", &format!("/log/{origin}/checkpoint")).send().await.expect(401);

    // Only the log signs with its key.
    let sign = house.ask("POST", "/countersign/v1/keys/log%2Fpublication/sign");
    sign.json(json!({"message": "eA=="})).send().await.refused(403, "not-permitted");
    house.close().await;
}
