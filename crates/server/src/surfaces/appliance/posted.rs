//! A POST: the key is checked first, then the content type, then the JSON, then its shape.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use countersign_core::Caller;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::authenticator;
use super::error::Refusal;
use crate::app::App;
use crate::body::{self, Arriving, Held, Place};
use crate::problem::Problem;

/// A request with a good key and a JSON body that was not read yet. The body is wiped when it is let go of, however
/// long it is: it may have a passphrase in it, also where none is asked for.
pub struct Posted {
    /// Who asks.
    pub caller: Caller,
    body: Held,
}

/// A [`Posted`] whose body is a payload that will be public, and is not wiped: payloads are large.
pub struct PostedPayload(pub Posted);

impl FromRequest<App> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        Self::receive(request, app, Arriving::secret).await
    }
}

impl FromRequest<App> for PostedPayload {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        Posted::receive(request, app, |body| body).await.map(Self)
    }
}

impl Posted {
    async fn receive(
        request: Request,
        app: &App,
        how: impl FnOnce(Arriving) -> Arriving,
    ) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let caller = authenticator::caller(app, &parts.headers, &parts.extensions).await?;
        let limit = u64::from(app.config.limits.body_mib) << 20;
        let body = how(body::arriving_json(&parts.headers, body, limit)?).held().await?;
        Ok(Self { caller, body })
    }

    /// Gives the body to `read`, beside the threads that serve requests if it is long; then lets go of it.
    ///
    /// # Errors
    /// What `read` refuses.
    pub async fn read<T: Send + 'static>(
        self,
        read: impl FnOnce(&[u8]) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(Caller, T), Refusal> {
        let (caller, read, _) = self.read_large(read).await?;
        Ok((caller, read))
    }

    /// As [`read`](Self::read), where what was read may be as large as the body: its place is to be kept until the
    /// answer was sent ([`encoded`]).
    ///
    /// # Errors
    /// What `read` refuses.
    pub async fn read_large<T: Send + 'static>(
        self,
        read: impl FnOnce(&[u8]) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(Caller, T, Place), Refusal> {
        let Self { caller, body: Held { bytes, place } } = self;
        let long = bytes.len() > LONG;
        let read = move || {
            let read = read(&bytes);
            drop(bytes);
            read
        };
        if !long {
            return Ok((caller, read()?, place));
        }
        let read = tokio::task::spawn_blocking(read);
        Ok((caller, read.await.map_err(|_| failed())??, place))
    }
}

/// Bodies above this many bytes are read beside the threads that serve requests.
const LONG: usize = 256 << 10;

/// Reads a document. Members that it does not know do not matter.
///
/// # Errors
/// 400 for what is not JSON, not an object, or not of the document's shape.
pub fn document<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    Ok(body::parse(body)?)
}

/// Decodes base64 in the standard or in the URL's alphabet, one or the other; with padding or without.
///
/// - `what`: `payload` or `esl`, for the refusal.
///
/// # Errors
/// 400: for an empty text and foreign characters in the form of the schema's checker.
pub fn base64(what: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    // Kernels come in the usual alphabet: only what is not in it is looked at once more.
    if let Ok(bytes) = FAST.decode(text)
        && !bytes.is_empty()
    {
        return Ok(bytes);
    }
    let digits = base64_digits(what, text)?;
    let url = digits.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let alphabet = if url { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, CONFIG).decode(text).map_err(|why| {
        let text = format!("Failed to base64-decode {what}: {why}");
        Refusal::application(StatusCode::BAD_REQUEST, text)
    })
}

/// Padding is written, and may be missing in what is read.
const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The standard alphabet, with the processor's vector instructions where it has them: payloads are long.
static FAST: LazyLock<Fast> = LazyLock::new(fast);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Fast = base64::engine::Simd;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn fast() -> Fast {
    Fast::standard(CONFIG)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Fast = GeneralPurpose;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn fast() -> Fast {
    Fast::new(&STANDARD, CONFIG)
}

/// Checks that a text has characters of base64 only, and gives those before the padding. Whether they can be
/// decoded is not asked: passphrases are of this kind, too.
///
/// # Errors
/// 400 in the form of the schema's checker.
pub fn base64_digits<'a>(what: &str, text: &'a str) -> Result<&'a str, Refusal> {
    let digits = text.trim_end_matches('=');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    if digits.is_empty() || text.len() - digits.len() > 2 || !digits.bytes().all(known) {
        let pattern = "^[a-zA-Z0-9_/+\\-]+=?=?$";
        return Err(Refusal::schema(format!("'{what}' does not match '{pattern}'")));
    }
    Ok(digits)
}

