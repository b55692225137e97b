//! A disk that is full or that fails: signing stops with a typed answer, reading goes on.

use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::server::{Answer, Engine, TestServer};
use serde_json::{Value, json};

use super::super::native::{PROGRAM, b64, make_key};
use super::stranger::Log;

async fn sign(server: &TestServer, message: &str) -> Answer {
    server.post("/keys/k/sign", &json!({"message": b64(message.as_bytes())})).await.unwrap()
}

/// A server with a key and a signature, whose key host then meets `failpoint` from its next write on.
async fn failing(engine: Engine, failpoint: &str) -> (TestServer, Value) {
    let mut server = TestServer::start(PROGRAM, engine).await.unwrap();
    make_key(&server, "k", "p256").await;
    let signed = sign(&server, "before").await;
    assert_eq!(signed.status, 200, "{}", signed.problem());
    server.stop().await.unwrap();
    server.set_env("COUNTERSIGN_FAILPOINTS", failpoint);
    server.run().await.unwrap();
    (server, signed.json())
}

/// Why the server says that it is not ready; null if it does not.
async fn reasons(server: &TestServer) -> Value {
    let answer = server.send(server.anonymous("GET", "/readyz")).await.unwrap();
    let document = answer.json();
    assert_eq!(
        (answer.status == 200, &document["ready"]),
        (document["reasons"].is_null(), &json!(answer.status == 200))
    );
    document["reasons"].clone()
}

/// Everything that needs no new entry is answered as ever.
async fn reading_goes_on(server: &TestServer, signed: &Value) {
    assert_eq!(server.get("/keys").await.unwrap().json()["keys"][0]["name"], "k");
    assert_eq!(server.send(server.anonymous("GET", "/countersign/v1/keys/k.pem")).await.unwrap().status, 200);
    let question = json!({
        "key": "k", "scheme": signed["scheme"], "message": b64(b"before"), "signature": signed["signature"],
    });
    assert_eq!(server.post("/verify", &question).await.unwrap().json()["valid"], true);
    let (origin, index) = (signed["log"]["origin"].as_str().unwrap(), &signed["log"]["index"]);
    let entry = server.get(&format!("/log/{origin}/{index}")).await.unwrap();
    assert_eq!((entry.status, &entry.json()["entry"]["request_id"]), (200, &signed["request_id"]));
    assert_eq!(server.get("/policy").await.unwrap().status, 200);
}

