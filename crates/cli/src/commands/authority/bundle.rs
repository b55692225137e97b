//! `authority bundle`: the signed bundle of all keys. It can be signed again by a key that is kept offline.

use std::path::Path;

use bytes::Bytes;
use countersign_keyhost::soft::SoftKey;
use countersign_model::key::PrivateKey as _;
use countersign_model::strict_json;
use countersign_records::authorities::{self, MalformedBundle};
use countersign_verify::bundle::{self as verify, BundleError, Expired};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::AUTHORITIES;
use crate::api::Request;
use crate::args::Bundle;
use crate::commands::verify::read_public_key;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};

/// Larger than the bundle of a thousand authorities with a hundred keys each.
const MAX_BUNDLE: u64 = 64 << 20;

/// Fetches, signs or publishes a bundle.
pub async fn run(context: &Context, options: &Bundle) -> Result<Outcome, Failure> {
    let what = &options.what;
    if let Some(file) = &what.publish {
        return publish(context, file, options.root.as_deref()).await;
    }
    if what.server_signs {
        install(context, &json!({ "root": null })).await?;
        context.out.say("the server signs bundles with its own key again; readers need its `--print-root`");
        return Ok(Outcome::Done);
    }
    let bytes = match &what.sign_with {
        Some(key) => sign(&to_sign(context, options.input.as_deref()).await?, key)?.into(),
        None if what.print_root => fetch(context, ".pub").await?,
        None if what.draft => fetch(context, DRAFT).await?,
        None => fetch(context, "").await?,
    };
    put(context, options.output.as_deref(), &bytes)
}

/// What the server would sign next, which it tells those only who may change it.
const DRAFT: &str = "?draft=1";

async fn fetch(context: &Context, path: &str) -> Result<Bytes, Failure> {
    let request = Request::get(&format!("{AUTHORITIES}/bundle{path}"));
    Ok(context.api().await?.call(request).await?.body)
}

async fn to_sign(context: &Context, input: Option<&Path>) -> Result<Bytes, Failure> {
    match input {
        // Nothing is asked of any server: the key may be on a machine without a network.
        Some(file) => files::read_whole(file, MAX_BUNDLE),
        None => fetch(context, DRAFT).await,
    }
}

async fn publish(context: &Context, file: &Path, root: Option<&Path>) -> Result<Outcome, Failure> {
    let mut document = read(&files::read_whole(file, MAX_BUNDLE)?)?;
    if let Some(root) = root {
        let key = read_public_key(root)?;
        document["root"] = key.to_pem().into();
    }
    install(context, &document).await?;
    context.out.say("the server gives out this bundle from now on, until the next one is published");
    Ok(Outcome::Done)
}

async fn install(context: &Context, document: &Value) -> Result<(), Failure> {
    let request = Request::post(&format!("{AUTHORITIES}/bundle")).json(document)?;
    let answer = context.api().await?.call(request).await?;
    if context.out.is_json() { context.out.bytes(&answer.body) } else { Ok(()) }
}

/// A bundle, or the draft of one.
fn read(bytes: &[u8]) -> Result<Value, Failure> {
    let document = strict_json::parse(bytes).ok().filter(Value::is_object);
    document.ok_or_else(|| Failure::refused("not a key bundle: it is not a JSON object"))
}

/// The content of a bundle or of a draft under the signature of a local key.
fn sign(bytes: &[u8], file: &Path) -> Result<Vec<u8>, Failure> {
    let malformed = |error: MalformedBundle| Failure::refused(error.to_string()).hint(error.hint());
    let key = read_key(file)?;
    let root = key.public();
    // A draft has no signatures, and those of a bundle are replaced.
    let mut document = read(bytes)?;
    document["signatures"] = json!([]);
    let content =
        authorities::Bundle::parse(document.to_string().as_bytes()).map_err(malformed)?.into_content();
    let (to_sign, pending) = authorities::prepare(&content, root.key_type()).map_err(malformed)?;
    let scheme = authorities::root_scheme(root.key_type());
    let signature = key
        .sign(scheme, &to_sign)
        .map_err(|error| Failure::refused(format!("`{}` cannot sign a bundle: {error}", file.display())))?;
    let signed = authorities::finish(pending, &root.id(), &signature).map_err(malformed)?;
    // As a stranger would read it.
    let checked = verify::verify(&signed, root, Timestamp::now(), None, Expired::Allow);
    checked.map_err(|error: BundleError| Failure::refused(error.to_string()).hint(error.hint()))?;
    Ok(signed)
}

fn read_key(file: &Path) -> Result<SoftKey, Failure> {
    let bytes: Zeroizing<Vec<u8>> = files::read_small(file)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::unknown(format!("`{}` is not PEM: it is not text", file.display())))?;
    SoftKey::from_pem(text, None).map_err(|error| {
        Failure::unknown(format!("`{}` has no private key that can be used: {error}", file.display()))
            .hint(error.hint())
    })
}

fn put(context: &Context, output: Option<&Path>, bytes: &[u8]) -> Result<Outcome, Failure> {
    match output {
        Some(file) => {
            files::write(file, bytes, Mode::Public)?;
            context.out.say(&format!("wrote `{}`", file.display()));
        }
        None => context.out.bytes(bytes)?,
    }
    Ok(Outcome::Done)
}
