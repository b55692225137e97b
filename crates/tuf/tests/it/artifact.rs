//! Artifacts as they are sent.

use countersign_tuf::check::artifact::{Fault, artifact};
use countersign_tuf::hashes::Mismatch;
use countersign_tuf::metadata::Document;
use serde_json::{Value, json};

use crate::repo::{Repo, target};
use crate::support::json;

const SHA256: &str = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";

fn with(member: &str, value: Value) -> Result<Value, Fault> {
    let mut info = json!({"length": 3, "hashes": {"sha256": SHA256}, "custom": null});
    info[member] = value;
    artifact("a", &info)
}

#[test]
fn what_rstufs_command_line_sends_is_taken() {
    let transcript = json("transcript.json");
    let exchange =
        transcript.as_array().unwrap().iter().find(|exchange| exchange["title"] == "add two").unwrap();
    for sent in exchange["body"]["artifacts"].as_array().unwrap() {
        let got = artifact(sent["path"].as_str().unwrap(), &sent["info"]).unwrap();
        assert_eq!(got["hashes"], sent["info"]["hashes"]);
        assert!(got.get("custom").is_none_or(Value::is_object));
    }
    let blake = json!({"length": 0, "hashes": {"blake2b-256": SHA256}, "custom": {"a": {"b": [1]}}});
    assert_eq!(artifact("späce ü/ファイル", &blake), Ok(blake));
}

#[test]
fn what_would_stop_all_publication_is_refused() {
    for (member, value, fault) in [
        ("length", json!(-1), Fault::Length),
        ("length", json!(1.0), Fault::Length),
        ("length", json!("1"), Fault::Length),
        ("length", json!(1u64 << 53), Fault::Length),
        ("length", json!(u64::MAX), Fault::Length),
        ("length", json!(null), Fault::Length),
        ("hashes", json!({}), Fault::Hashes),
        ("hashes", json!(null), Fault::Hashes),
        ("hashes", json!({"sha256": 1}), Fault::Hashes),
        ("hashes", json!({"sha256": ""}), Fault::Hash),
        ("hashes", json!({"sha256": "zz"}), Fault::Hash),
        ("hashes", json!({"sha256": SHA256.to_uppercase()}), Fault::Hash),
        ("hashes", json!({"sha256": &SHA256[2..]}), Fault::Hash),
        ("hashes", json!({"other": "abc"}), Fault::Hash),
        ("hashes", json!({"": "ab"}), Fault::Hash),
        ("custom", json!([]), Fault::Custom),
        ("custom", json!({"a": 0.5}), Fault::Custom),
    ] {
        assert_eq!(with(member, value.clone()), Err(fault), "{member} {value}");
    }
    assert_eq!(artifact("a", &json!([])), Err(Fault::Info));
    let good = json!({"length": 3, "hashes": {"sha256": SHA256}});
    for path in ["", "..", "../a", "a/./b", "a/..", "a\0b", "a\nb", "a\u{85}", &"x".repeat(4097)] {
        assert_eq!(artifact(path, &good), Err(Fault::Path), "{path:?}");
    }
    for path in ["/a", "a//b", "a/", "...", "a\\b", "a%2e%2e", "é", &"x".repeat(4096)] {
        assert!(artifact(path, &good).is_ok(), "{path:?}");
    }
}

#[test]
fn a_file_is_checked_as_it_comes_and_no_further_than_its_length() {
    let mut repo = Repo::with_bins();
    let role = "bins-3";
    repo.put_role(role, &[("dir/a", b"content")], None);
    let document = Document::parse(&repo.files["2.bins-3.json"]).unwrap();
    let file = document.target("dir/a").unwrap().unwrap();
    assert_eq!(document.target("dir/b"), Ok(None));
    let check = |pieces: &[&[u8]]| {
        let mut checker = file.checker();
        pieces.iter().try_for_each(|piece| checker.update(piece))?;
        checker.finish()
    };
    assert_eq!(check(&[b"con", b"", b"tent"]), Ok(()));
    assert_eq!(check(&[b"conten"]), Err(Mismatch::Length { wanted: 7 }));
    assert_eq!(check(&[b"content", b"!"]), Err(Mismatch::Length { wanted: 7 }));
    assert_eq!(check(&[b"Content"]), Err(Mismatch::Hash("sha256".into())));
    let hash = target("a", b"content")["hashes"]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(file.consistent_paths("dir/a"), [format!("dir/{hash}.a")]);
    assert_eq!(file.consistent_paths("a"), [format!("{hash}.a")]);
}

/// The hashes are those of `b2sum -l 256`, `b2sum`, `sha384sum` and `sha512sum` of `abc`.
#[test]
fn every_known_hash_must_be_right_and_one_must_be_known() {
    let hashes = json!({
        "blake2b-256": "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
        "blake2b": "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        "sha384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        "sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "unknown": "00",
    });
    let check = |hashes: &Value| {
        let head = countersign_tuf::build::Head::first(crate::support::now(), 1);
        let target = artifact("a", &json!({"length": 3, "hashes": hashes})).unwrap();
        let document = countersign_tuf::build::targets(head, [("a".to_owned(), target)], None).unwrap();
        document.target("a").unwrap().unwrap().hashes.check(b"abc")
    };
    assert_eq!(check(&hashes), Ok(()));
    for name in ["blake2b-256", "blake2b", "sha384", "sha512"] {
        let mut wrong = hashes.clone();
        let hash = wrong[name].as_str().unwrap();
        wrong[name] = json!(format!("00{}", &hash[2..]));
        assert_eq!(check(&wrong), Err(Mismatch::Hash(name.into())));
    }
    assert_eq!(check(&json!({"unknown": "00"})), Err(Mismatch::NoKnownHash));
}
