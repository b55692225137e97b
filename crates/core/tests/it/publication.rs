use std::time::{Duration, Instant};

use countersign_core::publication::{self, Halt};
use countersign_core::startup::{self, StartError};
use countersign_core::{Code, Context, keys, log};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::proof::{verify_consistency, verify_inclusion};
use countersign_tlog::tile::{BundleId, TileId, parse_bundle};
use countersign_tlog::tree::Tree;

use crate::support::{Database, House, options, refused};

const PATIENCE: Duration = Duration::from_secs(20);

fn leaf(number: u64) -> Vec<u8> {
    format!("{{\"n\":{number}}}").into_bytes()
}

/// Publishes entries as a write does, the next `count`.
async fn write(ctx: &Context, count: u64) -> u64 {
    let next = ctx.store().publication_size().await.unwrap();
    let leaves: Vec<_> = (next..next + count).map(leaf).collect();
    let first = ctx.store().publish_leaves(&leaves).await.unwrap();
    publication::wake(ctx);
    first
}

/// Writes, and waits until a checkpoint covers it.
async fn publish(ctx: &Context, count: u64) -> Head {
    let first = write(ctx, count).await;
    assert!(publication::wait(ctx, first + count - 1, PATIENCE).await, "{:?}", publication::halt(ctx));
    head(ctx).await
}

async fn head(ctx: &Context) -> Head {
    let key: VerifierKey = publication::verifier_key(ctx).await.unwrap().parse().unwrap();
    let note = publication::checkpoint(ctx).await.unwrap();
    Checkpoint::open(&SignedNote::parse(note.as_bytes()).unwrap(), &key).unwrap().head
}

/// The head that the first `size` entries must have.
fn expected(size: u64) -> Head {
    let mut tree = Tree::new();
    for number in 0..size {
        let _ = tree.append(Hash::leaf(&leaf(number)));
    }
    tree.head()
}

