//! `collection import`: a bucket of a running Kinto, copied through its API.
//!
//! ```text
//! bucket ─▶ collections, without what only the signer writes, without schema
//!        ─▶ records, oldest first, a page at a time; after each the state file says how far it came
//!        ─▶ schemas ─▶ groups ─▶ everything is read again on both sides and compared
//! ```
//!
//! Ids and timestamps stay as they are. Each write says what it expects to find, so that doing it twice does
//! nothing, and nothing is lost that was written here meanwhile.

mod compare;
mod people;
mod records;
mod state;

use http::{Method, header};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use self::people::People;
use self::records::Copier;
use self::state::State;
use super::kinto::{Kinto, Object, last_modified, text};
use crate::args::ImportKinto;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::output::safe;
use crate::secret;
use crate::transport::is_loopback;

/// What is done with one bucket.
struct Import<'a> {
    options: &'a ImportKinto,
    from: Kinto,
    to: Kinto,
    people: People,
    /// The bucket's id there and here.
    bucket: &'a str,
    name: &'a str,
}

/// What became of one collection.
#[derive(Default)]
struct Report {
    copied: records::Counts,
    compared: compare::Comparison,
    attachments: u64,
}

/// What only the signer writes: it is written anew here.
const SIGNERS: [&str; 11] = [
    "status",
    "signature",
    "signatures",
    "last_edit_by",
    "last_edit_date",
    "last_review_request_by",
    "last_review_request_date",
    "last_review_by",
    "last_review_date",
    "last_signature_by",
    "last_signature_date",
];

/// What to do when the old server does not let us in.
const WHO: &str = "the old server asks who you are: `--auth-file FILE` with NAME:PASSWORD of somebody who may write the bucket, \
                   so that permissions are seen too";

/// Copies a bucket, or goes on copying it.
pub async fn run(context: &Context, options: &ImportKinto) -> Result<Outcome, Failure> {
    let credentials = options.auth_file.as_deref().map(secret::first_line).transpose()?;
    let ca = options.kinto_ca.as_deref().map(files::read_small).transpose()?;
    let credentials = credentials.as_ref().map(|credentials| credentials.as_str());
    let host = options.url.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next());
    if credentials.is_some() && host.is_some_and(|host| !host.starts_with('[') && !is_loopback(host)) {
        context.out.say("warning: the credentials go to the old server without encryption; use https://");
    }
    let name = options.name.as_deref().unwrap_or(&options.bucket);
    let mut import = Import {
        options,
        from: Kinto::at(&options.url, credentials, ca.as_deref().map(Vec::as_slice))?.with_hint(WHO),
        to: Kinto::here(context.api().await?),
        people: People::read(options.map.as_deref(), &options.bucket, name)?,
        bucket: &options.bucket,
        name,
    };
    if options.dry_run { import.dry_run(context).await } else { import.run(context).await }
}

