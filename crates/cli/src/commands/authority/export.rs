//! `authority export`: a directory of public keys, as `tag payload` and `stags` take it.

use std::fs;
use std::path::Path;

use countersign_model::KeyId;
use countersign_model::pem;
use countersign_records::tag::AuthorityName;
use countersign_verify::authority::AuthorityKeys;
use serde::Deserialize;
use serde_json::json;

use super::{AUTHORITIES, path};
use crate::api::Request;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};

#[derive(Deserialize)]
struct List {
    authorities: Vec<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    name: AuthorityName,
    current: Option<KeyId>,
}

/// Writes the current key of each authority to `DIR/NAME.pub`, and takes away the file of one that has none
/// left: what is revoked must not stay trusted.
pub async fn run(context: &Context, dir: &Path) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let list: List = api.call(Request::get(&format!("{AUTHORITIES}/"))).await?.json()?;
    fs::create_dir_all(dir).map_err(|error| Failure::file("make", dir, &error))?;
    let (mut written, mut removed) = (Vec::new(), Vec::new());
    for Summary { name, current } in list.authorities {
        let file = dir.join(format!("{name}.pub"));
        let Some(current) = current else {
            remove(&file)?;
            context.out.say(&format!("`{name}` has no key that counts: there is no `{}`", file.display()));
            removed.push(name);
            continue;
        };
        let keys: AuthorityKeys = api.call(Request::get(&path(&name))).await?.json()?;
        let key = keys.keys.iter().find(|key| key.id == current).ok_or_else(|| {
            Failure::unknown(format!("the keys of `{name}` have just changed")).hint("try again")
        })?;
        let pem = pem::encode("PUBLIC KEY", key.public_key.spki());
        files::write(&file, pem.as_bytes(), Mode::Public)?;
        written.push(name);
    }
    let document = json!({ "dir": dir.to_string_lossy(), "written": written, "removed": removed });
    if context.out.is_json() {
        context.out.value(&document, |_| String::new())?;
    }
    let noun = if written.len() == 1 { "key" } else { "keys" };
    context.out.say(&format!("wrote {} {noun} to `{}`", written.len(), dir.display()));
    Ok(Outcome::Done)
}

fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", file, &error))
        }
        _ => Ok(()),
    }
}
