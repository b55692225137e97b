//! PE images, as sbsigntool and osslsigncode sign and check them.

use countersign_model::KeyType;
use countersign_pki::authenticode::{self, AuthenticodeError, PeError, PeImage};
use countersign_pki::ca::{self, Leaf, Role};
use countersign_pki::cms::CmsError;
use countersign_pki::x509::Certificate;

use crate::support::{TestKey, certificate, fixture_path, forty_years, now, serial};
use crate::tools::Bench;

/// Real programs: with data after the sections, and without.
const PROGRAMS: [&str; 3] = [
    "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
    "/usr/lib/efitools/x86_64-linux-gnu/HelloWorld.efi",
];

fn programs() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    PROGRAMS.into_iter().map(|path| {
        let image = std::fs::read(path).unwrap_or_else(|_| panic!("{path}: run scripts/install-test-tools"));
        (path, image)
    })
}

fn sign(image: &[u8], key: &TestKey, signer: &Certificate) -> Vec<u8> {
    let (to_sign, pending) = authenticode::prepare(image.to_vec(), signer, now()).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

fn sign_as(image: &[u8], name: &str) -> Vec<u8> {
    sign(image, &TestKey::of(name), &certificate(name))
}

/// A small image: two sections, a gap in the headers, `trailing` bytes after the sections.
pub fn small_image(magic: u16, trailing: usize) -> Vec<u8> {
    let mut image = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let wide = magic == 0x20b;
    let optional = 0x58;
    let directories = if wide { 112 } else { 96 };
    put(0, b"MZ");
    put(0x3c, &0x40_u32.to_le_bytes());
    put(0x40, b"PE\0\0");
    put(0x44, if wide { &[0x64, 0x86, 2, 0] } else { &[0x4c, 0x01, 2, 0] });
    put(0x40 + 20, &(directories as u16 + 128).to_le_bytes());
    put(optional, &magic.to_le_bytes());
    put(optional + 60, &0x200_u32.to_le_bytes());
    put(optional + directories - 4, &16_u32.to_le_bytes());
    let sections = optional + directories + 128;
    for (number, place) in [0x300_u32, 0x200].into_iter().enumerate() {
        let header = sections + 40 * number;
        put(header, b".text");
        put(header + 16, &0x100_u32.to_le_bytes());
        put(header + 20, &place.to_le_bytes());
    }
    for (at, byte) in image[0x200..].iter_mut().enumerate() {
        *byte = at as u8 ^ 0x5a;
    }
    image.extend(std::iter::repeat_n(0xee, trailing));
    image
}

/// Where CheckSum and the certificate table's entry of [`small_image`] are.
const CHECKSUM: usize = 0x58 + 64;
fn entry(magic: u16) -> usize {
    0x58 + if magic == 0x20b { 112 } else { 96 } + 32
}

#[test]
fn sbverify_and_osslsigncode_accept_real_programs_that_we_signed() {
    for (path, image) in programs() {
        let signed = sign_as(&image, "db");
        let (db, kek) = (certificate("db").to_pem(), certificate("kek").to_pem());
        let files = [("x.efi", signed.as_slice()), ("db.pem", db.as_bytes()), ("kek.pem", kek.as_bytes())];
        let bench = Bench::new(&files);
        bench.run("sbverify --cert db.pem x.efi");
        assert!(!bench.agrees("sbverify --cert kek.pem x.efi"), "{path}");
        let text = bench.run("osslsigncode verify -CAfile db.pem x.efi");
        assert!(text.contains("Signature verification: ok"), "{path}: {text}");
        // It compares the checksum, too.
        assert!(!text.contains("MISMATCH"), "{path}: {text}");
        assert_eq!(authenticode::verify(&signed, &certificate("db")), Ok(()), "{path}");
    }
}

#[test]
fn what_sbsign_and_osslsigncode_sign_verifies_and_differs_in_the_signature_only() {
    for (path, image) in programs() {
        let pem = certificate("db").to_pem();
        let bench = Bench::new(&[("x.efi", image.as_slice()), ("c.pem", pem.as_bytes())]);
        let key = fixture_path("keys/db.pem");
        bench.run(&format!("sbsign --key {} --cert c.pem --output sb.efi x.efi", key.display()));
        let line =
            format!("osslsigncode sign -key {} -certs c.pem -h sha256 -in x.efi -out os.efi", key.display());
        bench.run(&line);
        let ours = sign_as(&image, "db");
        for name in ["sb.efi", "os.efi"] {
            let theirs = bench.get(name);
            assert_eq!(authenticode::verify(&theirs, &certificate("db")), Ok(()), "{path}: {name}");
            let other = authenticode::verify(&theirs, &certificate("kek"));
            assert_eq!(other, Err(CmsError::NotSignedBy.into()));
            let digest = |image: &[u8]| PeImage::parse(image).unwrap().digest();
            assert_eq!(digest(&theirs), digest(&ours));
        }
        // Up to the table only CheckSum and the size of the table differ.
        let theirs = bench.get("sb.efi");
        let end = image.len().next_multiple_of(8);
        let differing: Vec<usize> = (0..end).filter(|at| ours[*at] != theirs[*at]).collect();
        assert!(differing.len() <= 8, "{path}: {differing:?}");
    }
}

#[test]
fn an_image_signed_twice_is_accepted_by_the_tools_with_either_certificate() {
    for (path, image) in programs() {
        let once = sign_as(&image, "db");
        let twice = sign_as(&once, "kmod");
        assert_eq!(PeImage::parse(&twice).unwrap().signatures().count(), 2);
        for name in ["db", "kmod"] {
            assert_eq!(authenticode::verify(&twice, &certificate(name)), Ok(()), "{path}");
            let pem = certificate(name).to_pem();
            let bench = Bench::new(&[("x.efi", twice.as_slice()), ("c.pem", pem.as_bytes())]);
            bench.run("sbverify --cert c.pem x.efi");
        }
        assert!(authenticode::verify(&twice, &certificate("pk")).is_err());
    }
}

#[test]
fn only_checksum_entry_and_appended_bytes_change() {
    for magic in [0x10b, 0x20b] {
        for trailing in [0, 1, 7, 8, 13] {
            let image = small_image(magic, trailing);
            let signed = sign_as(&image, "db");
            let changed: Vec<usize> = (0..image.len()).filter(|at| image[*at] != signed[*at]).collect();
            let allowed = |at: &usize| {
                (CHECKSUM..CHECKSUM + 4).contains(at) || (entry(magic)..entry(magic) + 8).contains(at)
            };
            assert!(changed.iter().all(allowed), "{changed:?}");
            assert_eq!(signed.len() % 8, 0);
            assert_eq!(authenticode::verify(&signed, &certificate("db")), Ok(()));

            let pem = certificate("db").to_pem();
            let bench = Bench::new(&[("x.efi", signed.as_slice()), ("c.pem", pem.as_bytes())]);
            bench.run("sbverify --cert c.pem x.efi");
            let table = image.len().next_multiple_of(8);
            assert_eq!(signed[entry(magic)..entry(magic) + 4], (table as u32).to_le_bytes());
            let der = PeImage::parse(&signed).unwrap().signatures().next().unwrap().len();
            assert_eq!(signed[table..table + 4], (der as u32 + 8).to_le_bytes(), "not rounded up");
        }
    }
}

#[test]
fn no_covered_byte_of_a_signed_image_can_be_changed() {
    let image = small_image(0x20b, 5);
    let signed = sign_as(&image, "db");
    for at in 0..image.len().next_multiple_of(8) {
        if (CHECKSUM..CHECKSUM + 4).contains(&at) {
            continue;
        }
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert!(authenticode::verify(&changed, &certificate("db")).is_err(), "byte {at}");
    }
    for len in 0..signed.len() {
        let kept = authenticode::verify(&signed[..len], &certificate("db"));
        // Zeros after the last certificate fill the file up and say nothing.
        assert!(kept.is_err(), "cut to {len}");
    }
}

#[test]
fn a_certificate_issued_by_the_trusted_one_signs_for_it() {
    let (root_key, key) = (TestKey::of("pk"), TestKey::of("kek"));
    let root = root_key.certified("/CN=root");
    let leaf = Leaf {
        subject: &"/CN=leaf".parse().unwrap(),
        key: &key.public(),
        serial: serial(),
        validity: forty_years(),
        role: Role::End,
        purposes: &[],
        alt_names: &[],
    };
    let (to_sign, pending) = ca::prepare(&root, &leaf).unwrap();
    let signature = root_key.sign(pending.scheme(), &to_sign);
    let leaf = pending.finish(signature).unwrap();
    let signed = sign(&small_image(0x20b, 0), &key, &leaf);
    assert_eq!(authenticode::verify(&signed, &root), Ok(()));
    assert_eq!(authenticode::verify(&signed, &leaf), Ok(()));
    let other = TestKey::of("db").certified("/CN=root");
    assert_eq!(authenticode::verify(&signed, &other), Err(CmsError::NotSignedBy.into()));
}

#[test]
fn what_is_not_a_whole_image_is_not_signed() {
    let with = |changes: &[(usize, u32)]| {
        let mut image = small_image(0x20b, 0);
        for (at, value) in changes {
            image[*at..*at + 4].copy_from_slice(&value.to_le_bytes());
        }
        image
    };
    let section = 0x58 + 112 + 128;
    let table = entry(0x20b);
    let signed = sign_as(&small_image(0x20b, 0), "db");
    let (place, size) = (0x400, signed.len() as u32 - 0x400);
    let resigned = |changes: &[(usize, u32)]| {
        let mut image = signed.clone();
        for (at, value) in changes {
            image[*at..*at + 4].copy_from_slice(&value.to_le_bytes());
        }
        image
    };
    for (what, image, error) in [
        ("nothing", vec![], PeError::NotPe),
        ("a text", b"notpe".to_vec(), PeError::NotPe),
        ("MZ alone", b"MZ".to_vec(), PeError::NotPe),
        ("no PE", with(&[(0x40, 0)]), PeError::NotPe),
        ("PE beyond the end", with(&[(0x3c, 0xffff_fff0)]), PeError::NotPe),
        ("cut in the headers", small_image(0x20b, 0)[..0x60].to_vec(), PeError::Headers),
        ("cut to the headers", small_image(0x20b, 0)[..0x200].to_vec(), PeError::Section { number: 1 }),
        ("a ROM image", with(&[(0x58, 0x107)]), PeError::Magic { magic: 0x107 }),
        ("four directories", with(&[(0x58 + 108, 4)]), PeError::Directories { got: 4 }),
        ("headers beyond the end", with(&[(0x58 + 60, 0x401)]), PeError::Headers),
        ("headers too short", with(&[(0x58 + 60, 0x100)]), PeError::Headers),
        ("a section beyond the end", with(&[(section + 16, 0x101)]), PeError::Section { number: 1 }),
        ("a section far beyond", with(&[(section + 20, 0xffff_ffff)]), PeError::Section { number: 1 }),
        ("sections that overlap", with(&[(section + 16, 0x200), (section + 20, 0x200)]), PeError::Overlap),
        ("a section in the headers", with(&[(section + 20, 0x40)]), PeError::Overlap),
        ("a table without size", with(&[(table, 0x400)]), PeError::Table),
        ("a table in the headers", with(&[(table, 0x10), (table + 4, 0x3f0)]), PeError::Table),
        ("a table beyond the end", with(&[(table, 0x3f8), (table + 4, 0x10)]), PeError::Table),
        ("a table before the end", resigned(&[(table + 4, size - 8)]), PeError::Table),
        ("an empty certificate", resigned(&[(place, 0)]), PeError::Table),
        ("a certificate too long", resigned(&[(place, size + 8)]), PeError::Table),
        ("a certificate too short", resigned(&[(place, 8)]), PeError::Table),
    ] {
        let refused = authenticode::prepare(image.clone(), &certificate("db"), now()).unwrap_err();
        assert_eq!(refused, AuthenticodeError::Pe(error), "{what}");
        assert_eq!(authenticode::verify(&image, &certificate("db")), Err(refused), "{what}");
    }
}

#[test]
fn firmware_takes_no_other_keys_than_rsa() {
    let signer = TestKey::ecdsa(KeyType::P384).certified("/CN=a");
    let error = authenticode::prepare(small_image(0x20b, 0), &signer, now()).unwrap_err();
    assert_eq!(error, CmsError::Key(KeyType::P384).into());
}

#[test]
fn an_unsigned_image_is_not_signed() {
    let verdict = authenticode::verify(&small_image(0x20b, 0), &certificate("db"));
    assert_eq!(verdict, Err(AuthenticodeError::NotSigned));
}
