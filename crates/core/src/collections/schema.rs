//! JSON Schemas (draft 7) of collections, and of what buckets say of the objects in them.
//!
//! A schema comes from whoever may write the collection, and is asked at each record: so patterns are of a kind that
//! takes linear time, nothing is fetched, and a schema that grows without measure when its `$ref`s are followed, that
//! has many patterns, or that refers to itself, is refused. To compile one takes long: it is done before a request
//! joins others in a transaction, and what was compiled is kept, up to a bound.

mod measure;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::call::{Body, Call, Form, Target};
use super::error::{Error, Location};
use super::object::Object;
use super::permission::Place;
use super::uri::{Kind, ObjectUri};
use measure::Measure;

/// Schemas that were compiled.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Which text an object has as its schema, and when it was changed last.
    owners: HashMap<Owner, (i64, Digest)>,
    texts: HashMap<Digest, Compiled>,
    cost: usize,
}

/// The URI of the object that has a schema, and the member that it is in.
type Owner = (String, &'static str);

/// SHA-256 of a schema's text.
type Digest = [u8; 32];

/// A schema, or why it is none.
type Compiled = Result<Arc<Validator>, String>;

/// Objects whose schemas are known at most.
const MOST_OWNERS: usize = 4_096;

/// What is kept may cost this many bytes, about.
const MOST_COST: usize = 128 << 20;

/// Bytes of one compiled pattern at most. A class of all letters takes some tens of thousands.
const PATTERN_BYTES: usize = 128 << 10;

/// Bytes of a schema that is none, beside why.
const REFUSAL_BYTES: usize = 512;

impl Kept {
    fn insert(&mut self, text: Digest, compiled: Compiled, cost: usize) {
        if self.cost.saturating_add(cost) > MOST_COST {
            *self = Self::default();
        }
        self.cost += cost;
        if self.texts.insert(text, compiled).is_some() {
            self.cost -= cost;
        }
    }
}

/// Refuses what is no schema.
///
/// - `name`: where it stands: `data.schema`.
pub(super) fn check(cache: &Cache, schema: &Value, name: &str) -> Result<(), Error> {
    if schema.is_null() {
        return Ok(());
    }
    cache.compiled(schema).1.map(drop).map_err(|what| Error::invalid(Location::Body, name, what))
}

/// Compiles the schemas that calls bring, beside the threads that serve requests: who writes them later finds them.
pub(super) async fn prepare(cache: &Arc<Cache>, calls: &[Call]) {
    let schemas: Vec<Value> = calls.iter().flat_map(brought).filter(|schema| !cache.knows(schema)).collect();
    if schemas.is_empty() {
        return;
    }
    let cache = Arc::clone(cache);
    let compile = move || schemas.iter().for_each(|schema| drop(cache.compiled(schema)));
    // What is not there is compiled when it is looked at.
    let _ = tokio::task::spawn_blocking(compile).await;
}

/// The schemas in the body of a call, wherever it is plain which they are.
fn brought(call: &Call) -> Vec<Value> {
    let kind = match &call.target {
        Target::Object(uri) => uri.kind(),
        Target::List(list) => list.kind(),
        Target::Permissions => return Vec::new(),
    };
    let Ok(Some(Body { form, value })) = &call.body else { return Vec::new() };
    let members = members_of(kind);
    let found: Vec<&Value> = match form {
        Form::Json | Form::MergePatch => {
            let data = value.get("data");
            members.iter().filter_map(|name| data?.get(*name)).collect()
        }
        Form::JsonPatch => {
            let at = |operation: &&Value| {
                let path = operation.get("path").and_then(Value::as_str);
                path.and_then(|path| path.strip_prefix("/data/")).is_some_and(|name| members.contains(&name))
            };
            let operations = value.as_array().into_iter().flatten().filter(at);
            operations.filter_map(|operation| operation.get("value")).collect()
        }
    };
    found.into_iter().filter(|schema| schema.is_object()).cloned().collect()
}

/// Refuses data that does not follow its schemas, and stamps a record with the time of its collection's.
pub(super) fn apply(
    cache: &Cache,
    place: &Place,
    uri: &ObjectUri,
    data: &mut Map<String, Value>,
) -> Result<(), Error> {
    if let (Some(bucket), Some(member)) = (&place.bucket, member_for(uri.kind())) {
        cache.validate(bucket, member, data)?;
    }
    if let (Kind::Record, Some(collection)) = (uri.kind(), &place.collection)
        && cache.validate(collection, "schema", data)?
    {
        data.insert("schema".to_owned(), Value::from(collection.last_modified));
    }
    Ok(())
}

/// The members of an object that are schemas.
pub(super) fn members_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bucket => &["collection:schema", "group:schema", "record:schema"],
        Kind::Collection => &["schema"],
        Kind::Group | Kind::Record | Kind::History | Kind::Account => &[],
    }
}

