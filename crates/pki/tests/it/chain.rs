//! Chains that Python's `cryptography` and `openssl` made, beside `openssl verify`.

use std::path::PathBuf;

use countersign_model::pem;
use countersign_pki::chain::{Chain, ChainError, MAX_CERTIFICATES};
use countersign_pki::extension::Purpose;

use crate::support::time;
use crate::tools::Bench;

fn text(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/content-signatures/chains");
    std::fs::read_to_string(root.join(name).with_extension("pem")).unwrap()
}

fn verdict(name: &str) -> Result<(), ChainError> {
    Chain::from_pem(&text(name)).unwrap().verify(Purpose::CodeSigning, time("2026-12-01T00:00:00Z"))
}

/// The last certificate is believed, the first is asked about. It is not asked for a purpose, which its version
/// here does not know.
fn openssl_agrees(name: &str) -> bool {
    let blocks = pem::blocks(&text(name)).unwrap();
    let parts: Vec<String> = blocks.iter().map(|block| pem::encode("CERTIFICATE", &block.der)).collect();
    let (leaf, root) = (&parts[0], &parts[parts.len() - 1]);
    let between = parts[1..parts.len() - 1].concat();
    let files = [("leaf", leaf.as_bytes()), ("between", between.as_bytes()), ("root", root.as_bytes())];
    let untrusted = if between.is_empty() { "" } else { "-untrusted between " };
    Bench::new(&files).agrees(&format!("openssl verify -attime 1796083200 -CAfile root {untrusted}leaf"))
}

#[test]
fn a_good_chain_is_believed() {
    for name in ["good", "openssl"] {
        assert_eq!(verdict(name), Ok(()), "{name}");
        assert!(openssl_agrees(name), "{name}");
    }
}

#[test]
fn what_openssl_refuses_is_refused() {
    let purpose = Purpose::CodeSigning;
    let expired = time("2026-06-01T00:00:00Z");
    let later = time("2050-01-01T00:00:00Z");
    let name = "dns:books.content-signature.example.org".to_owned();
    for (hazard, wanted) in [
        ("leaf-expired", ChainError::Expired { index: 0, not_after: expired }),
        ("leaf-later", ChainError::NotYetValid { index: 0, not_before: later }),
        ("middle-expired", ChainError::Expired { index: 1, not_after: expired }),
        ("root-expired", ChainError::Expired { index: 2, not_after: expired }),
        ("middle-no-authority", ChainError::NotAnAuthority { index: 1 }),
        ("not-permitted", ChainError::Name { index: 1, name: name.clone() }),
        ("excluded", ChainError::Name { index: 1, name }),
        ("unknown-critical", ChainError::Critical { index: 0 }),
        ("another-key-of-the-name", ChainError::NotIssued { index: 0 }),
        ("too-deep", ChainError::PathLength { index: 2 }),
        ("no-middle", ChainError::NotIssued { index: 0 }),
        ("another-order", ChainError::NotIssued { index: 0 }),
    ] {
        assert_eq!(verdict(hazard), Err(wanted), "{hazard}");
        assert!(!openssl_agrees(hazard), "{hazard}");
    }
    for (hazard, wanted) in [
        ("leaf-authority", ChainError::Leaf),
        ("leaf-for-servers", ChainError::Purpose { index: 0, purpose }),
        ("leaf-for-nothing", ChainError::Purpose { index: 0, purpose }),
        ("middle-for-servers", ChainError::Purpose { index: 1, purpose }),
    ] {
        assert_eq!(verdict(hazard), Err(wanted), "{hazard}");
    }
}

#[test]
fn a_chain_is_nothing_but_certificates() {
    let good = text("good");
    let chain = Chain::from_pem(&good).unwrap();
    assert_eq!(chain.to_pem(), good);
    assert_eq!(chain.certificates().count(), 3);
    let root = chain.root().clone();
    assert_eq!(Chain::from_pem(&text("without-root")).unwrap().under(&root), Ok(chain.clone()));
    assert_eq!(chain.clone().under(&root), Ok(chain.clone()));

    let long = good.repeat(4);
    assert_eq!(Chain::from_pem(&long), Err(ChainError::Length { got: 12 }));
    let full = Chain::from_pem(&[good.repeat(3), root.to_pem()].concat());
    assert_eq!(full.as_ref().unwrap().certificates().count(), MAX_CERTIFICATES);
    assert_eq!(full.unwrap().under(chain.leaf()), Err(ChainError::Length { got: 11 }));
    assert_eq!(Chain::new(vec![]), Err(ChainError::Length { got: 0 }));

    let with_key = [good, pem::encode("PRIVATE KEY", b"x")].concat();
    assert_eq!(Chain::from_pem(&with_key), Err(ChainError::Label { label: "PRIVATE KEY".into() }));
    let alone = Chain::new(vec![root]).unwrap();
    let at = time("2026-12-01T00:00:00Z");
    assert_eq!(alone.verify(Purpose::CodeSigning, at), Err(ChainError::NoAuthority));
}
