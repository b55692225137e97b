//! The peer, on this machine in this minute: a Kinto that keeps all in memory, with its history, since ours has one.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::place::{self, PLAIN};
use super::report::{Kinto, Rate};
use super::{Asked, Options, Place, progress};
use crate::load::{self, Pace, Plan, Stop};
use crate::report::BUSY;

/// Starts it and measures; nothing where none is installed.
pub fn measure(options: &Options<'_>) -> anyhow::Result<Option<Kinto>> {
    if !options.kinto.exists() {
        progress(&format!("left out the peer: no {}", options.kinto.display()));
        return Ok(None);
    }
    let peer = Peer::start(options)?;
    peer.ask("PUT", &format!("/v1/buckets/{}", PLAIN.bucket), "")?;
    peer.ask("PUT", &format!("/v1{}", PLAIN.path()), "")?;
    let put = |number| request("PUT", &format!("/v1{}", PLAIN.record(number)), &place::body(number));
    let puts: Vec<_> = (0..1_000).map(put).collect();
    let batch = |items| -> Vec<_> {
        let bodies = Place { collection: "c", ..PLAIN }.batches(2_000, items);
        bodies.iter().map(|body| request("POST", "/v1/batch", body)).collect()
    };
    let rates = vec![
        peer.rate(options, &puts, "put", 1, BUSY)?,
        peer.rate(options, &batch(25), "batch of 25", 25, 8)?,
        peer.rate(options, &batch(200), "batch of 200", 200, 8)?,
    ];
    Ok(Some(Kinto { rates }))
}

struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    fn start(options: &Options<'_>) -> anyhow::Result<Self> {
        progress("the peer starts");
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = options.scratch.join("kinto.ini");
        fs::write(&configuration, CONFIG.replace("PORT", &address.port().to_string()))?;
        let log = fs::File::create(options.scratch.join("kinto.log"))?;
        let child = Command::new(options.kinto)
            .args(["start", "--ini"])
            .arg(&configuration)
            .args(["--port", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", options.kinto.display()))?;
        let mut peer = Self { child, address };
        let begun = Instant::now();
        while !matches!(load::exchange(address, &request("GET", "/v1/__lbheartbeat__", "")), Ok((200, _))) {
            ensure!(
                peer.child.try_wait()?.is_none(),
                "the peer ended; its log is in {}",
                options.scratch.display()
            );
            ensure!(begun.elapsed() < Duration::from_secs(60), "the peer does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<()> {
        let (status, answer) = load::exchange(self.address, &request(method, path, body))?;
        ensure!(matches!(status, 200 | 201), "{status}: {}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    fn rate(
        &self,
        options: &Options<'_>,
        requests: &[Vec<u8>],
        what: &'static str,
        items: usize,
        connections: usize,
    ) -> anyhow::Result<Rate> {
        progress(&format!("the peer: {what}"));
        let stop = Stop::After(Duration::from_secs_f64(options.seconds));
        let plan = Plan { requests, connections, stop, pace: Pace::Closed };
        let outcome = load::run(self.address, &plan)?.all_good()?;
        Ok(Rate::of(&Asked { what, items, connections, wanted: None, published: None }, &outcome, None))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It keeps nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// By a user whom nobody needs to know.
fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    const BENCH: &str = "Authorization: Basic YmVuY2g6YmVuY2g=";
    load::request_with(method, path, BENCH, "application/json", body.as_bytes())
}

const CONFIG: &str = "[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = bench
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated
kinto.includes = kinto.plugins.history
kinto.batch_max_requests = 200

[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = PORT
threads = 4
connection_limit = 200
";
