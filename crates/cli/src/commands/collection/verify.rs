//! `collection verify`: a complete reader. Fetches, applies and checks as a client of Remote Settings does; nothing
//! is believed but what the options name.

use std::path::Path;

use countersign_pki::x509::Certificate;
use countersign_records::collections::changeset::ChangesetError;
use countersign_verify::collection::{
    Bundle, Changeset, CollectionError, ExpectedName, LocalCopy, Profile, Trust, Verdict, verify,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::reader::{Chains, Place};
use super::time;
use crate::args::{TrustOptions, VerifyCollection};
use crate::commands::verify::read_public_key;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};
use crate::output::safe;

/// The largest copy that is read, in bytes.
const MAX_COPY: u64 = countersign_records::collections::changeset::MAX_CHANGESET as u64;

/// Fetches and checks a collection.
pub async fn run(context: &Context, options: &VerifyCollection) -> Result<Outcome, Failure> {
    let trust = trust(&options.trust)?;
    let at = options.now.unwrap_or_else(Timestamp::now);
    let place = match (&options.offline, &options.target) {
        (Some(path), _) => Place::offline(path),
        (None, Some(target)) => Place::of(context, target).await?,
        (None, None) => return Err(Failure::unknown("give a URL, BUCKET/COLLECTION or `--offline DIR`")),
    };
    let copy = options.since.as_deref().map(read_copy).transpose()?.unwrap_or_default();
    let read = read(context, &place, copy, &trust, at).await?;
    if let Some(output) = &options.output {
        files::write(output, dump(&read).to_string().as_bytes(), Mode::Public)?;
    }
    context.out.value(&document(&read), |_| describe(&read))?;
    Ok(Outcome::Done)
}

/// What was read and is good.
struct Read {
    metadata: Map<String, Value>,
    copy: LocalCopy,
    verdict: Verdict,
    /// What was wrong at first, if everything had to be fetched again.
    again: Option<String>,
}

/// Fetches what is new and checks the whole; if it is not good, everything once more (4.8 of the contract that
/// clients keep), and then it is no.
async fn read(
    context: &Context,
    place: &Place,
    copy: LocalCopy,
    trust: &Trust,
    at: Timestamp,
) -> Result<Read, Failure> {
    let before = copy.timestamp();
    let since = (before > 0 && place.knows_changes()).then_some(before);
    let whole = if since.is_some() { copy } else { LocalCopy::new() };
    let first = attempt(place, whole, since, "0", trust, at).await;
    let read = match first {
        Ok(read) => read,
        // A file says the same each time.
        Err(NotGood::Invalid(failure)) if !matches!(place, Place::File(_)) => {
            context.out.say(&format!("{}; fetching everything once more", failure.message));
            // A cache in between may have parts of two states: this address it has not seen.
            let expected = format!("9999{}", Timestamp::now().as_millisecond());
            let read = attempt(place, LocalCopy::new(), None, &expected, trust, at).await;
            Read { again: Some(failure.message), ..read.map_err(Failure::from)? }
        }
        Err(other) => return Err(other.into()),
    };
    if read.copy.timestamp() < before {
        let message = format!(
            "the collection is of {}, but the copy is of {}: it went backwards",
            time(read.copy.timestamp()),
            time(before)
        );
        return Err(invalid(message, "somebody may be hiding changes: ask its operator"));
    }
    Ok(read)
}

/// Why nothing good was read.
enum NotGood {
    /// It came, and is not what was signed.
    Invalid(Failure),
    /// It did not come.
    Absent(Failure),
}

impl From<NotGood> for Failure {
    fn from(why: NotGood) -> Self {
        match why {
            NotGood::Invalid(failure) | NotGood::Absent(failure) => failure,
        }
    }
}

async fn attempt(
    place: &Place,
    mut copy: LocalCopy,
    since: Option<i64>,
    expected: &str,
    trust: &Trust,
    at: Timestamp,
) -> Result<Read, NotGood> {
    let bytes = place.changeset(since, expected).await.map_err(NotGood::Absent)?;
    let bad = |error: ChangesetError| NotGood::Invalid(invalid(error.to_string(), error.hint()));
    let changeset = Changeset::parse(&bytes).map_err(bad)?;
    drop(bytes);
    let metadata = changeset.metadata.clone();
    let bundles = changeset.bundles().map_err(bad)?;
    copy.apply(changeset).map_err(bad)?;
    // A key at hand needs no chain, and then none is asked for.
    let chains = if by_key(trust) { Chains::default() } else { place.chains(&bundles).await };
    match verify(&bundles, &copy, &chains.found, trust, at) {
        Ok(verdict) => Ok(Read { metadata, copy, verdict, again: None }),
        Err(error) => Err(judged(&error, chains, &bundles)),
    }
}

