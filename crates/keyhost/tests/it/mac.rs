//! Secrets of Hawk credentials: checked in the key host, and never given out again.

use aws_lc_rs::hmac;
use countersign_keyhost::client::SignJob;
use countersign_keyhost::wire::{HostError, MAX_MAC_TEXTS};
use countersign_model::policy::{Ask, Policy};
use countersign_model::{Action, Format, KeyType, PrincipalName, Resource, Surface};

use crate::house::{House, job, make};

fn mac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text).as_ref().to_vec()
}

#[tokio::test]
async fn a_mac_is_that_of_the_credentials_secret_over_one_of_the_texts() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let (secret, sealed) = host.make_secret("ana").await.unwrap();
    let good = mac(&secret.0, b"text");
    let texts = |list: &[&str]| list.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    for (asked, mac, expected) in [
        (texts(&["text"]), good.clone(), true),
        (texts(&["other", "text", "more"]), good.clone(), true),
        (texts(&["other"]), good.clone(), false),
        (texts(&[]), good.clone(), false),
        (texts(&["text"]), good[..31].to_vec(), false),
        (texts(&["text"]), Vec::new(), false),
        (texts(&["text"]), mac(b"guess", b"text"), false),
    ] {
        assert_eq!(host.check_mac("ana", Some(&sealed), asked, &mac).await.unwrap(), expected);
    }
    // Where there is no credential, nothing is the right MAC: not even that of what stands for its secret.
    for secret in [&[0; 52][..], &[][..]] {
        assert!(!host.check_mac("nobody", None, texts(&["text"]), &mac(secret, b"text")).await.unwrap());
    }
    let foreign = host.check_mac("bo", Some(&sealed), texts(&["text"]), &good).await;
    assert_eq!(foreign, Err(HostError::BadBlob), "it was sealed for another id");
    let many = vec![b"text".to_vec(); MAX_MAC_TEXTS + 1];
    assert!(matches!(host.check_mac("ana", Some(&sealed), many, &good).await, Err(HostError::Protocol(_))));
    host.stop().await;

    let host = house.start().await.unwrap();
    assert!(host.check_mac("ana", Some(&sealed), texts(&["text"]), &good).await.unwrap(), "after a restart");
    host.stop().await;
}

#[tokio::test]
async fn autographs_clients_sign_with_native_keys_in_three_formats_only() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "content", KeyType::P384).await;
    let rule = r#"[{"id":"all","effect":"allow","principals":["*"],"actions":["*"],"resources":["*"]}]"#;
    let policy = Policy::new(serde_json::from_str(rule).unwrap()).unwrap();
    let caller: PrincipalName = "ana".parse().unwrap();
    let scheme = KeyType::P384.default_scheme();
    let sign = async |format: Format| {
        let permit = policy.permit(&Ask {
            caller: &caller,
            judged: &caller,
            roles: &[],
            narrowing: None,
            surface: Surface::Autograph,
            action: Action::KeySign,
            resource: &Resource::key(&"content".parse().unwrap()),
            format: Some(format),
            scheme: Some(scheme),
        });
        let job = SignJob { format, ..job(&key, scheme, b"message", "r-1") };
        host.sign(&permit.unwrap(), job).await
    };
    for format in [Format::ContentSignature, Format::Raw, Format::Openpgp] {
        assert!(sign(format).await.is_ok(), "{format}");
    }
    for format in [Format::Tag, Format::Tuf, Format::X509, Format::Checkpoint] {
        assert_eq!(sign(format).await.err(), Some(HostError::FormatNotAllowed(format)));
    }
    host.stop().await;
}
