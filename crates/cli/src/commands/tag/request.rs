//! Signatures that wait for more voices.

use countersign_model::HashAlg;
use countersign_records::tag::Payload;
use serde_json::{Value, json};

use crate::api::{Answer, Request, escape};
use crate::args::Voice;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::output::{Field, card, safe};

const FIELDS: [Field<'_>; 7] = [
    ("request", "/id"),
    ("authority", "/authority"),
    ("state", "/state"),
    ("agreed", "/have"),
    ("needed", "/need"),
    ("expires", "/expires"),
    ("sha-256 of the text", "/payload_sha256"),
];

/// Shows a request. With the signatures it asked for, once they are there.
pub async fn show(context: &Context, id: &str) -> Result<Outcome, Failure> {
    let answer = context.api().await?.call(Request::get(&path(id))).await?;
    print(context, &answer)
}

/// Gives the caller's voice, `approve` or `refuse`, to a text that the caller names.
pub async fn speak(context: &Context, voice: &Voice, word: &str) -> Result<Outcome, Failure> {
    let sha256 = match (&voice.sha256, &voice.payload) {
        (Some(sha256), _) => sha256.clone(),
        (None, Some(file)) => {
            let payload = Payload::new(files::read_small(file)?.to_vec())
                .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
            hex::encode(HashAlg::Sha256.digest(payload.as_bytes()).as_bytes())
        }
        (None, None) => return Err(Failure::unknown("give the text with `--payload` or `--sha256`")),
    };
    let request = Request::post(&format!("{}/{word}", path(&voice.id)));
    let request = request.json(&json!({ "payload_sha256": sha256 }))?;
    let answer = context.api().await?.call(request).await?;
    print(context, &answer)?;
    // A voice that comes too late changes nothing.
    let document: Value = answer.json()?;
    let state = document["state"].as_str().unwrap_or_default();
    let heard = if word == "refuse" { state == "refused" } else { matches!(state, "waiting" | "signed") };
    if heard {
        return Ok(Outcome::Done);
    }
    context.out.say(&format!("the request is {} already", safe(state)));
    Ok(Outcome::No)
}

/// Shows the document of a request.
pub fn print(context: &Context, answer: &Answer) -> Result<Outcome, Failure> {
    context.out.document(&answer.body, text)?;
    Ok(Outcome::Done)
}

fn text(request: &Value) -> String {
    let card = card(request, &FIELDS);
    match request["signed"].as_str() {
        Some(signed) => format!("{card}\n{}", safe(signed)),
        None => card,
    }
}

fn path(id: &str) -> String {
    format!("/tags/requests/{}", escape(id))
}
