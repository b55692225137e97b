//! Bodies: bounded before anything is allocated, cut off when they come too slowly, strict as JSON.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use countersign_core::Code;
use futures_util::FutureExt as _;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// How long a client may send nothing.
pub const SILENCE: Duration = Duration::from_secs(30);

/// The fewest bytes a second that a body may come at, once [`SILENCE`] has been waited for it in all.
pub const SLOWEST: u64 = 1024;

/// The same for a large body, from when it got its place among those held: nobody keeps others waiting by
/// sending slowly.
pub const SLOWEST_LARGE: u64 = 64 << 10;

/// How long a large body waits for its place.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A body as it arrives, piece by piece.
pub struct Arriving {
    body: Body,
    limit: u64,
    announced: Option<u64>,
    received: u64,
    pace: Pace,
    secret: bool,
}

/// How fast a body comes, from its beginning or from when it got its place.
struct Pace {
    /// The fewest bytes a second.
    slowest: u64,
    received: u64,
    /// Time spent waiting for the client; not what was spent on the pieces in between.
    waited: Duration,
}

impl Pace {
    fn at_least(slowest: u64) -> Self {
        Self { slowest, received: 0, waited: Duration::ZERO }
    }

    fn is_too_slow(&self) -> bool {
        self.waited > SILENCE && self.received < self.slowest * self.waited.as_secs()
    }
}

impl Arriving {
    /// Begins to read a body of at most `limit` bytes.
    ///
    /// # Errors
    /// `too-large` if more is announced already; `invalid-request` if the length is given twice.
    pub fn new(headers: &HeaderMap, body: Body, limit: u64) -> Result<Self, Problem> {
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        let announced = lengths.next();
        if lengths.next().is_some() {
            return Err(
                Problem::invalid("Content-Length", "the header `Content-Length` stands twice").close()
            );
        }
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let pace = Pace::at_least(SLOWEST);
        Self { body, limit, announced, received: 0, pace, secret: false }.with_limit(limit)
    }

    /// Lowers the limit.
    ///
    /// # Errors
    /// `too-large` if more is announced.
    pub fn with_limit(mut self, limit: u64) -> Result<Self, Problem> {
        self.limit = self.limit.min(limit);
        if self.announced.is_some_and(|length| length > self.limit) {
            return Err(too_large(self.limit));
        }
        Ok(self)
    }

    /// A body with a private key or a passphrase in it: what [`Self::all`] gives is wiped when it is let go of. The
    /// pieces as they came are so only where they are not part of the connection's own buffer.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// `too-large` beyond the limit; `request-timeout` if the client is too slow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = match self.body.frame().now_or_never() {
                Some(frame) => frame,
                None => self.wait().await?,
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| {
                Problem::new(Code::InvalidRequest, "the connection failed before the end of the body").close()
            })?;
            let Ok(bytes) = frame.into_data() else { continue };
            self.received += bytes.len() as u64;
            if self.received > self.limit {
                return Err(too_large(self.limit));
            }
            self.pace.received += bytes.len() as u64;
            if self.pace.is_too_slow() {
                return Err(too_slow());
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    async fn wait(&mut self) -> Result<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>, Problem> {
        let start = Instant::now();
        let frame = tokio::time::timeout(SILENCE, self.body.frame()).await.map_err(|_| too_slow())?;
        self.pace.waited += start.elapsed();
        Ok(frame)
    }

    /// All bytes. Takes memory as they come, never by an announced length.
    ///
    /// # Errors
    /// As [`Self::next`]; `overloaded` if too many large bodies are held already.
    pub async fn all(self) -> Result<Bytes, Problem> {
        Ok(self.held().await?.bytes)
    }

    /// As [`Self::all`], with the body's place: whoever makes more of the body keeps it until that is gone, too.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn held(self) -> Result<Held, Problem> {
        self.held_in(&LARGE).await
    }

    /// - `room`: one permit for each MiB of large bodies that may be held.
    async fn held_in(mut self, room: &'static Semaphore) -> Result<Held, Problem> {
        let place = Place::default();
        let Some(first) = self.next().await? else { return Ok(Held { bytes: Bytes::new(), place }) };
        let next = self.next().await?;
        if next.is_none() && !self.secret {
            return Ok(Held { bytes: first, place });
        }
        let (all, place) = self.collect(first, next, room).await?;
        let bytes = match all {
            Memory::Plain(bytes) if place.0.is_none() => bytes.freeze(),
            all => Bytes::from_owner(Owned { bytes: all, _place: place.clone() }),
        };
        Ok(Held { bytes, place })
    }

    /// The first two pieces and all that follow, in one.
    async fn collect(
        mut self,
        first: Bytes,
        mut next: Option<Bytes>,
        room: &'static Semaphore,
    ) -> Result<(Memory, Place), Problem> {
        let mut place = Place::default();
        let more = next.as_ref().map_or(0, Bytes::len);
        let mut all = Memory::new(self.secret, 2 * (first.len() + more));
        all.take(first);
        let most = self.announced.map_or(self.limit, |announced| announced.min(self.limit));
        while let Some(bytes) = next {
            all.take(bytes);
            if all.as_ref().len() > SMALL && place.0.is_none() {
                place = Place(Some(Arc::new(place_for(most, room).await?)));
                self.pace = Pace::at_least(SLOWEST_LARGE);
            }
            next = self.next().await?;
        }
        Ok((all, place))
    }
}

