//! Signature lists and updates of variables, as efitools makes and reads them.

use countersign_model::KeyType;
use countersign_pki::cms::CmsError;
use countersign_pki::efi_var::{self, AuthenticatedVariable, EfiTime, EfiVarError, Update, Variable};
use countersign_pki::esl::{EslError, Guid, SignatureDatabase, SignatureList};
use countersign_pki::x509::Certificate;

use crate::support::{TestKey, certificate, fixture_path, now, original};
use crate::tools::Bench;

fn lists() -> Vec<u8> {
    let owner = Guid::from_random([3; 16]);
    let lists = vec![
        SignatureList::x509(owner, certificate("db").der()),
        SignatureList::x509(owner, certificate("kmod").der()),
        SignatureList::sha256(owner, &[[1; 32], [2; 32]]).unwrap(),
    ];
    SignatureDatabase::new(lists).unwrap().to_bytes()
}

fn sign(variable: Variable, update: Update, esl: Vec<u8>, signer: &str) -> Vec<u8> {
    let (key, signer) = (TestKey::of(signer), certificate(signer));
    let (to_sign, pending) = efi_var::prepare(variable, update, esl, &signer).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

fn replace() -> Update {
    Update::Replace(EfiTime::new(now()).unwrap())
}

#[test]
fn efitools_finds_the_certificates_in_our_lists() {
    let bench = Bench::new(&[("lists.esl", &lists())]);
    bench.run("sig-list-to-certs lists.esl out");
    assert_eq!(bench.get("out-0.der"), certificate("db").der());
    assert_eq!(bench.get("out-1.der"), certificate("kmod").der());
    assert_eq!(SignatureDatabase::parse(&lists()).unwrap().sha256_digests().count(), 2);
}

#[test]
fn the_lists_of_efitools_are_read_and_are_those_we_make() {
    let pem = certificate("db").to_pem();
    let owner = "77fa9abd-0359-4d32-bd60-28f4e78f784b";
    let bench = Bench::new(&[("c.pem", pem.as_bytes())]);
    bench.run(&format!("cert-to-efi-sig-list -g {owner} c.pem list.esl"));
    let list = SignatureList::x509(owner.parse().unwrap(), certificate("db").der());
    assert_eq!(SignatureDatabase::new(vec![list]).unwrap().to_bytes(), bench.get("list.esl"));

    bench.run("hash-to-efi-sig-list /usr/lib/systemd/boot/efi/systemd-bootx64.efi hash.esl");
    let bytes = bench.get("hash.esl");
    let hashes = SignatureDatabase::parse(&bytes).unwrap();
    assert_eq!(hashes.sha256_digests().count(), 1);
    assert_eq!(hashes.to_bytes(), bytes);
}

/// What `sign-efi-sig-list` makes, and the update that it signed.
fn efitools(variable: Variable, options: &str) -> Vec<u8> {
    let pem = certificate("kek").to_pem();
    let bench = Bench::new(&[("c.pem", pem.as_bytes()), ("lists.esl", &lists())]);
    let key = fixture_path("keys/kek.pem");
    // Its time is local without `-t`.
    let line =
        format!("sign-efi-sig-list{options} -c c.pem -k {} {variable} lists.esl out.auth", key.display());
    bench.run(&line);
    bench.get("out.auth")
}

#[test]
fn an_update_is_that_of_efitools_byte_by_byte() {
    for variable in [Variable::Db, Variable::Dbx, Variable::Kek] {
        let theirs = efitools(variable, " -t 2026-11-21\u{a0}12:00:00");
        let time = AuthenticatedVariable::parse(&theirs).unwrap().time;
        assert_eq!(sign(variable, Update::Replace(time), lists(), "kek"), theirs, "{variable}");

        let theirs = efitools(variable, " -a");
        assert_eq!(sign(variable, Update::Append, lists(), "kek"), theirs, "{variable}");
        assert_eq!(efi_var::verify(&theirs, variable, &certificate("kek")), Ok(Update::Append));
    }
}

#[test]
fn openssl_verifies_the_signature_inside() {
    let auth = sign(Variable::Db, replace(), lists(), "kek");
    let parsed = AuthenticatedVariable::parse(&auth).unwrap();
    assert_eq!(parsed.esl, lists());
    let name: Vec<u8> = "db".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let guid: Guid = "d719b2cb-3d3a-4596-a3bc-dad00e67656f".parse().unwrap();
    let signed =
        [&name, guid.as_bytes().as_slice(), &[0x27, 0, 0, 0], parsed.time.as_bytes(), &lists()].concat();
    // Wrapped as `sign-efi-sig-list` has it before it cuts the ContentInfo off.
    let length = parsed.cms.len() as u16;
    let wrapped = [
        &[0x30, 0x82][..],
        &(length + 15).to_be_bytes(),
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x82],
        &length.to_be_bytes(),
        parsed.cms,
    ]
    .concat();
    let pem = certificate("kek").to_pem();
    let bench = Bench::new(&[("sig", &wrapped), ("signed", &signed), ("c.pem", pem.as_bytes())]);
    bench.run("openssl smime -verify -inform DER -in sig -binary -content signed -certfile c.pem -nointern -noverify");
}

