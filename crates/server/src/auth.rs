//! Credentials in the forms that HTTP clients send them: Bearer, Basic, `X-API-Key`, or the control socket.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::auth::{Presented, authenticate};
use countersign_core::{Caller, Code};
use countersign_model::Surface;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use zeroize::Zeroizing;

use crate::app::{App, Meta};
use crate::problem::Problem;

/// Who came how: put in every request by the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Network,
    /// Over the control socket or in the same process: the owner of the data directory.
    Control,
}

/// The caller of a native request, with good credentials.
pub struct Native(pub Caller);

impl FromRequestParts<App> for Native {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        caller(app, &parts.headers, &parts.extensions, Surface::Native).map(Self)
    }
}

/// The caller of a request through `surface`.
///
/// # Errors
/// `no-credentials` or `bad-credentials`; `invalid-request` for two that differ.
pub fn caller(
    app: &App,
    headers: &HeaderMap,
    extensions: &http::Extensions,
    surface: Surface,
) -> Result<Caller, Problem> {
    let meta = extensions.get::<Meta>().ok_or_else(|| Problem::new(Code::Internal, "no request id"))?;
    caller_of(app, headers, meta, surface)
}

/// As [`caller`], where the request's circumstances were taken out already.
///
/// # Errors
/// As [`caller`].
pub fn caller_of(app: &App, headers: &HeaderMap, meta: &Meta, surface: Surface) -> Result<Caller, Problem> {
    caller_showing(app, Shown::read(headers)?, meta, surface)
}

/// The caller who showed these credentials, or none.
///
/// # Errors
/// `no-credentials` or `bad-credentials`.
pub fn caller_showing(
    app: &App,
    shown: Option<Shown>,
    meta: &Meta,
    surface: Surface,
) -> Result<Caller, Problem> {
    let presented = match &shown {
        Some(shown) => shown.presented(),
        None if meta.peer == Peer::Control => Presented::Control,
        None => {
            return Err(Problem::new(Code::NoCredentials, "the request has no credentials")
                .hint("send a token as `Authorization: Bearer TOKEN`"));
        }
    };
    let identity = authenticate(&app.ctx, presented)
        .map_err(|error| Problem::from(countersign_core::Error::from(error)))?;
    Ok(Caller::new(identity, surface, meta.request_id.clone()))
}

/// Credentials as they were sent.
pub enum Shown {
    /// A token by itself.
    Token(Zeroizing<String>),
    /// `NAME:TOKEN`.
    Named {
        /// Both.
        text: Zeroizing<String>,
        /// Where the colon stands.
        colon: usize,
    },
    /// Something in the form of credentials that can be none.
    Unreadable,
}

impl Shown {
    /// Reads the credentials of a request, if it has any.
    ///
    /// # Errors
    /// `invalid-request` for two that differ, and for a header that stands twice.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let authorization = once(headers, &http::header::AUTHORIZATION)?.and_then(Self::from_authorization);
        let api_key = once(headers, &API_KEY)?.map(|value| Self::from_text(value.as_bytes()));
        match (authorization, api_key) {
            (Some(one), Some(other)) if one.token() != other.token() => {
                Err(Problem::invalid("X-API-Key", "the request has two different credentials")
                    .hint("send one of `Authorization` and `X-API-Key`"))
            }
            (Some(one), _) | (None, Some(one)) => Ok(Some(one)),
            (None, None) => Ok(None),
        }
    }

    /// Reads the credentials of a request to a surface that knows Bearer and Basic: `X-API-Key` is as if absent.
    ///
    /// # Errors
    /// `invalid-request` for a header that stands twice.
    pub fn bearer_or_basic(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Ok(once(headers, &http::header::AUTHORIZATION)?.and_then(Self::from_authorization))
    }

    /// Reads the credentials of a request to a surface that knows `X-API-Key` only: `Authorization` is as if absent.
    ///
    /// # Errors
    /// `invalid-request` for a header that stands twice.
    pub fn api_key(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Ok(once(headers, &API_KEY)?.map(|value| Self::from_text(value.as_bytes())))
    }

    /// `None` for a scheme that is not ours.
    fn from_authorization(value: &http::HeaderValue) -> Option<Self> {
        let value = value.as_bytes();
        let space = value.iter().position(|b| *b == b' ')?;
        let (scheme, rest) = value.split_at(space);
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            Some(Self::from_text(rest))
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            Some(Self::from_basic(rest))
        } else {
            None
        }
    }

    fn from_text(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes)
            .map_or(Self::Unreadable, |text| Self::Token(Zeroizing::new(text.to_owned())))
    }

    fn from_basic(base64: &[u8]) -> Self {
        let text = STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.map(Zeroizing::new);
        match text.as_ref().and_then(|text| text.find(':')) {
            Some(colon) => Self::Named { text: text.unwrap_or_default(), colon },
            None => Self::Unreadable,
        }
    }

    /// The token, without a name before it.
    pub fn token(&self) -> &str {
        match self {
            Self::Token(token) => token,
            Self::Named { text, colon } => &text[colon + 1..],
            Self::Unreadable => "",
        }
    }

    /// As the use-case takes them.
    pub fn presented(&self) -> Presented<'_> {
        match self {
            Self::Token(_) | Self::Unreadable => Presented::Token(self.token()),
            Self::Named { text, colon } => {
                Presented::NamedToken { principal: &text[..*colon], token: self.token() }
            }
        }
    }
}