/// Where a bucket says what the objects in it are like.
fn member_for(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Record => Some("record:schema"),
        Kind::Collection => Some("collection:schema"),
        Kind::Group => Some("group:schema"),
        Kind::Bucket | Kind::History | Kind::Account => None,
    }
}

impl Cache {
    /// Judges `data` by the schema in `member` of `owner`. Returns whether there is one.
    fn validate(
        &self,
        owner: &Object,
        member: &'static str,
        data: &mut Map<String, Value>,
    ) -> Result<bool, Error> {
        let Some(schema @ Value::Object(_)) = owner.data()?.get(member) else { return Ok(false) };
        let validator = self.validator(owner, member, schema)?;
        // The stamp of an earlier schema is not what the client means.
        let stamp =
            if member == "schema" || member == "record:schema" { data.remove("schema") } else { None };
        let instance = Value::Object(std::mem::take(data));
        let judged = validator.validate(&instance).map_err(|error| refusal(&error));
        if let Value::Object(members) = instance {
            *data = members;
        }
        if let Some(stamp) = stamp {
            data.insert("schema".to_owned(), stamp);
        }
        judged.map(|()| true)
    }

    fn validator(
        &self,
        owner: &Object,
        member: &'static str,
        schema: &Value,
    ) -> Result<Arc<Validator>, Error> {
        let key = (owner.uri.to_string(), member);
        {
            let kept = self.lock();
            if let Some((version, text)) = kept.owners.get(&key)
                && *version == owner.last_modified
                && let Some(Ok(validator)) = kept.texts.get(text)
            {
                return Ok(Arc::clone(validator));
            }
        }
        let (text, validator) = self.compiled(schema);
        let validator = validator
            .map_err(|what| Error::invalid(Location::Body, "schema", format!("{}: {what}", owner.uri)))?;
        let mut kept = self.lock();
        if kept.owners.len() >= MOST_OWNERS {
            kept.owners.clear();
        }
        kept.owners.insert(key, (owner.last_modified, text));
        Ok(validator)
    }

    /// The schema, compiled now or before.
    fn compiled(&self, schema: &Value) -> (Digest, Compiled) {
        let text = text_of(schema);
        if let Some(known) = self.lock().texts.get(&text) {
            return (text, known.clone());
        }
        let compiled = Measure::of(schema).and_then(|size| Ok((compile(schema)?, size.cost())));
        let (compiled, cost) = match compiled {
            Ok((validator, cost)) => (Ok(Arc::new(validator)), cost),
            Err(what) => {
                let cost = REFUSAL_BYTES + what.len();
                (Err(what), cost)
            }
        };
        self.lock().insert(text, compiled.clone(), cost);
        (text, compiled)
    }