/// A body, and its place among the large ones.
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    /// Its place.
    pub place: Place,
}

/// A place among the large bodies that are held; none for a small one. It is free when its last clone is gone.
///
/// It stands for the body and for all that is made of it: with what is decoded of it and with the answer, at most
/// two and a half times as much at any time.
#[derive(Clone, Debug, Default)]
pub struct Place(Option<Arc<SemaphorePermit<'static>>>);

impl Place {
    /// Ties the place to `bytes`, an answer: it is kept until they were sent.
    pub fn tie(self, bytes: Vec<u8>) -> Bytes {
        match self.0 {
            None => bytes.into(),
            Some(_) => Bytes::from_owner(Owned { bytes, _place: self }),
        }
    }
}

/// Where a body is collected.
enum Memory {
    Plain(BytesMut),
    /// What it leaves by growing and at its end is wiped.
    Wiped(Zeroizing<Vec<u8>>),
}

impl Memory {
    fn new(secret: bool, capacity: usize) -> Self {
        if secret {
            Self::Wiped(Zeroizing::new(Vec::with_capacity(capacity)))
        } else {
            Self::Plain(BytesMut::with_capacity(capacity))
        }
    }

    fn take(&mut self, more: Bytes) {
        match self {
            Self::Plain(bytes) => bytes.extend_from_slice(&more),
            Self::Wiped(bytes) => {
                let wanted = bytes.len() + more.len();
                if wanted > bytes.capacity() {
                    let mut larger = Zeroizing::new(Vec::with_capacity(wanted.next_power_of_two()));
                    larger.extend_from_slice(bytes);
                    *bytes = larger;
                }
                bytes.extend_from_slice(&more);
                wipe(more);
            }
        }
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Wiped(bytes) => bytes,
        }
    }
}

