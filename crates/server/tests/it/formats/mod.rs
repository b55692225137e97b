//! Signatures in the formats of others by native keys, and certificates: judged by the tools that read them.

mod boot;
mod certify;
mod openpgp;
mod refusals;

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg};
use serde_json::{Value, json};

use crate::support::{House, base64};

/// A directory with files, and programs that run in it.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.0.path().join(name), content).unwrap();
        self
    }

    /// Whether `PROGRAM ARGUMENTS` succeeds, and what it printed.
    fn attempt(&self, line: &str) -> (bool, String) {
        let mut words = line.split(' ');
        let program = words.next().unwrap();
        // Debian keeps some out of the path of users.
        let administration = format!("/sbin/{program}");
        let program = if Path::new(&administration).exists() { &administration } else { program };
        let output = Command::new(program)
            .args(words)
            .current_dir(self.0.path())
            .env("GNUPGHOME", self.0.path().join("gnupg"))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}: run scripts/install-test-tools"));
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        let (success, text) = self.attempt(line);
        assert!(success, "{line}: {text}");
        text
    }

    fn agrees(&self, line: &str) -> bool {
        self.attempt(line).0
    }
}

fn decode(document: &Value) -> Vec<u8> {
    STANDARD.decode(document["signature"].as_str().unwrap()).unwrap()
}

fn digest(hash: HashAlg, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(hash);
    hasher.update(bytes);
    hasher.finish()
}

impl House {
    /// Asks for something about a key that must be given.
    async fn of_key(&self, key: &str, what: &str, document: Value) -> Value {
        let path = format!("/countersign/v1/keys/{key}/{what}");
        self.ask("POST", &path).json(document).send().await.expect(200)
    }

    /// A key with a self-signed certificate, which is returned in PEM.
    async fn signer(&self, name: &str, key_type: &str) -> String {
        self.key(name, key_type).await;
        let wanted = json!({"subject": format!("/O=Example/CN={name}"), "days": 30});
        self.of_key(name, "self-sign", wanted).await["certificate"].as_str().unwrap().to_owned()
    }

    /// The signature of a content that is sent whole.
    async fn signed(&self, key: &str, mut wanted: Value, content: &[u8]) -> Vec<u8> {
        wanted["message"] = base64(content).into();
        decode(&self.of_key(key, "sign", wanted).await)
    }

    /// The signature of a content of which only the digest is sent.
    async fn signed_digest(&self, key: &str, mut wanted: Value, digest: Digest) -> Vec<u8> {
        wanted["digest"] = digest.to_string().into();
        decode(&self.of_key(key, "sign", wanted).await)
    }

    /// The signature of a content that is streamed; what is wanted stands in the query.
    async fn signed_stream(&self, key: &str, query: &str, content: &[u8]) -> Vec<u8> {
        let path = format!("/countersign/v1/keys/{key}/sign?{query}");
        let ask = self.ask("POST", &path).header("accept", "application/octet-stream");
        let answer = ask.body("application/octet-stream", content).send().await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        answer.body
    }
}

/// A text as one value of a query.
fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
