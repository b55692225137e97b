//! Real firmware: OVMF in a virtual machine takes our updates of PK, KEK and db, and then starts what we signed and
//! nothing else. Then Linux, started by it, gives it new keys in the steps of `countersign secureboot rotate`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign_testkit::server::TestServer;

use super::lists::KEYS;
use super::rotation::{NEW_KEYS, ROTATE};
use super::{Build, kernel, systemd_boot, target};
use crate::native::servers;

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
#[ignore = "boots a virtual machine four times: `make ovmf`"]
async fn a_machine_with_our_keys_starts_what_we_signed_and_refuses_the_rest() {
    for server in servers().await {
        let build = machine_with_our_keys(&server);
        for refused in ["program.efi", "foreign.efi"] {
            assert!(is_refused(&build, refused), "{refused}");
        }
        assert!(!is_refused(&build, "signed.efi"));
    }
}

#[tokio::test]
#[ignore = "boots a virtual machine four times: `make ovmf`"]
async fn a_machine_in_use_takes_new_keys_step_by_step_and_no_others() {
    for server in servers().await {
        let build = machine_with_our_keys(&server);
        build.sh(NEW_KEYS);
        build.sh(&format!("{ROTATE} --out updates > said"));
        build.sh(OTHER_UPDATES);
        build.sh("sign /secureboot/efi db2 program.efi signed > new.efi");
        let said = run_linux(&build);
        let marks: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("mark: ")).collect();
        assert_eq!(marks, MARKS, "{said}");
        // As the machine shows them, by efitools: the lines after the last mark.
        let shown = said.rsplit("mark: ").next().unwrap_or_default();
        for (new, old) in [("balenaOS pk2", "balenaOS pk\n"), ("balenaOS kek2", "balenaOS kek\n")] {
            let there = shown.replace('\r', "");
            assert!(there.contains(new) && !there.contains(old), "{new}: {shown}");
        }

        // As the store of variables has them, by virt-firmware.
        let stored = build.sh("virt-fw-vars --input vars.fd --print --verbose 2> said");
        for (variable, holds) in [("PK", "pk2"), ("KEK", "kek2"), ("db", "db2")] {
            let start = format!("name={variable} ");
            let entry = stored.split("\n\n").find(|entry| entry.trim_start().starts_with(&start));
            let entry = entry.unwrap_or_else(|| panic!("{variable}: {stored}"));
            let subjects: Vec<&str> =
                entry.lines().filter_map(|line| line.trim().strip_prefix("subject ")).collect();
            assert_eq!(subjects.len(), 1, "{entry}");
            assert!(subjects[0].contains(&format!("balenaOS {holds}")), "{entry}");
        }
        assert!(stored.contains("name=dbx "), "what others appended is kept: {stored}");

        assert!(is_refused(&build, "signed.efi"), "db has lost the old certificate");
        assert!(!is_refused(&build, "new.efi"), "and has the new one");
    }
}

