//! Names, certificates and requests, as OpenSSL sees them.

use countersign_model::KeyType;
use countersign_pki::csr::{self, Csr};
use countersign_pki::subject::Subject;
use countersign_pki::x509::{self, Certificate, SerialNumber, Validity, X509Error};

use crate::support::{TestKey, fixture_path, time};
use crate::tools::Bench;

const SUBJECTS: &[&str] = &[
    "/",
    "/CN=a",
    "/CN=a/",
    "/C=us/ST=Bern/L=Bern/O=Gold, Inc./OU=x/CN=Gold db/emailAddress=a@b.ch",
    "/C=CH/serialNumber=12 ab/UID=u/DC=example/DC=org",
    "/O=b+OU=a+CN=c/title=t/description=d",
    "/O=b/OU=+CN=a",
    "/OU=+CN=a",
    "/O=/CN=a",
    r"/CN=a\/b\+c\\d=e/O=\x",
    "/CN=Zürich \u{1f512}",
    "/SN=s/GN=g/initials=i/name=n/generationQualifier=q/dnQualifier=Q/pseudonym=p",
    "/street=s/postalCode=1/businessCategory=b/organizationIdentifier=o/jurisdictionC=CH",
    "/commonName=a/organizationName=b/countryName=CH/userId=u/domainComponent=d/surname=s",
];

const REFUSED: &[&str] = &["CN=a", "/CN", "/CN=a/O", r"/CN=a\", "/C=CHE", "/C=C", "/C=C_", "/emailAddress=ä"];

#[test]
fn a_subject_is_read_as_openssl_reads_it() {
    let bench = Bench::new(&[]);
    let key = fixture_path("keys/pk.pem");
    for subject in SUBJECTS {
        // The bench divides at spaces; a subject keeps its own.
        let word = subject.replace(' ', "\u{a0}");
        let line =
            format!("openssl req -new -utf8 -key {} -outform DER -out csr -subj {word}", key.display());
        bench.run(&line);
        let theirs = Csr::from_der(&bench.get("csr")).unwrap();
        assert_eq!(subject.parse::<Subject>().as_ref(), Ok(theirs.subject()), "{subject}");
    }
    for subject in REFUSED {
        let line = format!("openssl req -new -utf8 -key {} -out no -subj {subject}", key.display());
        assert!(!bench.agrees(&line), "{subject}");
        assert!(subject.parse::<Subject>().is_err(), "{subject}");
    }
}

#[test]
fn openssl_verifies_a_self_signed_certificate_of_every_type_of_key() {
    let keys = [
        TestKey::of("kmod"),
        TestKey::ecdsa(KeyType::P256),
        TestKey::ecdsa(KeyType::P384),
        TestKey::ecdsa(KeyType::P521),
        TestKey::ed25519(),
    ];
    for key in keys {
        let certificate = key.certified("/O=Example/CN=Example");
        certificate.is_signed_by(&key.public()).unwrap();
        let bench = Bench::new(&[("c.pem", certificate.to_pem().as_bytes())]);
        bench.run("openssl verify -x509_strict -check_ss_sig -CAfile c.pem c.pem");
        assert_eq!(Certificate::from_pem(&certificate.to_pem()).unwrap(), certificate);
    }
}

#[test]
fn the_key_identifier_is_what_openssl_and_the_kernel_call_the_key() {
    let key = TestKey::of("pk").public();
    let bench = Bench::new(&[("c.pem", TestKey::of("pk").certified("/CN=a").to_pem().as_bytes())]);
    let text = bench.run("openssl x509 -in c.pem -noout -ocspid");
    let id = hex::encode_upper(x509::key_identifier(&key));
    assert!(text.contains(&format!("Public key OCSP hash: {id}")), "{text}");
}

#[test]
fn times_are_written_as_openssl_writes_them_on_both_sides_of_2050() {
    let key = TestKey::of("pk");
    for (days, after) in [(1, "Jan  3 03:04:05 2026 GMT"), (9000, "Aug 24 03:04:05 2050 GMT")] {
        let validity = Validity::days(time("2026-01-02T03:04:05.9Z"), days).unwrap();
        let serial = SerialNumber::from_random([0xff; 20]);
        let (to_sign, pending) =
            x509::prepare(&"/CN=a".parse().unwrap(), &key.public(), serial, validity).unwrap();
        let signature = key.sign(pending.scheme(), &to_sign);
        let certificate = pending.finish(signature).unwrap();
        let bench = Bench::new(&[("c.pem", certificate.to_pem().as_bytes())]);
        let text = bench.run("openssl x509 -in c.pem -noout -startdate -enddate -serial");
        assert!(text.contains("notBefore=Jan  2 03:04:05 2026 GMT"), "{text}");
        assert!(text.contains(&format!("notAfter={after}")), "{text}");
        assert!(text.contains(&format!("serial=7F{}", "FF".repeat(19))), "{text}");
    }
}

#[test]
fn a_validity_that_cannot_be_written_is_refused() {
    let start = time("2026-01-02T03:04:05Z");
    for days in [0, 4_000_000, u32::MAX] {
        assert_eq!(Validity::days(start, days), Err(X509Error::Validity), "{days}");
    }
    let length = Validity::days(start, 7305).unwrap();
    assert_eq!(length.not_after().as_second() - start.as_second(), 7305 * 86400);
}

#[test]
fn a_certificate_of_another_key_or_with_one_bit_changed_is_not_signed_by_it() {
    let key = TestKey::of("pk");
    let certificate = key.certified("/CN=a");
    let other = TestKey::of("kek").public();
    assert_eq!(certificate.is_signed_by(&other), Err(X509Error::NotSignedBy));
    for at in 0..certificate.der().len() {
        let mut der = certificate.der().to_vec();
        der[at] ^= 1;
        let accepted = Certificate::from_der(&der).is_ok_and(|c| c.is_signed_by(&key.public()).is_ok());
        assert!(!accepted, "byte {at}");
    }
}

#[test]
fn openssl_verifies_a_request_and_its_names() {
    for key in [TestKey::of("pk"), TestKey::ecdsa(KeyType::P384), TestKey::ed25519()] {
        let names = ["dns:a.example.org", "ip:192.0.2.1", "email:a@b.ch"].map(|name| name.parse().unwrap());
        let (to_sign, pending) = csr::prepare(&"/CN=a".parse().unwrap(), &key.public(), &names).unwrap();
        let signature = key.sign(pending.scheme(), &to_sign);
        let request = pending.finish(signature).unwrap();
        assert_eq!(request.alt_names(), names);

        let bench = Bench::new(&[("r.pem", request.to_pem().as_bytes())]);
        let text = bench.run("openssl req -in r.pem -verify -noout -text");
        assert!(text.contains("DNS:a.example.org, IP Address:192.0.2.1, email:a@b.ch"), "{text}");
        assert_eq!(Csr::from_pem(&request.to_pem()).unwrap(), request);
    }
}

#[test]
fn a_request_that_its_key_did_not_sign_is_not_read() {
    let key = TestKey::of("pk");
    let (to_sign, pending) = csr::prepare(&"/CN=a".parse().unwrap(), &key.public(), &[]).unwrap();
    let signature = TestKey::of("kek").sign(pending.scheme(), &to_sign);
    assert_eq!(pending.clone().finish(signature), Err(csr::CsrError::NoPossession));

    let signature = key.sign(pending.scheme(), &to_sign);
    let request = pending.finish(signature).unwrap();
    for at in 0..request.der().len() {
        let mut der = request.der().to_vec();
        der[at] ^= 1;
        assert!(Csr::from_der(&der).is_err(), "byte {at}");
    }
}
