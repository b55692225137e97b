//! `tuf keys`, `tuf online`: the keys that the server signs with, and signing with them before the time.

use http::Method;
use serde_json::{Value, json};

use super::service::Service;
use super::sign::said_of;
use super::signer::id_of;
use super::words;
use crate::args::OnlineKeysCommand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::table;

/// The server's keys, the default one first.
pub struct OnlineKeys(Vec<(String, String, Value)>);

impl OnlineKeys {
    /// Asks the server.
    ///
    /// # Errors
    /// What it said.
    pub async fn of_server(service: &Service) -> Result<Self, Failure> {
        Self::read(&service.get("keys/online").await?)
    }

    /// Reads `{"keys":[{"keyid",…}]}`.
    ///
    /// # Errors
    /// If it is not that; if an id is not the one that the key has by itself: it could be a person's, whose place the
    /// key would take.
    pub fn read(data: &Value) -> Result<Self, Failure> {
        let mut keys = Vec::new();
        for key in data["keys"].as_array().into_iter().flatten() {
            let mut object = key.as_object().cloned().unwrap_or_default();
            let id = object.remove("keyid").and_then(|id| id.as_str().map(str::to_owned));
            let name = object.get("x-rstuf-key-name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = id.ok_or_else(|| Failure::unknown("a key of the server has no id"))?;
            let object = Value::Object(object);
            if id != id_of(&object)? {
                return Err(Failure::refused(format!(
                    "the server's key `{}` has the id of another",
                    words::shown(&name)
                ))
                .hint("do not sign: the server may be after the place of somebody's key"));
            }
            keys.push((name, id, object));
        }
        if keys.is_empty() {
            return Err(Failure::unknown("there are no online keys")
                .hint("`countersign tuf keys list --json` of the server prints them"));
        }
        Ok(Self(keys))
    }

    /// Id and object of the key of this name, or of this id.
    pub fn named(&self, name: &str) -> Option<(String, Value)> {
        let found = self.0.iter().find(|(known, id, _)| known == name || id == name);
        found.map(|(_, id, object)| (id.clone(), object.clone()))
    }

    /// Id and object of the one that is named, else of the default.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn choose(&self, name: Option<&str>) -> Result<(String, Value), Failure> {
        let Some(name) = name else {
            let (_, id, object) = &self.0[0];
            return Ok((id.clone(), object.clone()));
        };
        self.named(name).ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|(name, _, _)| name.as_str()).collect();
            Failure::refused(format!("the server has no online key `{}`", words::shown(name)))
                .hint(format!("it has {}", words::shown(&names.join(", "))))
        })
    }
}

/// Runs a command of `tuf keys`.
pub async fn run(context: &Context, command: OnlineKeysCommand) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    match command {
        OnlineKeysCommand::List => {
            let data = service.get("keys/online").await?;
            context.out.value(&data, |data| {
                let rows = data["keys"].as_array().cloned().unwrap_or_default();
                let columns = [("NAME", "/x-rstuf-key-name"), ("SCHEME", "/scheme"), ("KEY ID", "/keyid")];
                table(&rows, &columns, "no online keys")
            })?;
        }
        OnlineKeysCommand::Create { name, scheme } => {
            let data =
                service.send(Method::POST, "keys/online", &json!({"name": name, "scheme": scheme})).await?;
            context.out.value(&data, |data| {
                let id = data["key"]["keyid"].as_str().unwrap_or_default();
                format!("`{name}` is key {id}; `countersign tuf root edit --online {name}` puts it in use")
            })?;
        }
    }
    Ok(Outcome::Done)
}

/// Has online roles signed anew.
pub async fn bump(context: &Context, roles: &[String]) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let done = service.run(Method::POST, "metadata/online", &json!({"roles": roles})).await?;
    context.out.value(&done.result, |_| {
        let updated = done.details["updated_roles"].as_array().map_or(0, Vec::len);
        format!("{}: {updated} roles have a new version", said_of(&done))
    })?;
    Ok(Outcome::Done)
}