/// Waits until there is memory for `most` bytes, all that may come. It is taken at once, before more is
/// read, so that bodies that are half there never wait for each other.
async fn place_for(most: u64, room: &'static Semaphore) -> Result<SemaphorePermit<'static>, Problem> {
    let mib = u32::try_from(most.div_ceil(1 << 20)).unwrap_or(LARGE_MIB).min(LARGE_MIB);
    match tokio::time::timeout(PATIENCE, room.acquire_many(mib)).await {
        Ok(place) => place.map_err(|_| Problem::new(Code::Internal, "the server ends")),
        Err(_) => Err(overloaded()),
    }
}

/// Bodies up to this many bytes are held without asking.
const SMALL: usize = 128 << 10;

/// All larger bodies that are held at a time, in MiB: many clients together must not take all memory. With what is
/// made of them there is no more than for one body of this size ([`Place`]).
const LARGE_MIB: u32 = 512;

static LARGE: Semaphore = Semaphore::const_new(LARGE_MIB as usize);

/// Bytes, and the place among those held that they keep.
struct Owned<T> {
    bytes: T,
    _place: Place,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

fn too_large(limit: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("the body is over the limit of {limit} bytes"))
        .hint("send a digest, or stream the content as `application/octet-stream`")
        .close()
}

fn overloaded() -> Problem {
    Problem::new(Code::Overloaded, "too many large bodies are on their way")
        .hint(
            "retry: nothing was done; or send a digest, or stream the content as `application/octet-stream`",
        )
        .retry_after(PATIENCE.as_secs() as u32)
        .close()
}

fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout, "the body came too slowly")
        .hint("send at least 1 KiB a second, a body over 128 KiB at least 64 KiB; nothing was done")
        .close()
}

/// Reads a JSON body whole, after checking its size and content type.
///
/// # Errors
/// In this order: `too-large`, `unsupported-media-type`, then those of reading.
pub async fn read_json(headers: &HeaderMap, body: Body, limit: u64) -> Result<Bytes, Problem> {
    arriving_json(headers, body, limit)?.all().await
}

/// Begins to read a JSON body.
///
/// # Errors
/// `too-large`, `unsupported-media-type`.
pub fn arriving_json(headers: &HeaderMap, body: Body, limit: u64) -> Result<Arriving, Problem> {
    let body = Arriving::new(headers, body, limit)?;
    if !is_json(headers) {
        return Err(unsupported("application/json"));
    }
    Ok(body)
}

/// As [`read_json`], into memory that is wiped when it is let go of, however much it is.
///
/// # Errors
/// As [`read_json`].
pub async fn read_secret_json(headers: &HeaderMap, body: Body, limit: u64) -> Result<Bytes, Problem> {
    arriving_json(headers, body, limit)?.secret().all().await
}

/// As [`read_secret_json`], where a request may also have no body at all.
///
/// # Errors
/// As [`read_json`].
pub async fn read_secret_json_or_nothing(
    headers: &HeaderMap,
    body: Body,
    limit: u64,
) -> Result<Bytes, Problem> {
    let body = Arriving::new(headers, body, limit)?;
    if headers.contains_key(CONTENT_TYPE) && !is_json(headers) {
        return Err(unsupported("application/json"));
    }
    body.secret().all().await
}

/// A body of another content type than the route takes.
pub fn unsupported(wanted: &str) -> Problem {
    Problem::new(Code::UnsupportedMediaType, format!("the body is not `{wanted}`"))
        .hint(format!("send it with `Content-Type: {wanted}`"))
        .close()
}

/// Whether the body is said to be `application/json`.
pub fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

/// Whether the body is said to be `application/octet-stream`.
pub fn is_octets(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/octet-stream"))
}

/// The content type without its parameters; `None` if it is missing, unreadable or there twice.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    Some(value.split(';').next()?.trim_matches(|c| c == ' ' || c == '\t'))
}

/// Reads a document. Unknown and duplicate members are refused by `T`.
///
/// # Errors
/// `malformed-json`, or `invalid-request` with the member at fault; neither quotes the body.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Object(document)) => Ok(document),
        Err(error) => Err(explain(bytes, &error)),
    }
}

/// A document that is a JSON object. By itself a derived type reads an array of its members' values, too.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

