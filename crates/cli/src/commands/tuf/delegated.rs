//! Delegated roles as people write them down, and as the service is told of them.

use countersign_tuf::check::delegation::EXPIRE_POLICY;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::signer::id_of;
use crate::failure::Failure;

/// How many days a delegated role lives if nobody says.
pub const DEFAULT_DAYS: u32 = 90;

/// A delegated role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegatedPlan {
    /// Its name.
    pub name: String,
    /// Patterns of paths that it is trusted with.
    pub paths: Vec<String>,
    /// Key objects; none: the server signs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Value>,
    /// How many must sign.
    #[serde(default = "one")]
    pub threshold: u64,
    /// Whether roles after it are not asked for its paths.
    #[serde(default = "yes")]
    pub terminating: bool,
    /// How long a version lives.
    pub days: u32,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

/// `{"keys":{KEYID:KEY},"roles":[…]}`, as `POST bootstrap` and `delegations/` take it.
///
/// # Errors
/// If a key is none.
pub fn written(roles: &[DelegatedPlan]) -> Result<Value, Failure> {
    let (mut keys, mut all) = (Map::new(), Vec::new());
    for role in roles {
        let mut ids = Vec::new();
        for key in &role.keys {
            let (id, object) = split(key)?;
            keys.insert(id.clone(), object);
            ids.push(id);
        }
        let mut written = json!({
            "name": role.name, "terminating": role.terminating, "keyids": ids,
            "threshold": role.threshold, "paths": role.paths,
        });
        written[EXPIRE_POLICY] = json!(role.days);
        all.push(written);
    }
    Ok(json!({"keys": keys, "roles": all}))
}

/// Id and object of a key of the file, without its name.
///
/// # Errors
/// If it is none.
pub fn split(key: &Value) -> Result<(String, Value), Failure> {
    let mut members = key.as_object().cloned().unwrap_or_default();
    members.remove("name");
    let object = Value::Object(members);
    Ok((id_of(&object)?, object))
}