/// `{"NAME": "BASE64"}`, built without a second copy of the text. Takes the bytes: they may be many.
///
/// - `place`: of the body that they were made of. It is free when the client has them.
pub async fn encoded(name: &'static str, bytes: Vec<u8>, place: Place) -> Result<Response, Refusal> {
    let long = bytes.len() > LONG;
    let encode = move || {
        let body = encoded_body(name, &bytes)?;
        drop(bytes);
        Ok::<_, Problem>(place.tie(body))
    };
    if !long {
        return Ok(with_type(encode()?));
    }
    let body = tokio::task::spawn_blocking(encode).await;
    Ok(with_type(body.map_err(|_| failed())??))
}

fn encoded_body(name: &str, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut body = format!("{{\"{name}\": \"").into_bytes();
    let start = body.len();
    let end = start + bytes.len().div_ceil(3) * 4;
    body.reserve_exact(end - start + 3);
    body.resize(end, 0);
    FAST.encode_slice(bytes, &mut body[start..]).map_err(|_| failed())?;
    body.extend_from_slice(b"\"}\n");
    Ok(body)
}

fn failed() -> Problem {
    Problem::new(countersign_core::Code::Internal, "the server failed")
}

fn with_type(body: Bytes) -> Response {
    let mut response = Body::from(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer.
pub fn json(document: &serde_json::Value) -> Response {
    with_type(format!("{document:#}\n").into())
}

/// Makes something: goes on to its end even if the client goes.
///
/// # Errors
/// What `work` refuses.
pub async fn making<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = Result<T, countersign_core::appliance::Error>> + Send + 'static,
) -> Result<T, Refusal> {
    Ok(crate::call::unhurried(app, work).await??)
}

/// Works on a payload and gives the answer as [`encoded`] does. What is large is there until the end of the work, so
/// its place is kept till then even if the client goes.
///
/// # Errors
/// What `work` refuses.
pub async fn answering(
    app: &App,
    name: &'static str,
    place: Place,
    work: impl Future<Output = Result<Vec<u8>, countersign_core::appliance::Error>> + Send + 'static,
) -> Result<Response, Refusal> {
    let kept = place.clone();
    let bytes = making(app, async move {
        let done = work.await;
        drop(kept);
        done
    });
    encoded(name, bytes.await?, place).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        base64("payload", text).ok()
    }

    #[test]
    fn either_alphabet_is_decoded_and_never_a_mixture() {
        assert_eq!(decoded("aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(decoded("aGVsbG8"), Some(b"hello".to_vec()));
        assert_eq!(decoded("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        assert_eq!(decoded("-_-_"), Some(vec![0xfb, 0xff, 0xbf]));
        for bad in ["", "=", "==", "a", "a b=", "aGVsbG8=\n", "+_+_", "aGVsbG8===", "aGV=sbG8"] {
            assert_eq!(decoded(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_whatever_its_length() {
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

        for len in (1..300).chain([65_535, 65_536, 65_537]) {
            let bytes: Vec<u8> = (0..len).map(|n: u64| (n * n / 7) as u8).collect();
            let body = encoded_body("signed", &bytes).unwrap();
            let text = STANDARD.encode(&bytes);
            assert_eq!(body, format!("{{\"signed\": \"{text}\"}}\n").into_bytes());
            assert_eq!(decoded(&text).as_ref(), Some(&bytes));
            assert_eq!(decoded(&STANDARD_NO_PAD.encode(&bytes)).as_ref(), Some(&bytes));
        }
    }

    #[test]
    fn a_foreign_character_is_found_wherever_it_stands() {
        let text = "QUID".repeat(100);
        for at in 0..text.len() {
            for foreign in ["-", "=", " ", "\0", "\u{e9}"] {
                let mut bad = text.clone();
                bad.replace_range(at..=at, foreign);
                // Two characters of padding may be at the end, and `-` is of the other alphabet, which has all these
                // letters, too.
                let good = foreign == "-" || (foreign == "=" && at + 1 == text.len());
                assert_eq!(decoded(&bad).is_some(), good, "{foreign:?} at {at}");
            }
        }
    }
}
