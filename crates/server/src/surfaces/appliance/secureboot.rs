//! `/secureboot`.

use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::appliance::{self as core, CertificateId, SignExternal, SignList};
use countersign_pki::efi_var::Variable;
use http::StatusCode;
use serde_json::json;

use super::certificates::id;
use super::error::Refusal;
use super::posted::{Posted, PostedPayload, answering, base64, document, json, making};
use super::wire::{self, Ids};
use crate::app::App;

/// Signs PK.
pub async fn sign_pk(app: State<App>, posted: Posted) -> Result<Response, Refusal> {
    sign(app, posted, Variable::Pk).await
}

/// Signs KEK.
pub async fn sign_kek(app: State<App>, posted: Posted) -> Result<Response, Refusal> {
    sign(app, posted, Variable::Kek).await
}

/// Signs db.
pub async fn sign_db(app: State<App>, posted: Posted) -> Result<Response, Refusal> {
    sign(app, posted, Variable::Db).await
}

/// Signs dbx.
pub async fn sign_dbx(app: State<App>, posted: Posted) -> Result<Response, Refusal> {
    sign(app, posted, Variable::Dbx).await
}

/// What to sign: certificates of ours, or lists of the client's.
enum Order {
    Own(SignList),
    External(SignExternal),
}

async fn sign(State(app): State<App>, posted: Posted, variable: Variable) -> Result<Response, Refusal> {
    let (caller, order, place) = posted.read_large(move |body| read(variable, &document(body)?)).await?;
    let ctx = app.ctx.clone();
    match order {
        Order::Own(order) => {
            making(&app, async move { core::sign_list(&ctx, &caller, order).await }).await?;
            Ok(json(&json!({})))
        }
        Order::External(order) => {
            let work = async move { core::sign_external(&ctx, &caller, order).await };
            answering(&app, "auth", place, work).await
        }
    }
}

/// PK and KEK take certificates of ours only, and always replace.
fn read(variable: Variable, wanted: &wire::SignList<'_>) -> Result<Order, Refusal> {
    let takes_esl = matches!(variable, Variable::Db | Variable::Dbx);
    let signer = wanted.signing_key_id.as_ref().map(id).transpose()?;
    match (&wanted.key_id, &wanted.esl) {
        (Some(ids), None) => own(variable, ids, signer, wanted.append && takes_esl),
        (None, Some(esl)) if takes_esl => {
            let signer = signer.ok_or_else(|| Refusal::schema("'signing_key_id' is a required property"))?;
            let esl = base64("esl", esl.as_str())?;
            Ok(Order::External(SignExternal { variable, esl, signer, append: wanted.append }))
        }
        (Some(ids), Some(_)) if !takes_esl => own(variable, ids, signer, false),
        (None, _) if !takes_esl => Err(Refusal::schema("'key_id' is a required property")),
        _ => Err(Refusal::schema("give one of 'key_id' and 'esl'")),
    }
}

/// Without a signer, one certificate signs itself.
fn own(
    variable: Variable,
    ids: &Ids<'_>,
    signer: Option<CertificateId>,
    append: bool,
) -> Result<Order, Refusal> {
    let (ids, itself) = match ids {
        Ids::One(one) => (vec![id(one)?], Some(id(one)?)),
        Ids::Several(several) => (several.iter().map(id).collect::<Result<Vec<_>, _>>()?, None),
    };
    if ids.is_empty() {
        return Err(Refusal::schema("'key_id' is an empty list"));
    }
    let missing = || Refusal::application(StatusCode::BAD_REQUEST, "a list needs 'signing_key_id'");
    let signer = signer.or(itself).ok_or_else(missing)?;
    Ok(Order::Own(SignList { variable, ids, signer, append }))
}

/// Shows PK.
pub async fn show_pk(app: State<App>, ids: Path<String>) -> Result<Response, Refusal> {
    show(app, ids, Variable::Pk, "pk").await
}

/// Shows KEK.
pub async fn show_kek(app: State<App>, ids: Path<String>) -> Result<Response, Refusal> {
    show(app, ids, Variable::Kek, "kek").await
}

/// Shows db.
pub async fn show_db(app: State<App>, ids: Path<String>) -> Result<Response, Refusal> {
    show(app, ids, Variable::Db, "db").await
}

async fn show(
    State(app): State<App>,
    Path(ids): Path<String>,
    variable: Variable,
    member: &str,
) -> Result<Response, Refusal> {
    // One more than there may be is enough to be refused.
    let ids = ids.split(',').take(core::MAX_IDS + 1).map(str::parse);
    let ids: Vec<CertificateId> = ids.collect::<Result<_, _>>()?;
    let found = core::list(&app.ctx, variable, &ids).await?;
    let der: Vec<String> = found.certificates.iter().map(|der| STANDARD.encode(der)).collect();
    Ok(json(&json!({ member: STANDARD.encode(&found.auth), "esl": STANDARD.encode(&found.esl), "der": der })))
}

/// Signs a program.
pub async fn sign_program(
    State(app): State<App>,
    PostedPayload(posted): PostedPayload,
) -> Result<Response, Refusal> {
    let read = |body: &[u8]| {
        let wanted: wire::Sign<'_> = document(body)?;
        Ok((id(&wanted.key_id)?, base64("payload", wanted.payload.as_str())?))
    };
    let (caller, (id, image), place) = posted.read_large(read).await?;
    let ctx = app.ctx.clone();
    answering(&app, "signed", place, async move { core::sign_program(&ctx, &caller, &id, image).await }).await
}
