//! Objects of signed collections, over both databases.

mod accounts;
mod attachments;
mod batches;
mod lists;
mod objects;
mod permissions;
mod readers;
mod writers;

use std::collections::BTreeSet;

use countersign_core::collections::call::{
    Behavior, Conditions, Form, How, IfMatch, IfNoneMatch, Permissions,
};
use countersign_core::collections::uri::is_id;
use countersign_core::collections::{
    Answer, Body, Call, Error, ListUri, Method, ObjectUri, Target, Who, execute,
};
use countersign_core::{Caller, Context};
use countersign_model::Surface;
use serde_json::{Value, json};

use crate::support::House;

/// Somebody who asks.
pub struct Person<'a> {
    ctx: &'a Context,
    pub who: Who,
}

/// What somebody was answered.
#[derive(Debug)]
pub struct Got(pub Answer);

/// A request before it is sent.
pub struct Asked(Call);

/// `PUT /buckets/b?x=1`, with a body or `null`.
pub fn ask(request: &str, body: Value) -> Asked {
    let (method, url) = request.split_once(' ').unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => panic!("{other}"),
    };
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    let body = if body.is_null() { None } else { Some(Body { form: Form::Json, value: body }) };
    Asked(Call {
        method,
        target: target(path),
        conditions: Conditions::default(),
        query: query.collect(),
        body: Ok(body),
        behavior: Behavior::default(),
    })
}

fn target(path: &str) -> Target {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["permissions"] => Target::Permissions,
        ["buckets"] => Target::List(ListUri::buckets()),
        ["accounts"] => Target::List(ListUri::accounts()),
        ["accounts", name] => Target::Object(ListUri::accounts().object(*name)),
        ["buckets", b] => Target::Object(ObjectUri::bucket(b)),
        ["buckets", b, "groups"] => Target::List(ListUri::groups(b)),
        ["buckets", b, "groups", g] => Target::Object(ObjectUri::group(b, g)),
        ["buckets", b, "history", id] => Target::Object(ListUri::history(b).object(*id)),
        ["buckets", b, "history"] => Target::List(ListUri::history(b)),
        ["buckets", b, "collections"] => Target::List(ListUri::collections(b)),
        ["buckets", b, "collections", c] => Target::Object(ObjectUri::collection(b, c)),
        ["buckets", b, "collections", c, "records"] => Target::List(ListUri::records(b, c)),
        ["buckets", b, "collections", c, "records", r] => Target::Object(ObjectUri::record(b, c, r)),
        other => panic!("{other:?}"),
    }
}

impl Asked {
    pub fn if_match(mut self, timestamp: i64) -> Self {
        self.0.conditions.if_match = Some(IfMatch::Timestamp(timestamp));
        self
    }

    /// `If-Match: *`
    pub fn if_there(mut self) -> Self {
        self.0.conditions.if_match = Some(IfMatch::Any);
        self
    }

    pub fn if_none_match(mut self, condition: IfNoneMatch) -> Self {
        self.0.conditions.if_none_match = Some(condition);
        self
    }

    pub fn form(mut self, form: Form) -> Self {
        self.0.body.as_mut().unwrap().as_mut().unwrap().form = form;
        self
    }

    pub fn behavior(mut self, behavior: Behavior) -> Self {
        self.0.behavior = behavior;
        self
    }
}

impl<'a> Person<'a> {
    /// Nobody in particular.
    pub fn anonymous(house: &'a House) -> Self {
        Self::of(&house.ctx, house, None, false)
    }

    pub fn user(house: &'a House, name: &str) -> Self {
        Self::of(&house.ctx, house, Some(format!("account:{name}")), false)
    }

    pub fn admin(house: &'a House) -> Self {
        Self::of(&house.ctx, house, Some("principal:admin".into()), true)
    }

    pub fn of(ctx: &'a Context, house: &House, user: Option<String>, admin: bool) -> Self {
        let caller = Caller::new(house.owner().identity, Surface::Collections, ctx.request_id());
        Self { ctx, who: Who { caller, user, admin } }
    }

