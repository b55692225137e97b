//! `sign`: files in, bare signatures out; with `--format`, those that others read.

mod format;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use countersign_model::{KeyName, PublicKey, Scheme};
use serde_json::{Value, json};

use crate::api::{Api, BASE, Request, Signed, escape};
use crate::args::{EncodingArg, Sign};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};

/// The longest message that a scheme without a hash takes (`contracts`: Ed25519 needs the bytes twice).
pub const MAX_MESSAGE: u64 = 64 << 20;

/// Signs each file and writes its signature.
///
/// A failure ends the run; the signatures of the files before it are written.
pub async fn run(context: &Context, options: &Sign) -> Result<Outcome, Failure> {
    if let Some(format) = options.written.format {
        return format::run(context, options, format).await;
    }
    let targets = options.files.iter().map(|file| target(file, options)).collect::<Result<Vec<_>, _>>()?;
    let api = context.api().await?;
    let scheme = match options.scheme {
        Some(scheme) => scheme,
        None => default_scheme(&api, &options.key).await?,
    };
    let mut answers = Vec::new();
    for (file, target) in options.files.iter().zip(&targets) {
        let subject = options.subject.clone().or_else(|| subject_of(file));
        let (key, encoding) = (&options.key, options.encoding);
        let job = Job { file, key, scheme, encoding, subject: subject.as_deref() };
        let answer = api.call(request(&job).await?).await?;
        let signed: Signed = answer.json()?;
        let signature = signed.signature()?;
        match target {
            Some(path) => {
                files::write(path, &signature, Mode::Public)?;
                context.out.say(&format!(
                    "wrote `{}` ({}, log entry {} of {})",
                    path.display(),
                    signed.scheme,
                    signed.log.index,
                    signed.log.origin
                ));
            }
            None if !context.out.is_json() => context.out.bytes(&signature)?,
            // With `--json` the signature is in the document.
            None => {}
        }
        answers.push(answer.body);
    }
    if context.out.is_json() {
        context.out.document(&as_one_document(answers)?, |_| String::new())?;
    }
    Ok(Outcome::Done)
}

/// One answer as it came; several as the answer of a batch.
fn as_one_document(mut answers: Vec<Bytes>) -> Result<Bytes, Failure> {
    if answers.len() == 1 {
        return Ok(answers.remove(0));
    }
    let results: Vec<Value> = answers
        .iter()
        .map(|answer| serde_json::from_slice(answer))
        .collect::<Result<_, _>>()
        .or_unknown("the server's answer is not JSON")?;
    Ok(Bytes::from(json!({ "results": results }).to_string()))
}

/// Where the signature of `file` goes; `None` for standard output.
fn target(file: &Path, options: &Sign) -> Result<Option<PathBuf>, Failure> {
    target_with(file, options, ".sig")
}

fn target_with(file: &Path, options: &Sign, suffix: &str) -> Result<Option<PathBuf>, Failure> {
    match &options.output {
        Some(_) if options.files.len() > 1 => {
            Err(Failure::unknown("`-o` is for one file, and several are given")
                .hint(format!("without it, each signature is written beside its file as FILE{suffix}")))
        }
        Some(output) if files::is_dash(output) => Ok(None),
        Some(output) => Ok(Some(output.clone())),
        None if files::is_dash(file) && options.files.len() > 1 => {
            Err(Failure::unknown("`-` is given with other files").hint("sign standard input by itself"))
        }
        None if files::is_dash(file) => Ok(None),
        None => Ok(Some(files::with_suffix(file, suffix))),
    }
}

/// What the log says was signed: the file's name, not where it lies.
fn subject_of(file: &Path) -> Option<String> {
    if files::is_dash(file) {
        return None;
    }
    let name = file.file_name()?.to_string_lossy();
    Some(name.chars().filter(|c| !c.is_control()).take(256).collect())
}

/// The public half of a key of the server, which anyone may read.
pub async fn public_key(api: &Api, key: &KeyName) -> Result<PublicKey, Failure> {
    let answer = api.get(&format!("/keys/{}.pem", escape(key.as_str()))).await?;
    let pem = std::str::from_utf8(&answer.body).or_unknown("the server's key is not PEM")?;
    PublicKey::from_pem(pem).or_unknown("the server's key cannot be read")
}

/// The scheme that a key signs with when none is named.
pub async fn default_scheme(api: &Api, key: &KeyName) -> Result<Scheme, Failure> {
    Ok(public_key(api, key).await?.key_type().default_scheme())
}

/// What is signed, and how.
pub struct Job<'a> {
    /// The file, or `-`.
    pub file: &'a Path,
    /// The key that signs.
    pub key: &'a KeyName,
    /// The scheme.
    pub scheme: Scheme,
    /// How an ECDSA signature is written.
    pub encoding: EncodingArg,
    /// What the log says was signed.
    pub subject: Option<&'a str>,
}

