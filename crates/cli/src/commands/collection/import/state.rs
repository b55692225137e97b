//! How far an import came: a file that is written after each page.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::args::ImportKinto;
use crate::failure::Failure;
use crate::files::{self, Mode};

/// How far an import came.
pub struct State {
    file: PathBuf,
    document: Document,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    from: String,
    bucket: String,
    #[serde(rename = "as")]
    name: String,
    /// By collection: the timestamp of the newest record that is here.
    collections: BTreeMap<String, i64>,
}

impl State {
    /// Begins anew, or where the file says.
    ///
    /// # Errors
    /// If there is a file and it was not said to go on, or it is about something else.
    pub fn begin(options: &ImportKinto, name: &str) -> Result<Self, Failure> {
        let file = options
            .state
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("countersign-import-{}.json", options.bucket)));
        let document = Document {
            from: options.url.trim_end_matches('/').to_owned(),
            bucket: options.bucket.clone(),
            name: name.to_owned(),
            collections: BTreeMap::new(),
        };
        let mut state = Self { document, file };
        if !state.file.exists() {
            state.save()?;
            return Ok(state);
        }
        let shown = state.file.display();
        if !options.resume {
            return Err(Failure::unknown(format!("`{shown}` is there from an import before"))
                .hint("add `--resume` to go on, or remove it to compare every record again"));
        }
        let bytes = files::read_small(&state.file)?;
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::unknown(format!("`{shown}` cannot be read: {error}")))?;
        let same = document.from == state.document.from
            && document.bucket == state.document.bucket
            && document.name == state.document.name;
        if !same {
            let (from, bucket) = (&document.from, &document.bucket);
            return Err(Failure::unknown(format!("`{shown}` is about bucket `{bucket}` of {from}"))
                .hint("give another file with `--state FILE`"));
        }
        state.document = document;
        Ok(state)
    }

    /// Records up to this timestamp are here; 0 for none.
    pub fn since(&self, collection: &str) -> i64 {
        self.document.collections.get(collection).copied().unwrap_or_default()
    }

    /// Writes down that records up to this timestamp are here.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn reached(&mut self, collection: &str, since: i64) -> Result<(), Failure> {
        self.document.collections.insert(collection.to_owned(), since);
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_string(&self.document).map_err(|e| Failure::unknown(e.to_string()))?;
        files::write(&self.file, text.as_bytes(), Mode::Public)
    }
}