fn by_key(trust: &Trust) -> bool {
    trust.roots.is_empty() && trust.root_hashes.is_empty()
}

/// Not good; or, if a chain could not be had, not known.
fn judged(error: &CollectionError, chains: Chains, bundles: &[Bundle]) -> NotGood {
    let named = bundles.iter().filter_map(Bundle::x5u).count();
    if chains.missing.len() == named
        && named > 0
        && let Some(missing) = chains.missing.into_iter().next()
    {
        let message = format!("the chain of certificates cannot be had: {}", missing.message);
        let hint = "the signature cannot be judged without it; `--key PEM` checks by a key instead";
        return NotGood::Absent(Failure::unknown(message).hint(hint));
    }
    NotGood::Invalid(invalid(error.to_string(), error.hint()))
}

fn invalid(message: String, hint: &str) -> Failure {
    let message = safe(&message);
    let mut failure = Failure::refused(message.clone()).hint(hint);
    let document = json!({ "valid": false, "reason": message, "hint": hint });
    failure.document = Some(document.to_string().into());
    failure
}

/// What the options trust.
fn trust(options: &TrustOptions) -> Result<Trust, Failure> {
    let mut trust = Trust {
        root_hashes: options.root_sha256.clone(),
        name: options.name.as_deref().map(ExpectedName::of),
        ..Trust::default()
    };
    for file in &options.root {
        trust.roots.push(read_certificate(file)?);
    }
    for file in &options.key {
        trust.keys.push(read_public_key(file)?);
    }
    Ok(trust)
}

fn read_certificate(file: &Path) -> Result<Certificate, Failure> {
    let bytes = files::read_small(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned());
    text.and_then(|text| Certificate::from_pem(text).map_err(|error| error.to_string())).map_err(|why| {
        Failure::unknown(format!("`{}` is not a certificate: {why}", file.display()))
            .hint("`countersign collection root` prints the root of a server")
    })
}

fn read_copy(file: &Path) -> Result<LocalCopy, Failure> {
    let bytes = files::read_whole(file, MAX_COPY)?;
    let changeset = Changeset::parse(&bytes).map_err(|error| {
        Failure::unknown(format!("`{}`: {error}", file.display()))
            .hint("a copy is what `collection verify -o FILE` wrote")
    })?;
    let mut copy = LocalCopy::new();
    match copy.apply(changeset) {
        Ok(()) => Ok(copy),
        Err(error) => Err(Failure::unknown(format!("`{}`: {error}", file.display()))),
    }
}

/// The whole collection as a changeset.
fn dump(read: &Read) -> Value {
    let records = read.copy.records().filter_map(|(_, text)| serde_json::from_str(text).ok());
    json!({
        "metadata": read.metadata,
        "timestamp": read.copy.timestamp(),
        "changes": records.collect::<Vec<Value>>(),
    })
}

fn document(read: &Read) -> Value {
    let verdict = &read.verdict;
    let chain = verdict.chain.iter().map(|element| {
        json!({
            "subject": element.subject,
            "not_before": element.not_before.to_string(),
            "not_after": element.not_after.to_string(),
        })
    });
    json!({
        "valid": true,
        "bucket": read.metadata.get("bucket"),
        "collection": read.metadata.get("id"),
        "records": read.copy.len(),
        "timestamp": read.copy.timestamp(),
        "signature": verdict.bundle,
        "profile": profile(verdict.profile),
        "key": verdict.key.to_string(),
        "names": verdict.names,
        "chain": chain.collect::<Vec<_>>(),
        "expires": verdict.expires().map(|expires| expires.to_string()),
        "failures": verdict.failures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "fetched_again_because": read.again,
    })
}

fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Modern => "content-signature",
        Profile::Seed => "seed",
    }
}

fn describe(read: &Read) -> String {
    let verdict = &read.verdict;
    let signer = match verdict.names.as_slice() {
        [] => format!("key {}", verdict.key),
        names => names.join(", "),
    };
    let expires = verdict.expires().map(|at| format!(", chain good until {at}")).unwrap_or_default();
    let member = |name: &str| read.metadata.get(name).and_then(Value::as_str).unwrap_or("-");
    safe(&format!(
        "valid: {}/{}, {} records of {}, signed by {signer}{expires}",
        member("bucket"),
        member("id"),
        read.copy.len(),
        time(read.copy.timestamp()),
    ))
}
