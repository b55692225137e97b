//! `countersign tuf` against a real server: a ceremony of two, artifacts, clients who believe the root alone.

mod roles;
mod signers;
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::server::Engine;
use serde_json::Value;

use crate::collection::{Desk, Said};

fn openssl(directory: &Path, words: &str) {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(directory).output().unwrap();
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Keys of two people, of other kinds, and one that nobody knows.
fn keys(desk: &Desk) {
    let directory = desk.directory.path();
    openssl(directory, "genpkey -algorithm ed25519 -out ana.pem");
    openssl(directory, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out bo.pem");
    openssl(directory, "genpkey -algorithm RSA -out cy.pem");
    openssl(directory, "pkey -in bo.pem -pubout -out bo.pub");
    openssl(directory, "pkey -in cy.pem -pubout -out cy.pub");
}

/// A repository that two must sign, with one signature.
fn begun(desk: &Desk) -> Said {
    keys(desk);
    desk.admin("tuf init -o plan.json --root-key ana=ana.pem --root-key bo=bo.pub --threshold 2 --bins 4")
        .good();
    desk.admin("tuf ceremony --file plan.json --key ana.pem --yes")
}

/// A repository in force, and its root in `root.json`.
fn in_force(desk: &Desk) {
    begun(desk).good();
    desk.admin("tuf sign --key bo.pem --yes").good();
    let exported = desk.path("first");
    desk.admin(&format!("tuf export {}", exported.display())).good();
    fs::copy(exported.join("metadata/1.root.json"), desk.path("root.json")).unwrap();
}

fn metadata(desk: &Desk) -> String {
    format!("{}/metadata", desk.server.url)
}

fn download(desk: &Desk, place: &str, path: &str, more: &str) -> Said {
    desk.anybody(
        &format!("tuf download {place} {path} --root root.json --to out --metadata-dir seen {more} --json")
            .replace("  ", " "),
    )
}

async fn on_each_engine(test: impl AsyncFn(Desk)) {
    for engine in Engine::ALL {
        test(Desk::on(engine).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_make_a_repository_and_a_client_downloads_from_it() {
    on_each_engine(async |desk| {
        let none = desk.admin("tuf status --json").json();
        assert_eq!(none["state"], "none");
        let first = begun(&desk).good();
        assert!(first.contains("1 of 2"), "{first}");
        let waiting = desk.admin("tuf status").good();
        assert!(waiting.contains("bo (ecdsa-sha2-nistp256"), "{waiting}");
        desk.admin("tuf export early").is(1, "not published a root yet");
        desk.admin("tuf sign --key cy.pem --yes").is(1, "not a key that may sign");
        desk.admin("tuf sign --key bo.pem --yes").good();
        assert_eq!(desk.admin("tuf status --json").json()["state"], "finished");
        let exported = desk.path("first");
        desk.admin(&format!("tuf export {}", exported.display())).good();
        fs::copy(exported.join("metadata/1.root.json"), desk.path("root.json")).unwrap();

        desk.write("app.tar.gz", "the program");
        desk.admin("tuf publish app.tar.gz --path-prefix app").good();
        let place = metadata(&desk);
        let got = download(&desk, &place, "app/app.tar.gz", "");
        assert_eq!(got.json()["downloaded"], true);
        got.good();
        assert_eq!(fs::read(desk.path("out")).unwrap(), b"the program");
        assert_eq!(download(&desk, &place, "app/app.tar.gz", "").json()["downloaded"], false);
        let verified = desk.anybody(&format!("tuf verify {place} --root root.json --targets --json"));
        assert_eq!(verified.json()["files_checked"], 1);
        verified.good();

        desk.admin("tuf remove app/app.tar.gz").good();
        desk.admin("tuf remove app/app.tar.gz").is(1, "");
        download(&desk, &place, "app/app.tar.gz", "").is(1, "no target");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_changed_overridden_stopped_and_rotated() {
    let desk = Desk::on(Engine::Sqlite).await;
    in_force(&desk);
    desk.admin("tuf root edit --add-key cy=cy.pub --key ana.pem --yes").good();
    let shown = desk.admin("tuf sign --key bo.pem").error;
    assert!(shown.contains("root: + cy (rsassa-pss-sha256"), "{shown}");
    desk.admin("tuf root edit --days 5 --key ana.pem --yes").is(1, "already in a signing process");
    desk.admin("tuf root edit --override --threshold 1 --key ana.pem --yes").good();
    desk.admin("tuf stop --key bo.pem --yes").good();
    desk.admin("tuf stop --yes").is(1, "nothing waits");
    desk.admin("tuf root edit --add-key cy=cy.pub --key ana.pem --key bo.pem --yes").good();
    desk.admin("tuf root rotate second --key cy.pem --key bo.pem --yes").good();
    let shown = desk.admin("tuf root show").good();
    assert!(shown.contains("root version 3") && shown.contains("second (ed25519"), "{shown}");
    desk.admin("tuf online").good();
    desk.anybody(&format!("tuf verify {} --root root.json", metadata(&desk))).good();
}

#[tokio::test(flavor = "multi_thread")]
async fn ceremonies_and_signatures_can_be_made_far_from_any_network() {
    let desk = Desk::on(Engine::Sqlite).await;
    keys(&desk);
    let online = desk.admin("tuf keys list --json").good();
    desk.write("online.json", online);
    desk.admin("tuf init -o plan.json --root-key ana=ana.pem --root-key bo=bo.pub --threshold 2 --bins 2")
        .good();
    let far = "tuf ceremony --file plan.json --online-keys online.json --key ana.pem --out first.json --yes";
    desk.admin(far).good();
    desk.admin("tuf ceremony --submit first.json").good();
    desk.admin("tuf sign --save pending.json").good();
    desk.admin("tuf sign --from pending.json --key bo.pem --out signature.json --yes").good();
    desk.admin("tuf sign --submit signature.json").good();
    assert_eq!(desk.admin("tuf status --json").json()["state"], "finished");
}

/// A copy of the repository that somebody changes.
fn exported(desk: &Desk, name: &str) -> PathBuf {
    desk.admin(&format!("tuf export {name} --targets")).good();
    desk.path(name)
}

fn attack(said: Said, name: &str) {
    assert_eq!(said.code, 1, "{}{}", said.out, said.error);
    assert_eq!(said.json()["attack"], name, "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_what_was_changed_and_says_what_it_may_be() {
    let desk = Desk::on(Engine::Sqlite).await;
    in_force(&desk);
    desk.write("a.bin", "one");
    desk.admin("tuf publish a.bin").good();
    let old = exported(&desk, "old");
    desk.write("b.bin", "two");
    desk.admin("tuf publish b.bin").good();
    let copy = exported(&desk, "copy");
    let place = copy.display().to_string();
    download(&desk, &place, "a.bin", "").good();

    attack(download(&desk, &old.display().to_string(), "a.bin", ""), "rollback");
    attack(download(&desk, &place, "a.bin", "--now 2999-01-01T00:00:00Z"), "freeze");
    // A mirror that lies is passed over for one that does not.
    let mirrored = format!("--mirror {place}");
    download(&desk, &old.display().to_string(), "a.bin", &mirrored).good();

    let target = fs::read_dir(copy.join("targets")).unwrap().map(|entry| entry.unwrap().path());
    let target = target.into_iter().find(|path| path.to_str().unwrap().ends_with(".b.bin")).unwrap();
    fs::write(&target, "six").unwrap();
    attack(download(&desk, &place, "b.bin", ""), "arbitrary-software");
    fs::write(&target, "two and more").unwrap();
    attack(download(&desk, &place, "b.bin", ""), "arbitrary-software");
    let verified = desk.anybody(&format!("tuf verify {place} --root root.json --targets --json"));
    attack(verified, "arbitrary-software");
    // Exporting again puts it right, and nothing else is fetched.
    let again = desk.admin("tuf export copy --targets --json").json();
    assert_eq!((&again["files_written"], &again["targets_fetched"]), (&0.into(), &1.into()));

    let timestamp = copy.join("metadata/timestamp.json");
    let good = fs::read_to_string(&timestamp).unwrap();
    fs::write(&timestamp, good.replace("\"version\":", "\"x\":1,\"version\":")).unwrap();
    attack(download(&desk, &place, "b.bin", ""), "wrong-signatures");
    fs::write(&timestamp, "{").unwrap();
    attack(download(&desk, &place, "b.bin", ""), "malformed-metadata");
    fs::write(&timestamp, vec![b' '; 20_000]).unwrap();
    attack(download(&desk, &place, "b.bin", ""), "endless-data");
    fs::remove_file(&timestamp).unwrap();
    download(&desk, &place, "b.bin", "").is(2, "missing");
    fs::write(&timestamp, good).unwrap();
    let snapshots = fs::read_dir(copy.join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    for snapshot in snapshots.filter(|path| path.to_str().unwrap().ends_with(".snapshot.json")) {
        fs::copy(newest(&old, "snapshot"), snapshot).unwrap();
    }
    let fresh = desk.anybody(&format!("tuf verify {place} --root root.json --json"));
    attack(fresh, "mix-and-match");
}

fn newest(directory: &Path, role: &str) -> PathBuf {
    let files = fs::read_dir(directory.join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    let end = format!(".{role}.json");
    let version = |path: &PathBuf| -> u64 {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('.').next().unwrap().parse().unwrap_or(0)
    };
    files.filter(|path| path.to_str().unwrap().ends_with(&end)).max_by_key(version).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_too_slow_is_given_up() {
    let desk = Desk::on(Engine::Sqlite).await;
    in_force(&desk);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            });
        }
    });
    let slow = format!("http://{address}/metadata");
    let said = download(&desk, &slow, "a", "--idle-timeout 1 --least-rate 1000");
    assert_eq!(said.code, 2, "{}{}", said.out, said.error);
    assert_eq!(said.json()["attack"], "slow-retrieval");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guided_ceremony_asks_until_it_knows_enough() {
    use std::io::Write as _;
    use std::process::Stdio;
    let desk = Desk::on(Engine::Sqlite).await;
    keys(&desk);
    let answers = "ana\nana.pem\n\n\n\n\n\n\nbins\n2\n\nana.pem\nyes\n";
    let mut command =
        crate::server::countersign(&["--data", desk.server.data().to_str().unwrap(), "tuf", "ceremony"]);
    command.current_dir(&desk.directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let status: Value = desk.admin("tuf status --json").json();
    assert_eq!(status["state"], "finished");
}
