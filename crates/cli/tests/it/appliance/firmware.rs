//! Real firmware: OVMF in a virtual machine takes our updates of PK, KEK and db, and then starts what we signed and
//! nothing else.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Build, systemd_boot};
use crate::native::servers;

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test]
#[ignore = "boots a virtual machine four times: `make ovmf`"]
async fn a_machine_with_our_keys_starts_what_we_signed_and_refuses_the_rest() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("program.efi", systemd_boot());
        build.sh(super::lists::KEYS);
        build.sh("sign /secureboot/efi db program.efi signed > signed.efi
             cert other && sign /secureboot/efi other program.efi signed > foreign.efi
             mkdir -p esp/EFI/BOOT esp/loader/keys/auto
             cp pk.auth esp/loader/keys/auto/PK.auth
             cp kek.auth esp/loader/keys/auto/KEK.auth
             cp db.auth esp/loader/keys/auto/db.auth");
        fs::copy(VARIABLES, build.path("vars.fd")).unwrap_or_else(|error| panic!("{VARIABLES}: {error}"));

        // In setup mode anything starts. systemd-boot hands our updates to the firmware, and resets the machine.
        let configuration = "timeout 1\nauto-firmware no\nsecure-boot-enroll force\n";
        let said = boot(&build, "program.efi", configuration, "(it ends by itself)");
        assert!(said.contains("Enrolling secure boot keys"), "{said}");
        assert!(!said.contains("Failed to"), "{said}");

        let configuration = "timeout 0\nauto-firmware no\n";
        for refused in ["program.efi", "foreign.efi"] {
            let said = boot(&build, refused, configuration, "Access Denied");
            assert!(said.contains("Access Denied"), "{refused}: {said}");
        }
        // It says this itself: there is nothing else on the disk.
        let said = boot(&build, "signed.efi", configuration, "No loader found");
        assert!(said.contains("No loader found") && !said.contains("Access Denied"), "{said}");
    }
}

/// What the machine says on its serial line until it says `until`, resets, or patience ends.
fn boot(build: &Build, program: &str, configuration: &str, until: &str) -> String {
    fs::copy(build.path(program), build.path("esp/EFI/BOOT/BOOTX64.EFI")).unwrap();
    build.write("esp/loader/loader.conf", configuration);
    let serial = build.path("serial");
    fs::write(&serial, "").unwrap();
    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-machine",
            "q35,smm=on,accel=tcg",
            "-m",
            "256",
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
        if ended || said.contains(until) || begun.elapsed() > PATIENCE {
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
