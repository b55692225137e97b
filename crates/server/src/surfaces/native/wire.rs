//! Documents of the native API: requests as they are read, answers as they are described.
//!
//! Answers are written by the use-cases' own types; those of this file describe them, and tests read every
//! answer with them.

use std::fmt;

use countersign_core::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use zeroize::{Zeroize as _, Zeroizing};

use crate::body::Object;

/// A text that is wiped when dropped and never shown.
#[derive(Default, ToSchema)]
#[schema(value_type = String)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The bytes, moved.
    pub fn into_secret(mut self) -> Secret {
        Secret(std::mem::take(&mut *self.0).into_bytes())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A request whose body may only be absent or `{}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Which piece of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The most items: 1 to 1000, 100 if absent.
    pub limit: Option<u32>,
    /// The `next` of the piece before.
    pub after: Option<String>,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// `[a-z0-9][a-z0-9._-]{0,63}`, not ending in `.pem`.
    #[schema(example = "release-2026")]
    pub name: String,
    /// `rsa-2048`, `rsa-3072`, `rsa-4096`, `p256`, `p384`, `p521` or `ed25519`.
    #[serde(rename = "type")]
    #[schema(example = "p384")]
    pub key_type: String,
    /// Whether it can be taken out, encrypted. Default false.
    #[serde(default)]
    pub exportable: bool,
    /// The only formats that it will sign; absent: all that policy allows.
    pub formats: Option<Vec<String>>,
}

/// A key to be taken in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportKey {
    /// As in [`CreateKey`].
    pub name: String,
    /// PKCS#8, encrypted PKCS#8, PKCS#1 or SEC1 in PEM.
    pub pem: SecretText,
    /// For encrypted PKCS#8.
    pub passphrase: Option<SecretText>,
    /// Whether it can be taken out again, encrypted. Default false.
    #[serde(default)]
    pub exportable: bool,
    /// The only formats that it will sign.
    pub formats: Option<Vec<String>>,
}

/// Why a key is revoked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    /// 1 to 256 characters.
    pub reason: String,
}

/// What to encrypt an exported key with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportKey {
    /// At least 12 characters.
    pub passphrase: SecretText,
}

/// The passphrase that a key host waits for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockSeal {
    /// That of the seal key.
    pub passphrase: SecretText,
}

/// How the seal is, and what each process gave up.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seal {
    /// `ready`; `locked`: the key host waits for its passphrase; `down`: it does not run.
    pub state: &'static str,
    /// Why the state is not `ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the seal key is kept, in words; null while that is not known.
    pub seal: Option<String>,
    /// What the key host gave up: a line each, beginning with `ok` or `warning`.
    pub key_host: Vec<String>,
    /// What the front gave up: as `key_host`.
    pub front: Vec<String>,
    /// The database.
    pub database: SealDatabase,
}

/// The database in [`Seal`].
#[derive(Debug, Serialize, ToSchema)]
pub struct SealDatabase {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Whether it answers.
    pub answers: bool,
    /// How far it knows this node's log to be.
    pub log: Option<KnownLog>,
}

/// How far the database knows a log to be.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownLog {
    /// Its origin.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// Its root, hex.
    pub root: String,
}

/// The passphrase of a new backup.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBackup {
    /// At least 12 characters.
    pub passphrase: SecretText,
}

/// One content to be signed. Exactly one of `message` and `digest`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Absent: the key's default.
    pub scheme: Option<String>,
    /// The message in base64.
    pub message: Option<String>,
    /// `sha256:HEX`, `sha384:HEX` or `sha512:HEX`, of the scheme's hash.
    pub digest: Option<String>,
    /// For ECDSA: `der` (default) or `raw` (r‖s).
    pub encoding: Option<String>,
    /// What the content is, for the log: at most 256 characters.
    pub subject: Option<String>,
    /// How the signature is written: `raw` (default), `openpgp`, `cms`, `kmod`, `authenticode`, `efi-var` or
    /// `rpi-eeprom`.
    pub format: Option<String>,
    /// Who signs, where the format has that: a certificate of the key. PEM or armored, else base64.
    pub certificate: Option<String>,
    /// With `efi-var`: `PK`, `KEK`, `db` or `dbx`.
    pub variable: Option<String>,
    /// With `efi-var`: whether the lists are added to the variable. Default false.
    pub append: Option<bool>,
    /// With `cms`: whether the signature says when it was made. Default true.
    pub signing_time: Option<bool>,
}

