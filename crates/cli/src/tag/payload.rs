//! `payload PUBDIR FILE AUTHORITY…`: prints the text that every named authority signed.

use std::ffi::OsStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::KeyId;
use countersign_records::tag::TagFile;
use countersign_verify::authority;
use countersign_verify::tag::TagProblem;
use serde_json::{Map, Value, json};

use super::keys::{Found, Source, trusted_key};
use super::options::Options;
use super::{Refusal, check_digest, line, read_file};

/// Checks, and returns what goes to standard output.
pub fn run(program: &str, options: &Options) -> Result<Vec<u8>, Refusal> {
    let bytes = read_file(&options.file)?;
    let file = TagFile::parse(&bytes)?;
    let keys = Source::open(program, options)?;
    check_digest(options, file.payload())?;
    if !options.json {
        for name in &options.authorities {
            verdict(options, &keys, &file, name).map_err(|(_, refusal)| refusal)?;
        }
        return Ok(file.payload().to_vec());
    }

    let (authorities, first) = judge_all(options, |name| verdict(options, &keys, &file, name));
    match first {
        // An unverified payload is never printed.
        Some(refusal) => {
            let document = json!({"valid": false, "authorities": authorities});
            Err(Refusal { document: Some(document), ..refusal })
        }
        None => {
            let mut document = json!({"valid": true, "authorities": authorities});
            match std::str::from_utf8(file.payload()) {
                Ok(text) => document["payload"] = text.into(),
                Err(_) => document["payload_base64"] = STANDARD.encode(file.payload()).into(),
            }
            Ok(line(&document))
        }
    }
}

/// What `verdict` says of each authority that was named, and the first refusal.
pub fn judge_all(
    options: &Options,
    verdict: impl Fn(&OsStr) -> Result<KeyId, (&'static str, Refusal)>,
) -> (Map<String, Value>, Option<Refusal>) {
    let mut authorities = Map::new();
    let mut first = None;
    for name in &options.authorities {
        let entry = match verdict(name) {
            Ok(key) => json!({"status": "valid", "key": key}),
            Err((status, refusal)) => {
                let message = refusal.text.to_string_lossy().into_owned();
                first.get_or_insert(refusal);
                json!({"status": status, "message": message})
            }
        };
        authorities.insert(name.to_string_lossy().into_owned(), entry);
    }
    (authorities, first)
}

/// The id of the authority's key, or its status in one word and why.
fn verdict(
    options: &Options,
    keys: &Source,
    file: &TagFile<'_>,
    name: &OsStr,
) -> Result<KeyId, (&'static str, Refusal)> {
    let unknown = |refusal: Refusal| ("unknown", refusal);
    let name = super::authority(name).map_err(unknown)?;
    match keys.find(&name).map_err(unknown)? {
        Found::Pem { path, pem } => {
            // Whether there is a signature at all comes before what is wrong with the key.
            file.block(&name).map_err(|error| problem(error.into()))?;
            let trusted = trusted_key(&name, &path, &pem).map_err(unknown)?;
            countersign_verify::tag::verify(file, &name, &trusted, options.at, options.weak_keys)
                .map_err(problem)
        }
        Found::Keys(keys) => {
            let judgement = authority::judge(file, &keys, None, options.now(), options.weak_keys);
            match judgement {
                authority::Judgement { status: authority::Status::Valid, key: Some(key), .. } => Ok(key),
                no => Err((no.status.as_str(), no.into())),
            }
        }
    }
}

fn problem(problem: TagProblem) -> (&'static str, Refusal) {
    (problem.status(), problem.into())
}
