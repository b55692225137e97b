//! The headers, read strictly and written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::mac::{Kind, mac, normalized, verify};
use super::{HawkError, MAX_HEADER, Target};

/// What the sender of a request chooses, all of it under the MAC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// The sender's clock: seconds since 1970.
    pub ts: u64,
    /// A text that this sender never used before at that time.
    pub nonce: String,
    /// The hash of the body in base64, from [`super::payload_hash`].
    pub hash: Option<String>,
    /// Whatever sender and receiver agreed on.
    pub ext: Option<String>,
    /// The application's id (Oz).
    pub app: Option<String>,
    /// Who delegated the application (Oz); counts only beside `app`.
    pub dlg: Option<String>,
}

/// An `Authorization` header, as it was read: its MAC is not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose key it is.
    pub id: String,
    artifacts: Artifacts,
    mac: String,
}

impl Header {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`HawkError`]; [`HawkError::Scheme`] if it is not for Hawk at all.
    pub fn parse(text: &str) -> Result<Self, HawkError> {
        let mut attributes = Attributes::parse(text)?;
        let ts = attributes.required("ts")?;
        let artifacts = Artifacts {
            ts: seconds(&ts).ok_or(HawkError::Attribute("ts"))?,
            nonce: attributes.required("nonce")?,
            hash: attributes.hash("hash")?,
            ext: attributes.take("ext"),
            app: attributes.take("app"),
            dlg: attributes.take("dlg"),
        };
        let id = attributes.required("id")?;
        let mac = attributes.hash("mac")?.ok_or(HawkError::Missing("mac"))?;
        Ok(Self { id, artifacts, mac })
    }

    /// The sender's clock: seconds since 1970.
    pub fn ts(&self) -> u64 {
        self.artifacts.ts
    }

    /// What may not come a second time with the same id at the same time.
    pub fn nonce(&self) -> &str {
        &self.artifacts.nonce
    }

    /// The hash of the body that the sender claims, in base64.
    pub fn hash(&self) -> Option<&str> {
        self.artifacts.hash.as_deref()
    }

    /// What the MAC is over, beside the target: an answer's MAC is over the same.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The MAC in base64.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// What the MAC is over for this target, for who has no key but can ask whoever has it.
    pub fn covered(&self, target: &Target) -> String {
        normalized(Kind::Header, target, &self.artifacts)
    }

    /// Whether the MAC is that of `key` for this target. Takes the same time wherever it is wrong.
    pub fn is_by(&self, key: &[u8], target: &Target) -> bool {
        verify(Kind::Header, key, target, &self.artifacts, &self.mac)
    }
}

/// The value of the `Authorization` header for a request.
///
/// # Errors
/// [`HawkError::Attribute`] for what cannot stand in a header, [`HawkError::TooLong`].
pub fn header(id: &str, key: &[u8], target: &Target, artifacts: &Artifacts) -> Result<String, HawkError> {
    let Artifacts { ts, nonce, hash, ext, app, dlg } = artifacts;
    let (mac, ts) = (mac(Kind::Header, key, target, artifacts), ts.to_string());
    write([
        ("id", Some(id)),
        ("ts", Some(&ts)),
        ("nonce", Some(nonce)),
        ("hash", hash.as_deref()),
        ("ext", ext.as_deref()),
        ("mac", Some(&mac)),
        ("app", app.as_deref()),
        ("dlg", dlg.as_deref().filter(|_| app.is_some())),
    ])
}

/// A `Server-Authorization` header: the answer's own MAC, which shows that whoever answers has the key too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHeader {
    /// The hash of the answer's body that the server claims, in base64.
    pub hash: Option<String>,
    ext: Option<String>,
    mac: String,
}

impl ServerHeader {
    /// Reads the value of a `Server-Authorization` header.
    ///
    /// # Errors
    /// [`HawkError`].
    pub fn parse(text: &str) -> Result<Self, HawkError> {
        let mut attributes = Attributes::parse(text)?;
        let mac = attributes.hash("mac")?.ok_or(HawkError::Missing("mac"))?;
        let header = Self { hash: attributes.hash("hash")?, ext: attributes.take("ext"), mac };
        match attributes.0.iter().position(Option::is_some) {
            Some(extra) => Err(HawkError::Unknown(NAMES[extra].to_owned())),
            None => Ok(header),
        }
    }