    pub async fn send(&self, asked: Asked) -> Got {
        let mut answers = self.batch(vec![asked]).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub async fn batch(&self, asked: Vec<Asked>) -> Vec<Got> {
        let calls = asked.into_iter().map(|asked| asked.0).collect();
        execute(self.ctx, &self.who, calls).await.into_iter().map(Got).collect()
    }

    pub async fn ask(&self, request: &str, body: Value) -> Got {
        self.send(ask(request, body)).await
    }

    pub async fn get(&self, path: &str) -> Got {
        self.ask(&format!("GET {path}"), Value::Null).await
    }

    pub async fn put(&self, path: &str, data: Value) -> Got {
        self.ask(&format!("PUT {path}"), json!({"data": data})).await
    }

    pub async fn patch(&self, path: &str, data: Value) -> Got {
        self.ask(&format!("PATCH {path}"), json!({"data": data})).await
    }

    pub async fn delete(&self, path: &str) -> Got {
        self.ask(&format!("DELETE {path}"), Value::Null).await
    }

    /// The bucket `b` with the collection `c`, made by this person.
    pub async fn makes_a_collection(&self) {
        assert_eq!(self.put("/buckets/b", json!({})).await.status(), 201);
        assert_eq!(self.put("/buckets/b/collections/c", json!({})).await.status(), 201);
    }
}

impl Got {
    /// What the surface makes of it.
    pub fn status(&self) -> u16 {
        match &self.0 {
            Answer::Object { how: How::Created, .. } => 201,
            Answer::Object { .. } | Answer::List { .. } => 200,
            Answer::NotModified { .. } => 304,
            Answer::Refused(error) => match error {
                Error::Unauthorized => 401,
                Error::Forbidden(_) => 403,
                Error::Invalid(_) | Error::Refused(_) => 400,
                Error::NotFound { .. } | Error::MissingParent { .. } => 404,
                Error::MethodNotAllowed => 405,
                Error::PreconditionFailed { .. } => 412,
                Error::UnsupportedMediaType(_) => 415,
                Error::TooLarge(_) => 413,
                Error::Unavailable(_) => 503,
                _ => 500,
            },
        }
    }

    #[track_caller]
    pub fn data(&self) -> Value {
        match &self.0 {
            Answer::Object { data, .. } => serde_json::from_str(data).unwrap(),
            Answer::List { items, .. } => {
                items.iter().map(|item| serde_json::from_str::<Value>(item).unwrap()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The data without `last_modified`.
    #[track_caller]
    pub fn timeless(&self) -> Value {
        let mut data = self.data();
        data.as_object_mut().unwrap().remove("last_modified");
        data
    }

    #[track_caller]
    pub fn ids(&self) -> Vec<String> {
        let data = self.data();
        let ids: Vec<_> =
            data.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.iter().all(|id| is_id(id)), "{ids:?}");
        ids
    }

    #[track_caller]
    pub fn timestamp(&self) -> i64 {
        match &self.0 {
            Answer::Object { timestamp, .. }
            | Answer::List { timestamp, .. }
            | Answer::NotModified { timestamp } => *timestamp,
            Answer::Refused(Error::PreconditionFailed { timestamp, .. }) => *timestamp,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn permissions(&self) -> Permissions {
        match &self.0 {
            Answer::Object { permissions, .. } => permissions.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn next(&self) -> Option<String> {
        match &self.0 {
            Answer::List { next, .. } => next.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn total(&self) -> u64 {
        match &self.0 {
            Answer::List { total, .. } => total.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn refusal(&self) -> String {
        match &self.0 {
            Answer::Refused(error) => error.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// `{"write": ["a", "b"]}` as permissions.
pub fn permissions(value: Value) -> Permissions {
    let of = |who: &Value| -> BTreeSet<String> {
        who.as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect()
    };
    value.as_object().unwrap().iter().map(|(name, who)| (name.clone(), of(who))).collect()
}
