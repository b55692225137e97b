//! What boots: modules, programs, variables, Raspberry Pi images; and CMS beside a file.

use countersign_model::HashAlg;
use countersign_pki::authenticode::{PeImage, attach};
use countersign_pki::efi_var::{self, Update, Variable};
use countersign_pki::esl::{Guid, SignatureDatabase, SignatureList};
use countersign_pki::x509::Certificate;
use serde_json::json;

use super::{Bench, decode, digest, escape};
use crate::support::{House, base64};

#[tokio::test]
async fn openssl_verifies_cms_of_a_message_a_digest_and_a_stream() {
    let house = House::open().await;
    let content = b"an image".repeat(100_000);
    for (key_type, hash) in
        [("rsa-3072", HashAlg::Sha256), ("p256", HashAlg::Sha256), ("p384", HashAlg::Sha384)]
    {
        let certificate = house.signer(key_type, key_type).await;
        let wanted = json!({"format": "cms", "certificate": certificate});
        let query = format!("format=cms&certificate={}", escape(&certificate));
        for signature in [
            house.signed(key_type, wanted.clone(), &content).await,
            house.signed_digest(key_type, wanted.clone(), digest(hash, &content)).await,
            house.signed_stream(key_type, &query, &content).await,
            house.signed_stream(key_type, &format!("{query}&signing_time=false"), &content).await,
        ] {
            let bench = Bench::new();
            bench
                .put("sig", signature)
                .put("file", &content)
                .put("other", b"other")
                .put("c.pem", &certificate);
            let line = "openssl cms -verify -binary -inform DER -in sig -CAfile c.pem -purpose any -out /dev/null -content";
            bench.run(&format!("{line} file"));
            assert!(!bench.agrees(&format!("{line} other")));
        }
    }
    house.close().await;
}

#[tokio::test]
async fn modinfo_and_our_verifier_read_modules_that_were_hashed_elsewhere() {
    let house = House::open().await;
    let pem = house.signer("modules", "rsa-2048").await;
    let certificate = Certificate::from_pem(&pem).unwrap();
    let bench = Bench::new();
    bench.put("m.c", "const char info[] __attribute__((section(\".modinfo\"), used)) = \"license=GPL\";");
    bench.run("cc -c m.c -o m.o");
    let module = std::fs::read(bench.0.path().join("m.o")).unwrap();

    let wanted = json!({"format": "kmod", "certificate": base64(certificate.der())});
    let query = format!("format=kmod&certificate={}", escape(&pem));
    let appendices = [
        house.signed("modules", wanted.clone(), &module).await,
        house.signed_digest("modules", wanted, digest(HashAlg::Sha512, &module)).await,
        house.signed_stream("modules", &query, &module).await,
    ];
    // Without attributes RSA signatures of the same bytes are the same.
    assert!(appendices.windows(2).all(|two| two[0] == two[1]));
    let signed = [module.as_slice(), &appendices[0]].concat();
    assert_eq!(countersign_pki::kmod::verify(&signed, &certificate), Ok(()));
    bench.put("m.ko", &signed);
    let text = bench.run("modinfo ./m.ko");
    assert!(text.contains("sig_hashalgo:   sha512") && text.contains("signer:         modules"), "{text}");
    house.close().await;
}

#[tokio::test]
async fn sbverify_accepts_a_program_whose_digest_was_signed() {
    let house = House::open().await;
    let pem = house.signer("db", "rsa-2048").await;
    let program = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
    let image =
        std::fs::read(program).unwrap_or_else(|_| panic!("{program}: run scripts/install-test-tools"));
    let wanted = json!({"format": "authenticode", "certificate": pem});
    let of_image = PeImage::parse(&image).unwrap().digest();
    let query = format!("format=authenticode&certificate={}", escape(&pem));
    for signature in [
        house.signed("db", wanted.clone(), &image).await,
        house.signed_digest("db", wanted.clone(), of_image).await,
        house.signed_stream("db", &query, &image).await,
    ] {
        let bench = Bench::new();
        bench.put("db.pem", &pem).put("ours.efi", attach(image.clone(), &signature).unwrap());
        bench.run("sbverify --cert db.pem ours.efi");
        // Also without any tool of ours.
        bench.put("theirs.efi", &image).put("sig", &signature);
        bench.run("sbattach --attach sig theirs.efi");
        bench.run("sbverify --cert db.pem theirs.efi");
    }
    house.close().await;
}