/// A build directory with a machine in it, `vars.fd` and `esp`, that has our PK, KEK and db.
fn machine_with_our_keys(server: &TestServer) -> Build {
    let build = Build::new(server);
    build.write("program.efi", systemd_boot());
    build.sh(KEYS);
    build.sh("sign /secureboot/efi db program.efi signed > signed.efi
         cert other && sign /secureboot/efi other program.efi signed > foreign.efi
         mkdir -p esp/EFI/BOOT esp/loader/keys/auto
         cp pk.auth esp/loader/keys/auto/PK.auth
         cp kek.auth esp/loader/keys/auto/KEK.auth
         cp db.auth esp/loader/keys/auto/db.auth");
    fs::copy(VARIABLES, build.path("vars.fd")).unwrap_or_else(|error| panic!("{VARIABLES}: {error}"));
    // In setup mode anything starts. systemd-boot hands our updates to the firmware, and resets the machine.
    let configuration = "timeout 1\nauto-firmware no\nsecure-boot-enroll force\n";
    let said = boot(&build, "program.efi", configuration, &[]);
    assert!(said.contains("Enrolling secure boot keys"), "{said}");
    assert!(!said.contains("Failed to"), "{said}");
    build
}

/// Whether firmware refuses to start a program; it is systemd-boot, which says that there is nothing to start.
fn is_refused(build: &Build, program: &str) -> bool {
    let said = boot(build, program, "timeout 0\nauto-firmware no\n", &["Access Denied", "No loader found"]);
    let (refused, started) = (said.contains("Access Denied"), said.contains("No loader found"));
    assert!(refused != started, "{program}: {said}");
    refused
}

/// Updates that are not the rotation's: `foreign.auth` is a KEK by another PK; `undo.auth` is one by the old PK, later
/// than all others; `dbx.auth` appends a hash to dbx, by the old KEK.
const OTHER_UPDATES: &str = r#"
    sleep 1.1
    echo '{"key_id": ["kek", "other"], "signing_key_id": "other"}' | ask /secureboot/kek > said
    show /secureboot/kek/kek,other | jq -r .kek | base64 -d > foreign.auth
    echo '{"key_id": ["kek", "db"], "signing_key_id": "pk"}' | ask /secureboot/kek > said
    show /secureboot/kek/kek,db | jq -r .kek | base64 -d > undo.auth
    { printf '\046\026\304\301\114\120\222\100\254\251\101\371\066\223\103\050\114\0\0\0\0\0\0\0\060\0\0\0'
      head -c 16 /dev/zero; openssl dgst -sha256 -binary foreign.efi; } > hashes.esl
    { printf '{"signing_key_id": "kek", "append": true, "esl": "'; base64 -w 0 hashes.esl; printf '"}'; } \
      | ask /secureboot/dbx | jq -r .auth | base64 -d > dbx.auth
"#;

/// What Linux tells of [`INIT`].
const MARKS: [&str; 14] = [
    "secure boot 1, setup mode 0",
    "dbx by the old KEK: taken",
    "KEK by a stranger: refused",
    "KEK by the new PK, too early: refused",
    "db by the new KEK, too early: refused",
    "1 KEK: taken",
    "1 again: refused",
    "2 db: taken",
    "3 PK: taken",
    "KEK by the old PK, too late: refused",
    "4 KEK: taken",
    "5 db: taken",
    "db by the old KEK, too late: refused",
    "end",
];

/// The first program of Linux. `STEP_1` to `STEP_5` and `put` are the README's, by turns of its two ways for Linux.
const INIT: &str = r#"#!/bin/sh
/bin/busybox --install -s /bin 2> /dev/null
mount -t proc proc /proc
mount -t sysfs sys /sys
insmod /efivarfs.ko
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
cd /updates
PUT
global=8be4df61-93ca-11d2-aa0d-00e098032b8c
image=d719b2cb-3d3a-4596-a3bc-dad00e67656f
byte() { tail -c 1 "/sys/firmware/efi/efivars/$1-$global" | od -An -tu1 | tr -d ' '; }
step_1() { STEP_1
}
step_2() { STEP_2
}
step_3() { STEP_3
}
step_4() { STEP_4
}
step_5() { STEP_5
}
mark() { name=$1; shift; if "$@"; then echo "mark: $name: taken"; else echo "mark: $name: refused"; fi; }
echo "mark: secure boot $(byte SecureBoot), setup mode $(byte SetupMode)"
mark 'dbx by the old KEK' put dbx.auth dbx $image '\147'
mark 'KEK by a stranger' put foreign.auth KEK $global '\047'
mark 'KEK by the new PK, too early' put 04-KEK.auth KEK $global '\047'
mark 'db by the new KEK, too early' put 05-db.auth db $image '\047'
mark '1 KEK' step_1
mark '1 again' put 01-KEK.auth KEK $global '\047'
mark '2 db' step_2
mark '3 PK' step_3
mark 'KEK by the old PK, too late' put undo.auth KEK $global '\047'
mark '4 KEK' step_4
mark '5 db' step_5
mark 'db by the old KEK, too late' put 02-db.auth db $image '\147'
echo 'mark: end'
efi-readvar
poweroff -f
"#;

/// Starts Linux, which runs [`INIT`] and ends the machine; the kernel is Debian's, with our signature beside its own.
fn run_linux(build: &Build) -> String {
    build.write("vmlinuz", kernel());
    let readme = String::from_utf8(build.read("updates/README.txt")).unwrap();
    let put = readme.split_once("  put() {").and_then(|(_, rest)| rest.split_once("\n  }\n")).unwrap().0;
    let mut init = INIT.replace("PUT", &format!("put() {{{put}\n}}"));
    for (way, number) in ["chattr", "put ", "chattr", "put ", "chattr"].into_iter().zip(1..) {
        let section = readme.split_once(&format!("\n{number}. ")).unwrap().1;
        let command = section.lines().map(str::trim).find(|line| line.starts_with(way)).unwrap();
        init = init.replace(&format!("STEP_{number}"), command);
    }
    build.write("init", init);
    let module = target("test-data/kernel/efivarfs.ko");
    build.sh(&format!(
        r#"sign /secureboot/efi db vmlinuz signed > esp/vmlinuz
           mkdir -p root/bin root/proc root/sys root/dev root/tmp root/updates esp/loader/entries
           cp updates/*.auth foreign.auth undo.auth dbx.auth root/updates
           cp {module} root/efivarfs.ko
           install -m 755 init root/init
           for program in sh busybox chattr mount efi-updatevar efi-readvar; do
             it=$(command -v $program)
             cp "$it" root/bin
             # A static program has no libraries.
             for library in $(ldd "$it" 2> /dev/null | grep -o '/[^ ]*'); do
               mkdir -p "root$(dirname "$library")"
               cp "$library" "root$library"
             done
           done
           cd root && find . | busybox cpio -o -H newc > ../esp/initrd 2> /dev/null"#,
        module = text(&module)
    ));
    build.write(
        "esp/loader/entries/linux.conf",
        "title Linux\nlinux /vmlinuz\ninitrd /initrd\noptions console=ttyS0 quiet panic=-1\n",
    );
    let said = boot(build, "signed.efi", "timeout 0\nauto-firmware no\n", &[]);
    fs::remove_file(build.path("esp/loader/entries/linux.conf")).unwrap();
    said
}

/// What the machine says on its serial line until it says one of `until`, resets, or patience ends.
fn boot(build: &Build, program: &str, configuration: &str, until: &[&str]) -> String {
    fs::copy(build.path(program), build.path("esp/EFI/BOOT/BOOTX64.EFI")).unwrap();
    build.write("esp/loader/loader.conf", configuration);
    let serial = build.path("serial");
    fs::write(&serial, "").unwrap();
    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-machine",
            "q35,smm=on,accel=tcg",
            "-m",
            "512",
            "-display",
            "none",
            "-no-reboot",
            "-net",
            "none",
        ])
        .args(["-serial", &format!("file:{}", text(&serial))])
        .args(["-global", "driver=cfi.pflash01,property=secure,value=on"])
        .args(["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={CODE}")])
        .args(["-drive", &format!("if=pflash,format=raw,unit=1,file={}", text(&build.path("vars.fd")))])
        .args(["-drive", &format!("if=virtio,format=raw,file=fat:rw:{}", text(&build.path("esp")))])
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("qemu-system-x86_64: {error}: run `make ovmf`"));
    let begun = Instant::now();
    loop {
        let said = String::from_utf8_lossy(&fs::read(&serial).unwrap()).into_owned();
        let ended = machine.try_wait().unwrap().is_some();
        if ended || until.iter().any(|end| said.contains(end)) || begun.elapsed() > PATIENCE {
            let _ = machine.kill();
            machine.wait().unwrap();
            return said;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
