//! What other programs made before us.

use countersign_model::KeyType;
use countersign_openpgp::{Certificate, CertificateError, DetachedSignature, Issuer, detached};

use crate::fixture;

#[test]
fn a_key_of_balenasign_comes_out_as_it_went_in() {
    let armored = fixture("grub-key.asc");
    let certificate = Certificate::read(&armored).unwrap();
    assert_eq!(certificate.to_armored().as_bytes(), armored);
    assert_eq!(certificate.fingerprint().to_string(), "E1724EB061CD4D589C5E0402385CEB0A479AB72A");
    assert_eq!(certificate.user_ids().collect::<Vec<_>>(), ["Fixture GRUB key <fixture@example.test>"]);
    assert_eq!(certificate.primary().public().key_type(), KeyType::Rsa(2048));
    assert_eq!(certificate.check(1_795_300_000), Ok(()));

    let primary = certificate.primary();
    let issuer = Issuer::new(primary.public(), primary.created()).unwrap();
    assert_eq!(issuer, certificate.issuer(), "the same packet is made from key and time");
}

#[test]
fn a_signature_of_balenasign_verifies_and_is_written_as_we_write_it() {
    let trusted = [Certificate::read(&fixture("grub-key.asc")).unwrap()];
    let packet = fixture("hello.sig");
    let found = DetachedSignature::read(&packet).unwrap().remove(0);
    let content = fixture("hello.txt");
    let good = found.verify(found.hash_of(&content), &trusted, 1_795_300_000).unwrap();
    assert_eq!((good.certificate, good.signed_at), (trusted[0].fingerprint(), 1_795_210_389));
    assert!(found.verify(found.hash_of(b"hello fixturf"), &trusted, 1_795_300_000).is_err());

    // RSA is deterministic: with its own signature in it, our packet is theirs to the byte.
    let mut hasher = detached::hasher();
    hasher.update(&content);
    let (_, pending) = detached::prepare(&trusted[0].issuer(), hasher, good.signed_at);
    let mpi = &packet[packet.len() - 256..];
    let ours = pending.finish(&countersign_model::RawSignature(mpi.to_vec())).unwrap();
    assert_eq!(ours, packet);
}

#[test]
fn a_subkey_signs_for_its_certificate() {
    let trusted = [Certificate::read(&fixture("subkey.asc")).unwrap()];
    let found = DetachedSignature::read(&fixture("subkey.sig.asc")).unwrap().remove(0);
    let good = found.verify(found.hash_of(&fixture("content.txt")), &trusted, 1_795_300_000).unwrap();
    assert_eq!(good.certificate, trusted[0].fingerprint());
    assert_ne!(good.key, good.certificate);
    assert_eq!(trusted[0].keys().count(), 2);
}

#[test]
fn a_keyring_holds_several_certificates() {
    let keyring = fixture("keyring.gpg");
    let all = Certificate::read_all(&keyring).unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(Certificate::read(&keyring).unwrap_err(), CertificateError::Several(4));
    let bytes: Vec<u8> = all.iter().flat_map(|certificate| certificate.packets().to_vec()).collect();
    assert_eq!(bytes, keyring);
}

#[test]
fn secret_keys_other_things_and_pieces_are_refused() {
    let secret = fixture("secret.asc");
    assert_eq!(Certificate::read(&secret).unwrap_err(), CertificateError::Secret);
    for bad in [&b""[..], b"hello", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", &fixture("hello.sig")] {
        assert!(Certificate::read(bad).is_err(), "{bad:02x?}");
    }
    let packets = Certificate::read(&fixture("grub-key.asc")).unwrap().packets().to_vec();
    for length in 0..packets.len() {
        // Cut between packets it is a key still, though one that may do nothing.
        let whole = matches!(length, 272 | 313);
        assert_eq!(Certificate::read(&packets[..length]).is_ok(), whole, "cut at {length}");
    }
    let bare = Certificate::read(&packets[..313]).unwrap();
    assert!(bare.check(1_795_300_000).is_err());
    let signature = fixture("hello.sig");
    for length in 0..signature.len() {
        assert!(DetachedSignature::read(&signature[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn trust_packets_of_a_keybox_are_dropped() {
    let packets = Certificate::read(&fixture("grub-key.asc")).unwrap().packets().to_vec();
    let trust = [0xb0, 0x0c, 0, 0, b'g', b'p', b'g', 1, 0, 0, 0, 0, 0, 0];
    let with = [&packets[..272], &trust, &packets[272..313], &trust, &packets[313..], &trust].concat();
    assert_eq!(Certificate::from_packets(&with).unwrap().packets(), packets);
}
