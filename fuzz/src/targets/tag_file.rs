//! Tag files.

use countersign_records::tag::{AuthorityName, Tag, TagFile};

/// Reading a file never loses any of it; what may be signed is what a reader sees, and is written again as
/// a file that is read as the same.
pub fn tag_file(data: &[u8]) {
    let Ok(file) = TagFile::parse(data) else {
        assert!(Tag::parse(data).is_err(), "a signer reads no more than a reader");
        return;
    };
    assert_eq!(file.payload().last(), Some(&b'\n'));
    let bodies: usize = file.blocks().iter().map(|block| block.body.len()).sum();
    assert!(file.payload().len() + bodies <= data.len() + 1);
    for block in file.blocks() {
        let name = std::str::from_utf8(block.name()).ok().and_then(|name| name.parse::<AuthorityName>().ok());
        if let Some(name) = name {
            let _ = file.block(&name);
        }
    }

    if let Ok(tag) = Tag::parse(data) {
        assert_eq!(tag.payload().as_bytes(), file.payload());
        assert_eq!(tag.blocks().count(), file.blocks().len());
        let written = tag.to_bytes();
        assert_eq!(Tag::parse(&written).expect("our own file is read again"), tag);
    }
}
