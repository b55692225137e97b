//! Raspberry Pi signatures.

use countersign_model::{HashAlg, KeyType};
use countersign_pki::rpi_eeprom::{self, EepromError, EepromSignature};

use crate::support::{TestKey, now, time};
use crate::tools::Bench;

const FILE: &[u8] = b"[all]\nBOOT_ORDER=0xf41\n";

fn digest(file: &[u8]) -> [u8; 32] {
    HashAlg::Sha256.digest(file).as_bytes().try_into().unwrap()
}

fn sign(key: &TestKey) -> String {
    let (to_sign, pending) = rpi_eeprom::prepare(digest(FILE), now(), &key.public()).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

#[test]
fn the_lines_are_those_that_rpi_eeprom_digest_cuts_out_and_openssl_verifies() {
    let key = TestKey::of("rsa");
    let text = sign(&key);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], hex::encode(digest(FILE)));
    assert_eq!(lines[1], "ts: 1795262400");
    // grep rsa2048 | cut -f 2 -d ' ' | xxd -c 4096 -p -r
    let signature = hex::decode(lines[2].split(' ').nth(1).unwrap()).unwrap();
    let pem = key.public().to_pem();
    let bench = Bench::new(&[("sig", &signature), ("file", FILE), ("key.pem", pem.as_bytes())]);
    bench.run("openssl dgst -verify key.pem -signature sig -sha256 file");
}

#[test]
fn a_changed_text_file_or_key_is_refused() {
    let key = TestKey::of("rsa");
    let text = sign(&key);
    let verify = |text: &str, file: &[u8]| rpi_eeprom::verify(text, digest(file), &key.public());
    assert_eq!(verify(&text, FILE).unwrap().seconds, 1_795_262_400);
    assert_eq!(verify(&text, b"other"), Err(EepromError::OtherFile));
    let other = rpi_eeprom::verify(&text, digest(FILE), &TestKey::of("pk").public());
    assert_eq!(other, Err(EepromError::Invalid));
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        let verdict = verify(&changed, FILE);
        // The time is not signed.
        assert!(verdict.is_err() || changed.lines().nth(1) != text.lines().nth(1), "byte {at}");
    }
}

#[test]
fn malformed_texts_are_refused_with_their_line() {
    let text = sign(&TestKey::of("rsa"));
    let parse = |text: &str| EepromSignature::parse(text);
    assert!(parse(&text.replace("rsa2048", "target-soc: 2712\nrsa2048")).is_ok());
    for (changed, line) in [
        (String::new(), 1),
        (text.to_uppercase(), 1),
        (text.replace("ts: ", "ts:"), 2),
        (text.replace("ts: ", "ts: +"), 2),
        (text.replace("rsa2048", "rsa4096"), 3),
        (text.replace("rsa2048: ", "rsa2048: 00"), 3),
        (text.trim_end().to_owned(), 3),
        (format!("{text}\n"), 4),
        (text.repeat(9), 1),
    ] {
        assert_eq!(parse(&changed), Err(EepromError::Malformed { line }), "{changed}");
    }
}

#[test]
fn the_boot_rom_takes_no_other_keys_than_rsa_2048() {
    for (key, key_type) in
        [(TestKey::of("kmod"), KeyType::Rsa(4096)), (TestKey::ecdsa(KeyType::P256), KeyType::P256)]
    {
        let refused = rpi_eeprom::prepare(digest(FILE), now(), &key.public()).unwrap_err();
        assert_eq!(refused, EepromError::Key(key_type));
    }
    let early = rpi_eeprom::prepare(digest(FILE), time("1969-12-31T23:59:59Z"), &TestKey::of("rsa").public());
    assert_eq!(early.unwrap_err(), EepromError::Time);
}
