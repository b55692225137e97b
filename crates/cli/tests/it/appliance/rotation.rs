//! `countersign secureboot rotate`: updates in the order in which a machine takes them, judged by OpenSSL, efitools
//! and virt-firmware. That real firmware takes them is in `firmware.rs`.

use serde_json::Value;

use super::Build;
use super::lists::{KEYS, VERIFY};
use crate::native::servers;

/// New certificates in the appliance, beside those of [`KEYS`].
pub const NEW_KEYS: &str = "cert pk2\ncert kek2\ncert db2\n";

/// The rotation of all three.
pub const ROTATE: &str = "countersign --json secureboot rotate --pk pk --new-pk pk2 --kek kek --new-kek kek2 \
    --db db --new-db db2";

/// File, variable, signer, whether it appends, and the certificates in it by the names of their files.
const STEPS: [(&str, &str, &str, bool, &[&str]); 5] = [
    ("01-KEK", "KEK", "pk", false, &["kek", "kek2"]),
    ("02-db", "db", "kek", true, &["db2"]),
    ("03-PK", "PK", "pk", false, &["pk2"]),
    ("04-KEK", "KEK", "pk2", false, &["kek2"]),
    ("05-db", "db", "kek2", false, &["db2"]),
];

/// OpenSSL takes each update as signed by its signer and by nobody else, and efitools find its certificates.
fn judge(build: &Build, directory: &str, others: &[(&str, &[&str])]) {
    for (file, variable, signer, append, certificates) in STEPS {
        let path = format!("{directory}/{file}");
        let vendor = if variable == "db" { "$image" } else { "$global" };
        let attributes = if append { "$append" } else { "$plain" };
        build.sh(&format!(
            "{VERIFY} split {path} {variable} \"{vendor}\" \"{attributes}\"\nverify {path} {signer}"
        ));
        for other in ["pk", "pk2", "kek", "kek2", "db", "db2"].into_iter().filter(|other| *other != signer) {
            assert!(!build.accepts(&format!("{VERIFY} verify {path} {other}")), "{file} by {other}");
        }
        let kept = others.iter().find(|(name, _)| *name == file).map_or(&[][..], |(_, kept)| kept);
        let mut wanted: Vec<String> =
            certificates.iter().chain(kept).map(|name| fingerprint(build, name)).collect();
        build.sh(&format!("rm -f {path}.cert-*\nsig-list-to-certs {path}.rest {path}.cert > said"));
        let script = format!(
            "for it in {path}.cert-*.der; do openssl x509 -inform DER -in $it -noout -fingerprint; done"
        );
        let mut found: Vec<String> = build.sh(&script).lines().map(str::to_owned).collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted, "{file}");
    }
}

fn fingerprint(build: &Build, name: &str) -> String {
    build.sh(&format!("openssl x509 -in {name}.pem -noout -fingerprint")).trim().to_owned()
}

fn told(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn each_update_is_signed_by_what_the_machine_has_by_then() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        build.sh(NEW_KEYS);
        let said = told(&build.sh(&format!("{ROTATE} --out updates")));
        let files: Vec<_> =
            said["steps"].as_array().unwrap().iter().map(|step| step["file"].as_str()).collect();
        assert_eq!(
            files,
            STEPS.map(|step| format!("{}.auth", step.0)).each_ref().map(|name| Some(name.as_str()))
        );
        judge(&build, "updates", &[]);

        // 01-KEK, then 04-KEK: a machine takes the second only if it is later.
        let time = |at: usize| said["steps"][at]["time"].as_str().unwrap().to_owned();
        assert!(time(0) < time(3), "{said}");
        assert!(said["steps"][1]["time"].is_null(), "what appends has no time");

        let text = String::from_utf8(build.read("updates/README.txt")).unwrap();
        let order = [
            "1. 01-KEK.auth",
            "2. 02-db.auth",
            "3. 03-PK.auth",
            "NO RETURN",
            "4. 04-KEK.auth",
            "5. 05-db.auth",
        ];
        let places: Vec<_> =
            order.iter().map(|what| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"))).collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("efi-updatevar -a -f 02-db.auth db"), "{text}");
        assert!(text.contains("NO MACHINE WAS LOOKED AT"), "{text}");

        // What the appliance signed stays: the same command says the same of PK and KEK.
        build.sh(&format!("{ROTATE} --out again > said"));
        for file in ["01-KEK", "02-db", "03-PK", "04-KEK"] {
            assert_eq!(
                build.read(&format!("updates/{file}.auth")),
                build.read(&format!("again/{file}.auth")),
                "{file}"
            );
        }
        let run = build.try_sh(&format!("{ROTATE} --out updates"));
        assert_eq!(run.code, 2, "there are updates in it: {}", run.stderr);
    }
}