    fn knows(&self, schema: &Value) -> bool {
        self.lock().texts.contains_key(&text_of(schema))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text_of(schema: &Value) -> Digest {
    let mut text = [0; 32];
    text.copy_from_slice(digest(&SHA256, schema.to_string().as_bytes()).as_ref());
    text
}

/// The refusal of data, with the member that is at fault, as the peer has them.
fn refusal(error: &ValidationError<'_>) -> Error {
    let what = error.to_string().replace('"', "'");
    let path = error.instance_path().to_string();
    let name = match (path.rsplit('/').next().filter(|last| !last.is_empty()), error.kind()) {
        (Some(last), _) => last.to_owned(),
        (None, ValidationErrorKind::Required { property }) => {
            property.as_str().unwrap_or_default().to_owned()
        }
        (None, _) => error.schema_path().to_string().rsplit('/').next().unwrap_or_default().to_owned(),
    };
    Error::invalid(Location::Body, name, what)
}

fn compile(schema: &Value) -> Result<Validator, String> {
    if let Err(error) = jsonschema::draft7::meta::validate(schema) {
        let path = error.instance_path().to_string().replace('/', ".");
        return Err(format!("{}{}", path.trim_start_matches('.'), error.to_string().replace('"', "'")));
    }
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
        .build(schema)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn check(schema: &Value, name: &str) -> Result<(), Error> {
        super::check(&Cache::default(), schema, name)
    }

    fn refused(schema: Value) -> String {
        check(&schema, "data.schema").unwrap_err().to_string()
    }

    #[test]
    fn patterns_are_bounded_in_number_and_in_size() {
        let patterns = |count: usize, pattern: &str| {
            let patterns = (0..count).map(|n| (pattern.replace('N', &n.to_string()), json!({})));
            json!({"patternProperties": patterns.collect::<Map<_, _>>()})
        };
        check(&patterns(50, r"^N\w+$"), "schema").unwrap();
        assert!(refused(patterns(51, "^N")).contains("50 patterns"));
        check(&patterns(1, r"^\p{L}"), "schema").unwrap();
        assert!(refused(patterns(1, r"^\p{L}{20}")).contains(r"\p{L}{20}"));
        // What is referred to counts each time.
        let many = vec![json!({"$ref": "#/definitions/p"}); 51];
        let part = json!({"definitions": {"p": {"pattern": "a"}}, "allOf": many});
        assert!(refused(part).contains("50 patterns"));
    }

    #[test]
    fn what_is_kept_is_bounded_by_what_it_costs() {
        let cache = Cache::default();
        for n in 0..50 {
            let patterns = (0..20).map(|i| (format!("^{n}-{i}"), json!({})));
            let schema = json!({"patternProperties": patterns.collect::<Map<_, _>>()});
            super::check(&cache, &schema, "schema").unwrap();
            super::check(&cache, &schema, "schema").unwrap();
            assert!(cache.knows(&schema));
        }
        let kept = cache.lock();
        assert!(kept.cost <= MOST_COST && kept.texts.len() < 30, "{} {}", kept.cost, kept.texts.len());
    }

    #[tokio::test]
    async fn schemas_that_requests_bring_are_compiled_before_they_are_written() {
        use crate::collections::call::{Behavior, Conditions, Method};
        let cache = Arc::new(Cache::default());
        let schema = |n: u32| json!({"type": "object", "maxProperties": n});
        let call = |form, value| Call {
            method: Method::Patch,
            target: Target::Object(ObjectUri::collection("b", "c")),
            conditions: Conditions::default(),
            query: Vec::new(),
            body: Ok(Some(Body { form, value })),
            behavior: Behavior::Full,
        };
        let calls = [
            call(Form::Json, json!({"data": {"schema": schema(1)}})),
            call(Form::MergePatch, json!({"data": {"schema": schema(2)}})),
            call(Form::JsonPatch, json!([{"op": "add", "path": "/data/schema", "value": schema(3)}])),
        ];
        prepare(&cache, &calls).await;
        assert!((1..=3).all(|n| cache.knows(&schema(n))) && !cache.knows(&schema(4)));
    }

    #[test]
    fn what_is_no_schema_is_refused_in_the_peers_words() {
        assert_eq!(
            refused(json!({"type": "plop"})),
            "data.schema in body: type'plop' is not valid under any of the schemas listed in the 'anyOf' keyword"
        );
        assert!(refused(json!({"properties": {"a": {"pattern": "(?=a)"}}})).contains("(?=a)"));
        assert!(refused(json!({"$ref": "http://example.org/schema"})).contains("itself only"));
        assert!(check(&json!({"type": "object", "properties": {"$ref": {"type": "string"}}}), "s").is_ok());
    }

    #[test]
    fn a_schema_that_never_ends_is_refused() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"properties": {"a": {"$ref": "#"}}}),
            json!({"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}, "$ref": "#/definitions/a"}),
            json!({"definitions": {"a%20": {"$ref": "#/definitions/a%20"}}, "$ref": "#/definitions/a%20"}),
            json!({"properties": {"x": {"$id": "http://x/", "allOf": [{"$ref": "#"}]}}}),
        ] {
            check(&schema, "schema").unwrap_err();
        }
        // Each doubles the next one: 2 to the power 40 in all.
        let mut definitions = Map::from_iter([("d0".to_owned(), json!({"type": "object"}))]);
        for i in 1..40 {
            let last = json!({"$ref": format!("#/definitions/d{}", i - 1)});
            definitions.insert(format!("d{i}"), json!({"allOf": [last, last]}));
        }
        assert!(
            refused(json!({"definitions": definitions, "$ref": "#/definitions/d39"})).contains("too large")
        );
    }

    #[test]
    fn records_follow_the_schema_of_their_collection_and_bear_its_time() {
        let owner = |uri: ObjectUri, last_modified, data: Value| {
            let Value::Object(data) = data else { panic!("an object") };
            Some(Arc::new(Object::new(uri, last_modified, data, Arc::default()).unwrap()))
        };
        let schema = json!({"schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
            "additionalProperties": false}});
        let place = Place {
            bucket: owner(ObjectUri::bucket("b"), 1, json!({"record:schema": {"maxProperties": 1}})),
            collection: owner(ObjectUri::collection("b", "c"), 77, schema),
            leaf: None,
        };
        let cache = Cache::default();
        let uri = ObjectUri::record("b", "c", "r");
        let judge = |data: Value| {
            let Value::Object(mut data) = data else { panic!("an object") };
            let judged = apply(&cache, &place, &uri, &mut data).map_err(|error| error.to_string());
            judged.map(|()| Value::Object(data))
        };
        assert_eq!(judge(json!({"n": 1})), Ok(json!({"n": 1, "schema": 77})));
        assert_eq!(judge(json!({"n": 1, "schema": 5})), Ok(json!({"n": 1, "schema": 77})));
        assert_eq!(judge(json!({"n": "z"})), Err("'z' is not of type 'integer'".into()));
        assert_eq!(judge(json!({})), Err("'n' is a required property".into()));
        assert!(judge(json!({"n": 1, "m": 2})).is_err());
    }
}