/// All that would write an entry is refused, and has no effect.
async fn nothing_is_signed(server: &TestServer, status: u16, code: &str) {
    let size = Log::read(server).await.head.size;
    let refused = |answer: Answer, what: &str| {
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{what}");
        assert_eq!(answer.header("retry-after").is_empty(), status != 503, "{what}");
        assert!(answer.json()["hint"].is_string(), "{what}");
    };
    refused(sign(server, "now").await, "sign");
    refused(server.post("/keys", &json!({"name": "new", "type": "p256"})).await.unwrap(), "create");
    refused(server.post("/keys/k/revoke", &json!({"reason": "x"})).await.unwrap(), "revoke");
    refused(server.post("/principals", &json!({"name": "ana", "roles": []})).await.unwrap(), "principal");
    refused(server.post("/principals/admin/tokens", &json!({})).await.unwrap(), "token");
    let batch = json!({"items": [{"key": "k", "message": ""}, {"key": "nosuch", "message": ""}]});
    let batch = server.post("/sign", &batch).await.unwrap().json();
    assert_eq!(batch["results"][0]["error"]["type"], format!("urn:countersign:problem:{code}"));
    assert_eq!(batch["results"][1]["error"]["type"], "urn:countersign:problem:unknown-key");
    assert_eq!(server.get("/keys/new").await.unwrap().status, 404);
    assert_eq!(server.get("/principals/ana").await.unwrap().status, 404);
    assert_eq!(server.get("/keys/k").await.unwrap().json()["state"], "active");
    assert_eq!(Log::read(server).await.head.size, size, "nothing is in the log of what was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_answers_507_and_nothing_is_signed() {
    for engine in Engine::ALL {
        let (mut server, signed) = failing(engine, "journal-write=full@1").await;
        assert_eq!(reasons(&server).await, json!(null), "nobody has tried yet");
        nothing_is_signed(&server, 507, "storage-full").await;
        assert_eq!(reasons(&server).await, json!(["the signing log cannot grow: the disk is full"]));
        reading_goes_on(&server, &signed).await;
        server.stop().await.unwrap();
        server.set_env("COUNTERSIGN_FAILPOINTS", "");
        server.run().await.unwrap();
        assert_eq!(sign(&server, "after").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_or_sync_answers_503_until_a_restart() {
    for engine in Engine::ALL {
        for failpoint in ["journal-write=fail@1", "journal-sync=fail@1"] {
            let (mut server, signed) = failing(engine, failpoint).await;
            nothing_is_signed(&server, 503, "log-unavailable").await;
            let why = reasons(&server).await[0].as_str().unwrap_or_default().to_owned();
            assert!(why.starts_with("the signing log cannot be written: "), "{why}");
            reading_goes_on(&server, &signed).await;
            server.stop().await.unwrap();
            server.set_env("COUNTERSIGN_FAILPOINTS", "");
            server.run().await.unwrap();
            let after = sign(&server, "after").await.json();
            let log = Log::read(&server).await;
            let entry = &log.entries[after["log"]["index"].as_u64().unwrap() as usize];
            assert_eq!(entry.request_id.as_str(), after["request_id"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_that_cannot_be_written_are_written_later() {
    for engine in Engine::ALL {
        for (failpoint, status, code) in
            // The first two are those of the checkpoint at the start.
            [
                ("tile-write=full@3", 507, "storage-full"),
                ("tile-write=fail@3", 503, "log-unavailable"),
            ]
        {
            let (mut server, _) = failing(engine, failpoint).await;
            let mut tries = 0;
            let (signed, refused) = loop {
                // The journal takes the entry, so the signature is released; its proof has to wait.
                let signed = sign(&server, "now").await;
                assert_eq!(signed.status, 200, "{}", signed.problem());
                let signed = signed.json();
                let origin = signed["log"]["origin"].as_str().unwrap();
                let checkpoint = server.anonymous("GET", &format!("/log/{origin}/checkpoint"));
                let checkpoint = server.send(checkpoint.bearer_auth(&server.token)).await.unwrap();
                tries += 1;
                if checkpoint.status != 200 || tries == 3 {
                    break (signed, checkpoint);
                }
            };
            assert_eq!((refused.status, refused.problem().as_str()), (status, code));
            server.kill().unwrap();
            server.set_env("COUNTERSIGN_FAILPOINTS", "");
            server.run().await.unwrap();
            let log = Log::read(&server).await;
            let entry = &log.entries[signed["log"]["index"].as_u64().unwrap() as usize];
            assert_eq!(entry.request_id.as_str(), signed["request_id"]);
        }
    }
}

/// A small file system, mounted until this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Puts one of 2 MiB in place of a directory, with the same content. `Err` where that is not permitted.
    fn over(directory: &Path) -> Result<Self, String> {
        let aside = directory.with_extension("aside");
        std::fs::rename(directory, &aside).unwrap();
        std::fs::create_dir(directory).unwrap();
        let mounted = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs"])
            .arg(directory));
        if let Err(why) = mounted {
            std::fs::remove_dir(directory).unwrap();
            std::fs::rename(&aside, directory).unwrap();
            return Err(why);
        }
        let disk = Self(directory.to_owned());
        run(Command::new("cp").arg("-a").arg(aside.join(".")).arg(directory)).unwrap();
        Ok(disk)
    }

    /// Takes all the room there is.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_goes_on_by_itself_when_a_full_disk_has_room_again() {
    for engine in Engine::ALL {
        let mut server = TestServer::start(PROGRAM, engine).await.unwrap();
        make_key(&server, "k", "p256").await;
        server.stop().await.unwrap();
        let disk = match SmallDisk::over(&server.data().join("log")) {
            Ok(disk) => disk,
            Err(why) => return println!("skipped: a small disk cannot be mounted here: {why}"),
        };
        server.run().await.unwrap();
        let signed = sign(&server, "before").await.json();
        // A checkpoint now, so that reading needs no more room.
        let before = Log::read(&server).await.head.size;
        disk.fill();

        // The file that grows may have some bytes left in its last block.
        let mut told = 0;
        let refused = loop {
            let answer = sign(&server, "more").await;
            if answer.status != 200 {
                break answer;
            }
            told += 1;
            assert!(told < 1000, "the disk does not fill");
        };
        assert_eq!((refused.status, refused.problem().as_str()), (507, "storage-full"));
        reading_goes_on(&server, &signed).await;

        assert_eq!(reasons(&server).await, json!(["the signing log cannot grow: the disk is full"]));
        disk.make_room();
        // It finds out without a request, which a node that is not ready would not be sent.
        for _ in 0..100 {
            if reasons(&server).await.is_null() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(reasons(&server).await, json!(null));
        let after = sign(&server, "after").await;
        assert_eq!(after.status, 200, "{}", after.problem());
        let log = Log::read(&server).await;
        assert_eq!(log.head.size, before + told + 1, "what was refused is not in the log");
        let restarted = {
            server.kill().unwrap();
            server.run().await.unwrap();
            Log::read(&server).await
        };
        assert_eq!(restarted.head, log.head);
        server.stop().await.unwrap();
    }
}
