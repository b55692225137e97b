//! OpenPGP keys and signatures, judged by GnuPG, by Sequoia, and by what GRUB reads.

use super::Build;
use crate::native::servers;

const MAKE: &str = r#"
    printf '%s' '{"name_real": "GRUB key", "name_email": "grub@example.test"}' | ask /gpg/key | jq -r .fingerprint > fpr
    show "/gpg/key/$(cat fpr)" | jq -r .key > key.asc
    sign /gpg/sign "$(cat fpr)" grub.cfg signature > grub.cfg.sig
    gpg --batch --quiet --dearmor < key.asc > key.gpg
"#;

#[tokio::test]
async fn a_boot_configuration_is_signed_and_three_programs_agree() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("grub.cfg", "set timeout=1\nlinux /vmlinuz root=/dev/sda1\n");
        build.sh(MAKE);
        let judges = [
            "gpgv --homedir . --keyring ./key.gpg grub.cfg.sig grub.cfg",
            "sqv --keyring key.gpg grub.cfg.sig grub.cfg",
            "gpg --batch --quiet --import key.asc && gpg --batch --verify grub.cfg.sig grub.cfg",
        ];
        build.judge("grub.cfg", &judges, &[0, 20, 43]);
        // Version, type, algorithms, hashed times and fingerprints, and the signature itself.
        build.judge("grub.cfg.sig", &judges[..2], &[3, 4, 6, 12, 38, 200, 309]);
        build.sh(r#"test "$(gpg --batch --with-colons --fingerprint | awk -F: '/^fpr/ { print $10 }')" = "$(cat fpr)""#);
    }
}

#[tokio::test]
async fn a_signature_says_its_issuer_where_grub_looks_for_it() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("grub.cfg", "set timeout=1\n");
        build.sh(MAKE);
        // An old-format packet of two octets of length, as gpg writes it; a binary signature with SHA-512.
        let packets = build.sh("test \"$(od -An -tx1 -N 3 grub.cfg.sig)\" = ' 89 01 33'
             gpg --batch --list-packets grub.cfg.sig");
        for line in [
            "version 4, created",
            "md5len 0, sigclass 0x00",
            "digest algo 10,",
            "hashed subpkt 33 len 21 (issuer fpr v4",
        ] {
            assert!(packets.contains(line), "{line}: {packets}");
        }
        let issuer = packets.lines().find(|line| line.contains("subpkt 16")).unwrap();
        assert!(issuer.starts_with("\tsubpkt 16 len 8"), "the issuer is not hashed: {packets}");
    }
}

#[tokio::test]
async fn grub_takes_the_key_into_its_image() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("grub.cfg", "set timeout=1\n");
        build.sh(MAKE);
        let image = build.sh("if command -v grub-mkimage > found; then
               grub-mkimage -O x86_64-efi -p / -o grub.efi --pubkey key.gpg normal pgp gcry_sha512 gcry_rsa
               wc -c < grub.efi
             fi");
        assert!(image.is_empty() || image.trim().parse::<u32>().unwrap() > 1000);
    }
}