fn explain(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let place = format!("line {} column {}", error.line(), error.column());
    if error.classify() != Category::Data {
        return Problem::new(Code::MalformedJson, format!("the body is not JSON: see {place}"));
    }
    let text = error.to_string();
    if let Some((member, what)) = named_member(&text) {
        return Problem::new(Code::InvalidRequest, format!("the member `{member}` {what}")).member(member);
    }
    // Of serde's message only the end is ours: before it may stand what the client wrote.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let wanted = text.rsplit_once(", expected ").map_or("another value", |(_, wanted)| wanted);
    match member_at(bytes, error.line(), error.column()) {
        Some(member) => {
            let detail = format!("the member `{member}` has the wrong form at {place}: expected {wanted}");
            Problem::new(Code::InvalidRequest, detail).member(member)
        }
        None => Problem::new(Code::InvalidRequest, format!("wrong form at {place}: expected {wanted}")),
    }
}

/// The member that a message of serde is about, and what is wrong with it.
fn named_member(text: &str) -> Option<(String, &'static str)> {
    let kinds = [
        ("unknown field `", "is not known here"),
        ("missing field `", "is missing"),
        ("duplicate field `", "stands twice"),
    ];
    kinds.into_iter().find_map(|(start, what)| {
        let member = text.strip_prefix(start)?.split('`').next()?;
        Some((shorten(member), what))
    })
}

/// The refusal of a query, from the message of the library that read it. Quotes no value.
pub fn explain_query(message: &str) -> Problem {
    // The message begins with what was tried, and then may name the parameter.
    let text = message.strip_prefix("Failed to deserialize query string: ").unwrap_or(message);
    if let Some((member, what)) = named_member(text) {
        let detail = format!("the query parameter `{member}` {what}");
        return Problem::new(Code::InvalidRequest, detail).member(member);
    }
    match text.split_once(": ") {
        Some((member, _)) if member.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            let detail = format!("the query parameter `{member}` has the wrong form");
            Problem::new(Code::InvalidRequest, detail).member(member.to_owned())
        }
        _ => Problem::new(Code::InvalidRequest, "the query cannot be read"),
    }
}