/// The members of [`Sign`] beside a streamed body.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SignQuery {
    /// With a streamed body only. Absent: the key's default.
    pub scheme: Option<String>,
    /// With a streamed body only. For ECDSA: `der` (default) or `raw`.
    pub encoding: Option<String>,
    /// With a streamed body only. For the log: at most 256 characters.
    pub subject: Option<String>,
    /// With a streamed body only. How the signature is written: `raw` (default), `openpgp`, `cms`, `kmod`,
    /// `authenticode`, `efi-var` or `rpi-eeprom`.
    pub format: Option<String>,
    /// With a streamed body only. Who signs, where the format has that: a certificate of the key. PEM or armored, else base64.
    pub certificate: Option<String>,
    /// With a streamed body only. With `efi-var`: `PK`, `KEK`, `db` or `dbx`.
    pub variable: Option<String>,
    /// With a streamed body only. With `efi-var`: whether the lists are added to the variable. Default false.
    pub append: Option<bool>,
    /// With a streamed body only. With `cms`: whether the signature says when it was made. Default true.
    pub signing_time: Option<bool>,
    /// Never: the body is the message.
    #[param(ignore)]
    pub message: Option<String>,
    /// Never: the body is the message.
    #[param(ignore)]
    pub digest: Option<String>,
}

/// Many contents to be signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignBatch<'a> {
    /// 1 to 1000; each is read by itself, so that one that cannot be read does not touch the others.
    #[serde(borrow)]
    pub items: Vec<&'a RawValue>,
}

/// An item of a batch: [`Sign`] and the key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignItem {
    /// The key.
    pub key: String,
    /// Absent: the key's default.
    pub scheme: Option<String>,
    /// The message in base64.
    pub message: Option<String>,
    /// `sha256:HEX`, `sha384:HEX` or `sha512:HEX`.
    pub digest: Option<String>,
    /// For ECDSA: `der` (default) or `raw` (r‖s).
    pub encoding: Option<String>,
    /// For the log.
    pub subject: Option<String>,
    /// How the signature is written: `raw` (default), `openpgp`, `cms`, `kmod`, `authenticode`, `efi-var` or
    /// `rpi-eeprom`.
    pub format: Option<String>,
    /// Who signs, where the format has that: a certificate of the key. PEM or armored, else base64.
    pub certificate: Option<String>,
    /// With `efi-var`: `PK`, `KEK`, `db` or `dbx`.
    pub variable: Option<String>,
    /// With `efi-var`: whether the lists are added to the variable. Default false.
    pub append: Option<bool>,
    /// With `cms`: whether the signature says when it was made. Default true.
    pub signing_time: Option<bool>,
}

/// [`SignBatch`] as it is described.
#[derive(ToSchema)]
#[schema(as = SignBatch)]
pub struct SignBatchSchema {
    /// 1 to 1000.
    pub items: Vec<SignItem>,
}

/// A certificate that a key signs for itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SelfSign {
    /// As `openssl -subj` writes it.
    #[schema(example = "/O=Example/CN=Example modules")]
    pub subject: String,
    /// Days of validity.
    pub days: u32,
    /// Whether it is the root of an authority, and says so. Default false: as `openssl req -x509` makes it.
    #[serde(default)]
    pub authority: bool,
    /// Of an authority: how many others may stand below it; absent: any number.
    pub path_length: Option<u8>,
}

/// A request for a certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeRequest {
    /// As `openssl -subj` writes it.
    pub subject: String,
    /// `dns:NAME`, `email:ADDRESS`, `ip:ADDRESS` or `uri:URI`.
    #[serde(default)]
    pub alt_names: Vec<String>,
}

/// A certificate to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueCertificate {
    /// The authority's certificate, of this key. PEM, else base64.
    pub issuer: String,
    /// The request. PEM, else base64.
    pub request: String,
    /// Whose key it is, as `openssl -subj` writes it. The request's own subject is not looked at.
    pub subject: String,
    /// Days of validity.
    pub days: u32,
    /// Other names that the request may have: each as in a request, or `below:DOMAIN`.
    #[serde(default)]
    pub allow_names: Vec<String>,
    /// What the request may be for: `server-auth`, `client-auth`, `code-signing`, `email-protection` or an OID.
    #[serde(default)]
    pub allow_purposes: Vec<String>,
    /// Whether the request's key becomes an authority. Default false.
    #[serde(default)]
    pub authority: bool,
    /// Of an authority: how many others may stand below it; absent: what its issuer leaves it.
    pub path_length: Option<u8>,
}

