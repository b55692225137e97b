//! Files that belong to records.
//!
//! A file is stored before its record says so, under a name that nobody else has: `attachments/B/C/UUID.EXT`. It is
//! never changed, and stays when its record goes: what was published may still point to it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use countersign_store::FileName;
use serde_json::{Map, Value, json};

use super::apply::PlaceOf;
use super::call::{Answer, Behavior, Body, Call, Conditions, Form, Method, Target};
use super::error::{Error, Location};
use super::object::Object;
use super::uri::ObjectUri;
use super::who::Who;
use super::work::{Mode, Work};
use super::{apply, default_bucket, execute, ids};
use crate::context::Context;

/// The member of a record that says which file it has.
const ATTACHMENT: &str = "attachment";

/// A file that was uploaded, and what else is to be written to its record.
#[derive(Clone)]
pub struct Upload {
    /// Its name, without folders.
    pub filename: String,
    /// What it is, such as `image/png`.
    pub mimetype: String,
    /// All of it.
    pub content: Bytes,
    /// Members of the record: an object.
    pub data: Option<Value>,
    /// Permissions of the record.
    pub permissions: Option<Value>,
}

/// What was uploaded and is about to be written to a record, by location: nobody writes it by hand.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Value>>);

impl Uploads {
    /// Makes an upload known, until what it returns is dropped.
    fn announce(&self, location: String, attachment: Value) -> Announced<'_> {
        self.lock().insert(location.clone(), attachment);
        Announced { uploads: self, location }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Announced<'a> {
    uploads: &'a Uploads,
    location: String,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.uploads.lock().remove(&self.location);
    }
}

/// Stores a file and writes to the record that it has it: hash, size, name and type, and where it is. Makes the
/// record if there is none.
///
/// The answer is that of `PATCH` or `PUT`.
pub async fn attach(
    ctx: &Context,
    who: &Who,
    record: &ObjectUri,
    conditions: Conditions,
    upload: Upload,
) -> Answer {
    match store(ctx, who, record, &conditions, &upload).await {
        Ok((method, attachment)) => {
            let location = attachment["location"].as_str().unwrap_or_default().to_owned();
            let _announced = ctx.collections.uploads.announce(location, attachment.clone());
            one(ctx, who, call(method, record, conditions, body(upload, attachment))).await
        }
        Err(error) => Answer::Refused(error),
    }
}

/// Takes a record's file from it.
///
/// The answer is that of `PATCH`.
pub async fn detach(ctx: &Context, who: &Who, record: &ObjectUri, conditions: Conditions) -> Answer {
    let mut nothing = call(Method::Patch, record, conditions, json!({"data": {ATTACHMENT: null}}));
    if let Ok(Some(body)) = &mut nothing.body {
        body.form = Form::MergePatch;
    }
    one(ctx, who, nothing).await
}

/// A file of a record, which everybody may read who knows its name.
///
/// - `location`: as the record has it: `B/C/UUID.EXT`.
///
/// # Errors
/// [`Error::Unavailable`] if the place of files does not answer.
pub async fn file(ctx: &Context, location: &str) -> Result<Option<Bytes>, Error> {
    let Ok(name) = format!("attachments/{location}").parse::<FileName>() else { return Ok(None) };
    ctx.files().get(&name).await.map_err(unavailable)
}

async fn one(ctx: &Context, who: &Who, call: Call) -> Answer {
    let answer = execute(ctx, who, vec![call]).await.pop();
    answer.unwrap_or_else(|| Answer::Refused(Error::Unavailable("no answer".into())))
}

fn call(method: Method, record: &ObjectUri, conditions: Conditions, body: Value) -> Call {
    Call {
        method,
        target: Target::Object(record.clone()),
        conditions,
        query: Vec::new(),
        body: Ok(Some(Body { form: Form::Json, value: body })),
        behavior: Behavior::Full,
    }
}