#[tokio::test]
async fn keys_of_the_server_keep_what_others_put_into_a_machine() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(r#"
            for id in pk kek db vendor pk2 kek2 db2; do
              countersign key create $id --type rsa-2048 > said
              countersign cert self-sign --key $id --subject /O=Example/CN=$id -o $id.pem
              cert-to-efi-sig-list -g 77fa9abd-0359-4d32-bd60-28f4e78f784b $id.pem $id.esl
            done
            mkdir machine
            cp pk.esl machine/PK.esl
            cat vendor.esl kek.esl > machine/KEK.esl
            openssl dgst -sha256 -binary pk.pem > hash
            { printf '\046\026\304\301\114\120\222\100\254\251\101\371\066\223\103\050\114\0\0\0\0\0\0\0\060\0\0\0'
              head -c 16 /dev/zero; cat hash; } > hashes.esl
            # As the kernel shows it: attributes in front.
            { printf '\047\0\0\0'; cat vendor.esl db.esl hashes.esl; } > machine/db-d719b2cb-3d3a-4596-a3bc-dad00e67656f
        "#);
        let rotate = "countersign --json secureboot rotate --pk pk,pk.pem --new-pk pk2,pk2.pem --kek kek,kek.pem \
            --new-kek kek2,kek2.pem --db @db.pem --new-db @db2.pem --present machine";
        build.sh(&format!("{rotate} --out updates > said"));
        let vendor: &[&str] = &["vendor"];
        judge(&build, "updates", &[("01-KEK", vendor), ("04-KEK", vendor), ("05-db", vendor)]);
        let printed = build.sh("virt-fw-sigdb --input updates/05-db.rest --print");
        assert!(printed.contains("Sha256") || printed.contains("SHA256"), "the hash is kept: {printed}");
        // The vendor's entry as it was, its owner with it.
        build.sh("head -c $(wc -c < vendor.esl) updates/04-KEK.rest | cmp - vendor.esl");
        let text = String::from_utf8(build.read("updates/README.txt")).unwrap();
        assert!(!text.contains("NO MACHINE WAS LOOKED AT") && text.contains("1 SHA-256 hashes"), "{text}");

        build.sh(&format!("{rotate} --append --out appended > said"));
        let path = "appended/01-KEK";
        build.sh(&format!("{VERIFY} split {path} KEK \"$global\" \"$append\"\nverify {path} pk"));
        build.sh("sig-list-to-certs appended/01-KEK.rest one > said; test ! -e one-1.der; \
             openssl x509 -inform DER -in one-0.der | cmp - kek2.pem");
    }
}

#[tokio::test]
async fn a_plan_is_shown_without_a_signature() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        build.sh(NEW_KEYS);
        let before = build.sh("countersign --json log head");
        let said = told(&build.sh(&format!("{ROTATE} --out updates --dry-run")));
        assert_eq!(
            (said["signed"].as_bool(), said["steps"].as_array().map(Vec::len)),
            (Some(false), Some(5))
        );
        assert_eq!(said["steps"][3]["signed_by"]["name"], "pk2");
        assert_eq!(told(&build.sh("countersign --json log head"))["size"], told(&before)["size"]);
        assert!(!build.path("updates").exists());
    }
}

#[tokio::test]
async fn what_is_not_safe_is_refused_and_nothing_is_written() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        build.sh(NEW_KEYS);
        build.sh("cert other
             mkdir machine
             cp kek.esl machine/PK.esl
             cp kek.esl machine/KEK.esl
             countersign key create short --type rsa-2048 > said
             countersign cert self-sign --key short --subject /CN=short --days 1 -o short.pem");
        let rotate = "countersign secureboot rotate --out updates";
        for (options, why) in [
            ("--pk pk --new-pk pk", "has the same key as `pk`"),
            ("--pk other --new-pk pk2", "nobody says what the machine's PK holds"),
            ("--pk pk --new-pk pk2 --present machine", "`pk` is not in the machine's PK"),
            ("--pk pk --new-pk pk2 --kek other --new-kek kek2", "nobody says what the machine's KEK holds"),
            ("--pk pk --new-pk pk2 --kek kek --new-kek short,short.pem", "of its own only"),
            ("--pk pk --kek kek --new-kek kek2 --append", "does not append to KEK"),
            ("--pk pk", "no new key is named"),
            ("--pk pk --new-pk nosuch", "Certificate 'nosuch' not found"),
        ] {
            let run = build.try_sh(&format!("{rotate} {options}"));
            assert_eq!(run.code, 1, "{options}: {}", run.stderr);
            assert!(run.stderr.contains(why), "{options}: {}", run.stderr);
        }
        let run = build.try_sh(&format!("{rotate} --pk pk --new-kek kek2"));
        assert_eq!(run.code, 2, "which KEK the machine has is missing: {}", run.stderr);

        // What the appliance signed once for another PK is not an update for this one.
        build.sh("echo '{\"key_id\": \"kek2\", \"signing_key_id\": \"other\"}' | ask /secureboot/kek > said");
        let run = build.try_sh(&format!("{rotate} --pk pk --kek kek --new-kek kek2"));
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("the update of KEK is not by `pk`"), "{}", run.stderr);
        assert!(!build.path("updates").exists());
    }
}
