//! Requests to an Autograph: signed with the Hawk pair, tried again where that can help, and never for longer than
//! the configuration says.

use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_model::hawk::{self, Artifacts, HawkError, Target, Transport};

use super::circuit::Circuit;
use super::{Error, LONGEST_ANSWER};
use crate::collections::outside::{HttpAnswer, HttpError, HttpMethod, HttpRequest, send};
use crate::collections::settings::AutographSettings;
use crate::context::Context;
use crate::random;

/// How often a request is sent again.
const RETRIES: u32 = 2;

/// The shortest pause before it is; the next is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

const CONTENT_TYPE: &str = "application/json";

/// Posts a body to `path` and gives the answer with a status of 2xx.
///
/// - `deadline`: nothing is sent or waited for later.
///
/// A request that nobody answered, or with 5xx, is sent again with the same body under another nonce, since the
/// service answers none twice: a signature that was made and lost harms nobody.
///
/// # Errors
/// [`Error`].
pub(super) async fn post(
    ctx: &Context,
    settings: &AutographSettings,
    circuit: &Circuit,
    path: &str,
    body: Bytes,
    deadline: Instant,
) -> Result<Vec<u8>, Error> {
    let place = Place::of(&settings.url, path)?;
    let hash = hash(body.clone()).await;
    let mut tries = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::TimedOut.into());
        }
        let turn = circuit.turn(Instant::now()).ok_or(Error::LeftAlone)?;
        let request = HttpRequest {
            method: HttpMethod::Post,
            url: format!("{}{path}", settings.url),
            headers: vec![
                ("Content-Type", CONTENT_TYPE.into()),
                ("Authorization", place.authorization(ctx, settings, &hash)?),
            ],
            body: body.clone(),
            timeout: left,
            longest: LONGEST_ANSWER,
        };
        let error = match send(ctx, request).await {
            Ok(HttpAnswer { status: 200..300, body }) => {
                turn.answered();
                return Ok(body);
            }
            Ok(HttpAnswer { status, .. }) if status < 500 => {
                turn.answered();
                return Err(Error::Refused(status));
            }
            Ok(HttpAnswer { status, .. }) => Error::Failed(status),
            Err(error @ (HttpError::NoClient | HttpError::TooLong { .. })) => return Err(error.into()),
            Err(error) => error.into(),
        };
        turn.failed(Instant::now());
        let pause = some_more(PAUSE * 2_u32.pow(tries));
        if tries == RETRIES || Instant::now() + pause >= deadline {
            return Err(error);
        }
        tracing::debug!(%error, url = %settings.url, "an Autograph is asked again");
        tokio::time::sleep(pause).await;
        tries += 1;
    }
}

/// The hash of a body, beside the threads that serve requests if it is large.
async fn hash(body: Bytes) -> String {
    const LARGE: usize = 256 << 10;
    if body.len() < LARGE {
        return hawk::payload_hash(CONTENT_TYPE, &body);
    }
    let copy = body.clone();
    let hashed = tokio::task::spawn_blocking(move || hawk::payload_hash(CONTENT_TYPE, &copy)).await;
    hashed.unwrap_or_else(|_| hawk::payload_hash(CONTENT_TYPE, &body))
}

/// What the MAC is over beside what is in the header.
struct Place(Target);

impl Place {
    fn of(url: &str, path: &str) -> Result<Self, Error> {
        let (transport, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (Transport::Https, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (Transport::Http, rest)
        } else {
            return Err(HawkError::Host.into());
        };
        let (host, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if host.contains('@') {
            return Err(HawkError::Host.into());
        }
        Ok(Self(Target::new("POST", &format!("{base}{path}"), host, transport)?))
    }

    /// Made anew for each try: nobody answers the same nonce twice.
    fn authorization(
        &self,
        ctx: &Context,
        settings: &AutographSettings,
        hash: &str,
    ) -> Result<String, Error> {
        let artifacts = Artifacts {
            ts: u64::try_from(ctx.now().as_second()).unwrap_or_default(),
            nonce: hex::encode(random::bytes::<16>()?),
            hash: Some(hash.to_owned()),
            ..Artifacts::default()
        };
        Ok(hawk::header(&settings.id, settings.secret.as_bytes(), &self.0, &artifacts)?)
    }
}

/// Up to twice as long, so that not all who failed come back at once.
fn some_more(time: Duration) -> Duration {
    let part = random::bytes::<1>().map_or(128, |[byte]| byte);
    time + time * u32::from(part) / 256
}