/// Why nothing is published, once that is so.
async fn halted(ctx: &Context) -> Halt {
    let start = Instant::now();
    loop {
        if let Some(halt) = publication::halt(ctx) {
            return halt;
        }
        assert!(start.elapsed() < PATIENCE, "it did not stop");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn files(house: &House) -> std::path::PathBuf {
    house.dir.path().join("files")
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_covered_by_a_signed_checkpoint_whose_proofs_verify() {
    for house in House::on_both().await {
        let ctx = &house.ctx;
        let old = publish(ctx, 3).await;
        let new = publish(ctx, 600).await;
        assert_eq!((old, new), (expected(3), expected(603)));

        for index in [0, 2, 255, 256, 602] {
            let proof = publication::inclusion(ctx, index, None).await.unwrap();
            verify_inclusion(Hash::leaf(&leaf(index)), index, &new, &proof.hashes).unwrap();
        }
        let proof = publication::inclusion(ctx, 1, Some(3)).await.unwrap();
        verify_inclusion(Hash::leaf(&leaf(1)), 1, &old, &proof.hashes).unwrap();
        let proof = publication::consistency(ctx, 3, None).await.unwrap();
        verify_consistency(&old, &new, &proof.hashes).unwrap();

        // A narrow tile is served though only the full one is kept.
        let narrow = publication::tile(ctx, TileId::new(0, 0, 3).unwrap()).await.unwrap();
        assert_eq!(narrow.len(), 96);
        let bundle = publication::bundle(ctx, BundleId::new(2, 91).unwrap()).await.unwrap();
        assert_eq!(parse_bundle(&bundle, 91).unwrap()[90], leaf(602));
        let found = publication::entries(ctx, 600, 10_000).await.unwrap();
        assert_eq!(found.entries, [leaf(600), leaf(601), leaf(602)]);
        assert_eq!(publication::entries(ctx, 0, 0).await.unwrap().entries.len(), 1);
        assert!(publication::entries(ctx, 603, 603).await.unwrap().entries.is_empty());

        refused(publication::tile(ctx, TileId::new(0, 2, 92).unwrap()).await, Code::NotFound);
        refused(publication::bundle(ctx, BundleId::new(3, 1).unwrap()).await, Code::NotFound);
        refused(publication::inclusion(ctx, 603, None).await, Code::InvalidRequest);
        refused(publication::inclusion(ctx, 0, Some(604)).await, Code::InvalidRequest);
        refused(publication::consistency(ctx, 604, None).await, Code::InvalidRequest);
        refused(publication::entries(ctx, 604, 604).await, Code::InvalidRequest);
        refused(publication::entries(ctx, 5, 4).await, Code::InvalidRequest);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_log_has_no_key_and_begins_when_it_is_asked_for() {
    for house in House::on_both().await {
        let ctx = &house.ctx;
        let name = "log/publication".parse().unwrap();
        refused(keys::get(ctx, &house.owner(), &name), Code::UnknownKey);
        assert_eq!(head(ctx).await, Head::empty());
        let key = keys::get(ctx, &house.owner(), &name).unwrap();
        assert_eq!(key.formats.unwrap()[0].as_str(), "checkpoint");
        let vkey = publication::verifier_key(ctx).await.unwrap();
        assert!(vkey.starts_with("publication-") && !key.exportable);

        let house = house.again().await;
        assert_eq!(publication::verifier_key(&house.ctx).await.unwrap(), vkey, "kept");
        let logs = log::heads(&house.ctx, &house.owner()).await.unwrap().logs;
        assert_eq!(logs.len(), 1, "the list is of the signing logs");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_at_least_a_second_apart_and_each_is_in_the_signing_log() {
    let house = House::new(None).await;
    let ctx = &house.ctx;
    publish(ctx, 1).await;
    let before = log::heads(ctx, &house.owner()).await.unwrap().logs[0].size;
    let start = Instant::now();
    for _ in 0..20 {
        write(ctx, 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(publication::wait(ctx, 20, PATIENCE).await);
    let after = log::heads(ctx, &house.owner()).await.unwrap().logs[0].size;
    let seconds = start.elapsed().as_secs() + 1;
    assert!(after > before && after - before <= seconds, "{} checkpoints in {seconds} s", after - before);

    let last = log::entry(ctx, &house.owner(), ctx.node(), after - 1).await.unwrap().entry;
    let origin = ctx.store().meta_get("publication-origin").await.unwrap().unwrap();
    let origin = String::from_utf8(origin).unwrap();
    assert_eq!(last.subject, Some(format!("{origin} 21")));
    assert_eq!(last.key.unwrap().as_str(), "log/publication");
    assert_eq!(last.principal.as_str(), "surface:log");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_entry_is_shown_by_its_hash_and_every_proof_stays() {
    for house in House::on_both().await {
        let ctx = &house.ctx;
        let head = publish(ctx, 5).await;
        assert!(ctx.store().mask_publication_entry(2).await.unwrap());
        let hash = Hash::leaf(&leaf(2));
        let shown = format!("masked:{hash}").into_bytes();
        assert_eq!(publication::entries(ctx, 2, 2).await.unwrap().entries, std::slice::from_ref(&shown));
        let bundle = publication::bundle(ctx, BundleId::new(0, 5).unwrap()).await.unwrap();
        assert_eq!(parse_bundle(&bundle, 5).unwrap()[2], shown);
        let tile = publication::tile(ctx, TileId::new(0, 0, 5).unwrap()).await.unwrap();
        assert_eq!(&tile[64..96], hash.as_bytes(), "readers take the hash from the tile");
        let proof = publication::inclusion(ctx, 2, None).await.unwrap();
        verify_inclusion(hash, 2, &head, &proof.hashes).unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_wherever_the_last_publication_was_cut_short() {
    for house in House::on_both().await {
        publish(&house.ctx, 300).await;
        let (dir, saved) = (files(&house), tempfile::tempdir().unwrap());
        copy(&dir, saved.path());
        publish(&house.ctx, 300).await;
        let House { dir: data, ctx, database } = house;
        ctx.shutdown().await;
        let origin = std::fs::read_dir(dir.join("log")).unwrap().next().unwrap().unwrap().file_name();
        let old = saved.path().join("files/log").join(&origin);
        let place = dir.join("log").join(&origin);

        // Cut short before the checkpoint was shown: the files have the one before.
        std::fs::copy(old.join("checkpoint"), place.join("checkpoint")).unwrap();
        let ctx = startup::open(options(data.path(), database.as_ref())).await.unwrap();
        let house = House { dir: data, ctx, database };
        assert_eq!(publish(&house.ctx, 1).await, expected(601));
        let House { dir: data, ctx, database } = house;
        ctx.shutdown().await;

        // Older files, and none at all: both are made again.
        std::fs::remove_dir_all(&dir).unwrap();
        copy(&saved.path().join("files"), data.path());
        let ctx = startup::open(options(data.path(), database.as_ref())).await.unwrap();
        let house = House { dir: data, ctx, database };
        assert_eq!(publish(&house.ctx, 1).await, expected(602));
        let House { dir: data, ctx, database } = house;
        ctx.shutdown().await;

        std::fs::remove_dir_all(&dir).unwrap();
        let ctx = startup::open(options(data.path(), database.as_ref())).await.unwrap();
        let house = House { dir: data, ctx, database };
        let head = publish(&house.ctx, 1).await;
        assert_eq!(head, expected(603));
        for index in [0, 299, 602] {
            let proof = publication::inclusion(&house.ctx, index, None).await.unwrap();
            verify_inclusion(Hash::leaf(&leaf(index)), index, &head, &proof.hashes).unwrap();
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_older_than_what_was_published_stops_the_log_and_readyz_says_so() {
    let house = House::new(None).await;
    publish(&house.ctx, 5).await;
    let House { dir, ctx, database } = house;
    ctx.shutdown().await;
    let saved = tempfile::tempdir().unwrap();
    copy(&dir.path().join("db"), saved.path());
    let ctx = startup::open(options(dir.path(), None)).await.unwrap();
    publish(&ctx, 5).await;
    ctx.shutdown().await;

    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    copy(&saved.path().join("db"), dir.path());
    let ctx = startup::open(options(dir.path(), None)).await.unwrap();
    let house = House { dir, ctx, database };
    assert_eq!(halted(&house.ctx).await, Halt::RolledBack { published: 10, known: 5 });
    assert!(house.ctx.not_ready().await.iter().any(|reason| reason.contains("publication log")));
    refused(publication::check(&house.ctx), Code::LogUnavailable);

    // What is written now is not published: under the same name there would be two histories.
    write(&house.ctx, 6).await;
    assert!(!publication::wait(&house.ctx, 0, Duration::from_secs(2)).await);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_file_that_was_changed_stops_the_log() {
    let house = House::new(None).await;
    publish(&house.ctx, 5).await;
    let place = std::fs::read_dir(files(&house).join("log")).unwrap().next().unwrap().unwrap().path();
    let House { dir, ctx, database } = house;
    ctx.shutdown().await;
    // The tile that the next checkpoint needs is there with other hashes.
    std::fs::write(place.join("tile/0/000.p/6"), [7; 192]).unwrap();
    let ctx = startup::open(options(dir.path(), None)).await.unwrap();
    let house = House { dir, ctx, database };
    write(&house.ctx, 1).await;
    assert!(matches!(halted(&house.ctx).await, Halt::Differs { .. }));
    std::fs::remove_file(place.join("tile/0/000.p/6")).unwrap();
    assert!(publication::wait(&house.ctx, 5, PATIENCE).await, "it goes on when the file is gone");
    while publication::halt(&house.ctx).is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let checkpoint = place.join("checkpoint");
    let text = std::fs::read_to_string(&checkpoint).unwrap();
    let House { dir, ctx, database } = house;
    ctx.shutdown().await;
    std::fs::write(&checkpoint, text.replacen("\n6\n", "\n7\n", 1)).unwrap();
    let ctx = startup::open(options(dir.path(), None)).await.unwrap();
    let house = House { dir, ctx, database };
    assert!(matches!(halted(&house.ctx).await, Halt::BadCheckpoint { .. }));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_gone_from_the_database_stop_the_log() {
    let house = House::new(None).await;
    publish(&house.ctx, 5).await;
    let House { dir, ctx, database } = house;
    ctx.shutdown().await;
    let database_file = dir.path().join("db/countersign.db");
    let sql = "update publication_state set size = 3; delete from publication_entry where number >= 3";
    let done = std::process::Command::new("python3")
        .args(["-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])"])
        .args([database_file.as_os_str(), sql.as_ref()])
        .status();
    assert!(done.unwrap().success());
    let ctx = startup::open(options(dir.path(), None)).await.unwrap();
    let house = House { dir, ctx, database };
    assert_eq!(halted(&house.ctx).await, Halt::EntriesLost { published: 5, have: 3 });
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_database_publish_one_log() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let b = crate::nodes::beside(&a).await;
    let (first, second) = (a.ctx.clone(), b.ctx.clone());
    let writers = [(first, 40u64), (second, 40)].map(|(ctx, count)| {
        tokio::spawn(async move {
            for number in 0..count {
                let leaf = format!("{{\"node\":\"{}\",\"n\":{number}}}", ctx.node()).into_bytes();
                ctx.store().publish_leaves(&[leaf]).await.unwrap();
                publication::wake(&ctx);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    });
    let mut heads: Vec<(Head, Context)> = Vec::new();
    while writers.iter().any(|writer| !writer.is_finished()) {
        for ctx in [&a.ctx, &b.ctx] {
            if publication::size(ctx) > 0 {
                heads.push((head(ctx).await, ctx.clone()));
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for house in [&a, &b] {
        assert!(publication::wait(&house.ctx, 79, PATIENCE).await, "{:?}", publication::halt(&house.ctx));
    }
    assert_eq!(
        publication::checkpoint(&a.ctx).await.unwrap(),
        publication::checkpoint(&b.ctx).await.unwrap()
    );
    assert_eq!(
        publication::verifier_key(&a.ctx).await.unwrap(),
        publication::verifier_key(&b.ctx).await.unwrap()
    );

    // Every head that anybody saw is the beginning of the last one, from the files of either node.
    let last = head(&a.ctx).await;
    let mut tree = Tree::new();
    for entry in publication::entries(&b.ctx, 0, 100).await.unwrap().entries {
        let _ = tree.append(Hash::leaf(&entry));
    }
    assert_eq!(tree.head(), last);
    for (seen, ctx) in heads {
        let proof = publication::consistency(&ctx, seen.size, None).await.unwrap();
        verify_consistency(&seen, &last, &proof.hashes).unwrap();
    }
    b.end().await;
    a.end().await;
}

/// What the files say is the newest.
fn shown(house: &House) -> u64 {
    let logs = std::fs::read_dir(files(house)).unwrap().map(|entry| entry.unwrap().path());
    let find = |dir: std::path::PathBuf| walk(&dir).into_iter().find(|path| path.ends_with("checkpoint"));
    let Some(path) = logs.filter(|path| path.is_dir()).find_map(find) else { return 0 };
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().nth(1).unwrap().parse().unwrap()
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_share_a_place_of_files_never_put_an_older_checkpoint_over_a_newer_one() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let shared = Some(countersign_core::FilesConfig::Directory(files(&a)));
    let b = crate::nodes::beside_with(&a, shared).await;
    let mut newest = 0;
    for number in 0..400u64 {
        let ctx = if number % 2 == 0 { &a.ctx } else { &b.ctx };
        ctx.store().publish_leaves(&[leaf(number)]).await.unwrap();
        publication::wake(&a.ctx);
        publication::wake(&b.ctx);
        tokio::time::sleep(Duration::from_millis(15)).await;
        for house in [&a, &b] {
            assert_eq!(publication::halt(&house.ctx), None);
        }
        let size = shown(&a);
        assert!(size >= newest, "{size} after {newest}");
        newest = size;
    }
    assert!(newest > 0);
    for house in [&b, &a] {
        assert!(publication::wait(&house.ctx, 399, PATIENCE).await, "{:?}", publication::halt(&house.ctx));
    }
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_of_files_that_cannot_be_used_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), None);
    options.files = Some(countersign_core::FilesConfig::S3("s3://".into()));
    let error = startup::open(options).await.err().unwrap();
    assert!(matches!(error, StartError::Files(_)), "{error}");
    assert!(error.hint().unwrap().contains("[storage] files"));
}
