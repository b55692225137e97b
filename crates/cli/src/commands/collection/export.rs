//! `collection export`: what a reader needs to verify without a network.

use std::path::Path;

use countersign_verify::collection::Changeset;
use serde_json::json;

use super::reader::{CHANGESET, Place, chain_file};
use crate::args::Target;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};

/// Writes the changeset as it came, and each chain that it names.
pub async fn run(context: &Context, target: &Target, directory: &Path) -> Result<Outcome, Failure> {
    let place = Place::of(context, target).await?;
    let bytes = place.changeset(None, "0").await?;
    let refused = |message: String, hint: &str| Failure::refused(message).hint(hint);
    let changeset = Changeset::parse(&bytes).map_err(|error| refused(error.to_string(), error.hint()))?;
    let bundles = changeset.bundles().map_err(|error| refused(error.to_string(), error.hint()))?;
    let chains = place.chains(&bundles).await;
    if let Some(missing) = chains.missing.into_iter().next() {
        return Err(missing);
    }
    let made = std::fs::create_dir_all(directory.join("chains"));
    made.map_err(|error| Failure::file("make", directory, &error))?;
    for (x5u, text) in &chains.found {
        files::write(&directory.join(chain_file(x5u)), text.as_bytes(), Mode::Public)?;
    }
    files::write(&directory.join(CHANGESET), &bytes, Mode::Public)?;
    let document = json!({
        "directory": directory, "timestamp": changeset.timestamp,
        "records": changeset.changes.len(), "chains": chains.found.len(),
    });
    context.out.value(&document, |_| {
        format!(
            "{} records and {} chains in `{}`; nothing is verified yet: `countersign collection verify --offline`",
            changeset.changes.len(),
            chains.found.len(),
            directory.display()
        )
    })?;
    Ok(Outcome::Done)
}
