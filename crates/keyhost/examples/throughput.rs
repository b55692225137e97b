//! Signatures a second of the key host alone, log durable: `cargo run --release --features client
//! --example throughput`. Builds on the `key-host` binary of the same profile.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example prints")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use countersign_keyhost::client::{Home, KeyHost, Launch, PATIENCE, SignJob};
use countersign_keyhost::seal::SealSource;
use countersign_keyhost::wire::{Check, Hello, KeySpec, VERSION, Welcome};
use countersign_model::policy::{Ask, Permit, Policy};
use countersign_model::{Action, Format, KeyType, Resource, Surface, ToSign};

struct Fresh;

#[async_trait]
impl Home for Fresh {
    async fn hello(&self) -> Result<Hello, String> {
        let origin = "node-bench".parse().unwrap();
        Ok(Hello { version: VERSION, origin, data_keys: vec![], known_head: None, passphrase: None })
    }
    async fn welcomed(&self, _: &Welcome) -> Result<(), String> {
        Ok(())
    }
}

fn permit(action: Action, name: &str, key_type: Option<KeyType>) -> Permit {
    let admin = "admin".parse().unwrap();
    let ask = Ask {
        caller: &admin,
        judged: &admin,
        roles: &["admin".parse().unwrap()],
        narrowing: None,
        surface: Surface::Native,
        action,
        resource: &Resource::key(&name.parse().unwrap()),
        format: key_type.map(|_| Format::Raw),
        scheme: key_type.map(KeyType::default_scheme),
    };
    Policy::builtin().permit(&ask).unwrap()
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["host", "log"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../key-host");
    let launch = Launch {
        program,
        data: dir.path().to_owned(),
        seal: SealSource::File,
        workers: 2,
        patience: PATIENCE,
    };
    let host = KeyHost::start(launch, Arc::new(Fresh)).await.unwrap();
    for key_type in [KeyType::P256, KeyType::P384, KeyType::Ed25519, KeyType::Rsa(2048)] {
        let name = format!("bench-{key_type}");
        let spec = KeySpec { name: name.parse().unwrap(), exportable: false, formats: None };
        let create = permit(Action::KeyCreate, &name, None);
        let key = host.generate(&create, &"r".parse().unwrap(), spec, key_type).await.unwrap();
        let scheme = key_type.default_scheme();
        let blob: Arc<[u8]> = key.blob.into();
        let sign = Arc::new(permit(Action::KeySign, &name, Some(key_type)));
        for callers in [1, 8, 32] {
            let count = Arc::new(AtomicU64::new(0));
            let started = Instant::now();
            let tasks: Vec<_> = (0..callers)
                .map(|_| {
                    let (host, sign, count, blob) = (host.clone(), sign.clone(), count.clone(), blob.clone());
                    tokio::spawn(async move {
                        while started.elapsed() < Duration::from_secs(2) {
                            let job = SignJob {
                                blob: blob.clone(),
                                format: Format::Raw,
                                scheme,
                                to_sign: ToSign::of_message(scheme, b"message"),
                                input: None,
                                subject: None,
                                request_id: "r".parse().unwrap(),
                                check: Check::Rsa,
                            };
                            host.sign(&sign, job).await.unwrap();
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let rate = count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
            println!("{key_type:10} {callers:3} callers {rate:9.0}/s");
        }
    }
    host.stop().await;
}
