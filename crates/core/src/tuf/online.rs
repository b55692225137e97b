//! The keys that the service signs with: `key:tuf/NAME`, in the key host.
//!
//! Metadata name a key by an id that its author chose, and may say where its private half is said to be. Neither is
//! believed: a key is ours when type, scheme and public value are those of a key of ours (see `signers::of_role`).

use countersign_model::{Action, Format, HashAlg, KeyName, KeyType, Scheme, Surface};
use countersign_tuf::key::{Key, default_id, key_object};
use countersign_tuf::metadata::Document;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{BodyFault, Place};
use super::publish::signers::{self, Signer, ToSign};
use super::{Error, resource};
use crate::caller::Caller;
use crate::context::Context;
use crate::keys::{self, NewKey};
use crate::pipeline;
use crate::snapshot::{Key as StoredKey, KeyState};

/// The key that the first start makes.
pub(crate) const FIRST: &str = "online";

/// The schemes that keys are made for, and what is made.
const MADE: [(&str, KeyType); 3] = [
    ("ed25519", KeyType::Ed25519),
    ("ecdsa-sha2-nistp256", KeyType::P256),
    ("rsassa-pss-sha256", KeyType::Rsa(3072)),
];

/// A key of ours in one of the schemes that it signs with.
#[derive(Clone, Debug)]
pub(crate) struct OwnKey {
    /// Its name in the key host, `tuf/NAME`.
    pub name: KeyName,
    /// As it is compared, and as its signatures are verified.
    pub key: Key,
    /// `{"keytype","scheme","keyval"}`, nothing more.
    pub object: Value,
}

/// The keys of ours that sign metadata now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own(Vec<OwnKey>);

impl Own {
    /// All that are active, each in every scheme that it can sign with.
    pub(crate) fn now(ctx: &Context) -> Self {
        Self(active(ctx).iter().flat_map(|key| in_every_scheme(key)).collect())
    }

    /// As metadata are judged by them.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.0.iter().map(|own| own.key.clone()).collect()
    }
}

/// GET keys/online: `{"keys":[…],"pem":{…}}`, the default key first.
///
/// # Errors
/// [`Error::Other`] if a stored key is damaged.
pub async fn list(ctx: &Context) -> Result<Value, Error> {
    let (mut keys, mut pem) = (Vec::new(), Map::new());
    for own in in_order(ctx) {
        let (keyid, shown) = shown(&own)?;
        let public = own.key.public_key().map(|public| public.to_pem());
        pem.insert(keyid, json!(public));
        keys.push(shown);
    }
    Ok(json!({"keys": keys, "pem": pem}))
}

/// POST keys/online: `{"key":{…}}`. `scheme`: `ed25519`, `ecdsa-sha2-nistp256` or `rsassa-pss-sha256`.
///
/// # Errors
/// [`Error::Conflict`] if the name is taken; [`Error::Invalid`] for a name or scheme that cannot be;
/// [`Error::Other`] when it is not permitted, and when key host or database fail.
pub async fn create(ctx: &Context, caller: &Caller, name: &str, scheme: &str) -> Result<Value, Error> {
    let key_name = KeyName::owned(Surface::Tuf, name).map_err(|error| invalid("name", error.to_string()))?;
    let made = MADE.into_iter().find(|(known, _)| *known == scheme);
    let (_, key_type) = made.ok_or_else(|| {
        let known: Vec<&str> = MADE.iter().map(|(known, _)| *known).collect();
        invalid("scheme", format!("the scheme is one of {}", known.join(", ")))
    })?;
    pipeline::authorise_person(ctx, caller, Action::TufWrite, &resource())?;
    let new =
        NewKey { name: key_name.clone(), key_type, exportable: false, formats: Some(vec![Format::Tuf]) };
    match keys::create(ctx, &through_surface(caller), new).await {
        Ok(_) => {}
        Err(crate::Error::NameTaken { .. }) => {
            let (message, error) =
                ("Key not created.".to_owned(), format!("There is a key `{name}` already."));
            return Err(Error::Conflict { message, error });
        }
        Err(error) => return Err(error.into()),
    }
    let key = keys::find(ctx, &key_name)?;
    let own = preferred(&key).ok_or_else(|| unusable(&key_name))?;
    Ok(json!({"key": shown(&own)?.1}))
}

