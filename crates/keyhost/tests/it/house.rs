//! A data directory with a key host in it, and the front's memory of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_keyhost::client::{Home, KeyHost, Launch, MadeKey, SignJob, SignedRef, Status};
use countersign_keyhost::seal::SealSource;
use countersign_keyhost::wire::{
    Check, Hello, HostError, KeySpec, KnownHead, Secret, VERSION, Welcome, WrappedDataKey,
};
use countersign_model::policy::{Ask, Permit, Policy};
use countersign_model::{Action, Format, KeyName, KeyType, PrincipalName, Resource, Scheme, Surface, ToSign};

/// What a database would remember.
#[derive(Default)]
pub struct Memory {
    pub data_keys: Mutex<Vec<WrappedDataKey>>,
    pub known_head: Mutex<Option<KnownHead>>,
    pub passphrase: Mutex<Option<Secret>>,
}

#[async_trait]
impl Home for Memory {
    async fn hello(&self) -> Result<Hello, String> {
        Ok(Hello {
            version: VERSION,
            origin: "node-test".parse().unwrap(),
            data_keys: self.data_keys.lock().unwrap().clone(),
            known_head: self.known_head.lock().unwrap().clone(),
            passphrase: self.passphrase.lock().unwrap().clone(),
        })
    }

    async fn welcomed(&self, welcome: &Welcome) -> Result<(), String> {
        self.data_keys.lock().unwrap().extend(welcome.new_data_key.clone());
        Ok(())
    }
}

pub struct House {
    pub dir: tempfile::TempDir,
    pub memory: Arc<Memory>,
    pub seal: SealSource,
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["host", "log"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir, memory: Arc::default(), seal: SealSource::File }
    }

    pub async fn start(&self) -> Result<KeyHost, HostError> {
        self.start_with(&PathBuf::from(env!("CARGO_BIN_EXE_key-host"))).await
    }

    pub async fn start_with(&self, program: &Path) -> Result<KeyHost, HostError> {
        let launch = Launch {
            program: program.to_owned(),
            data: self.dir.path().to_owned(),
            seal: self.seal.clone(),
            workers: 2,
            patience: std::time::Duration::from_secs(2),
        };
        KeyHost::start(launch, Arc::clone(&self.memory) as Arc<dyn Home>).await
    }

    /// A program that is the key host with failpoints armed.
    pub fn with_failpoints(&self, failpoints: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let script = self.dir.path().join("armed.sh");
        let program = env!("CARGO_BIN_EXE_key-host");
        let text = format!("#!/bin/sh\nCOUNTERSIGN_FAILPOINTS='{failpoints}' exec {program} \"$@\"\n");
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    pub fn log_dir(&self) -> PathBuf {
        self.dir.path().join("log/node-test")
    }

    /// All entries that the journal and the tiles hold, read as a stranger would read them.
    pub async fn entries(&self, host: &KeyHost) -> Vec<Vec<u8>> {
        let head = host.checkpoint().await.unwrap();
        read_entries(&self.log_dir(), head.size)
    }
}

pub fn read_entries(log_dir: &Path, size: u64) -> Vec<Vec<u8>> {
    use countersign_tlog::tile::{BundleId, parse_bundle};
    let mut entries = Vec::new();
    while (entries.len() as u64) < size {
        let id = BundleId::holding(entries.len() as u64, size).unwrap();
        let bytes = std::fs::read(log_dir.join(id.to_string())).unwrap();
        entries.extend(parse_bundle(&bytes, id.width()).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    entries
}

pub fn permit(action: Action, key: &str, format: Option<Format>, scheme: Option<Scheme>) -> Permit {
    let caller: PrincipalName = "admin".parse().unwrap();
    let key: KeyName = key.parse().unwrap();
    let rule = r#"[{"id":"all","effect":"allow","principals":["*"],"actions":["*"],"resources":["*"]},
        {"id":"unprefixed","effect":"allow","principals":["*"],"actions":["*"],"resources":["*"],
         "formats":["raw-unprefixed"]}]"#;
    let policy = Policy::new(serde_json::from_str(rule).unwrap()).unwrap();
    let judged = key.owner().map_or(caller.clone(), PrincipalName::surface);
    policy
        .permit(&Ask {
            caller: &caller,
            judged: &judged,
            roles: &[],
            narrowing: None,
            surface: key.owner().unwrap_or(Surface::Native),
            action,
            resource: &Resource::key(&key),
            format,
            scheme,
        })
        .unwrap()
}

pub async fn make(host: &KeyHost, name: &str, key_type: KeyType) -> MadeKey {
    make_as(host, name, key_type, false, None).await
}

pub async fn make_as(
    host: &KeyHost,
    name: &str,
    key_type: KeyType,
    exportable: bool,
    formats: Option<Vec<Format>>,
) -> MadeKey {
    let spec = KeySpec { name: name.parse().unwrap(), exportable, formats };
    let permit = permit(Action::KeyCreate, name, None, None);
    host.generate(&permit, &"r-make".parse().unwrap(), spec, key_type).await.unwrap()
}

pub fn job(key: &MadeKey, scheme: Scheme, message: &[u8], request: &str) -> SignJob {
    SignJob {
        blob: key.blob.clone().into(),
        format: Format::of_native(scheme),
        scheme,
        to_sign: ToSign::of_message(scheme, message),
        input: Some(countersign_model::digest::sha256(message)),
        subject: None,
        request_id: request.parse().unwrap(),
        check: Check::Always,
    }
}

pub async fn sign(
    host: &KeyHost,
    name: &str,
    key: &MadeKey,
    message: &[u8],
    request: &str,
) -> Result<SignedRef, HostError> {
    let scheme = key.public.key_type().default_scheme();
    let permit = permit(Action::KeySign, name, Some(Format::of_native(scheme)), Some(scheme));
    host.sign(&permit, job(key, scheme, message, request)).await
}

pub async fn until_ready(host: &KeyHost) {
    for _ in 0..500 {
        if let Status::Ready(_) = host.status() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the key host did not come back: {:?}", host.status());
}
