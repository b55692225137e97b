//! Stored tags as files, and as entries of the publication log.

use countersign_model::digest::sha256;
use countersign_model::{canonical, time};
use countersign_records::tag::AuthorityName;
use countersign_store::{TagRecord, TagSignature};
use jiff::Timestamp;
use serde_json::json;

/// What happened to a tag, as the publication log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// It was made, or a version of it.
    Create,
    /// Signatures were added.
    Sign,
    /// It was hidden.
    Hide,
    /// It is shown again.
    Restore,
}

/// The signed file of a version: the payload, and the blocks in the order of `NAME.sig`.
pub(super) fn signed(tag: &TagRecord) -> Vec<u8> {
    let mut blocks: Vec<(String, &TagSignature)> =
        tag.signatures.iter().map(|signature| (format!("{}.sig", signature.authority), signature)).collect();
    blocks.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut file = tag.payload.clone();
    for (_, signature) in blocks {
        file.extend_from_slice(b"=== SIGNATURE ");
        file.extend_from_slice(signature.authority.as_bytes());
        file.push(b'\n');
        file.extend_from_slice(&signature.block);
    }
    file
}

/// The entry in the publication log for what happened to `tag`, which is as it was afterwards.
pub(super) fn leaf(op: Op, tag: &TagRecord, now: Timestamp) -> Vec<u8> {
    let authorities: Vec<&str> = tag.signatures.iter().map(|s| s.authority.as_str()).collect();
    canonical::rfc8785(&json!({
        "authorities": authorities,
        "name": tag.name,
        "op": match op {
            Op::Create => "create",
            Op::Sign => "sign",
            Op::Hide => "hide",
            Op::Restore => "restore",
        },
        "payload_sha256": hex::encode(tag.payload_sha256),
        "signed_sha256": hex::encode(sha256(&signed(tag))),
        "time": time::seconds(now),
        "type": "tag",
        "v": 1,
        "version": tag.version,
    }))
}

/// The authorities whose signatures a version has.
pub(super) fn signers(tag: &TagRecord) -> impl Iterator<Item = AuthorityName> {
    tag.signatures.iter().filter_map(|signature| signature.authority.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_records::tag::Tag;

    fn tag(authorities: &[&str]) -> TagRecord {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let signature = |authority: &&str| TagSignature {
            authority: (*authority).into(),
            key_id: "sha256:00".into(),
            block: b"AAAAAAAAAAAAAAAA\n".into(),
            recorded: at,
        };
        TagRecord {
            name: "a".into(),
            version: 3,
            current: 3,
            payload: b"build=42\n".into(),
            payload_sha256: sha256(b"build=42\n"),
            created: at,
            signatures: authorities.iter().map(signature).collect(),
            hidden: None,
        }
    }

    #[test]
    fn a_stored_tag_is_written_as_the_format_writes_it() {
        let file = signed(&tag(&["a", "a-b", "alpha", "Charlie"]));
        let again = Tag::parse(&file).unwrap();
        assert_eq!(again.to_bytes(), file);
        let order: Vec<&str> = again.blocks().map(|block| block.authority().as_str()).collect();
        assert_eq!(order, ["Charlie", "a-b", "a", "alpha"]);
    }

    #[test]
    fn an_entry_is_canonical_and_says_what_was_signed_and_nothing_else() {
        let leaf = leaf(Op::Sign, &tag(&["alpha"]), Timestamp::from_second(1_800_000_001).unwrap());
        // Digests: `printf 'build=42\n' | sha256sum`, and the same of the whole file.
        let wanted = "{\"authorities\":[\"alpha\"],\"name\":\"a\",\"op\":\"sign\",\
            \"payload_sha256\":\"ab06b32fdf922ebc6e4e4388083c71e514141d4ae8e0ea4cffa1907d0d725d06\",\"signed_sha256\":\"469cc37ddd233df2caf0ee2bfdeaa013d2c3a842194676482d5a5c204835ba72\",\
            \"time\":\"2027-01-15T08:00:01Z\",\"type\":\"tag\",\"v\":1,\"version\":3}";
        assert_eq!(String::from_utf8(leaf).unwrap(), wanted);
    }
}