#[tokio::test]
async fn an_update_of_a_variable_is_what_firmware_takes() {
    let house = House::open().await;
    let pem = house.signer("kek", "rsa-2048").await;
    let signer = Certificate::from_pem(&pem).unwrap();
    let list = SignatureList::x509(Guid::from_random([7; 16]), signer.der());
    let esl = SignatureDatabase::new(vec![list]).unwrap().to_bytes();

    let wanted = json!({"format": "efi-var", "certificate": pem, "variable": "db"});
    let auth = house.signed("kek", wanted.clone(), &esl).await;
    assert!(matches!(efi_var::verify(&auth, Variable::Db, &signer), Ok(Update::Replace(_))));
    assert!(auth.ends_with(&esl));
    let mut append = wanted;
    append["append"] = true.into();
    let auth = house.signed("kek", append, &esl).await;
    assert_eq!(efi_var::verify(&auth, Variable::Db, &signer), Ok(Update::Append));
    let query = format!("format=efi-var&variable=dbx&append=true&certificate={}", escape(&pem));
    let auth = house.signed_stream("kek", &query, &esl).await;
    assert_eq!(efi_var::verify(&auth, Variable::Dbx, &signer), Ok(Update::Append));
    house.close().await;
}

#[tokio::test]
async fn openssl_verifies_the_lines_beside_a_raspberry_pi_image() {
    let house = House::open().await;
    let key = house.key("pi", "rsa-2048").await;
    let image = b"boot.img".repeat(50_000);
    let wanted = json!({"format": "rpi-eeprom"});
    for lines in [
        house.signed("pi", wanted.clone(), &image).await,
        house.signed_digest("pi", wanted.clone(), digest(HashAlg::Sha256, &image)).await,
        house.signed_stream("pi", "format=rpi-eeprom", &image).await,
    ] {
        let lines = String::from_utf8(lines).unwrap();
        let signature = lines.lines().nth(2).unwrap().strip_prefix("rsa2048: ").unwrap();
        let bench = Bench::new();
        bench.put("pub.pem", key["public_key"].as_str().unwrap()).put("image", &image);
        bench.put("sig", hex::decode(signature).unwrap());
        bench.run("openssl dgst -sha256 -verify pub.pem -signature sig image");
    }
    house.close().await;
}

#[tokio::test]
async fn a_batch_of_modules_is_signed_at_once_and_a_bad_one_is_refused_by_itself() {
    let house = House::open().await;
    let pem = house.signer("modules", "rsa-2048").await;
    let item = |module: &[u8]| json!({"key": "modules", "format": "kmod", "certificate": pem, "digest": digest(HashAlg::Sha512, module).to_string()});
    let bad = json!({"key": "modules", "format": "kmod", "certificate": pem, "message": ""});
    let batch = json!({"items": [item(b"a"), bad, item(b"b")]});
    let answer = house.ask("POST", "/countersign/v1/sign").json(batch).send().await.expect(200);
    let certificate = Certificate::from_pem(&pem).unwrap();
    for (place, module) in [(0, b"a"), (2, b"b")] {
        let result = &answer["results"][place];
        assert_eq!((&result["format"], &result["digest"]), (&json!("kmod"), &json!(null)));
        let signed = [module.as_slice(), &decode(result)].concat();
        assert_eq!(countersign_pki::kmod::verify(&signed, &certificate), Ok(()));
    }
    assert_eq!(answer["results"][1]["error"]["detail"], "the module is empty");
    house.close().await;
}
