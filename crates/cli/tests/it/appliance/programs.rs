//! Programs for EFI as Debian ships them, signed, and judged by `sbverify`, `osslsigncode` and virt-firmware.

use super::{Build, grub, kernel, systemd_boot};
use crate::native::servers;

const SIGN: &str = "cert db\nsign /secureboot/efi db program.efi signed > signed.efi";
const JUDGES: [&str; 2] = [
    "sbverify --cert db.pem signed.efi",
    "osslsigncode verify -CAfile db.pem -in signed.efi -ignore-timestamp 2> said \
     || osslsigncode verify -CAfile db.pem -in signed.efi",
];

/// Where the optional header's CheckSum and the directory's entry for certificates are, and what the entry says.
struct Places {
    checksum: usize,
    entry: usize,
    table: usize,
}

impl Places {
    fn of(file: &[u8]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let optional = u32_at(0x3c) + 24;
        let plus = file[optional..optional + 2] == [0x0b, 0x02];
        let entry = optional + if plus { 112 } else { 96 } + 4 * 8;
        Self { checksum: optional + 64, entry, table: u32_at(entry) }
    }
}

#[tokio::test]
async fn boot_loaders_of_debian_are_signed_and_no_covered_byte_may_change() {
    for server in servers().await {
        let build = Build::new(&server);
        for (name, program) in [("systemd-boot", systemd_boot()), ("grub", grub())] {
            build.write("program.efi", &program);
            build.sh(&SIGN.replace("cert db", &format!("[ -e db.pem ] || cert db # {name}")));
            let signed = build.read("signed.efi");
            let places = Places::of(&signed);
            let end = places.table - 1;
            // The DOS stub, the header before and after what is left out, a section, the last byte before the table.
            let covered =
                [0x40, places.checksum - 4, places.entry + 8, program.len() / 2, program.len() - 1, end];
            build.judge("signed.efi", &JUDGES, &covered);
            // The digest in the signature, and the signature itself.
            let signature = [signed.len() - 40, places.table + 200];
            build.judge("signed.efi", &JUDGES[..1], &signature);
            assert!(!build.accepts("sbverify --cert db.pem program.efi"), "not signed");
            assert!(build.sh("pe-listsigs signed.efi").contains("balenaOS db"), "{name}");
        }
    }
}

#[tokio::test]
async fn nothing_changes_but_the_sum_the_entry_and_the_end() {
    for server in servers().await {
        let build = Build::new(&server);
        let program = systemd_boot();
        build.write("program.efi", &program);
        build.sh(SIGN);
        let mut signed = build.read("signed.efi");
        let places = Places::of(&signed);
        assert_eq!(places.table % 8, 0);
        assert_eq!(signed.len() % 8, 0);
        signed[places.checksum..places.checksum + 4].copy_from_slice(&program[places.checksum..][..4]);
        signed[places.entry..places.entry + 8].copy_from_slice(&program[places.entry..][..8]);
        assert_eq!(signed[..program.len()], program);
        assert!(signed[program.len()..places.table].iter().all(|byte| *byte == 0), "padding");
        build.sh("osslsigncode extract-signature -in signed.efi -out table.der > said");
        build
            .sh("osslsigncode verify -CAfile db.pem -in signed.efi | grep -A 1 'PE checksum' > sums || true");
    }
}

#[tokio::test]
async fn a_kernel_that_debian_signed_gets_a_second_signature_beside_the_first() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("program.efi", kernel());
        build.sh(SIGN);
        build.sh(JUDGES[0]);
        let list = build.sh("sbverify --list signed.efi 2>&1");
        assert!(list.contains("signature 1") && list.contains("signature 2"), "{list}");
        assert!(list.contains("Debian") && list.contains("balenaOS db"), "{list}");
        let program = build.read("signed.efi").len() / 3;
        build.judge("signed.efi", &JUDGES[..1], &[program]);
    }
}

#[tokio::test]
async fn two_certificates_sign_one_program_and_each_is_found() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("program.efi", grub());
        build.sh(SIGN);
        build.sh("cert new\nsign /secureboot/efi new signed.efi signed > twice.efi");
        for id in ["db", "new"] {
            build.sh(&format!("sbverify --cert {id}.pem twice.efi"));
        }
        build.sh("cert none");
        assert!(!build.accepts("sbverify --cert none.pem twice.efi"));
    }
}

#[tokio::test]
async fn what_is_no_program_or_a_part_of_one_is_refused_at_once() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("program.efi", systemd_boot());
        build.sh("cert db");
        for part in ["head -c 1", "head -c 63", "head -c 4096", "head -c 100000", "tail -c 5000"] {
            let status = build.sh(&format!(
                "{{ printf '{{\"key_id\": \"db\", \"payload\": \"'; {part} program.efi | base64 -w 0; printf '\"}}'; }} \
                 | status /secureboot/efi; jq -e 'has(\"signed\") | not' body"
            ));
            assert!(status.starts_with("400"), "{part}: {status}");
        }
    }
}