impl Import<'_> {
    async fn run(&mut self, context: &Context) -> Result<Outcome, Failure> {
        let mut state = State::begin(self.options, self.name)?;
        let most = self.to.root().await?.settings.batch_max_requests.max(1);
        let there = self.from.root().await?.settings.batch_max_requests.max(1);
        let bucket = self.fetch(&format!("/buckets/{}", self.bucket)).await?;
        self.put(&format!("/buckets/{}", self.name), bucket.data.clone(), &bucket).await?;
        let mut reports = Map::new();
        let mut good = true;
        for id in self.collections().await? {
            let report = self.collection(context, &id, &mut state, (there, most)).await?;
            good &= report.compared.is_same();
            reports.insert(id, report.document());
        }
        let groups = self.groups().await?;
        self.tell_who_was_left_out(context);
        let document = json!({
            "from": self.from.place(), "bucket": self.bucket, "as": self.name, "same": good,
            "groups": groups, "collections": reports, "left_out": self.people.left_out(),
        });
        context.out.value(&document, |_| describe(self.name, groups, &reports))?;
        if !good {
            context.out.say(
                "hint: what was written meanwhile is fetched with `--resume`; what is `changed here` stays",
            );
        }
        Ok(if good { Outcome::Done } else { Outcome::No })
    }

    async fn dry_run(&mut self, context: &Context) -> Result<Outcome, Failure> {
        let bucket = self.fetch(&format!("/buckets/{}", self.bucket)).await?;
        self.people.permissions(&bucket.permissions);
        let mut collections = Map::new();
        for id in self.collections().await? {
            let path = format!("/buckets/{}/collections/{id}", self.bucket);
            let collection = self.fetch(&path).await?;
            self.people.permissions(&collection.permissions);
            collections.insert(id, json!({ "records": self.from.count(&format!("{path}/records")).await? }));
        }
        let path = format!("/buckets/{}/groups", self.bucket);
        let groups = self.from.list(&path).await?;
        for group in &groups {
            let group = self.fetch(&format!("{path}/{}", text(group, "id"))).await?;
            self.people.permissions(&group.permissions);
            self.people.members(&group.data);
        }
        self.tell_who_was_left_out(context);
        let document = json!({
            "from": self.from.place(), "bucket": self.bucket, "as": self.name, "dry_run": true,
            "groups": groups.len(), "collections": collections, "left_out": self.people.left_out(),
        });
        context.out.value(&document, |_| {
            let line = |(id, c): (&String, &Value)| format!("  {id}  {} records\n", c["records"]);
            let lines: String = collections.iter().map(line).collect();
            format!("would copy to bucket `{}`: {} groups and\n{lines}", self.name, groups.len())
        })?;
        Ok(Outcome::Done)
    }

    /// The ids of the collections that are wanted.
    async fn collections(&self) -> Result<Vec<String>, Failure> {
        if !self.options.collections.is_empty() {
            return Ok(self.options.collections.clone());
        }
        let list = self.from.list(&format!("/buckets/{}/collections", self.bucket)).await?;
        let mut ids: Vec<String> = list.iter().map(|data| text(data, "id").to_owned()).collect();
        ids.sort();
        Ok(ids)
    }

    /// An object of the old server that must be there.
    async fn fetch(&self, path: &str) -> Result<Object, Failure> {
        let found = self.from.find(path).await?;
        found.ok_or_else(|| Failure::refused(format!("there is no `{path}` at {}", self.from.place())))
    }

    /// Writes a bucket, a group or a collection, new or over what is there.
    ///
    /// - `like`: whose timestamp and permissions it has.
    async fn put(&mut self, path: &str, mut data: Map<String, Value>, like: &Object) -> Result<(), Failure> {
        let permissions = self.people.permissions(&like.permissions);
        data.remove("id");
        let there = self.to.find(path).await?;
        let (method, condition) = match there {
            // What is there has members that only the signer writes, which stay.
            Some(_) => {
                data.remove("last_modified");
                (Method::PATCH, None)
            }
            None => (Method::PUT, Some((header::IF_NONE_MATCH, "*".to_owned()))),
        };
        let body = json!({ "data": data, "permissions": permissions });
        self.to.write(method, path, condition, &body).await.map(drop)
    }

    async fn collection(
        &mut self,
        context: &Context,
        id: &str,
        state: &mut State,
        batches: (usize, usize),
    ) -> Result<Report, Failure> {
        let from = format!("/buckets/{}/collections/{id}", self.bucket);
        let to = format!("/buckets/{}/collections/{id}", self.name);
        let old = self.fetch(&from).await?;
        let mut data = old.data.clone();
        for name in SIGNERS {
            data.remove(name);
        }
        // Old records need not fit a schema that is newer than they are.
        let schema = data.remove("schema");
        self.put(&to, data, &old).await?;
        let bar = bar(id, self.from.count(&format!("{from}/records")).await?, context);
        let mut copier = Copier {
            from: &self.from,
            to: &self.to,
            people: &mut self.people,
            from_path: format!("{from}/records"),
            to_path: format!("{to}/records"),
            there: batches.0,
            most: batches.1,
            permissions: self.options.record_permissions,
            tombstones: !self.options.without_tombstones,
            counts: records::Counts::default(),
        };
        let mut since = state.since(id);
        while let Some(last) = copier.page(since, &bar).await? {
            since = last;
            state.reached(id, since)?;
        }
        let copied = copier.counts;
        bar.finish_and_clear();
        if let Some(schema) = schema {
            let body = json!({ "data": { "schema": schema } });
            let here = self.to.find(&to).await?.unwrap_or_default();
            if here.data.get("schema") != body.pointer("/data/schema") {
                self.to.write(Method::PATCH, &to, None, &body).await?;
            }
        }
        let (compared, attachments) =
            compare::compare((&self.from, &format!("{from}/records")), (&self.to, &format!("{to}/records")))
                .await?;
        Ok(Report { copied, compared, attachments })
    }

    /// Copies the groups; how many there are. After the collections, which bring groups of their own.
    async fn groups(&mut self) -> Result<usize, Failure> {
        let list = self.from.list(&format!("/buckets/{}/groups", self.bucket)).await?;
        for group in &list {
            let id = text(group, "id");
            let group = self.fetch(&format!("/buckets/{}/groups/{id}", self.bucket)).await?;
            let mut data = group.data.clone();
            let members = self.people.members(&data);
            data.insert("members".into(), members.into());
            self.put(&format!("/buckets/{}/groups/{id}", self.name), data, &group).await?;
        }
        Ok(list.len())
    }

    fn tell_who_was_left_out(&self, context: &Context) {
        let left_out = self.people.left_out();
        if left_out.is_empty() {
            return;
        }
        let names: Vec<String> = left_out.iter().map(|name| format!("  {}", safe(name))).collect();
        context.out.say(&format!(
            "these have no rights here, since `--map` does not say who they are:\n{}",
            names.join("\n")
        ));
    }
}