fn shorten(member: &str) -> String {
    member.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The outermost member that the place `line`:`column` (both from 1, bytes) is in. Only for text that is
/// JSON up to there.
fn member_at(bytes: &[u8], line: usize, column: usize) -> Option<String> {
    let start: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(line.checked_sub(1)?).map(<[u8]>::len).sum();
    let before = bytes.get(..(start + column).min(bytes.len()))?;

    let mut depth = 0usize;
    let mut last_text: &[u8] = &[];
    let mut member: Option<&[u8]> = None;
    let mut at = 0;
    while let Some(byte) = before.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => member = Some(last_text),
            b'"' => {
                let end = end_of_text(before, at + 1);
                if depth == 1 {
                    last_text = before.get(at + 1..end).unwrap_or_default();
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    let member: Cow<'_, str> = String::from_utf8_lossy(member?);
    Some(shorten(&member))
}

/// Where the closing quote of the text that begins at `from` stands, or the end.
fn end_of_text(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Overwrites a piece if nobody else holds it, as the buffer of a connection may do.
fn wipe(bytes: Bytes) {
    if let Ok(mut own) = bytes.try_into_mut() {
        zeroize::Zeroize::zeroize(own.as_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire {
        #[allow(dead_code, reason = "only read")]
        name: String,
        #[allow(dead_code, reason = "only read")]
        passphrase: Option<String>,
        #[allow(dead_code, reason = "only read")]
        count: Option<u8>,
    }

    fn refusal(text: &str) -> serde_json::Value {
        let problem = parse::<Wire>(text.as_bytes()).unwrap_err();
        serde_json::to_value(problem.document(&"r".parse().unwrap())).unwrap()
    }

    #[test]
    fn text_that_is_not_json_is_malformed() {
        for text in ["", "{", "nonsense", "{\"name\":\"a\"} x", "{\"name\":\"\u{1}\"}"] {
            assert_eq!(refusal(text)["type"], "urn:countersign:problem:malformed-json", "{text}");
        }
    }

    #[test]
    fn a_wrong_member_is_named_and_its_value_is_not_quoted() {
        for (text, member) in [
            (r#"{"name":"a","nam":1}"#, "nam"),
            (r#"{}"#, "name"),
            (r#"{"name":"a","name":"b"}"#, "name"),
            (r#"{"name":7}"#, "name"),
            ("{\"name\":\"\\\"}:{\",\n \"passphrase\": [\"secret, expected secret\"]}", "passphrase"),
            (r#"{"name":"a","passphrase":4242}"#, "passphrase"),
            (r#"{"name":"secret","count":"secret"}"#, "count"),
        ] {
            let problem = refusal(text);
            assert_eq!(problem["type"], "urn:countersign:problem:invalid-request", "{text}");
            assert_eq!(problem["member"], member, "{text}");
            assert!(!problem.to_string().contains("secret"), "{problem}");
            assert!(!problem.to_string().contains("4242"), "{problem}");
        }
    }

    #[test]
    fn a_document_that_is_no_object_is_refused() {
        for text in ["[1]", "\"x\"", "null", r#"["name", "passphrase", 1]"#] {
            let problem = refusal(text);
            assert_eq!(problem["type"], "urn:countersign:problem:invalid-request", "{text}");
            assert!(problem["detail"].as_str().unwrap().ends_with("expected an object"), "{problem}");
        }
    }

    #[test]
    fn the_content_type_may_have_parameters_but_stands_once() {
        let mut headers = HeaderMap::new();
        assert!(!is_json(&headers));
        headers.append(CONTENT_TYPE, "Application/JSON ; charset=utf-8".parse().unwrap());
        assert!(is_json(&headers));
        headers.append(CONTENT_TYPE, "application/json".parse().unwrap());
        assert!(!is_json(&headers));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_after_thirty_seconds() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let start = Instant::now();
        let problem = Arriving::new(&HeaderMap::new(), body, 10).unwrap().all().await.unwrap_err();
        assert_eq!(problem.code(), Code::RequestTimeout);
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_though_it_never_stops() {
        let drops = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"drip")), ()))
        });
        let start = Instant::now();
        let problem = Arriving::new(&HeaderMap::new(), Body::from_stream(drops), 1 << 20)
            .unwrap()
            .all()
            .await
            .unwrap_err();
        assert_eq!(problem.code(), Code::RequestTimeout);
        assert!(start.elapsed().as_secs() <= 40);
    }

    #[tokio::test]
    async fn large_bodies_wait_until_there_is_memory_for_them() {
        let large = |mib: usize| {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 20]));
            let body = Body::from_stream(futures_util::stream::iter((0..mib).map(move |_| chunk())));
            // How much will come is not said, so it counts as the limit.
            Arriving::new(&HeaderMap::new(), body, 256 << 20).unwrap().all()
        };
        let first = large(3).await.unwrap();
        let _second = large(3).await.unwrap();
        let third = large(3);
        tokio::pin!(third);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut third).await.is_err());
        drop(first);
        assert_eq!(third.await.unwrap().len(), 3 << 20);
    }

    fn steady(bytes: usize, every: Duration) -> Body {
        Body::from_stream(futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(every).await;
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes])), ()))
        }))
    }

    #[tokio::test]
    async fn a_place_is_kept_until_all_that_was_made_of_the_body_is_gone() {
        let room = room(16);
        let body = Arriving::new(&HeaderMap::new(), steady(128 << 10, Duration::ZERO), 16 << 20).unwrap();
        assert_eq!(body.held_in(room).await.err().unwrap().code(), Code::TooLarge);
        let chunks = (0..20).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 128 << 10])));
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let body = Arriving::new(&HeaderMap::new(), body, 4 << 20).unwrap();
        let Held { bytes, place } = body.held_in(room).await.unwrap();
        assert_eq!(room.available_permits(), 12);
        drop(bytes);
        let answer = place.tie(vec![0; 10]);
        let sent_in_part = answer.slice(..5);
        drop(answer);
        assert_eq!(room.available_permits(), 12, "somebody still reads the answer");
        drop(sent_in_part);
        assert_eq!(room.available_permits(), 16);
    }

    #[tokio::test]
    async fn a_secret_body_is_the_same_in_memory_that_is_wiped_however_long_it_is() {
        for pieces in [0, 1, 2, 40] {
            let chunks = (0..pieces).map(|n| Ok::<_, std::io::Error>(Bytes::from(vec![n; 10_000])));
            let body = Body::from_stream(futures_util::stream::iter(chunks));
            let body = Arriving::new(&HeaderMap::new(), body, 1 << 20).unwrap().secret();
            let found = body.all().await.unwrap();
            let expected: Vec<u8> = (0..pieces).flat_map(|n| vec![n; 10_000]).collect();
            assert_eq!(found, expected);
        }
        for (pieces, large) in [(1, false), (2, false), (40, true)] {
            let chunks = (0..pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 10_000])));
            let body = Body::from_stream(futures_util::stream::iter(chunks));
            let mut body = Arriving::new(&HeaderMap::new(), body, 1 << 20).unwrap().secret();
            let first = body.next().await.unwrap().unwrap();
            let next = body.next().await.unwrap();
            let (memory, place) = body.collect(first, next, room(1)).await.unwrap();
            assert!(matches!(memory, Memory::Wiped(bytes) if *bytes == vec![7; pieces * 10_000]), "{pieces}");
            assert_eq!(place.0.is_some(), large, "{pieces}");
        }
    }

    fn room(mib: usize) -> &'static Semaphore {
        Box::leak(Box::new(Semaphore::new(mib)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_that_drips_gives_up_its_place() {
        let room = room(16);
        // 32 KiB a second: enough for a small body, too slow for a large one.
        let drips = steady(32 << 10, Duration::from_secs(1));
        let start = Instant::now();
        let body = Arriving::new(&HeaderMap::new(), drips, 16 << 20).unwrap();
        let problem = body.held_in(room).await.err().unwrap();
        assert_eq!(problem.code(), Code::RequestTimeout);
        assert!(start.elapsed().as_secs() <= 40, "{:?}", start.elapsed());
        assert_eq!(room.available_permits(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_that_comes_steadily_is_read_to_its_limit_however_long_it_takes() {
        let flows = steady(128 << 10, Duration::from_secs(1));
        let body = Arriving::new(&HeaderMap::new(), flows, 16 << 20).unwrap();
        assert_eq!(body.held_in(room(16)).await.err().unwrap().code(), Code::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_without_a_place_is_refused_after_a_time_and_told_to_come_again() {
        let start = Instant::now();
        let body = Arriving::new(&HeaderMap::new(), Body::from(vec![0; 1]), 1 << 20).unwrap();
        assert!(body.held_in(room(0)).await.is_ok(), "a small one needs none");
        let body = Arriving::new(&HeaderMap::new(), steady(128 << 10, Duration::ZERO), 1 << 20).unwrap();
        let problem = body.held_in(room(0)).await.err().unwrap();
        let answer = problem.render(&"r".parse().unwrap());
        assert_eq!((answer.status().as_u16(), start.elapsed().as_secs()), (503, PATIENCE.as_secs()));
        assert!(answer.headers().contains_key(http::header::RETRY_AFTER));
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused_announced_or_not() {
        let unannounced = Body::from_stream(futures_util::stream::iter(
            [&b"12345"[..], b"67890", b"1"].map(|b| Ok::<_, std::io::Error>(Bytes::from_static(b))),
        ));
        let problem = Arriving::new(&HeaderMap::new(), unannounced, 10).unwrap().all().await.unwrap_err();
        assert_eq!(problem.code(), Code::TooLarge);

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, "11".parse().unwrap());
        let problem = Arriving::new(&headers, Body::empty(), 10).err().unwrap();
        assert_eq!(problem.code(), Code::TooLarge);
    }
}