/// An OpenPGP certificate of a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeOpenPgp {
    /// Whose key it is.
    pub name: String,
    /// Stands in brackets behind the name.
    #[serde(default)]
    pub comment: String,
    /// Their address.
    pub email: String,
}

/// What was certified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Certified {
    pub key: String,
    pub key_id: String,
    pub scheme: String,
    /// PEM, or an armored OpenPGP key.
    pub certificate: String,
    pub log: LogPlace,
    pub request_id: String,
}

/// A signature to be checked. Exactly one of `key` and `public_key`, and of `message` and `digest`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The name of one of ours.
    pub key: Option<String>,
    /// `PUBLIC KEY` in PEM.
    pub public_key: Option<String>,
    /// The scheme.
    pub scheme: String,
    /// The message in base64.
    pub message: Option<String>,
    /// `sha256:HEX`, `sha384:HEX` or `sha512:HEX`.
    pub digest: Option<String>,
    /// The signature in base64.
    pub signature: String,
    /// For ECDSA: `der` (default) or `raw` (r‖s).
    pub encoding: Option<String>,
}

/// A principal to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePrincipal {
    /// `[a-z0-9][a-z0-9._-]{0,63}`.
    #[schema(example = "build-farm")]
    pub name: String,
    /// Roles that rules mention.
    #[schema(example = json!(["signer"]))]
    pub roles: Vec<String>,
}

/// A token to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for.
    pub label: Option<String>,
    /// RFC 3339; absent: in 90 days; null: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Option<String>>,
    /// Patterns of the only actions that it allows.
    pub actions: Option<Vec<String>>,
    /// Patterns of the only resources that it allows.
    pub resources: Option<Vec<String>>,
}

/// A Hawk pair to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateHawk {
    /// What it is for.
    pub label: Option<String>,
    /// RFC 3339; absent: in 90 days; null: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Option<String>>,
}

/// Tells a member that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn rules<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<countersign_model::policy::Rule>, D::Error> {
    let rules = Vec::<Object<_>>::deserialize(deserializer)?;
    Ok(rules.into_iter().map(|Object(rule)| rule).collect())
}

/// New rules.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPolicy {
    /// All of them.
    #[serde(deserialize_with = "rules")]
    #[schema(value_type = Vec<Rule>)]
    pub rules: Vec<countersign_model::policy::Rule>,
}

/// May somebody do something?
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckPolicy {
    /// Who.
    pub principal: String,
    /// Such as `key:sign`.
    pub action: String,
    /// Such as `key:release-2026`.
    pub resource: String,
    /// To sign: how it is written.
    pub format: Option<String>,
    /// To sign: the scheme.
    pub scheme: Option<String>,
}

/// Rules to be tried on requests of the past.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestPolicy {
    /// All of them.
    #[serde(deserialize_with = "rules")]
    #[schema(value_type = Vec<Rule>)]
    pub rules: Vec<countersign_model::policy::Rule>,
    /// How many of the last requests.
    pub last: u64,
}

/// Which entries of the log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Entries of this request; absent: the logs themselves.
    pub request_id: Option<String>,
    /// The `next` of the answer before.
    pub after: Option<String>,
}

/// What the service is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// `countersign`.
    pub service: String,
    /// Of the program.
    pub version: String,
    /// The surfaces that answer.
    pub surfaces: Vec<String>,
    /// What is limited.
    pub limits: ServiceLimits,
    /// This node's log.
    pub log: ServiceLog,
}

/// What is limited.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLimits {
    /// Of a JSON body.
    pub body_bytes: u64,
    /// Of a streamed body.
    pub streamed_bytes: u64,
    /// Of a batch.
    pub batch_items: u32,
}

/// A node's log.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLog {
    /// Its name.
    pub origin: String,
    /// Its verifier key (C2SP signed-note).
    pub public_key: String,
}

/// A key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described by the use-case's own type")]
pub struct Key {
    pub name: String,
    /// `sha256:` and SHA-256 of the SubjectPublicKeyInfo in hex.
    pub id: String,
    #[serde(rename = "type")]
    pub key_type: String,
    /// The default first.
    pub schemes: Vec<String>,
    /// `active`, `retired` or `revoked`.
    pub state: String,
    pub exportable: bool,
    pub formats: Option<Vec<String>>,
    pub backend: String,
    pub created: String,
    pub revoked: Option<Revocation>,
    /// `PUBLIC KEY` in PEM.
    pub public_key: String,
}