/// The request to sign a file. Where the scheme has a hash, the file is hashed here and only the digest
/// goes to the server.
pub async fn request(job: &Job<'_>) -> Result<Request, Failure> {
    let path = format!("{BASE}/keys/{}/sign", escape(job.key.as_str()));
    let Some(hash) = job.scheme.hash() else {
        let message = files::read_whole(job.file, MAX_MESSAGE)?;
        let mut query = format!("?scheme={}", escape(job.scheme.as_str()));
        if let Some(subject) = job.subject {
            query.push_str(&format!("&subject={}", escape(subject)));
        }
        return Ok(Request::post(&format!("{path}{query}")).body("application/octet-stream", message));
    };
    let file = job.file.to_owned();
    let digest = tokio::task::spawn_blocking(move || files::hash(&file, hash))
        .await
        .or_unknown("hashing was interrupted")??;
    let mut document = json!({ "scheme": job.scheme, "digest": digest.to_string() });
    if matches!((job.scheme, job.encoding), (Scheme::Ecdsa(_), EncodingArg::Raw)) {
        document["encoding"] = "raw".into();
    }
    if let Some(subject) = job.subject {
        document["subject"] = subject.into();
    }
    Request::post(&path).json(&document)
}

#[cfg(test)]
mod tests {
    use axum::extract::{Path as UrlPath, RawQuery};
    use axum::routing::{get, post};
    use axum::{Json, Router};

    use super::*;
    use crate::transport::Transport;

    fn options(line: &str) -> Sign {
        use clap::Parser as _;
        let cli = crate::args::Cli::try_parse_from(line.split(' ')).unwrap();
        let crate::args::Command::Sign(sign) = cli.command else { panic!("not sign") };
        sign
    }

    fn target_of(line: &str) -> Result<Option<PathBuf>, Failure> {
        let options = options(line);
        target(&options.files[0], &options)
    }

    #[test]
    fn a_signature_goes_beside_its_file_unless_told_otherwise() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(target_of("countersign sign d/a.tar --key k").unwrap(), path("d/a.tar.sig"));
        assert_eq!(target_of("countersign sign a --key k --detached").unwrap(), path("a.sig"));
        assert_eq!(target_of("countersign sign a --key k -o b").unwrap(), path("b"));
        assert_eq!(target_of("countersign sign - --key k").unwrap(), None);
        assert_eq!(target_of("countersign sign a --key k -o -").unwrap(), None);
        assert!(target_of("countersign sign a b --key k -o c").is_err());
        assert!(target_of("countersign sign - a --key k").is_err());
    }

    #[test]
    fn the_subject_is_the_name_of_the_file() {
        assert_eq!(subject_of(Path::new("/home/me/app\n.tar")).as_deref(), Some("app.tar"));
        assert_eq!(subject_of(Path::new("-")), None);
    }

    /// Answers with what it was asked, as the subject of the scheme.
    fn stub() -> Api {
        let sign = |UrlPath(name): UrlPath<String>, RawQuery(query): RawQuery, body: Bytes| async move {
            let body = String::from_utf8_lossy(&body).into_owned();
            Json(json!({ "key": name, "query": query, "body": body }))
        };
        let router = Router::new()
            .route("/countersign/v1/keys/{name}/sign", post(sign))
            .route("/countersign/v1/keys/{name}", get(|| async { "" }));
        Api::new(Transport::in_process(router))
    }

    #[tokio::test]
    async fn a_scheme_with_a_hash_sends_the_digest_and_one_without_the_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        std::fs::write(&file, "abc").unwrap();
        let key = "release".parse().unwrap();
        let ask = async |scheme: &str, encoding| -> Value {
            let scheme = scheme.parse().unwrap();
            let job = Job { file: &file, key: &key, scheme, encoding, subject: Some("a b") };
            stub().call(request(&job).await.unwrap()).await.unwrap().json().unwrap()
        };

        let got = ask("ecdsa-sha256", EncodingArg::Raw).await;
        let sent: Value = serde_json::from_str(got["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            sent,
            json!({"scheme":"ecdsa-sha256","encoding":"raw","subject":"a b",
            "digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"})
        );
        assert_eq!(got["query"], Value::Null);

        let got = ask("ed25519", EncodingArg::Der).await;
        assert_eq!((&got["query"], &got["body"]), (&json!("scheme=ed25519&subject=a%20b"), &json!("abc")));
    }

    #[test]
    fn several_answers_are_printed_as_those_of_a_batch() {
        let one = || Bytes::from_static(b"{ \"a\": 1 }");
        assert_eq!(as_one_document(vec![one()]).unwrap(), one());
        assert_eq!(as_one_document(vec![one(), one()]).unwrap(), r#"{"results":[{"a":1},{"a":1}]}"#);
    }
}
