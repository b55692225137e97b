//! `_fields`: which members of objects are sent, nested ones by dotted names.

use serde_json::{Map, Value};

/// Which members are sent, beside `id` and `last_modified`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Vec<Vec<String>>);

/// Names are not nested deeper than data.
const MOST_PARTS: usize = 100;

impl Fields {
    /// Reads names between commas; those that are empty do not count.
    pub fn parse(text: &str) -> Self {
        let paths = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut paths: Vec<Vec<String>> =
            paths.map(|name| name.splitn(MOST_PARTS, '.').map(str::to_owned).collect()).collect();
        paths.extend([vec!["id".to_owned()], vec!["last_modified".to_owned()]]);
        paths.sort();
        paths.dedup();
        Self(paths)
    }

    /// The members of `object` that are sent. A name with dots is a member of that name, if there is one, and a
    /// way through objects else.
    pub fn pick(&self, mut object: Map<String, Value>) -> Map<String, Value> {
        let mut picked = Map::new();
        for path in &self.0 {
            let whole = path.join(".");
            if let Some(value) = object.remove(&whole) {
                picked.insert(whole, value);
            } else if let Some(value) = find(&object, path) {
                let value = value.clone();
                put(&mut picked, path, value);
            }
        }
        picked
    }
}

fn find<'a>(object: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = object.get(first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_object()?, rest) }
}

fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert(first.clone(), value);
        return;
    }
    let inner = object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_picked_by_name_and_by_way() {
        let object =
            json!({"id": "x", "last_modified": 1, "a": 1, "b": {"c": 2, "d": {"e": 3}, "f": 4}, "g.h": 5});
        for (fields, wanted) in [
            ("", json!({"id": "x", "last_modified": 1})),
            ("a", json!({"id": "x", "last_modified": 1, "a": 1})),
            ("b.c,b.d.e", json!({"id": "x", "last_modified": 1, "b": {"c": 2, "d": {"e": 3}}})),
            ("g.h,b.nope,a.b", json!({"id": "x", "last_modified": 1, "g.h": 5})),
            ("b.c,b", json!({"id": "x", "last_modified": 1, "b": {"c": 2, "d": {"e": 3}, "f": 4}})),
            ("id,id", json!({"id": "x", "last_modified": 1})),
        ] {
            let Value::Object(object) = object.clone() else { panic!("an object") };
            assert_eq!(Value::Object(Fields::parse(fields).pick(object)), wanted, "{fields}");
        }
    }
}