/// When and why a key was revoked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Revocation {
    pub at: String,
    pub reason: String,
}

/// A piece of the list of keys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct KeyList {
    pub keys: Vec<Key>,
    /// What to give as `after` for the next piece.
    pub next: Option<String>,
}

/// An exported key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportedKey {
    /// `ENCRYPTED PRIVATE KEY`.
    pub pem: String,
}

/// A signature.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Signature {
    pub key: String,
    pub key_id: String,
    pub scheme: String,
    /// Absent for a bare signature.
    pub format: Option<String>,
    /// In base64.
    pub signature: String,
    /// What was signed, where the scheme has a hash.
    pub digest: Option<String>,
    pub log: LogPlace,
    pub request_id: String,
}

/// Where an entry stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct LogPlace {
    pub origin: String,
    pub index: u64,
}

/// Answers of a batch, in order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureBatch {
    /// Signatures and refusals.
    pub results: Vec<SignatureOrError>,
}

/// One answer of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SignatureOrError {
    /// It was signed.
    Signed(Box<Signature>),
    /// It was refused.
    Refused {
        /// Why.
        error: Problem,
    },
}

/// A refusal (RFC 9457).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Problem {
    /// `urn:countersign:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub hint: Option<String>,
    pub request_id: String,
    /// The member at fault.
    pub member: Option<String>,
}

/// Whether a signature is good.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Verdict {
    pub valid: bool,
    pub reason: Option<String>,
}

/// A principal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Principal {
    pub name: String,
    pub roles: Vec<String>,
    pub created: String,
    pub disabled: bool,
}

/// A piece of the list of principals.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct PrincipalList {
    pub principals: Vec<Principal>,
    pub next: Option<String>,
}

/// A token that was made: shown once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct TokenMade {
    pub id: String,
    pub token: String,
    pub expires: Option<String>,
}

/// A Hawk pair that was made: shown once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct HawkMade {
    pub id: String,
    pub secret: String,
    pub expires: Option<String>,
}

/// A token or a Hawk pair, without its secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Token {
    pub id: String,
    /// `token` or `hawk`.
    pub kind: String,
    pub label: Option<String>,
    pub created: String,
    pub expires: Option<String>,
    pub last_used: Option<String>,
    pub revoked: Option<String>,
}

/// All tokens of a principal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct TokenList {
    pub tokens: Vec<Token>,
}

/// Who the caller is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct WhoAmI {
    pub principal: String,
    pub roles: Vec<String>,
    pub token: Option<WhoseToken>,
}

/// The token that the caller showed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct WhoseToken {
    pub id: String,
    pub expires: Option<String>,
}

/// Allows or denies some actions on some resources to some principals.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Rule {
    pub id: String,
    /// `allow` or `deny`.
    pub effect: String,
    /// Names or `role:ROLE`; `*` matches any run of characters.
    pub principals: Vec<String>,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    pub formats: Option<Vec<String>>,
    pub schemes: Option<Vec<String>>,
}

/// The policy in force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Policy {
    pub version: i64,
    pub hash: String,
    pub rules: Vec<Rule>,
}

/// What the policy says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Decision {
    pub allowed: bool,
    pub rule: Option<String>,
    pub reason: String,
}

/// What other rules would have decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Replay {
    pub replayed: u64,
    pub changed: Vec<Changed>,
}

/// A logged request whose decision would change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Changed {
    pub origin: String,
    pub index: u64,
    pub time: String,
    pub request_id: String,
    pub principal: String,
    pub action: String,
    pub resource: String,
    pub format: Option<String>,
    pub scheme: Option<String>,
    pub allowed: bool,
    pub reason: String,
}

/// The logs, or entries of one request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum LogAnswer {
    Logs {
        logs: Vec<LogHead>,
    },
    Entries {
        entries: Vec<PlacedEntry>,
        /// Where to go on; null: all entries were searched.
        next: Option<String>,
    },
}

/// How far a log is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct LogHead {
    pub origin: String,
    pub size: u64,
    /// In hex.
    pub root: String,
    /// Verifier key (C2SP signed-note).
    pub public_key: String,
}

/// An entry and where it stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct PlacedEntry {
    pub origin: String,
    pub index: u64,
    pub entry: serde_json::Value,
}

/// An entry with its proof.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct ProvenEntry {
    pub index: u64,
    pub entry: serde_json::Value,
    /// The leaf hash in hex.
    pub leaf: String,
    /// In C2SP `tlog-proof@v1` form.
    pub proof: String,
}
