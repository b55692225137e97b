//! JSON Schemas (draft 7) of collections, and of what buckets say of the objects in them.
//!
//! A schema comes from whoever may write the collection, and is asked at each record: so patterns are of a kind that
//! takes linear time, nothing is fetched, and a schema that grows without measure when its `$ref`s are followed, or
//! that refers to itself, is refused.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::error::{Error, Location};
use super::object::Object;
use super::permission::Place;
use super::uri::{Kind, ObjectUri};

/// Schemas that were compiled, by the object that has them and the member that they are in.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<Key, Compiled>>);

/// The URI of the object that has a schema, and the member that it is in.
type Key = (String, &'static str);

/// A schema, and the timestamp of the object that it was in.
type Compiled = (i64, Arc<Validator>);

/// Compiled schemas that are kept.
const KEPT: usize = 256;

/// Refuses what is no schema.
///
/// - `name`: where it stands: `data.schema`.
pub(super) fn check(schema: &Value, name: &str) -> Result<(), Error> {
    if schema.is_null() {
        return Ok(());
    }
    compile(schema).map(drop).map_err(|what| Error::invalid(Location::Body, name, what))
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
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, validator)) = lock().get(&key)
            && *version == owner.last_modified
        {
            return Ok(Arc::clone(validator));
        }
        let validator = compile(schema)
            .map_err(|what| Error::invalid(Location::Body, "schema", format!("{}: {what}", owner.uri)))?;
        let validator = Arc::new(validator);
        let mut kept = lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, (owner.last_modified, Arc::clone(&validator)));
        Ok(validator)
    }
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
    Measure::of(schema)?;
    if let Err(error) = jsonschema::draft7::meta::validate(schema) {
        let path = error.instance_path().to_string().replace('/', ".");
        return Err(format!("{}{}", path.trim_start_matches('.'), error.to_string().replace('"', "'")));
    }
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Schemas in a schema at most, counting what it refers to each time.
const MOST_SCHEMAS: u64 = 20_000;

/// How large a schema is with its references in their places.
struct Measure<'a> {
    root: &'a Value,
    known: HashMap<&'a str, u64>,
    open: HashSet<&'a str>,
}

impl<'a> Measure<'a> {
    fn of(root: &'a Value) -> Result<(), String> {
        let mut measure = Self { root, known: HashMap::new(), open: HashSet::new() };
        measure.size(root, 0).map(drop)
    }

    fn size(&mut self, value: &'a Value, depth: u32) -> Result<u64, String> {
        let mut size = 1_u64;
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    size += match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => self.target(target, depth)?,
                        ("$id", Value::String(_)) if depth > 0 => {
                            return Err("`$id` can be at the top of a schema only".into());
                        }
                        ("$dynamicRef" | "$recursiveRef", _) => {
                            return Err(format!("`{name}` is not understood"));
                        }
                        ("enum" | "const" | "default" | "examples", _) => 0,
                        _ => self.size(member, depth + 1)?,
                    };
                }
            }
            Value::Array(items) => {
                for item in items {
                    size += self.size(item, depth + 1)?;
                }
            }
            _ => {}
        }
        if size > MOST_SCHEMAS { Err("the schema is too large".into()) } else { Ok(size) }
    }

    fn target(&mut self, target: &'a str, depth: u32) -> Result<u64, String> {
        if let Some(size) = self.known.get(target) {
            return Ok(*size);
        }
        let Some(pointer) = target.strip_prefix('#') else {
            return Err(format!("`$ref` to {target}: a schema can refer to parts of itself only"));
        };
        let Some(part) = self.root.pointer(pointer) else {
            return Err(format!("`$ref` to {target}: there is no such part"));
        };
        if !self.open.insert(target) || self.open.len() > 100 {
            return Err(format!("`$ref` to {target}: a schema cannot contain itself"));
        }
        let size = self.size(part, depth + 1)?;
        self.open.remove(target);
        self.known.insert(target, size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn refused(schema: Value) -> String {
        check(&schema, "data.schema").unwrap_err().to_string()
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
