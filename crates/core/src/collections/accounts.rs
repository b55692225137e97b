//! Accounts: people with a name and a password, `/accounts/NAME`.
//!
//! A password is kept as an Argon2id hash in the object's data, and never sent. Because a hash takes long, it is
//! made before a request joins others in a transaction, by a few threads at most; a pair that was found good is
//! remembered for a minute.

mod memory;
mod password;
mod throttle;

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

use memory::Known;
pub(super) use memory::Memory;

use super::call::{Call, Form, Target};
use super::error::{Error, Location};
use super::object::Object;
use super::uri::{Kind, ListUri};
use super::who::Who;
use super::work::{Mode, Work};
use crate::context::Context;

/// The member with the password, or, as it is stored, with its hash.
const PASSWORD: &str = "password";

/// Bytes of a password at most.
const LONGEST_PASSWORD: usize = 4096;

/// The Kinto id of an account's user: `account:NAME`.
pub fn user_id(name: &str) -> String {
    format!("account:{name}")
}

/// Whether an account can have this name: up to 128 of letters, digits and `+.@_-`, the first a letter or digit.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 128
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"+.@_-".contains(&b))
}

/// The user id of who shows `name` and `password`, if they are those of an account. Takes as long for a name that
/// nobody has as for a wrong password. Who tries too many wrong ones is refused without a look at them.
///
/// - `place`: from where they ask, if it is known.
///
/// # Errors
/// [`Error::Unavailable`] if too many ask; [`Error::Other`] if the database does not answer.
pub async fn authenticate_account(
    ctx: &Context,
    name: &str,
    password: &str,
    place: Option<IpAddr>,
) -> Result<Option<String>, Error> {
    let state = &ctx.collections;
    if !state.settings.accounts || !is_name(name) || password.len() > LONGEST_PASSWORD {
        return Ok(None);
    }
    let pair = state.accounts.pair(name, password);
    match state.accounts.knows(&pair, ctx.shared) {
        Known::Good => return Ok(Some(user_id(name))),
        Known::GoodIf(version) => {
            let as_it_was = is_at(ctx, name, version).await?;
            state.accounts.looked(&pair, as_it_was);
            if as_it_was {
                return Ok(Some(user_id(name)));
            }
        }
        Known::Unknown => {}
    }
    if !state.accounts.admits(&pair, name, place) {
        return Ok(None);
    }
    let epoch = state.accounts.epoch();
    let account = {
        let mut work = Work::begin(ctx, Mode::Read).await?;
        work.get(&ListUri::accounts().object(name)).await?
    };
    let hash = match &account {
        Some(account) => account.data()?.get(PASSWORD).and_then(Value::as_str).map(str::to_owned),
        None => None,
    };
    let good = state.accounts.verify(hash, password.to_owned()).await?;
    state.accounts.tried(pair, name, place, good);
    if let (true, Some(account)) = (good, &account) {
        state.accounts.remember(pair, epoch, account.last_modified);
    }
    Ok(good.then(|| user_id(name)))
}

/// Whether an account is there and has this `last_modified`.
async fn is_at(ctx: &Context, name: &str, version: i64) -> Result<bool, Error> {
    let account = [(ListUri::accounts().to_string(), name.to_owned())];
    let states = ctx.store.collections_states(&[], &account).await?;
    Ok(states.objects.first().is_some_and(|(_, _, last_modified)| *last_modified == version))
}

/// Puts hashes in place of the passwords in accounts that are about to be written.
pub(super) async fn seal_passwords(ctx: &Context, who: &Who, mut calls: Vec<Call>) -> Vec<Call> {
    for call in &mut calls {
        let own = match &call.target {
            Target::Object(uri) if uri.kind() == Kind::Account => {
                who.user.as_deref() == Some(&user_id(&uri.id))
            }
            Target::List(list) if list.kind() == Kind::Account => false,
            _ => continue,
        };
        let Ok(Some(body)) = &mut call.body else { continue };
        if body.form != Form::Json {
            continue;
        }
        let Some(password) = body.value.pointer_mut("/data/password") else { continue };
        let settings = &ctx.collections.settings;
        let in_vain = !(who.admin || own || settings.open_accounts && who.user.is_none());
        let sealed = match password.as_str() {
            _ if in_vain => None,
            Some(text) if !text.is_empty() && text.len() <= LONGEST_PASSWORD => {
                ctx.collections.accounts.seal(text.to_owned()).await.ok()
            }
            _ => None,
        };
        // What is not a hash is refused when it is looked at.
        *password = sealed.map_or(Value::Null, Value::String);
    }
    calls
}

/// Checks the data of an account that is about to be written: its password is a hash of ours by now.
pub(super) fn complete(old: Option<&Object>, data: &mut Map<String, Value>) -> Result<(), Error> {
    let kept = match old {
        Some(old) => old.data()?.get(PASSWORD),
        None => None,
    };
    let password = data.get(PASSWORD).or(kept).cloned();
    match password {
        Some(Value::String(hash)) => data.insert(PASSWORD.to_owned(), Value::String(hash)),
        Some(_) => {
            let what = format!("a password is a text of 1 to {LONGEST_PASSWORD} bytes");
            return Err(Error::invalid(Location::Body, "data.password", what));
        }
        None => return Err(Error::invalid(Location::Body, "data.password", "Required")),
    };
    Ok(())
}

/// Takes out what is not sent.
pub(super) fn hide(members: &mut Map<String, Value>) {
    members.remove(PASSWORD);
}

/// Forgets who was found good, if accounts were changed.
pub(super) fn forget(ctx: &Context, touched: &HashSet<ListUri>) {
    if touched.contains(&ListUri::accounts()) {
        ctx.collections.accounts.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_may_be_mail_addresses() {
        for good in ["ana", "a.b+c@example.org", "0-_"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".a", "a b", "a/b", "é", "a:b", &"a".repeat(129)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
