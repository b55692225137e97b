//! What the demonstration found, as a table or a document.

use std::path::PathBuf;

use countersign_model::{PublicKey, Scheme, ToSign};
use serde_json::{Value, json};

use crate::output::align;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// As it should be.
    Good,
    /// Not as it should be.
    Failed,
    /// Nobody looked: the tool is not installed, or not made for this.
    NotAsked,
}

impl From<bool> for Check {
    fn from(good: bool) -> Self {
        if good { Self::Good } else { Self::Failed }
    }
}

impl Check {
    /// What is good when the thing should have been refused.
    pub fn opposite(self) -> Self {
        match self {
            Self::Good => Self::Failed,
            Self::Failed => Self::Good,
            Self::NotAsked => Self::NotAsked,
        }
    }

    fn as_str(self, good: &'static str) -> &'static str {
        match self {
            Self::Good => good,
            Self::Failed => "FAILED",
            Self::NotAsked => "-",
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Good => true.into(),
            Self::Failed => false.into(),
            Self::NotAsked => Value::Null,
        }
    }
}

/// One signature, and who found it good.
#[derive(Debug)]
pub struct Signature {
    pub what: &'static str,
    pub authority: &'static str,
    pub public_key: PublicKey,
    pub scheme: Scheme,
    pub content: ToSign,
    pub input_bytes: u64,
    pub signature_bytes: usize,
    pub sign_ms: f64,
    pub openssl: Check,
    pub countersign: Check,
    pub log_index: u64,
    pub proof: Check,
    pub proof_file: PathBuf,
    pub file: PathBuf,
}

/// Something changed after it was signed, and who refused it.
#[derive(Debug)]
pub struct Tampered {
    pub what: &'static str,
    pub authority: &'static str,
    pub openssl: Check,
    pub countersign: Check,
}

/// All of it.
#[derive(Debug)]
pub struct Report {
    pub directory: PathBuf,
    pub program: PathBuf,
    pub address: String,
    pub start_ms: f64,
    pub openssl: Option<String>,
    pub signatures: Vec<Signature>,
    pub tampered: Vec<Tampered>,
    /// The process id of the server, if it was left running.
    pub kept: Option<u32>,
}

impl Report {
    /// Whether everything was as it should be.
    pub fn is_good(&self) -> bool {
        let failed = |checks: &[Check]| checks.contains(&Check::Failed);
        !self.signatures.is_empty()
            && !self.signatures.iter().any(|s| failed(&[s.openssl, s.countersign, s.proof]))
            && !self.tampered.iter().any(|t| failed(&[t.openssl, t.countersign]))
    }

