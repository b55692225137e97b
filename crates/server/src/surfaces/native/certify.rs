//! Certificates of keys: `/countersign/v1/keys/NAME/{self-sign,csr,issue,openpgp}`.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use countersign_core::certify::{self as core, Certified, Issue, MakeRequest, Profile, SelfSign};
use countersign_openpgp::UserId;
use countersign_pki::ca::{NameRule, Role};
use countersign_pki::subject::Subject;
use http::StatusCode;

use super::answer::{json, note_log};
use super::{format, wire};
use crate::app::App;
use crate::call::{Call, Segment};
use crate::problem::Problem;

/// Makes a self-signed certificate.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/self-sign", tag = "certificates", operation_id = "self_sign",
    params(("name" = String, Path)), request_body = wire::SelfSign,
    responses((status = 200, body = wire::Certified), (status = "default", body = wire::Problem))
)]
pub async fn self_sign(
    State(app): State<App>,
    segment: Segment,
    call: Call<wire::SelfSign>,
) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let profile = match (body.authority, body.path_length) {
            (true, path_length) => Profile::Authority { path_length },
            (false, None) => Profile::Plain,
            (false, Some(_)) => return Err(no_authority()),
        };
        let key = segment.name("name")?;
        let order = SelfSign { key, subject: subject(&body.subject)?, days: body.days, profile };
        answer(&app, &core::self_sign(&app.ctx, &caller, order).await?)
    })
    .await
}

/// Makes a request for a certificate (PKCS#10).
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/csr", tag = "certificates", operation_id = "make_csr",
    params(("name" = String, Path)), request_body = wire::MakeRequest,
    responses((status = 200, body = wire::Certified), (status = "default", body = wire::Problem))
)]
pub async fn request(
    State(app): State<App>,
    segment: Segment,
    call: Call<wire::MakeRequest>,
) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let order = MakeRequest {
            key: segment.name("name")?,
            subject: subject(&body.subject)?,
            alt_names: all("alt_names", &body.alt_names)?,
        };
        answer(&app, &core::request(&app.ctx, &caller, order).await?)
    })
    .await
}

/// Issues a certificate for a request, with the key of an authority.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/issue", tag = "certificates", operation_id = "issue_certificate",
    params(("name" = String, Path)), request_body = wire::IssueCertificate,
    responses((status = 200, body = wire::Certified), (status = "default", body = wire::Problem))
)]
pub async fn issue(
    State(app): State<App>,
    segment: Segment,
    call: Call<wire::IssueCertificate>,
) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let role = match (body.authority, body.path_length) {
            (true, path_length) => Role::Authority { path_length },
            (false, None) => Role::End,
            (false, Some(_)) => return Err(no_authority()),
        };
        let order = Issue {
            key: segment.name("name")?,
            issuer: format::certificate("issuer", &body.issuer)?,
            request: format::request("request", &body.request)?,
            subject: subject(&body.subject)?,
            days: body.days,
            role,
            names: body.allow_names.iter().map(|text| name_rule(text)).collect::<Result<_, _>>()?,
            purposes: all("allow_purposes", &body.allow_purposes)?,
        };
        answer(&app, &core::issue(&app.ctx, &caller, order).await?)
    })
    .await
}

/// Makes an OpenPGP certificate of a key, as `gpg` imports it.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/openpgp", tag = "certificates", operation_id = "make_openpgp",
    params(("name" = String, Path)), request_body = wire::MakeOpenPgp,
    responses((status = 200, body = wire::Certified), (status = "default", body = wire::Problem))
)]
pub async fn openpgp(
    State(app): State<App>,
    segment: Segment,
    call: Call<wire::MakeOpenPgp>,
) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let user_id = UserId::new(&body.name, &body.comment, &body.email)
            .map_err(|error| Problem::invalid("name", error.to_string()).hint(error.hint()))?;
        let key = segment.name("name")?;
        answer(&app, &core::openpgp_key(&app.ctx, &caller, &key, &user_id).await?)
    })
    .await
}

fn answer(app: &App, certified: &Certified) -> Result<Response, Problem> {
    app.metrics.signed(certified.scheme, certified.log.index);
    let mut response = json(StatusCode::OK, certified)?;
    note_log(&mut response, &certified.log);
    Ok(response)
}

fn no_authority() -> Problem {
    Problem::invalid("path_length", "`path_length` is for authorities: `\"authority\": true`")
}

fn subject(text: &str) -> Result<Subject, Problem> {
    text.parse().map_err(|error: countersign_pki::subject::SubjectError| {
        Problem::invalid("subject", error.to_string()).hint(error.hint())
    })
}

fn all<T: FromStr<Err: Display>>(member: &'static str, texts: &[String]) -> Result<Vec<T>, Problem> {
    let read = |text: &String| text.parse().map_err(|why: T::Err| Problem::invalid(member, why.to_string()));
    texts.iter().map(read).collect()
}

fn name_rule(text: &str) -> Result<NameRule, Problem> {
    match text.strip_prefix("below:") {
        Some(domain) if !domain.is_empty() => Ok(NameRule::Below(domain.to_owned())),
        _ => text
            .parse()
            .map(NameRule::Exactly)
            .map_err(|_| Problem::invalid("allow_names", "each is like `dns:NAME`, or `below:DOMAIN`")),
    }
}
