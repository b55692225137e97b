use std::path::Path;
use std::time::Duration;

use countersign_core::collections::settings::{Pins, Signer};
use countersign_model::PublicKey;

use super::super::{Config, ConfigError};
use super::*;

const RESOURCE: &str = "[[collections.resource]]\nsource = \"/buckets/s\"\ndestination = \"/buckets/d\"\n";
const AUTOGRAPH: &str = "[[collections.resource]]\nsource = \"/buckets/s\"\ndestination = \"/buckets/d\"\n\
                         backend = \"autograph\"\n[collections.resource.autograph]\nurl = \"http://a/\"\nid = \"i\"\n\
                         secret_file = \"hawk\"\nkey_ids = [\"k\"]\n";

#[test]
fn without_a_configuration_the_settings_are_the_defaults() {
    let settings = Collections::default().settings("http://h", Path::new("/nowhere")).unwrap();
    assert_eq!(
        format!("{settings:?}"),
        format!("{:?}", Settings { public_url: "http://h".into(), ..Settings::default() })
    );
}

#[test]
fn a_resource_without_keys_is_signed_with_the_key_main() {
    let config = Config::parse(RESOURCE).unwrap();
    let settings = config.collections().settings("http://h", Path::new("/nowhere")).unwrap();
    assert!(settings.resources[0].review);
    let Signer::Local(keys) = &settings.resources[0].signer else { panic!("not local") };
    assert_eq!(keys.iter().map(Name::as_str).collect::<Vec<_>>(), ["main"]);
}

#[test]
fn a_preview_can_have_keys_of_its_own() {
    let text = format!("{RESOURCE}preview = \"/buckets/p\"\npreview_keys = [\"look\"]");
    let settings =
        Config::parse(&text).unwrap().collections().settings("http://h", Path::new("/nowhere")).unwrap();
    assert_eq!(settings.resources[0].preview_keys.iter().map(Name::as_str).collect::<Vec<_>>(), ["look"]);
}

#[test]
fn secrets_are_read_from_files_beside_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{RESOURCE}backend = \"autograph\"\n[collections.resource.autograph]\nurl = \"http://a/\"\nid = \"i\"\n\
         secret_file = \"hawk\"\nkey_ids = [\"k\"]"
    );
    let config = Config::parse(&text).unwrap();
    let settings = || config.collections().settings("http://h", dir.path());
    assert!(matches!(settings(), Err(ConfigError::Unreadable { .. })));
    std::fs::write(dir.path().join("hawk"), "\n").unwrap();
    assert!(matches!(settings(), Err(ConfigError::Unreadable { .. })), "an empty secret is none");
    std::fs::write(dir.path().join("hawk"), "secret\n").unwrap();
    let settings = settings().unwrap();
    let Signer::Autograph(autograph) = &settings.resources[0].signer else { panic!("not Autograph") };
    assert_eq!((autograph.url.as_str(), autograph.secret.as_str()), ("http://a", "secret"));
    assert_eq!(autograph.timeout, Duration::from_secs(4));
    assert_eq!(autograph.pins, Pins::default());
}

#[test]
fn what_an_autograph_may_sign_with_is_pinned_by_files_and_fingerprints() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hawk"), "secret").unwrap();
    let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
               -----END PUBLIC KEY-----\n";
    let root = vec!["AB"; 32].join(":");
    let text = format!("{AUTOGRAPH}public_keys = [\"key.pem\"]\nroot_sha256 = [\"{root}\"]");
    let config = Config::parse(&text).unwrap();
    let settings = || config.collections().settings("http://h", dir.path());
    assert!(matches!(settings(), Err(ConfigError::Unreadable { .. })));
    std::fs::write(dir.path().join("key.pem"), "no key").unwrap();
    assert!(settings().unwrap_err().to_string().contains("public_keys"));
    std::fs::write(dir.path().join("key.pem"), key).unwrap();
    let settings = settings().unwrap();
    let Signer::Autograph(autograph) = &settings.resources[0].signer else { panic!("not Autograph") };
    let pins = Pins { public_keys: vec![PublicKey::from_pem(key).unwrap()], roots: vec![[0xab; 32]] };
    assert_eq!(autograph.pins, pins);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (text, named) in [
        ("[collections]\nbatch_max_requests = 0", "collections.batch_max_requests"),
        ("[collections]\nattachment_mib = 0", "collections.attachment_mib"),
        ("[collections]\nmax_fetch_size = 0", "collections.max_fetch_size"),
        ("[collections]\nrefresh_days = 0", "collections.refresh_days"),
        ("[collections]\nbucket_create_principals = [\"everyone\"]", "collections.bucket_create_principals"),
        ("[collections]\neditors_group = \"{x}\"", "collections.editors_group"),
        ("[collections]\neditors_group = \"{collection_id}-reviewers\"", "collections.reviewers_group"),
        ("[collections]\nchain_domain = \"a b\"", "collections.chain_domain"),
        ("[[collections.cache]]\nplace = \"b\"\nseconds = 1", "collections.cache"),
        (
            "[[collections.webhook]]\nurl = \"http://h\"\nsecret_file = \"f\"\nevents = [\"Other\"]",
            "collections.webhook",
        ),
        ("[[collections.webhook]]\nurl = \"h\"\nsecret_file = \"f\"", "collections.webhook"),
        (
            &"[[collections.webhook]]\nurl = \"http://h\"\nsecret_file = \"f\"\n".repeat(2),
            "collections.webhook",
        ),
        (&format!("{RESOURCE}preview_keys = [\"look\"]"), "collections.resource"),
        (&format!("[collections]\nreviewers_group = \"all-editors\"\n{RESOURCE}"), "collections.resource"),
        (
            &format!(
                "{RESOURCE}{}",
                RESOURCE.replace("/buckets/s", "/buckets/o/collections/z").replace("/d", "/d/collections/z")
            ),
            "collections.resource",
        ),
        (&RESOURCE.replace("/buckets/d", "/buckets/d/collections/c"), "collections.resource"),
        (&RESOURCE.replace("/buckets/d", "/buckets/s"), "collections.resource"),
        (&RESOURCE.repeat(2), "collections.resource"),
        (&format!("{RESOURCE}backend = \"autograph\""), "collections.resource.autograph"),
        (&format!("{AUTOGRAPH}root_sha256 = [\"ab\"]"), "root_sha256"),
        (
            &format!("{RESOURCE}review_by_collection = [{{ pattern = \"(\", review = true }}]"),
            "collections.resource",
        ),
        (&format!("{RESOURCE}to_review = true"), "to_review"),
    ] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}
