//! OpenPGP keys and signatures, judged by `gpg`.

use serde_json::json;

use super::{Bench, escape};
use crate::support::House;

#[tokio::test]
async fn gpg_imports_the_key_and_verifies_what_was_sent_whole_and_streamed() {
    let house = House::open().await;
    let content = b"boot loader configuration".repeat(40_000);
    for key_type in ["rsa-2048", "p256", "ed25519"] {
        house.key(key_type, key_type).await;
        let user = json!({"name": "Release", "email": "release@example.org"});
        let made = house.of_key(key_type, "openpgp", user).await;
        let public = made["certificate"].as_str().unwrap().to_owned();

        let wanted = json!({"format": "openpgp", "certificate": public});
        let query = format!("format=openpgp&certificate={}", escape(&public));
        for signature in [
            house.signed(key_type, wanted, &content).await,
            house.signed_stream(key_type, &query, &content).await,
        ] {
            let bench = Bench::new();
            bench.put("key.asc", &public).put("file", &content).put("other", b"other").put("sig", signature);
            std::fs::create_dir(bench.0.path().join("gnupg")).unwrap();
            bench.run("chmod 700 gnupg");
            bench.run("gpg --batch --quiet --import key.asc");
            let said = bench.run("gpg --batch --verify sig file");
            assert!(said.contains("Good signature from \"Release <release@example.org>\""), "{said}");
            assert!(!bench.agrees("gpg --batch --verify sig other"));
        }
    }
    house.close().await;
}
