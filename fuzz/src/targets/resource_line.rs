//! Lines that say which collections are published where.

use countersign_records::collections::resource_line::{Place, Resources};

/// Lines go round as text, and what is found by one place of a collection is found by the others.
pub fn resource_line(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(resources) = Resources::parse(text) else { return };
    for line in resources.lines() {
        assert_eq!(line.to_string().parse().as_ref(), Ok(line));
        let id = |place: &Place| (place.bucket.clone(), place.collection.clone().unwrap_or("x".into()));
        let (bucket, collection) = id(&line.source);
        let found = resources.of_source(&bucket, &collection).expect("its source is one");
        let (bucket, collection) = id(&found.destination);
        assert_eq!(resources.of_destination(&bucket, &collection).as_ref(), Some(&found));
        assert_eq!(resources.of_source(&bucket, &collection), None, "what is published is not edited");
        if let Some(preview) = &found.preview {
            let (bucket, collection) = id(preview);
            assert_eq!(resources.of_preview(&bucket, &collection).as_ref(), Some(&found));
            assert_eq!(resources.of_destination(&bucket, &collection), None);
        }
    }
}