#[test]
fn an_update_is_of_one_variable_and_one_kind() {
    let signer = certificate("kek");
    for update in [replace(), Update::Append] {
        let auth = sign(Variable::Db, update, lists(), "kek");
        assert_eq!(efi_var::verify(&auth, Variable::Db, &signer), Ok(update));
        for other in [Variable::Pk, Variable::Kek, Variable::Dbx] {
            assert_eq!(efi_var::verify(&auth, other, &signer), Err(CmsError::Invalid.into()));
        }
        let other = efi_var::verify(&auth, Variable::Db, &certificate("pk"));
        assert_eq!(other, Err(CmsError::NotSignedBy.into()));
    }
}

#[test]
fn an_appended_update_is_the_same_whenever_it_is_made() {
    let one = sign(Variable::Dbx, Update::Append, lists(), "kek");
    assert_eq!(one[..16], [0; 16]);
    assert_eq!(sign(Variable::Dbx, Update::Append, lists(), "kek"), one);
}

#[test]
fn no_signed_byte_of_an_update_can_be_changed() {
    let signer = certificate("kek");
    let auth = sign(Variable::Db, replace(), lists(), "kek");
    let cms = 40..auth.len() - lists().len();
    for at in 0..auth.len() {
        // The certificate inside is not signed: it only helps to find one.
        if cms.contains(&at) {
            continue;
        }
        let mut changed = auth.clone();
        changed[at] ^= 1;
        assert!(efi_var::verify(&changed, Variable::Db, &signer).is_err(), "byte {at}");
    }
}

#[test]
fn firmware_takes_no_other_keys_than_rsa() {
    let key = TestKey::ecdsa(KeyType::P256);
    let signer: Certificate = key.certified("/CN=a");
    let error = efi_var::prepare(Variable::Db, replace(), lists(), &signer).unwrap_err();
    assert_eq!(error, CmsError::Key(KeyType::P256).into());
}

#[test]
fn what_is_not_lists_up_to_the_last_byte_is_not_signed() {
    let good = original("/db/esl");
    let with = |at: usize, value: u8| {
        let mut esl = good.clone();
        esl[at] = value;
        esl
    };
    let sizes = EslError::Sizes { at: 0 };
    for (esl, error) in [
        (Vec::new(), EslError::Empty),
        (b"hello".to_vec(), sizes),
        (good[..good.len() - 1].to_vec(), sizes),
        ([good.as_slice(), b"x"].concat(), EslError::Sizes { at: good.len() }),
        (with(16, 0), sizes),
        (with(20, 1), sizes),
        (with(24, 0), sizes),
        (with(44, 0x31), EslError::Certificate { at: 0 }),
        (with(47, 0), EslError::Certificate { at: 0 }),
    ] {
        let signer = certificate("kek");
        assert_eq!(
            efi_var::prepare(Variable::Db, replace(), esl.clone(), &signer).unwrap_err(),
            EfiVarError::Esl(error),
            "{}",
            hex::encode(&esl[..esl.len().min(48)])
        );
    }
}
