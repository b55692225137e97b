//! Proof of possession.

use countersign_tuf::proof::{Challenge, InvalidProof, NotALine, Operation, Proof};

use crate::repo::root_document;
use crate::support::Signer;

fn challenge() -> Challenge<'static> {
    Challenge {
        server: "node-01234567",
        operation: Operation::Override,
        role: "root",
        pending: [0xaa; 32],
        new: Some([0xbb; 32]),
        nonce: [0x01; 32],
    }
}

#[test]
fn the_text_is_seven_lines() {
    let (aa, bb, one) = ("aa".repeat(32), "bb".repeat(32), "01".repeat(32));
    let head = "countersign-das-proof-v1\nnode-01234567\n";
    let wanted = format!("{head}override\nroot\n{aa}\n{bb}\n{one}\n");
    assert_eq!(challenge().text(), Ok(wanted));
    let delete = Challenge { operation: Operation::Delete, new: None, ..challenge() };
    assert_eq!(delete.text(), Ok(format!("{head}delete\nroot\n{aa}\n-\n{one}\n")));
    for line in ["", "a\nb", "a\r", "\u{2}"] {
        assert_eq!(Challenge { server: line, ..challenge() }.text(), Err(NotALine));
        assert_eq!(Challenge { role: line, ..challenge() }.text(), Err(NotALine));
    }
}

#[test]
fn a_root_key_of_the_old_or_the_new_root_proves_and_nobody_else() {
    let (ana, bo, online) = (Signer::ed25519(1), Signer::ed25519(2), Signer::ed25519(9));
    let trusted = root_document(1, &[Signer::ed25519(1)], 1, &online);
    let pending = root_document(2, &[Signer::ed25519(2)], 1, &online);
    let text = challenge().text().unwrap();
    let nonce = "01".repeat(32);
    let check = |challenge: Challenge<'_>, nonce: &str, keyid: &str, sig: &str| {
        challenge.check(Proof { nonce, keyid, sig }, [&pending, &trusted])
    };
    for signer in [&ana, &bo] {
        assert_eq!(check(challenge(), &nonce, &signer.keyid, &signer.text(text.as_bytes())), Ok(()));
    }
    let sig = ana.text(text.as_bytes());
    assert_eq!(check(challenge(), &nonce, &bo.keyid, &sig), Err(InvalidProof));
    assert_eq!(check(challenge(), "", &ana.keyid, &sig), Err(InvalidProof));
    assert_eq!(check(challenge(), &"02".repeat(32), &ana.keyid, &sig), Err(InvalidProof));
    let by_online = online.text(text.as_bytes());
    assert_eq!(check(challenge(), &nonce, &online.keyid, &by_online), Err(InvalidProof));
    // For one thing it proves nothing for another.
    for other in [
        Challenge { operation: Operation::Delete, ..challenge() },
        Challenge { new: None, ..challenge() },
        Challenge { new: Some([0xbc; 32]), ..challenge() },
        Challenge { pending: [0xab; 32], ..challenge() },
        Challenge { server: "node-76543210", ..challenge() },
        Challenge { role: "targets", ..challenge() },
    ] {
        assert_eq!(check(other, &nonce, &ana.keyid, &sig), Err(InvalidProof), "{other:?}");
    }
}
