//! Checksums in Debian's control files: a `.changes` names its `.dsc` with size and digests, and when that is signed
//! they are others.

use aws_lc_rs::digest;
use countersign_model::HashAlg;
use md5::{Digest as _, Md5};

/// `control` with size and digests of `file` as it is now, wherever it names `name`.
///
/// The fields are `Files` and `Checksums-Md5`, `-Sha1`, `-Sha256`, `-Sha512` (deb822): a line for each file, digest
/// and size first, name last.
pub fn renewed(control: &[u8], name: &str, file: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(control.len() + 64);
    let mut field: Option<Field> = None;
    for line in control.split_inclusive(|b| *b == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            field = Field::of_line(line);
        }
        match (&field, std::str::from_utf8(line)) {
            (Some(field), Ok(text)) => out.extend_from_slice(field.line(text, name, file).as_bytes()),
            _ => out.extend_from_slice(line),
        }
    }
    out
}

/// A field that lists files.
enum Field {
    Md5,
    Sha1,
    Sha2(HashAlg),
}

impl Field {
    fn of_line(line: &[u8]) -> Option<Self> {
        let colon = line.iter().position(|b| *b == b':')?;
        match line.get(..colon)?.to_ascii_lowercase().as_slice() {
            b"files" | b"checksums-md5" => Some(Self::Md5),
            b"checksums-sha1" => Some(Self::Sha1),
            b"checksums-sha256" => Some(Self::Sha2(HashAlg::Sha256)),
            b"checksums-sha512" => Some(Self::Sha2(HashAlg::Sha512)),
            _ => None,
        }
    }

    fn digest(&self, file: &[u8]) -> String {
        match self {
            Self::Md5 => hex::encode(Md5::digest(file)),
            // What these fields say is for the sake of old readers: newer ones look at the stronger digests.
            Self::Sha1 => hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, file)),
            Self::Sha2(hash) => hex::encode(hash.digest(file).as_bytes()),
        }
    }

    fn line(&self, line: &str, name: &str, file: &[u8]) -> String {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [_, _, between @ .., last] if *last == name && line.starts_with([' ', '\t']) => {
                let (digest, size) = (self.digest(file), file.len());
                let mut text = format!(" {digest} {size}");
                for word in between {
                    text.push(' ');
                    text.push_str(word);
                }
                let end = if line.ends_with('\n') { "\n" } else { "" };
                format!("{text} {last}{end}")
            }
            _ => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_digests_of_one_file_are_renewed_and_nothing_else() {
        let control = "Source: x\nDescription:\n 1 2 x.dsc\nChecksums-Sha1:\n 00 1 x.dsc\n 11 2 y.deb\nChecksums-Sha256:\n \
                       00 1 x.dsc\nFiles:\n 00 1 misc optional x.dsc\n 22 1 misc optional y.x.dsc\n";
        let renewed = String::from_utf8(renewed(control.as_bytes(), "x.dsc", b"abc")).unwrap();
        let expected = "Source: x\nDescription:\n 1 2 x.dsc\nChecksums-Sha1:\n \
                        a9993e364706816aba3e25717850c26c9cd0d89d 3 x.dsc\n 11 2 y.deb\nChecksums-Sha256:\n \
                        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 x.dsc\nFiles:\n \
                        900150983cd24fb0d6963f7d28e17f72 3 misc optional x.dsc\n 22 1 misc optional y.x.dsc\n";
        assert_eq!(renewed, expected);
    }
}
