use countersign_core::signing::{self, Content, SignRequest, VerifyKey, VerifyRequest};
use countersign_core::{Code, Error, keys};
use countersign_model::digest::Hasher;
use countersign_model::{Digest, Encoding, HashAlg, PublicKey, Scheme, ToSign};

use crate::support::{House, message, refused};

#[tokio::test(flavor = "multi_thread")]
async fn message_digest_and_stream_sign_the_same_bytes() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "rsa-2048").await;
        let text = b"release 1.0";
        let digest = HashAlg::Sha256.digest(text);
        let input = countersign_model::digest::sha256(text);
        let mut hasher = Hasher::new(HashAlg::Sha256);
        hasher.update(text);
        let contents =
            [Content::Message(text.to_vec()), Content::Digest(digest), Content::Streamed { hasher, input }];
        let mut signatures = Vec::new();
        for content in contents {
            let request = SignRequest { content, ..message(&key, "") };
            let answer = signing::sign_one(ctx, &owner, request).await.unwrap();
            assert_eq!(answer.digest, Some(digest));
            signatures.push(answer.signature);
        }
        assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]), "RSA PKCS#1 v1.5 is deterministic");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_verifies_with_the_public_key_alone() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        for key_type in ["rsa-2048", "p256", "p384", "p521", "ed25519"] {
            let key = house.key(key_type, key_type).await;
            let document = keys::get(ctx, &owner, &key).unwrap();
            let public = PublicKey::from_pem(&document.public_key).unwrap();
            for scheme in document.schemes.into_iter().filter(|s| *s != Scheme::RsaPkcs1Raw) {
                for encoding in [None, Some(Encoding::Der), Some(Encoding::Raw)] {
                    let request = SignRequest { scheme: Some(scheme), encoding, ..message(&key, "text") };
                    let answer = signing::sign_one(ctx, &owner, request).await;
                    let width = public.key_type().ecdsa_width();
                    if encoding.is_some() && width.is_none() {
                        refused(answer, Code::InvalidRequest);
                        continue;
                    }
                    let (answer, encoding) = (answer.unwrap(), encoding.unwrap_or_default());
                    let raw = countersign_model::RawSignature::decode(&answer.signature, width, encoding);
                    let to_sign = ToSign::of_message(scheme, b"text");
                    public.verify(scheme, &to_sign, &raw.unwrap()).unwrap();
                }
            }
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_suit_the_scheme_is_refused_by_name() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let (rsa, p256, ed) =
            (house.key("r", "rsa-2048").await, house.key("p", "p256").await, house.key("e", "ed25519").await);
        let short = Content::from_digest_text("sha256:abcd").unwrap();
        let sha512 = Content::Digest(HashAlg::Sha512.digest(b""));
        let sha256 = Content::Digest(HashAlg::Sha256.digest(b""));
        let empty = || Content::Message(Vec::new());
        let cases = [
            (&p256, Some(Scheme::Ed25519), empty(), Code::SchemeMismatch),
            (&rsa, Some(Scheme::Ecdsa(HashAlg::Sha256)), empty(), Code::SchemeMismatch),
            (&p256, None, sha512, Code::SchemeMismatch),
            (&p256, None, short.clone(), Code::DigestLength),
            (&ed, None, sha256, Code::DigestNotSupported),
            (&ed, None, short, Code::DigestNotSupported),
            // The admin's rule does not name `raw-unprefixed` literally.
            (&rsa, Some(Scheme::RsaPkcs1Raw), empty(), Code::NotPermitted),
        ];
        let before = countersign_core::log::heads(ctx, &owner).await.unwrap().logs[0].size;
        for (key, scheme, content, code) in cases {
            let request = SignRequest { scheme, content, ..message(key, "") };
            refused(signing::sign_one(ctx, &owner, request).await, code);
        }
        refused(Content::from_digest_text("md5:00"), Code::InvalidRequest);
        let request = SignRequest { subject: Some("é".repeat(257)), ..message(&p256, "") };
        refused(signing::sign_one(ctx, &owner, request).await, Code::InvalidRequest);
        let after = countersign_core::log::heads(ctx, &owner).await.unwrap().logs[0].size;
        assert_eq!(before, after, "nothing was logged");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_item_does_not_touch_the_others_of_a_batch() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let (p256, ed) = (house.key("p", "p256").await, house.key("e", "ed25519").await);
        let nosuch = "nosuch".parse().unwrap();
        let requests = vec![
            Ok(message(&p256, "one")),
            Err(Error::IdempotencyMismatch),
            Ok(message(&nosuch, "two")),
            Ok(message(&ed, "three")),
            Ok(SignRequest { scheme: Some(Scheme::Ed25519), ..message(&p256, "four") }),
            Ok(message(&p256, &"five".repeat(100_000))),
        ];
        let answers = signing::sign_batch(ctx, &owner, requests).await;
        let codes: Vec<_> = answers.iter().map(|a| a.as_ref().err().map(Error::code)).collect();
        let expected = [
            None,
            Some(Code::IdempotencyMismatch),
            Some(Code::UnknownKey),
            None,
            Some(Code::SchemeMismatch),
            None,
        ];
        assert_eq!(codes, expected);

        let found = countersign_core::log::by_request(ctx, &owner, &owner.request_id, None).await.unwrap();
        assert_eq!(found.entries.len(), 3, "the items share the request id");
        for (answer, text) in [(0, "one".to_owned()), (3, "three".into()), (5, "five".repeat(100_000))] {
            let answer = answers[answer].as_ref().unwrap();
            let request = VerifyRequest {
                key: VerifyKey::Named(answer.key.clone()),
                scheme: answer.scheme,
                content: Content::Message(text.into_bytes()),
                signature: answer.signature.clone(),
                encoding: None,
            };
            assert!(signing::verify(ctx, &owner, request).await.unwrap().valid);
        }
        assert!(signing::sign_batch(ctx, &owner, Vec::new()).await.is_empty());
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_planned_before_its_body_is_read() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let (p384, ed) = (house.key("p", "p384").await, house.key("e", "ed25519").await);
        let plan = signing::plan_stream(ctx, &owner, &p384, None, Some(Encoding::Raw), None).unwrap();
        assert_eq!((plan.hash, plan.limit), (Some(HashAlg::Sha384), 64 << 30));
        let plan = signing::plan_stream(ctx, &owner, &ed, None, None, None).unwrap();
        assert_eq!((plan.hash, plan.limit), (None, 64 << 20));
        let refused_encoding = signing::plan_stream(ctx, &owner, &ed, None, Some(Encoding::Raw), None);
        assert_eq!(refused(refused_encoding, Code::InvalidRequest).member(), Some("encoding"));
        keys::retire(ctx, &owner, &ed).await.unwrap();
        refused(signing::plan_stream(ctx, &owner, &ed, None, None, None), Code::KeyRetired);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_serialises_as_the_contract_says() {
    for house in House::on_both().await {
        let key = house.key("e", "ed25519").await;
        let owner = house.owner();
        let answer = signing::sign_one(&house.ctx, &owner, message(&key, "x")).await.unwrap();
        let value = serde_json::to_value(&answer).unwrap();
        let members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["key", "key_id", "log", "request_id", "scheme", "signature"]);
        assert_eq!(value["log"]["origin"], house.ctx.node().as_str());
        assert_eq!(value["request_id"], owner.request_id.as_str());

        let p256 = house.key("p", "p256").await;
        let answer = signing::sign_one(&house.ctx, &owner, message(&p256, "x")).await.unwrap();
        let digest: Digest =
            serde_json::to_value(&answer).unwrap()["digest"].as_str().unwrap().parse().unwrap();
        assert_eq!(digest, HashAlg::Sha256.digest(b"x"));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_signature_or_content_is_not_valid() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "p256").await;
        let answer = signing::sign_one(ctx, &owner, message(&key, "x")).await.unwrap();
        let mut broken = answer.signature.clone();
        *broken.last_mut().unwrap() ^= 1;
        for (content, signature) in [("y", answer.signature.clone()), ("x", broken), ("x", vec![1, 2, 3])] {
            let request = VerifyRequest {
                key: VerifyKey::Named(key.clone()),
                scheme: answer.scheme,
                content: Content::Message(content.into()),
                signature,
                encoding: None,
            };
            let verdict = signing::verify(ctx, &owner, request).await.unwrap();
            assert!(!verdict.valid && verdict.reason.is_some());
        }
        house.end().await;
    }
}
