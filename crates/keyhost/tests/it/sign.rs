use countersign_keyhost::wire::{HostError, KeySpec, Secret};
use countersign_model::entry::{Entry, Op};
use countersign_model::{Action, Format, KeyType, Scheme, ToSign};

use crate::house::{House, job, make, make_as, permit, sign};

const TYPES: [KeyType; 6] =
    [KeyType::Rsa(2048), KeyType::Rsa(3072), KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519];

#[tokio::test]
async fn every_scheme_of_every_type_signs_and_the_log_says_so() {
    let house = House::new();
    let host = house.start().await.unwrap();
    for key_type in TYPES {
        let name = format!("key-{key_type}");
        let key = make(&host, &name, key_type).await;
        for scheme in key_type.schemes() {
            let permit = permit(Action::KeySign, &name, Some(Format::of_native(scheme)), Some(scheme));
            let signed = host.sign(&permit, job(&key, scheme, b"message", "r-1")).await.unwrap();
            let to_sign = ToSign::of_message(scheme, b"message");
            key.public.verify(scheme, &to_sign, &signed.signature).unwrap();

            let entries = house.entries(&host).await;
            let entry = Entry::parse(&entries[signed.log.index as usize]).unwrap();
            assert_eq!((entry.op, entry.scheme), (Op::Sign, Some(scheme)));
            assert_eq!(entry.key_id, Some(key.public.id()));
            assert_eq!(entry.to_sign.unwrap(), sha256(&to_sign.fingerprint()));
            assert_eq!(entry.input.unwrap(), countersign_model::digest::sha256_text(b"message"));
        }
    }
    host.stop().await;
}

fn sha256(hash: &[u8; 32]) -> String {
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

#[tokio::test]
async fn a_batch_signs_what_is_in_order_and_refuses_the_rest_item_by_item() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::P256).await;
    let scheme = Scheme::Ed25519;
    let good = key.public.key_type().default_scheme();
    let mut jobs = Vec::new();
    for i in 0..1000 {
        let scheme = if i % 10 == 3 { scheme } else { good };
        let permit = permit(Action::KeySign, "a", Some(Format::Raw), Some(scheme));
        jobs.push((permit, job(&key, scheme, format!("{i}").as_bytes(), "r-batch")));
    }
    let results = host.sign_batch(jobs).await.unwrap();
    let mut indexes = Vec::new();
    for (i, result) in results.into_iter().enumerate() {
        if i % 10 == 3 {
            assert!(matches!(result, Err(HostError::SchemeMismatch { .. })));
            continue;
        }
        let signed = result.unwrap();
        let to_sign = ToSign::of_message(good, format!("{i}").as_bytes());
        key.public.verify(good, &to_sign, &signed.signature).unwrap();
        indexes.push(signed.log.index);
    }
    assert_eq!(indexes, (1..=900).collect::<Vec<u64>>(), "refused items are not logged");
    host.stop().await;
}

#[tokio::test]
async fn a_key_signs_only_under_its_own_name_its_own_formats_and_its_own_surface() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let limited = make_as(&host, "limited", KeyType::P256, false, Some(vec![Format::Tag])).await;
    let refused = sign(&host, "limited", &limited, b"x", "r").await.unwrap_err();
    assert_eq!(refused, HostError::FormatNotAllowed(Format::Raw));

    let tuf = make(&host, "tuf/online", KeyType::Ed25519).await;
    let scheme = Scheme::Ed25519;
    let native = permit(Action::KeySign, "limited", Some(Format::Raw), Some(scheme));
    let refused = host.sign(&native, job(&tuf, scheme, b"x", "r")).await.unwrap_err();
    assert_eq!(refused, HostError::BadBlob, "the permit names another key");
    host.stop().await;
}

#[tokio::test]
async fn only_exportable_keys_leave_and_only_encrypted() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let request = "r-export".parse().unwrap();
    let secret = |text: &str| Secret(text.as_bytes().to_vec());
    let stays = make(&host, "stays", KeyType::P256).await;
    let export = permit(Action::KeyExport, "stays", None, None);
    let refused = host.export(&export, &request, &stays.blob, secret("a long passphrase")).await;
    assert_eq!(refused.unwrap_err(), HostError::NotExportable);

    let leaves = make_as(&host, "leaves", KeyType::P384, true, None).await;
    let other = host.export(&export, &request, &leaves.blob, secret("a long passphrase")).await;
    assert_eq!(other.unwrap_err(), HostError::BadBlob, "the permit names another key");
    let export = permit(Action::KeyExport, "leaves", None, None);
    let short = host.export(&export, &request, &leaves.blob, secret("short")).await;
    assert!(matches!(short, Err(HostError::WrongPassphrase(_))));
    let (pem, _) = host.export(&export, &request, &leaves.blob, secret("a long passphrase")).await.unwrap();
    let text = std::str::from_utf8(&pem.0).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));

    let import = permit(Action::KeyImport, "again", None, None);
    let spec = || KeySpec { name: "again".parse().unwrap(), exportable: false, formats: None };
    let wrong = host.import(&import, &request, spec(), pem.clone(), Some(secret("wrong"))).await;
    assert!(matches!(wrong, Err(HostError::WrongPassphrase(_))));
    let none = host.import(&import, &request, spec(), pem.clone(), None).await;
    assert!(matches!(none, Err(HostError::WrongPassphrase(_))));
    let again = host.import(&import, &request, spec(), pem, Some(secret("a long passphrase"))).await.unwrap();
    assert_eq!(again.public, leaves.public);
    host.stop().await;
}
