//! `collection diff`: what would be published.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kinto::{Kinto, content, last_modified, text};
use super::source::Signer;
use crate::args::{CollectionPath, DiffCollection};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::safe;

/// Records by id, without what a copy has of its own.
type Records = BTreeMap<String, Map<String, Value>>;

/// What one record would be to readers.
#[derive(Debug, PartialEq)]
enum Difference {
    Added(Map<String, Value>),
    /// Members by name: before and after; `None`: absent.
    Changed(BTreeMap<String, (Option<Value>, Option<Value>)>),
    Removed,
}

/// Compares the source with what is published.
pub async fn run(context: &Context, options: &DiffCollection) -> Result<Outcome, Failure> {
    let kinto = Kinto::here(context.api().await?);
    let found = Signer::of(&kinto.root().await?)?.source(&options.collection)?;
    let with = match (&found.preview, options.preview) {
        (_, false) => &found.destination,
        (Some(preview), true) => preview,
        (None, true) => {
            return Err(Failure::refused(format!("`{}` has no preview", found.source))
                .hint("leave `--preview` away to compare with what is published"));
        }
    };
    // The state first: what is written in between makes the one that is named an old one.
    let source = kinto.find(&found.source.uri()).await?;
    let source = source.ok_or_else(|| {
        Failure::refused(format!("there is no collection `{}`", found.source))
            .hint(format!("`countersign collection init {}` makes it", found.source))
    })?;
    let state = last_modified(&source.data);
    let new = records(&kinto, &found.source).await?;
    let old = match kinto.find(&with.uri()).await? {
        Some(_) => records(&kinto, with).await?,
        None => Records::new(),
    };
    let differences = compare(&old, new);
    let document = document(&options.collection, with, state, &differences);
    context.out.value(&document, |document| {
        let mut lines: Vec<String> = differences.iter().map(|(id, d)| describe(id, d)).collect();
        let count = |name: &str| document[name].as_object().map_or(0, Map::len);
        let removed = document["removed"].as_array().map_or(0, Vec::len);
        lines.push(format!(
            "{} added, {} changed, {removed} removed against {with}; state {state}",
            count("added"),
            count("changed"),
        ));
        lines.join("\n")
    })?;
    Ok(Outcome::Done)
}

async fn records(kinto: &Kinto, path: &CollectionPath) -> Result<Records, Failure> {
    let list = kinto.list(&format!("{}/records", path.uri())).await?;
    Ok(list.iter().map(|record| (text(record, "id").to_owned(), content(record))).collect())
}

fn compare(old: &Records, new: Records) -> BTreeMap<String, Difference> {
    let mut differences: BTreeMap<String, Difference> = BTreeMap::new();
    for id in old.keys().filter(|id| !new.contains_key(*id)) {
        differences.insert(id.clone(), Difference::Removed);
    }
    for (id, new) in new {
        match old.get(&id) {
            None => drop(differences.insert(id, Difference::Added(new))),
            Some(old) if *old == new => {}
            Some(old) => {
                let names = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name));
                let member = |name: &String| (name.clone(), (old.get(name).cloned(), new.get(name).cloned()));
                differences.insert(id, Difference::Changed(names.map(member).collect()));
            }
        }
    }
    differences
}

fn document(
    source: &CollectionPath,
    with: &CollectionPath,
    state: i64,
    differences: &BTreeMap<String, Difference>,
) -> Value {
    let (mut added, mut changed, mut removed) = (Map::new(), Map::new(), Vec::new());
    for (id, difference) in differences {
        match difference {
            Difference::Added(record) => drop(added.insert(id.clone(), Value::Object(record.clone()))),
            Difference::Removed => removed.push(id.clone()),
            Difference::Changed(members) => {
                let both = members.iter().map(|(name, (old, new))| {
                    let mut both = Map::new();
                    both.extend(old.iter().map(|old| ("old".to_owned(), old.clone())));
                    both.extend(new.iter().map(|new| ("new".to_owned(), new.clone())));
                    (name.clone(), Value::Object(both))
                });
                changed.insert(id.clone(), both.collect());
            }
        }
    }
    json!({
        "source": source.to_string(), "with": with.to_string(), "state": state,
        "added": added, "changed": changed, "removed": removed,
    })
}

/// One record, for a person.
fn describe(id: &str, difference: &Difference) -> String {
    let shown = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => safe(&value.to_string()),
    };
    match difference {
        Difference::Added(record) => {
            let mut record = record.clone();
            record.remove("id");
            format!("+ {id}  {}", safe(&Value::Object(record).to_string()))
        }
        Difference::Removed => format!("- {id}"),
        Difference::Changed(members) => {
            let member = |(name, (old, new)): (&String, &(Option<Value>, Option<Value>))| {
                format!("\n    {}: {} -> {}", safe(name), shown(old), shown(new))
            };
            format!("~ {id}{}", members.iter().map(member).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(value: Value) -> Records {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_difference_says_what_readers_would_see_change() {
        let old = records(json!({"a": {"id": "a", "v": 1, "t": "x"}, "b": {"id": "b"}, "s": {"id": "s"}}));
        let new =
            records(json!({"a": {"id": "a", "v": 2, "u": null}, "c": {"id": "c", "v": 3}, "s": {"id": "s"}}));
        let differences = compare(&old, new);
        let lines: Vec<String> = differences.iter().map(|(id, d)| describe(id, d)).collect();
        assert_eq!(
            lines.join("\n"),
            "~ a\n    t: \"x\" -> nothing\n    u: nothing -> null\n    v: 1 -> 2\n- b\n+ c  {\"v\":3}"
        );
        let document = document(&"s/c".parse().unwrap(), &"d/c".parse().unwrap(), 7, &differences);
        assert_eq!(document["changed"]["a"]["t"], json!({"old": "x"}));
        assert_eq!(document["changed"]["a"]["u"], json!({"new": null}));
        assert_eq!((&document["removed"], &document["state"]), (&json!(["b"]), &json!(7)));
    }
}
