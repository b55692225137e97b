//! What handlers take: the caller, the document, path segments and queries, in the order of checks.

use std::convert::Infallible;
use std::future::Future;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::Response;
use bytes::Bytes;
use countersign_core::{Caller, Code};
use countersign_model::Surface;
use countersign_model::name::BadName;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::auth;
use crate::body;
use crate::idempotency::{self, Once};
use crate::problem::Problem;

/// A native request with a JSON body: credentials, size, content type and shape are checked, in this
/// order.
pub struct Call<T> {
    /// Who asks.
    pub caller: Caller,
    /// The document.
    pub body: T,
    once: Option<Once>,
}

/// A [`Call`] whose body may also be absent, which is as `{}`.
pub struct CallOrNothing<T>(pub Call<T>);

/// A [`Call`] whose body was not read as a document yet.
pub struct RawCall(pub Call<Bytes>);

impl Call<Bytes> {
    /// Checks what came before the body, then reads it with `read`.
    async fn receive<F: Future<Output = Result<Bytes, Problem>>>(
        app: &App,
        request: Request,
        read: impl FnOnce(http::HeaderMap, Body, u64) -> F,
    ) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let caller = auth::caller(app, &parts.headers, &parts.extensions, Surface::Native)?;
        let limit = app.config.limits.native_json();
        let Parts { method, uri, headers, .. } = parts;
        let key = Once::key(&method, &headers);
        let body = read(headers, body, limit).await?;
        let once = key?.map(|key| Once::of(key, &method, &uri, &body));
        Ok(Self { caller, body, once })
    }

    fn parse<T: DeserializeOwned>(self) -> Result<Call<T>, Problem> {
        let parsed = body::parse(&self.body);
        drop(self.body);
        Ok(Call { caller: self.caller, body: parsed?, once: self.once })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Call<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        // Some have a private key or a passphrase in them.
        let read =
            async |headers: http::HeaderMap, body, limit| body::read_secret_json(&headers, body, limit).await;
        Call::receive(app, request, read).await?.parse()
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for CallOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let read = async |headers: http::HeaderMap, body, limit| {
            body::read_secret_json_or_nothing(&headers, body, limit).await
        };
        let call = Call::receive(app, request, read).await?;
        if call.body.is_empty() {
            let Call { caller, once, .. } = call;
            return Ok(Self(Call { caller, body: T::default(), once }));
        }
        call.parse().map(Self)
    }
}

impl FromRequest<App> for RawCall {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let read = async |headers: http::HeaderMap, body, limit| body::read_json(&headers, body, limit).await;
        Call::receive(app, request, read).await.map(Self)
    }
}

impl<T: Send + 'static> Call<T> {
    /// Does `work` to its end even if the client goes, and with an idempotency key only once.
    ///
    /// # Errors
    /// What `work` refuses, and `idempotency-mismatch`.
    pub async fn once<F, W>(self, app: &App, work: W) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Response, Problem>> + Send + 'static,
        W: FnOnce(App, Caller, T) -> F,
    {
        let Self { caller, body, once } = self;
        let work = work(app.clone(), caller.clone(), body);
        match once {
            None => unhurried(app, work).await?,
            Some(once) => unhurried(app, idempotency::run(app.clone(), caller, once, work)).await?,
        }
    }

    /// As [`Self::once`], for an answer that is shown in one place and one time only.
    ///
    /// # Errors
    /// `invalid-request` with an idempotency key; what `work` refuses.
    pub async fn shown_once<F, W>(self, app: &App, work: W) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Response, Problem>> + Send + 'static,
        W: FnOnce(App, Caller, T) -> F,
    {
        if self.once.is_some() {
            let why = "this answer is shown once: it cannot be kept for an `Idempotency-Key`";
            return Err(Problem::invalid("Idempotency-Key", why).hint("leave the header out"));
        }
        let mut response = self.once(app, work).await?;
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// Does `work` to its end, even if the client goes before.
///
/// # Errors
/// `internal` if it panicked.
pub async fn unhurried<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    app.tasks.run(work).await.ok_or_else(|| Problem::new(Code::Internal, "the server failed"))
}

/// Documents above this many bytes are read beside the threads that serve requests.
const LONG: usize = 128 << 10;

/// Runs `work` on `bytes`, beside the threads that serve requests if they are many.
///
/// # Errors
/// What `work` refuses.
pub async fn beside<T: Send + 'static>(
    bytes: Bytes,
    work: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes.len() <= LONG {
        return work(&bytes);
    }
    let failed = |_| Problem::new(Code::Internal, "the server failed");
    tokio::task::spawn_blocking(move || work(&bytes)).await.map_err(failed)?
}

/// The one parameter of a path, decoded. Read late, so that credentials are checked first.
pub struct Segment(Option<String>);

impl FromRequestParts<App> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(Path::<String>::from_request_parts(parts, app).await.ok().map(|Path(text)| text)))
    }
}

impl Segment {
    /// A segment that a route of its own has in the place of the parameter.
    pub fn literal(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }

    /// The text, unless it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text.
    ///
    /// # Errors
    /// `invalid-name` if it is not UTF-8.
    pub fn into_text(self) -> Result<String, Problem> {
        self.0.ok_or_else(not_text)
    }

    /// The name that it is.
    ///
    /// # Errors
    /// `invalid-name`.
    pub fn name<T: FromStr<Err = BadName>>(&self, member: &'static str) -> Result<T, Problem> {
        name(member, self.text().ok_or_else(not_text)?)
    }
}

fn not_text() -> Problem {
    Problem::new(Code::InvalidName, "the path is not UTF-8")
}

/// Reads a name.
///
/// # Errors
/// `invalid-name`, with the member.
pub fn name<T: FromStr<Err = BadName>>(member: &'static str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::invalid_name(member, &error))
}

/// Reads a word from a closed list, such as a scheme.
///
/// # Errors
/// `invalid-request`, with the member.
pub fn value<T: FromStr<Err = BadName>>(member: &'static str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: BadName| Problem::invalid(member, error.to_string()))
}

/// The query. Unknown and duplicate members are refused by `T`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        query(&parts.uri).map(Self)
    }
}

/// Reads the query of `uri`.
///
/// # Errors
/// `invalid-request`.
pub fn query<T: DeserializeOwned>(uri: &http::Uri) -> Result<T, Problem> {
    match axum::extract::Query::<T>::try_from_uri(uri) {
        Ok(axum::extract::Query(query)) => Ok(query),
        Err(error) => Err(body::explain_query(&error.body_text())),
    }
}
