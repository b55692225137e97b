//! `verify`: whether a signature belongs to a file and a key.

mod format;

pub use format::read_certificate;

use std::path::Path;

use countersign_model::{KeyName, PublicKey, Scheme, ToSign};
use countersign_verify::raw;
use serde_json::{Value, json};

use crate::api::base64;
use crate::args::{EncodingArg, Verify};
use crate::commands::sign::{MAX_MESSAGE, default_scheme};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files;

/// What the verifier said.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the key's signature of the file.
    Valid,
    /// It is not, for this reason.
    Invalid(String),
}

/// Checks a signature: here with a PEM file, by the server with the name of a key.
pub async fn run(context: &Context, options: &Verify) -> Result<Outcome, Failure> {
    if let Some(format) = options.written.format {
        return format::run(context, options, format);
    }
    // Both are there when no format is named.
    let (Some(signature), Some(key)) = (&options.signature, &options.key) else {
        return Err(Failure::unknown("`--signature` and `--key` are missing"));
    };
    let signature = files::read_small(signature)?;
    let pem_file = Path::new(key);
    if pem_file.is_file() {
        let key = read_public_key(pem_file)?;
        let scheme = options.scheme.unwrap_or_else(|| key.key_type().default_scheme());
        let verdict = verify_file(&options.file, &signature, &key, scheme, options.encoding)?;
        return show(context, &verdict, &format!("{scheme} by {}", key.id()));
    }
    let name: KeyName = key.parse().map_err(|_| {
        Failure::unknown(format!("`{key}` is neither a file nor the name of a key"))
            .hint("give a PEM file with the public key, or a name that `countersign key list` shows")
    })?;
    ask_server(context, options, &name, &signature).await
}

/// Reads a public key or the key of a certificate.
pub fn read_public_key(file: &Path) -> Result<PublicKey, Failure> {
    let bytes = files::read_small(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned());
    text.and_then(|text| PublicKey::from_pem(text).map_err(|error| error.to_string())).map_err(|why| {
        Failure::unknown(format!("`{}` has no public key: {why}", file.display()))
            .hint("`countersign key show NAME --pem` prints the public half of a key")
    })
}

/// Checks a signature of a file with nothing but the key.
pub fn verify_file(
    file: &Path,
    signature: &[u8],
    key: &PublicKey,
    scheme: Scheme,
    encoding: EncodingArg,
) -> Result<Verdict, Failure> {
    let content = match scheme.hash() {
        Some(hash) => ToSign::Digest(files::hash(file, hash)?),
        None => ToSign::Message(files::read_whole(file, MAX_MESSAGE)?.to_vec()),
    };
    Ok(match raw::verify(key, scheme, &content, signature, encoding.into()) {
        Ok(()) => Verdict::Valid,
        Err(error) => Verdict::Invalid(error.to_string()),
    })
}

fn show(context: &Context, verdict: &Verdict, by: &str) -> Result<Outcome, Failure> {
    let document = match verdict {
        Verdict::Valid => json!({ "valid": true }),
        Verdict::Invalid(reason) => json!({ "valid": false, "reason": reason }),
    };
    context.out.value(&document, |_| match verdict {
        Verdict::Valid => format!("valid: {by}"),
        Verdict::Invalid(reason) => format!("invalid: {reason}"),
    })?;
    Ok(if *verdict == Verdict::Valid { Outcome::Done } else { Outcome::No })
}

async fn ask_server(
    context: &Context,
    options: &Verify,
    name: &KeyName,
    signature: &[u8],
) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let scheme = match options.scheme {
        Some(scheme) => scheme,
        None => default_scheme(&api, name).await?,
    };
    let mut document = json!({ "key": name, "scheme": scheme, "signature": base64(signature) });
    match scheme.hash() {
        Some(hash) => {
            let file = options.file.clone();
            let digest = tokio::task::spawn_blocking(move || files::hash(&file, hash))
                .await
                .or_unknown("hashing was interrupted")??;
            document["digest"] = digest.to_string().into();
        }
        None => document["message"] = base64(&files::read_whole(&options.file, MAX_JSON_MESSAGE)?).into(),
    }
    if options.encoding == EncodingArg::Raw {
        document["encoding"] = "raw".into();
    }
    let answer = api.post("/verify", &document).await?;
    let verdict: Value = answer.json()?;
    let valid = verdict["valid"].as_bool().ok_or_else(|| Failure::unknown("the server did not say"))?;
    context.out.document(&answer.body, |verdict| match verdict["reason"].as_str() {
        _ if valid => format!("valid: {scheme} by key `{name}`"),
        Some(reason) => crate::output::safe(&format!("invalid: {reason}")),
        None => "invalid".to_owned(),
    })?;
    Ok(if valid { Outcome::Done } else { Outcome::No })
}

/// The longest message that fits in a JSON request: 64 MiB, of which base64 takes a third more.
const MAX_JSON_MESSAGE: u64 = 47 << 20;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A directory with a file, a key of openssl's and its signature of the file.
    fn signed_by_openssl() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "release 1.0\n").unwrap();
        for line in [
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
            "pkey -in key.pem -pubout -out pub.pem",
            "dgst -sha256 -sign key.pem -out sig file",
        ] {
            let output =
                Command::new("openssl").args(line.split(' ')).current_dir(&directory).output().unwrap();
            assert!(output.status.success(), "openssl {line}");
        }
        directory
    }

    fn verdict(directory: &Path) -> Verdict {
        let key = read_public_key(&directory.join("pub.pem")).unwrap();
        let signature = std::fs::read(directory.join("sig")).unwrap();
        let scheme = "ecdsa-sha256".parse().unwrap();
        verify_file(&directory.join("file"), &signature, &key, scheme, EncodingArg::Der).unwrap()
    }

    #[test]
    fn a_signature_of_openssl_is_valid_until_the_file_changes() {
        let directory = signed_by_openssl();
        assert_eq!(verdict(directory.path()), Verdict::Valid);
        std::fs::write(directory.path().join("file"), "release 1.1\n").unwrap();
        assert!(matches!(verdict(directory.path()), Verdict::Invalid(_)));
    }

    #[test]
    fn a_malformed_signature_is_invalid_and_not_an_error() {
        let directory = signed_by_openssl();
        std::fs::write(directory.path().join("sig"), "nonsense").unwrap();
        assert!(matches!(verdict(directory.path()), Verdict::Invalid(_)));
    }
}
