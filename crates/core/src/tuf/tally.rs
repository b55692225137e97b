//! What tasks that go together do to artifacts, for the signing log: one entry for each who asked, before it takes effect.
//!
//! ```text
//! artifacts tasks 3 added 12 removed 1 SHA256
//! ```
//!
//! SHA256 is that of one line for each change, ended by LF, in the order in which they were asked for: `+"PATH":{…}` as
//! it stands in metadata, `-"PATH"`, the same after `~` where it waits to be published, and `!` for what was waiting to
//! be.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context as Hasher, SHA256};
use countersign_store::NewArtifact;
use serde_json::Value;

use super::journal;
use crate::caller::Caller;
use crate::context::Context;

/// What was done for each principal and token.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(String, Option<String>), Entry>);

struct Entry {
    /// The first of those who asked: its request id stands for them all.
    caller: Caller,
    tasks: u64,
    added: usize,
    removed: usize,
    lines: Hasher,
}

impl Tally {
    /// Takes note of artifacts that are put in.
    pub(super) fn added(&mut self, caller: &Caller, artifacts: &[NewArtifact], publish: bool) {
        let entry = self.of(caller);
        entry.added += artifacts.len();
        for artifact in artifacts {
            entry.line(if publish { "+" } else { "~+" }, &artifact.entry);
        }
    }

    /// Takes note of artifacts that are taken out.
    pub(super) fn removed<'a>(
        &mut self,
        caller: &Caller,
        paths: impl ExactSizeIterator<Item = &'a String>,
        publish: bool,
    ) {
        let entry = self.of(caller);
        entry.removed += paths.len();
        for path in paths {
            entry.line(if publish { "-" } else { "~-" }, &Value::from(path.as_str()).to_string());
        }
    }

    /// Takes note that what was staged is published.
    pub(super) fn published(&mut self, caller: &Caller) {
        self.of(caller).line("!", "");
    }

    fn of(&mut self, caller: &Caller) -> &mut Entry {
        let identity = &caller.identity;
        let who = (identity.principal.to_string(), identity.token.as_ref().map(|token| token.id.clone()));
        let new =
            || Entry { caller: caller.clone(), tasks: 0, added: 0, removed: 0, lines: Hasher::new(&SHA256) };
        let entry = self.0.entry(who).or_insert_with(new);
        entry.tasks += 1;
        entry
    }

    /// Writes it to the log.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub(super) async fn record(self, ctx: &Context) -> Result<(), crate::Error> {
        for Entry { caller, tasks, added, removed, lines } in self.0.into_values() {
            let digest = hex::encode(lines.finish());
            let what = format!("artifacts tasks {tasks} added {added} removed {removed} {digest}");
            journal::record_change_by(ctx, &caller, what).await?;
        }
        Ok(())
    }
}

impl Entry {
    fn line(&mut self, sign: &str, text: &str) {
        for part in [sign, text, "\n"] {
            self.lines.update(part.as_bytes());
        }
    }
}