/// Puts the signatures of keys of ours into `document`, after they were verified.
pub(super) async fn sign(
    ctx: &Context,
    document: &mut Document,
    signers: Vec<Signer>,
    subject: String,
) -> Result<(), crate::Error> {
    let item = ToSign { subject, message: document.signed_bytes(), signers: signers.into() };
    let signed = signers::sign(ctx, vec![item]).await?;
    let signatures: Vec<Signature> = signed
        .first()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| crate::Error::Internal("signatures of ours cannot be read".into()))?;
    for signature in &signatures {
        document.put_signature(&signature.keyid, &signature.sig);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Signature {
    keyid: String,
    sig: String,
}

/// The caller, asking through the surface whose keys these are.
fn through_surface(caller: &Caller) -> Caller {
    Caller { surface: Surface::Tuf, ..caller.clone() }
}

/// Each key once, in its preferred scheme: the default first, then by age.
fn in_order(ctx: &Context) -> Vec<OwnKey> {
    let mut keys = active(ctx);
    let rank = |key: &StoredKey| -> (bool, Timestamp) {
        (key.name.as_str().strip_prefix("tuf/") != Some(FIRST), key.created)
    };
    keys.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    keys.iter().filter_map(|key| preferred(key)).collect()
}

fn active(ctx: &Context) -> Vec<std::sync::Arc<StoredKey>> {
    let signs = |key: &StoredKey| {
        key.name.owner() == Some(Surface::Tuf)
            && key.state == KeyState::Active
            && key.formats.as_ref().is_none_or(|formats| formats.contains(&Format::Tuf))
    };
    ctx.cache.read().keys.values().filter(|key| signs(key)).cloned().collect()
}

fn in_every_scheme(key: &StoredKey) -> impl Iterator<Item = OwnKey> {
    key.key_type.schemes().into_iter().filter_map(|scheme| own(key, scheme))
}

/// In the scheme that new metadata should name.
fn preferred(key: &StoredKey) -> Option<OwnKey> {
    let scheme = match key.key_type {
        KeyType::Rsa(_) => Scheme::RsaPss(HashAlg::Sha256),
        other => other.default_scheme(),
    };
    own(key, scheme)
}

/// `None` for a scheme that TUF has no name for, and for a record that is damaged: such a key signs nothing.
fn own(key: &StoredKey, scheme: Scheme) -> Option<OwnKey> {
    let object = key_object(key.public().ok()?, scheme)?;
    let parsed = Key::from_value(&object).ok().filter(|parsed| parsed.usable().is_ok())?;
    Some(OwnKey { name: key.name.clone(), key: parsed, object })
}

/// The key's default id, and the object that clients put into roots.
fn shown(own: &OwnKey) -> Result<(String, Value), Error> {
    let keyid = default_id(&own.object).map_err(|_| unusable(&own.name))?;
    let name = own.name.as_str().strip_prefix("tuf/").unwrap_or(own.name.as_str());
    let mut shown = own.object.clone();
    shown["keyid"] = json!(keyid);
    shown["x-rstuf-key-name"] = json!(name);
    shown["x-rstuf-online-key-uri"] = json!(format!("countersign:{name}"));
    Ok((keyid, shown))
}

fn unusable(name: &KeyName) -> Error {
    crate::Error::Internal(format!("key `{name}` cannot be written as a key of TUF")).into()
}

fn invalid(member: &str, msg: String) -> Error {
    let loc = vec![Place::Name("body".to_owned()), Place::Name(member.to_owned())];
    Error::Invalid(vec![BodyFault { kind: "value_error", loc, msg }])
}