impl Report {
    fn document(&self) -> Value {
        let mut document = json!({
            "written": self.copied.written, "there_already": self.copied.same,
            "changed_here": self.copied.kept, "deleted": self.copied.deleted,
            "attachments": self.attachments,
        });
        document["compared"] = self.compared.document();
        document
    }
}

fn describe(bucket: &str, groups: usize, reports: &Map<String, Value>) -> String {
    let mut text = format!("bucket {bucket}: {groups} groups, {} collections\n", reports.len());
    let mut attachments = 0;
    for (id, report) in reports {
        attachments += report["attachments"].as_u64().unwrap_or_default();
        let compared = &report["compared"];
        let verdict = match compared["same"].as_bool() {
            Some(true) => format!("the same {} records on both sides", compared["records"]),
            _ => format!(
                "NOT the same: {} missing here, {} only here, {} different; such as {}",
                compared["missing"], compared["only_here"], compared["different"], compared["examples"]
            ),
        };
        text.push_str(&format!(
            "  {id}: {} written, {} there already, {} deleted, {} changed here; {verdict}\n",
            report["written"], report["there_already"], report["deleted"], report["changed_here"]
        ));
    }
    if attachments > 0 {
        text.push_str(&format!("{attachments} records have attachments, whose files stay where they are\n"));
    }
    text
}

fn bar(id: &str, length: Option<u64>, context: &Context) -> ProgressBar {
    let Some(length) = length.filter(|_| !context.out.is_json()) else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} records {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.with_style(style).with_message(id.to_owned())
}

/// When a record or an object was written; what is told to the server that gets it.
fn time_of(data: &Map<String, Value>) -> Result<i64, Failure> {
    match last_modified(data) {
        time if time > 0 => Ok(time),
        _ => Err(Failure::unknown("an object of the old server has no `last_modified`")),
    }
}