    /// For scripts.
    pub fn document(&self) -> Value {
        let signatures: Vec<Value> = self
            .signatures
            .iter()
            .map(|s| {
                json!({
                    "what": s.what, "key": s.authority, "type": s.public_key.key_type(), "scheme": s.scheme,
                    "input_bytes": s.input_bytes, "signature_bytes": s.signature_bytes,
                    "sign_ms": round(s.sign_ms), "openssl": s.openssl.value(),
                    "countersign": s.countersign.value(), "log_index": s.log_index, "proof": s.proof.value(),
                    "signature": s.file.display().to_string(), "proof_file": s.proof_file.display().to_string(),
                })
            })
            .collect();
        let tampered: Vec<Value> = self
            .tampered
            .iter()
            .map(|t| {
                json!({ "what": t.what, "key": t.authority, "refused_by_openssl": t.openssl.value(),
                    "refused_by_countersign": t.countersign.value() })
            })
            .collect();
        json!({
            "good": self.is_good(), "directory": self.directory.display().to_string(),
            "server": self.address, "server_pid": self.kept, "start_ms": round(self.start_ms),
            "openssl": self.openssl, "signatures": signatures, "tampered": tampered,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = align(&self.signature_lines());
        text.push('\n');
        text.push_str(&align(&self.tampered_lines()));
        text.push_str(&format!("\n{}\n\n{}", self.summary(), self.how_to_go_on()));
        text
    }

    fn signature_lines(&self) -> Vec<Vec<String>> {
        let heading = "WHAT,KEY,TYPE,SCHEME,BYTES,SIGN MS,OPENSSL,COUNTERSIGN,LOG INDEX,PROOF";
        let mut lines = vec![heading.split(',').map(str::to_owned).collect::<Vec<_>>()];
        lines.extend(self.signatures.iter().map(|s| {
            vec![
                s.what.to_owned(),
                s.authority.to_owned(),
                s.public_key.key_type().to_string(),
                s.scheme.to_string(),
                s.signature_bytes.to_string(),
                format!("{:.2}", s.sign_ms),
                s.openssl.as_str("valid").to_owned(),
                s.countersign.as_str("valid").to_owned(),
                s.log_index.to_string(),
                s.proof.as_str("valid").to_owned(),
            ]
        }));
        lines
    }

    fn tampered_lines(&self) -> Vec<Vec<String>> {
        let mut lines = vec![["CHANGED", "KEY", "OPENSSL", "COUNTERSIGN"].map(str::to_owned).to_vec()];
        lines.extend(self.tampered.iter().map(|t| {
            vec![
                t.what.to_owned(),
                t.authority.to_owned(),
                t.openssl.as_str("refused").to_owned(),
                t.countersign.as_str("refused").to_owned(),
            ]
        }));
        lines
    }

    fn summary(&self) -> String {
        let verdict = if self.is_good() { "all as it should be" } else { "NOT all as it should be" };
        let openssl =
            self.openssl.as_deref().unwrap_or("openssl is not installed: only our own checks were made");
        format!(
            "{verdict}: {} signatures, {} changes refused; the server was ready after {:.0} ms; {openssl}",
            self.signatures.len(),
            self.tampered.iter().filter(|t| t.countersign == Check::Good).count(),
            self.start_ms
        )
    }

    fn how_to_go_on(&self) -> String {
        let directory = self.directory.display();
        let mut text = String::from("To go on:\n");
        match self.kept {
            Some(pid) => {
                text.push_str(&format!(
                    "  the server still runs at {}; `kill {pid}` stops it\n",
                    self.address
                ));
            }
            None => text.push_str(&format!("  countersign serve --data {directory}/data\n")),
        }
        text.push_str(&format!("  countersign key list --data {directory}/data\n"));
        if let Some(s) = self.signatures.first() {
            text.push_str(&format!(
                "  countersign verify {} --signature {} --key {directory}/keys/{}.pem --scheme {}\n  \
                   countersign log verify {} --key {directory}/log.vkey\n",
                self.program.display(),
                s.file.display(),
                s.authority,
                s.scheme,
                s.proof_file.display()
            ));
        }
        text.push_str(&format!("  rm -r {directory}\n"));
        text
    }
}

/// Milliseconds to two places.
fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(proof: Check, refused: Check) -> Report {
        Report {
            directory: "/tmp/demo".into(),
            program: "/usr/bin/countersign".into(),
            address: "http://127.0.0.1:1".into(),
            start_ms: 123.456,
            openssl: None,
            signatures: vec![Signature {
                what: "program",
                authority: "release-team",
                public_key: PublicKey::from_ed25519(&[
                    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
                    0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
                    0x51, 0x1a,
                ])
                .unwrap(),
                scheme: Scheme::Ed25519,
                content: ToSign::Message(Vec::new()),
                input_bytes: 10,
                signature_bytes: 64,
                sign_ms: 0.614,
                openssl: Check::NotAsked,
                countersign: Check::Good,
                log_index: 9,
                proof,
                proof_file: "/tmp/demo/proofs/p".into(),
                file: "/tmp/demo/signatures/s".into(),
            }],
            tampered: vec![Tampered {
                what: "program",
                authority: "release-team",
                openssl: Check::NotAsked,
                countersign: refused,
            }],
            kept: None,
        }
    }

    #[test]
    fn one_failure_is_enough_for_no() {
        assert!(report(Check::Good, Check::Good).is_good());
        assert!(!report(Check::Failed, Check::Good).is_good());
        assert!(!report(Check::Good, Check::Failed).is_good());
    }

    #[test]
    fn the_table_says_who_found_what() {
        let text = report(Check::Good, Check::Good).text();
        let row =
            "program  release-team  ed25519  ed25519  64     0.61     -        valid        9          valid";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("all as it should be: 1 signatures, 1 changes refused"), "{text}");
        assert!(text.contains("countersign serve --data /tmp/demo/data"), "{text}");
    }

    #[test]
    fn the_document_has_null_where_nobody_looked() {
        let document = report(Check::Good, Check::Good).document();
        assert_eq!(document["signatures"][0]["openssl"], Value::Null);
        assert_eq!(document["signatures"][0]["sign_ms"], 0.61);
        assert_eq!(document["good"], true);
    }
}