    /// Whether it is the answer of a server with `key` to the request with these artifacts.
    pub fn is_by(&self, key: &[u8], target: &Target, request: &Artifacts) -> bool {
        let answer = of_answer(request, self.hash.clone(), self.ext.clone());
        verify(Kind::Response, key, target, &answer, &self.mac)
    }
}

/// The value of the `Server-Authorization` header for the answer to a request. `hash`: that of the answer's body.
///
/// # Errors
/// [`HawkError::Attribute`] for what cannot stand in a header.
pub fn server_header(
    key: &[u8],
    target: &Target,
    request: &Artifacts,
    hash: Option<String>,
) -> Result<String, HawkError> {
    let answer = of_answer(request, hash, None);
    let mac = mac(Kind::Response, key, target, &answer);
    write([("mac", Some(mac.as_str())), ("hash", answer.hash.as_deref())])
}

/// The request's time and nonce stay, so that an answer belongs to one request.
fn of_answer(request: &Artifacts, hash: Option<String>, ext: Option<String>) -> Artifacts {
    Artifacts { hash, ext, ..request.clone() }
}

fn write<'a>(
    attributes: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> Result<String, HawkError> {
    let mut text = String::from("Hawk ");
    for (name, value) in attributes {
        let Some(value) = value else { continue };
        if !value.bytes().all(is_value) || (value.is_empty() && name != "ext") {
            return Err(HawkError::Attribute(name));
        }
        let comma = if text.ends_with('"') { ", " } else { "" };
        text.push_str(&format!("{comma}{name}=\"{value}\""));
    }
    if text.len() > MAX_HEADER { Err(HawkError::TooLong) } else { Ok(text) }
}

/// Every attribute that a header may have.
const NAMES: [&str; 8] = ["id", "ts", "nonce", "hash", "ext", "mac", "app", "dlg"];

/// The values, in the order of [`NAMES`].
struct Attributes([Option<String>; NAMES.len()]);

impl Attributes {
    fn parse(text: &str) -> Result<Self, HawkError> {
        let (scheme, mut rest) = text.split_once(' ').ok_or(HawkError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("hawk") {
            return Err(HawkError::Scheme);
        }
        if text.len() > MAX_HEADER {
            return Err(HawkError::TooLong);
        }
        let mut all = Self(Default::default());
        loop {
            let (name, after) = rest.trim_start_matches(' ').split_once("=\"").ok_or(HawkError::Malformed)?;
            let (value, after) = after.split_once('"').ok_or(HawkError::Malformed)?;
            all.put(name, value)?;
            match after.trim_start_matches(' ') {
                "" => return Ok(all),
                after => rest = after.strip_prefix(',').ok_or(HawkError::Malformed)?,
            }
        }
    }

    fn put(&mut self, name: &str, value: &str) -> Result<(), HawkError> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(HawkError::Malformed);
        }
        let index = NAMES.iter().position(|known| *known == name);
        let index = index.ok_or_else(|| HawkError::Unknown(name.to_owned()))?;
        if !value.bytes().all(is_value) || (value.is_empty() && name != "ext") {
            return Err(HawkError::Attribute(NAMES[index]));
        }
        match self.0[index].replace(value.to_owned()) {
            Some(_) => Err(HawkError::Twice(NAMES[index])),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.0[NAMES.iter().position(|known| *known == name)?].take()
    }

    fn required(&mut self, name: &'static str) -> Result<String, HawkError> {
        self.take(name).ok_or(HawkError::Missing(name))
    }

    /// Base64 of 32 bytes, in its one form.
    fn hash(&mut self, name: &'static str) -> Result<Option<String>, HawkError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match STANDARD.decode(&value) {
            Ok(bytes) if bytes.len() == 32 => Ok(Some(value)),
            _ => Err(HawkError::Attribute(name)),
        }
    }
}

/// What a value is made of, as the reference has it: what can be seen, and the space; no `"` and no `\`.
fn is_value(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Digits without a zero in front: what the MAC is over must be what was sent.
fn seconds(text: &str) -> Option<u64> {
    let ts: u64 = text.parse().ok()?;
    (ts.to_string() == text).then_some(ts)
}