fn body(upload: Upload, attachment: Value) -> Value {
    let mut body = Map::new();
    let mut data = upload.data.unwrap_or_else(|| json!({}));
    // Data that is no object is refused when it is looked at.
    if let Value::Object(members) = &mut data {
        members.insert(ATTACHMENT.to_owned(), attachment);
    }
    body.insert("data".to_owned(), data);
    if let Some(permissions) = upload.permissions {
        body.insert("permissions".to_owned(), permissions);
    }
    Value::Object(body)
}

/// Stores a file for who may write the record; says how the record is to be written, and what.
async fn store(
    ctx: &Context,
    who: &Who,
    record: &ObjectUri,
    conditions: &Conditions,
    upload: &Upload,
) -> Result<(Method, Value), Error> {
    // A bucket of one's own may not be there yet.
    let is_own = ctx.collections.settings.default_bucket
        && who.user.is_some()
        && default_bucket::is_meant(&Target::Object(record.clone()));
    let place_of = if is_own { PlaceOf::Own } else { PlaceOf::Object };
    let record = match &who.user {
        Some(user) => default_bucket::real(ctx, record, user),
        None => record.clone(),
    };
    let exists = {
        let mut work = Work::begin(ctx, Mode::Read).await?;
        // Nothing is stored for who would be refused afterwards.
        let put = call(Method::Put, &record, conditions.clone(), Value::Null);
        apply::may_put(&mut work, who, &put, &record, place_of).await?
    };
    let folder = [record.bucket_id(), record.collection_id()].map(Option::unwrap_or_default).join("/");
    let location = format!("{folder}/{}{}", ids::uuid()?, extension(&upload.filename));
    let name: FileName = format!("attachments/{location}")
        .parse()
        .map_err(|_| Error::nameless(Location::Path, "the ids are too long for a file's name"))?;
    ctx.files().put_new(&name, upload.content.clone()).await.map_err(unavailable)?;
    let content = upload.content.clone();
    let hash = tokio::task::spawn_blocking(move || hex::encode(digest(&SHA256, &content)))
        .await
        .map_err(|_| Error::Other(crate::Error::Internal("a file could not be hashed".into())))?;
    let attachment = json!({
        "location": location, "filename": upload.filename, "mimetype": upload.mimetype,
        "size": upload.content.len(), "hash": hash,
    });
    Ok((if exists { Method::Patch } else { Method::Put }, attachment))
}

fn unavailable(error: countersign_store::FilesError) -> Error {
    Error::Unavailable(error.to_string())
}

/// The extension of a file's name, with its dot: letters and digits, in lower case.
fn extension(filename: &str) -> String {
    match filename.rsplit_once('.') {
        Some((_, end)) if (1..=10).contains(&end.len()) && end.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!(".{}", end.to_ascii_lowercase())
        }
        _ => String::new(),
    }
}

/// Refuses an attachment that was not uploaded: it would point to what nobody has looked at. Who may do everything
/// may do this too, to bring records from elsewhere.
pub(super) fn check(
    uploads: &Uploads,
    who: &Who,
    old: Option<&Object>,
    data: &Map<String, Value>,
) -> Result<(), Error> {
    let Some(new @ Value::Object(members)) = data.get(ATTACHMENT) else { return Ok(()) };
    let Some(location) = members.get("location").and_then(Value::as_str) else { return Ok(()) };
    let known = match old {
        Some(old) => old.data()?.get(ATTACHMENT),
        None => None,
    };
    if who.admin || known == Some(new) || uploads.lock().get(location) == Some(new) {
        return Ok(());
    }
    Err(Error::invalid(Location::Body, "data.attachment", "files are uploaded, not named"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_extension_if_it_has_a_plain_one() {
        for (name, wanted) in [
            ("a.PNG", ".png"),
            ("a.tar.gz", ".gz"),
            ("a", ""),
            ("a.", ""),
            ("a.b/c", ""),
            ("a.é", ""),
            ("a.abcdefghijk", ""),
        ] {
            assert_eq!(extension(name), wanted, "{name}");
        }
    }
}
