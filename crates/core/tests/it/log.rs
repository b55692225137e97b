use countersign_core::{Code, keys, log, signing};
use countersign_tlog::hash::Hash;
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::tile::Resource;

use crate::support::{House, message, refused};

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_signature_is_proved_by_entry_proof_and_key_alone() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "p256").await;
        let vkey: VerifierKey = log::verifier_key(ctx).parse().unwrap();
        for i in 0..300 {
            signing::sign_one(ctx, &owner, message(&key, &format!("message {i}"))).await.unwrap();
        }
        let answer = signing::sign_one(ctx, &owner, message(&key, "the last")).await.unwrap();
        for index in [0, 255, 256, answer.log.index] {
            let found = log::entry(ctx, &owner, &answer.log.origin, index).await.unwrap();
            let leaf = found.entry.to_canonical();
            assert_eq!(Hash::leaf(&leaf).to_string(), found.leaf);
            let proof = LogProof::parse(found.proof.as_bytes()).unwrap();
            assert_eq!(proof.index, index);
            proof.verify(&leaf, &vkey).unwrap();
        }
        let found = log::entry(ctx, &owner, &answer.log.origin, answer.log.index).await.unwrap();
        assert_eq!(found.entry.key_id.as_ref(), Some(&answer.key_id));
        assert_eq!(found.entry.request_id, owner.request_id);

        let beyond = log::entry(ctx, &owner, &answer.log.origin, answer.log.index + 1).await;
        refused(beyond, Code::NotFound);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_asked_for_after_an_answer_covers_it() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "ed25519").await;
        for i in 0..5 {
            let answer = signing::sign_one(ctx, &owner, message(&key, &i.to_string())).await.unwrap();
            let note = log::checkpoint(ctx, ctx.node()).await.unwrap();
            let note = SignedNote::parse(note.as_bytes()).unwrap();
            let checkpoint = countersign_tlog::checkpoint::Checkpoint::parse(note.text()).unwrap();
            assert!(checkpoint.head.size > answer.log.index);
            let head = &log::heads(ctx, &owner).await.unwrap().logs[0];
            assert_eq!(
                (head.size, head.root.clone()),
                (checkpoint.head.size, checkpoint.head.root.to_string())
            );
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_of_the_checkpoint_are_served_as_narrow_as_asked() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "ed25519").await;
        for i in 0..10 {
            signing::sign_one(ctx, &owner, message(&key, &i.to_string())).await.unwrap();
        }
        log::checkpoint(ctx, ctx.node()).await.unwrap();
        for path in ["tile/0/000.p/5", "tile/entries/000.p/5"] {
            let path: Resource = path.parse().unwrap();
            assert!(!log::tile(ctx, ctx.node(), path).await.unwrap().is_empty());
        }
        let beyond: Resource = "tile/0/001".parse().unwrap();
        refused(log::tile(ctx, ctx.node(), beyond).await, Code::NotFound);
        refused(log::checkpoint(ctx, &"nosuch".parse().unwrap()).await, Code::NotFound);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_trust_are_found_by_their_request() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "ed25519").await;
        keys::revoke(ctx, &owner, &key, "lost".into()).await.unwrap();
        let found = log::by_request(ctx, &owner, &owner.request_id, None).await.unwrap().entries;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].entry.subject.as_deref(), Some("lost"));
        assert_eq!(found[0].entry.key.as_ref(), Some(&key));

        let signer = house.person("sig", &["signer"]).await;
        refused(log::by_request(ctx, &signer, &owner.request_id, None).await, Code::NotPermitted);
        assert!(log::heads(ctx, &signer).await.unwrap().logs.is_empty());
        house.end().await;
    }
}
