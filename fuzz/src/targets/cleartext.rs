//! Clear-signed OpenPGP texts.

use std::sync::OnceLock;

use countersign_openpgp::{Certificate, ClearSigned};

/// What a key of the seeds is found to have signed is the text of the seed, but for white space at ends of lines.
pub fn cleartext(data: &[u8]) {
    let Ok(read) = ClearSigned::read(data) else { return };
    assert!(ClearSigned::is_begun(data) && read.text().len() <= data.len());
    assert!(read.verify(&[], u32::MAX).is_err());
    if read.verify(std::slice::from_ref(key()), 4_000_000_000).is_ok() {
        assert_eq!(canonical(read.text()), canonical(seed().text()));
    }
}

fn seed() -> &'static ClearSigned {
    static SEED: OnceLock<ClearSigned> = OnceLock::new();
    SEED.get_or_init(|| {
        ClearSigned::read(include_bytes!("../../corpus/cleartext/gpg.dsc")).expect("a seed is a text")
    })
}

fn canonical(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|b| *b == b'\n').map(|line| line.trim_ascii_end().to_vec()).collect()
}

fn key() -> &'static Certificate {
    static KEY: OnceLock<Certificate> = OnceLock::new();
    KEY.get_or_init(|| {
        Certificate::read(include_bytes!("../../corpus/cleartext/gpg-key.asc")).expect("a seed is a key")
    })
}
