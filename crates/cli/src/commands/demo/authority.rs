//! Who signs: authorities, each with a key of another type.

use std::path::{Path, PathBuf};

use countersign_model::{KeyName, KeyType, PublicKey};
use http::{Method, header};
use serde_json::{Value, json};

use crate::api::{Api, BASE, Request};
use crate::commands::sign;
use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};

/// Who signs: the names of authorities, each with a key of another type.
pub const AUTHORITIES: [(&str, KeyType); 7] = [
    ("build-farm", KeyType::Rsa(3072)),
    ("firmware", KeyType::Rsa(4096)),
    (BOOT_ROM, KeyType::Rsa(2048)),
    ("gateway-fleet", KeyType::P256),
    ("release-team", KeyType::P384),
    ("archive", KeyType::P521),
    ("security", KeyType::Ed25519),
];

/// The one authority that signs without DigestInfo, as some boot ROMs want it. Policy must say so.
pub const BOOT_ROM: &str = "boot-rom";

/// Who signs.
pub struct Authority {
    pub name: &'static str,
    pub key: KeyName,
    pub public_key: PublicKey,
    /// Where the public key is.
    pub pem: PathBuf,
}

/// Makes the keys, and keeps their public halves in `keys/`.
pub async fn make_keys(api: &Api, directory: &Path) -> Result<Vec<Authority>, Failure> {
    let mut authorities = Vec::new();
    for (name, key_type) in AUTHORITIES {
        api.post("/keys", &json!({ "name": name, "type": key_type })).await?;
        let key: KeyName = name.parse().or_unknown("a name of the demonstration")?;
        let public_key = sign::public_key(api, &key).await?;
        let pem = directory.join("keys").join(format!("{name}.pem"));
        files::write(&pem, public_key.to_pem().as_bytes(), Mode::Public)?;
        authorities.push(Authority { name, key, public_key, pem });
    }
    Ok(authorities)
}

/// Adds the rule that signing without DigestInfo needs: no role has it.
pub async fn allow_unprefixed(api: &Api) -> Result<(), Failure> {
    let answer = api.get("/policy").await?;
    let etag = answer.header(&header::ETAG).ok_or_else(|| Failure::unknown("the policy has no ETag"))?;
    let mut rules = answer.json::<Value>()?["rules"].take();
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({
            "id": "demo-boot-rom", "effect": "allow", "principals": ["admin"], "actions": ["key:sign"],
            "resources": [format!("key:{BOOT_ROM}")], "formats": ["raw-unprefixed"],
        }));
    }
    let request = Request::new(Method::PUT, &format!("{BASE}/policy"))
        .header(header::IF_MATCH, etag)
        .json(&json!({ "rules": rules }))?;
    api.call(request).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use countersign_model::Scheme;

    use super::*;

    #[test]
    fn every_scheme_is_shown() {
        let mut shown: Vec<Scheme> =
            AUTHORITIES.iter().flat_map(|(_, key_type)| key_type.schemes()).collect();
        shown.sort();
        shown.dedup();
        assert_eq!(shown.len(), Scheme::ALL.len());
        assert_eq!(AUTHORITIES.len(), KeyType::MADE.len());
    }
}
