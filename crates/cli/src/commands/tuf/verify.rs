//! `tuf verify`: a whole repository, role by role.

use std::collections::BTreeMap;

use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::targets::TargetFile;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::memory::Memory;
use super::place::Place;
use super::reader::{Reader, root_of};
use super::walk::{self, Found};
use super::{download, refused};
use crate::args::VerifyRepository;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{align, safe};

/// How many roles with like names are shown one by one.
const SHOWN: usize = 8;

/// Verifies a repository.
pub async fn run(context: &Context, options: &VerifyRepository) -> Result<Outcome, Failure> {
    let places = match &options.place {
        Some(place) => Place::all(context, place, &options.read)?,
        None => vec![Place::Server(context.api().await?)],
    };
    let memory = match &options.read.metadata_dir {
        Some(directory) => Some(Memory::open(directory).await?),
        None => None,
    };
    let now = options.read.now.unwrap_or_else(Timestamp::now);
    let mut reader = Reader::new(places, root_of(&options.read)?, memory, Some(now))?;
    reader.refresh().await?;
    let mut roles = walk::top(&reader);
    let mut wanted = Vec::new();
    if let Some(top) = reader.client.targets(Kind::Targets.as_str()) {
        list(top, options.targets, &mut wanted);
    }
    let (mut unpublished, mut more) = (Vec::new(), 0);
    if !options.top {
        let mut each = |_: &Reader, _: &str, document: &Document| {
            list(document, options.targets, &mut wanted);
            Ok(())
        };
        let walked = walk::delegated(&mut reader, &mut each).await?;
        roles.extend(walked.found);
        (unpublished, more) = (walked.unpublished, walked.more);
    }
    for (path, target) in &wanted {
        check_target(&reader, options.read.plain_names, path, target).await?;
    }
    let mut document = document(&reader, &roles, options.targets.then_some(wanted.len()), now);
    document["unpublished"] = json!(unpublished);
    document["unpublished_more"] = json!(more);
    context.out.value(&document, |_| describe(&reader, &roles, &document, now))?;
    Ok(Outcome::Done)
}

fn list(document: &Document, wanted: bool, into: &mut Vec<(String, TargetFile)>) {
    if !wanted {
        return;
    }
    let Ok(targets) = document.targets() else { return };
    for path in targets.targets.keys() {
        if let Ok(Some(target)) = document.target(path) {
            into.push((path.clone(), target));
        }
    }
}

async fn check_target(reader: &Reader, plain: bool, path: &str, target: &TargetFile) -> Result<(), Failure> {
    let mut first = None;
    for place in &reader.places {
        for name in download::paths(reader, plain, path, target) {
            let mut checker = target.checker();
            let mut sink =
                |piece: &[u8]| checker.update(piece).map_err(|error| refused::of_target(path, &error));
            let found = place.target(&name, target.length.saturating_add(1 << 16), &mut sink).await;
            match found.map_err(refused::of_fetch) {
                Ok(false) => {}
                Ok(true) => match checker.finish() {
                    Ok(()) => return Ok(()),
                    Err(error) => drop(first.get_or_insert(refused::of_target(path, &error))),
                },
                Err(failure) => drop(first.get_or_insert(failure)),
            }
        }
    }
    let missing = || {
        let hint = "are target files elsewhere than the metadata? `--targets-url`";
        let kind = crate::failure::Kind::Refused;
        refused::failure(kind, "missing", &format!("the file of `{path}` is not there"), hint)
    };
    Err(first.unwrap_or_else(missing))
}

fn document(reader: &Reader, roles: &[Found], files: Option<usize>, now: Timestamp) -> Value {
    let first = roles.iter().map(|role| role.expires).min();
    json!({
        "valid": true,
        "at": now.to_string(),
        "root_version": reader.client.root().version(),
        "root_sha256": hex::encode(reader.client.root().signed_sha256()),
        "roots_verified": reader.roots.len(),
        "targets": roles.iter().map(|role| role.targets).sum::<usize>(),
        "files_checked": files,
        "first_expiry": first.map(|at| at.to_string()),
        "roles": roles.iter().map(Found::document).collect::<Vec<_>>(),
    })
}

fn describe(reader: &Reader, roles: &[Found], document: &Value, now: Timestamp) -> String {
    let mut lines = vec![["ROLE", "VERSION", "SIGNED", "TARGETS", "EXPIRES"].map(str::to_owned).to_vec()];
    let (top, delegated) = roles.split_at(roles.len().min(Kind::ALL.len()));
    lines.extend(top.iter().map(|role| line(role, now)));
    if delegated.len() <= SHOWN {
        lines.extend(delegated.iter().map(|role| line(role, now)));
    } else {
        lines.extend(summaries(delegated, now));
    }
    let files =
        document["files_checked"].as_u64().map(|n| format!(", {n} files checked")).unwrap_or_default();
    let waiting = document["unpublished"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut waiting: String =
        waiting.map(|role| format!("{}: not published yet\n", super::words::shown(role))).collect();
    if let Some(more) = document["unpublished_more"].as_u64().filter(|more| *more > 0) {
        waiting.push_str(&format!("and {more} more: not published yet\n"));
    }
    format!(
        "{}{waiting}valid: root {}, {} roles, {} targets{files}\n",
        align(&lines),
        reader.client.root().version(),
        roles.len(),
        document["targets"],
    )
}

fn line(role: &Found, now: Timestamp) -> Vec<String> {
    vec![
        safe(&role.role).replace('\n', "\\n"),
        role.version.to_string(),
        format!("{} of {}", role.have, role.threshold),
        role.targets.to_string(),
        super::words::expiry(role.expires, now),
    ]
}

/// Many roles as a line for each who delegates to them.
fn summaries(roles: &[Found], now: Timestamp) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for role in roles {
        groups.entry(&role.parent).or_default().push(role);
    }
    let summary = |group: Vec<&Found>| {
        let versions = group.iter().map(|role| role.version);
        let (least, most) = (versions.clone().min().unwrap_or(0), versions.max().unwrap_or(0));
        let first = group.iter().map(|role| role.expires).min();
        let short = group.iter().map(|role| role.have.min(role.threshold as usize)).min().unwrap_or(0);
        let (from, to) = (group.first().map_or("", |r| &r.role), group.last().map_or("", |r| &r.role));
        vec![
            safe(&format!("{from} … {to} ({})", group.len())),
            if least == most { least.to_string() } else { format!("{least}-{most}") },
            format!("{short} of {}", group.iter().map(|role| role.threshold).max().unwrap_or(0)),
            group.iter().map(|role| role.targets).sum::<usize>().to_string(),
            first.map(|at| super::words::expiry(at, now)).unwrap_or_default(),
        ]
    };
    groups.into_values().map(summary).collect()
}
