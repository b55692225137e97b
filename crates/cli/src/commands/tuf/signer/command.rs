//! A command that signs: for tokens, smart cards and services that this program knows nothing of.
//!
//! It is run by `sh -c`, gets the bytes to sign on standard input, and prints the signature: raw, in hex or in base64;
//! ECDSA in DER or as `r‖s`. `COUNTERSIGN_SCHEME` says in which scheme. Its questions, such as for a PIN, go over
//! standard error and the terminal.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_model::{Encoding, RawSignature};
use countersign_tuf::key::Key;

use crate::failure::{Failure, OrUnknown as _};

/// The longest that it may print: more than any signature in hex.
const MAX_OUTPUT: u64 = 16 << 10;

/// Runs the command, and gives its signature as it stands in metadata, verified.
pub fn sign(line: &str, key: &Key, message: &[u8]) -> Result<String, Failure> {
    let printed = run(line, key, message)?;
    let found = forms(&printed).into_iter().find_map(|bytes| verified(key, message, &bytes));
    found.ok_or_else(|| {
        Failure::refused(format!(
            "what the command of `--signer` printed is no signature of `{}` by its key",
            key.scheme()
        ))
        .hint("it gets the bytes themselves, not their hash, and prints the signature and nothing else")
    })
}

fn run(line: &str, key: &Key, message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(line)
        .env("COUNTERSIGN_SCHEME", key.scheme())
        .env("COUNTERSIGN_KEYTYPE", key.keytype());
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.or_unknown("cannot run the command of `--signer`")?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut printed = Vec::new();
    std::thread::scope(|scope| {
        // One that prints before it has read everything must not wait for us, nor we for it.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(message)));
        if let Some(stdout) = stdout {
            let _ = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut printed);
        }
    });
    let status = child.wait().or_unknown("cannot wait for the command of `--signer`")?;
    if printed.len() as u64 > MAX_OUTPUT {
        return Err(Failure::unknown("the command of `--signer` printed too much for a signature"));
    }
    if !status.success() {
        return Err(Failure::unknown(format!("the command of `--signer` failed: {status}")));
    }
    Ok(printed)
}

/// What the bytes may be. A raw signature may look like text by chance, so all are tried.
fn forms(printed: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![printed.to_vec()];
    if let Ok(text) = std::str::from_utf8(printed) {
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        forms.extend(hex::decode(&text).ok());
        forms.extend(BASE64.decode(&text).ok());
    }
    forms
}

fn verified(key: &Key, message: &[u8], bytes: &[u8]) -> Option<String> {
    let width = key.public_key()?.key_type().ecdsa_width();
    let as_is = hex::encode(bytes);
    let from_raw = || key.signature_text(&RawSignature::decode(bytes, width, Encoding::Raw).ok()?).ok();
    if key.verify(message, &as_is).is_ok() {
        return Some(as_is);
    }
    from_raw().filter(|text| width.is_some() && key.verify(message, text).is_ok())
}
