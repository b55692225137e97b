//! The signing appliance as a client sees it: its answers are flat texts, and a list that is signed stays.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_core::appliance::CertificateId;
use countersign_pki::efi_var::Variable;
use countersign_pki::x509::Certificate;
use http::StatusCode;
use serde_json::{Value, json};

use crate::api::{Answer, Api, Request, base64, escape};
use crate::failure::Failure;

/// The certificate of this id.
///
/// # Errors
/// If there is none.
pub async fn certificate(api: &Api, id: &CertificateId) -> Result<Certificate, Failure> {
    let answer = good(api.send(Request::get(&format!("/cert/{}", escape(id.as_str())))).await?)?;
    let document: Value = answer.json()?;
    Certificate::from_pem(document["cert"].as_str().unwrap_or_default())
        .map_err(|error| Failure::unknown(format!("the server's certificate `{}`: {error}", id.as_str())))
}

/// The update of a variable with these certificates that was signed before; `None` if none was.
///
/// # Errors
/// If the server cannot say.
pub async fn signed_list(
    api: &Api,
    variable: Variable,
    ids: &[&CertificateId],
) -> Result<Option<Vec<u8>>, Failure> {
    let ids = ids.iter().map(|id| escape(id.as_str())).collect::<Vec<_>>().join(",");
    let answer = api.send(Request::get(&format!("{}/{ids}", path(variable)))).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    field(&good(answer)?, &variable.name().to_lowercase()).map(Some)
}

/// Signs the list of these certificates for PK or KEK, once and for all: if that was done before, the update is the
/// one from then.
///
/// # Errors
/// What the appliance refuses.
pub async fn sign_list(
    api: &Api,
    variable: Variable,
    ids: &[&CertificateId],
    signer: &CertificateId,
) -> Result<Vec<u8>, Failure> {
    let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let wanted = json!({ "key_id": names, "signing_key_id": signer.as_str() });
    let answer = api.send(Request::post(&path(variable)).json(&wanted)?.with_api_key()).await?;
    if answer.status != StatusCode::CONFLICT {
        good(answer)?;
    }
    signed_list(api, variable, ids).await?.ok_or_else(|| Failure::unknown("what was signed is not there"))
}

/// Signs lists for db.
///
/// # Errors
/// What the appliance refuses.
pub async fn sign_external(
    api: &Api,
    variable: Variable,
    esl: &[u8],
    signer: &CertificateId,
    append: bool,
) -> Result<Vec<u8>, Failure> {
    let wanted = json!({ "esl": base64(esl), "signing_key_id": signer.as_str(), "append": append });
    let answer = api.send(Request::post(&path(variable)).json(&wanted)?.with_api_key()).await?;
    field(&good(answer)?, "auth")
}

fn path(variable: Variable) -> String {
    format!("/secureboot/{}", variable.name().to_lowercase())
}

fn field(answer: &Answer, name: &str) -> Result<Vec<u8>, Failure> {
    let document: Value = answer.json()?;
    let decoded = document[name].as_str().and_then(|text| BASE64.decode(text).ok());
    decoded.ok_or_else(|| Failure::unknown(format!("the server's answer has no `{name}`")))
}

/// The appliance says `error` where the native API says `detail`.
fn good(answer: Answer) -> Result<Answer, Failure> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let said = document.as_ref().and_then(|document| document["error"].as_str()).map(str::to_owned);
    let mut failure = Failure::of_answer(answer.status, answer.body);
    if let Some(said) = said {
        failure.message = said;
    }
    Err(failure)
}
