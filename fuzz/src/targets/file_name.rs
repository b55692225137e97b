//! Names of published files.

use std::path::{Component, Path};

use countersign_store::FileName;

/// A name that is accepted stays below the directory that it is put in.
pub fn file_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<FileName>() {
        assert_eq!(name.as_str(), text);
        let mut components = Path::new(name.as_str()).components();
        assert!(components.all(|component| matches!(component, Component::Normal(_))));
    }
}