/// The value of a header that may stand once only.
///
/// # Errors
/// `invalid-request` if it is there twice.
pub fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a http::HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        let detail = format!("the header `{name}` stands twice");
        return Err(Problem::new(Code::InvalidRequest, detail).member(name.to_string()));
    }
    Ok(value)
}

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn read(pairs: &[(&'static str, &str)]) -> Option<(Option<String>, String)> {
        let shown = Shown::read(&headers(pairs)).unwrap()?;
        let name = match &shown {
            Shown::Named { text, colon } => Some(text[..*colon].to_owned()),
            _ => None,
        };
        Some((name, shown.token().to_owned()))
    }

    #[test]
    fn a_token_is_read_from_all_three_forms() {
        let basic = format!("Basic {}", STANDARD.encode("ana:cst_x"));
        assert_eq!(read(&[("authorization", "Bearer cst_x")]), Some((None, "cst_x".into())));
        assert_eq!(read(&[("authorization", "bearer  cst_x")]), Some((None, "cst_x".into())));
        assert_eq!(read(&[("authorization", &basic)]), Some((Some("ana".into()), "cst_x".into())));
        assert_eq!(read(&[("x-api-key", "cst_x")]), Some((None, "cst_x".into())));
    }

    #[test]
    fn another_scheme_is_as_if_absent() {
        assert_eq!(read(&[("authorization", "Hawk id=\"x\"")]), None);
        assert_eq!(read(&[("authorization", "nonsense")]), None);
        assert_eq!(
            read(&[("authorization", "Hawk x"), ("x-api-key", "cst_x")]),
            Some((None, "cst_x".into()))
        );
    }

    #[test]
    fn basic_that_cannot_be_read_is_a_credential_that_is_wrong() {
        for bad in ["Basic !", "Basic", "Basic YW5h"] {
            let shown = Shown::read(&headers(&[("authorization", bad)])).unwrap();
            if let Some(shown) = shown {
                assert!(matches!(shown, Shown::Unreadable), "{bad}");
            }
        }
    }

    #[test]
    fn the_same_token_twice_is_one_credential_and_two_are_refused() {
        let same = [("authorization", "Bearer cst_x"), ("x-api-key", "cst_x")];
        assert!(read(&same).is_some());
        for two in [
            [("authorization", "Bearer cst_x"), ("x-api-key", "cst_y")],
            [("authorization", "Bearer cst_x"), ("authorization", "Bearer cst_x")],
            [("x-api-key", "cst_x"), ("x-api-key", "cst_x")],
        ] {
            let problem = Shown::read(&headers(&two)).err().unwrap();
            assert_eq!(problem.code(), Code::InvalidRequest);
        }
    }
}
