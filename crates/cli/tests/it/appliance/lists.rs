//! Signature lists and updates of authenticated variables, judged by efitools, OpenSSL and virt-firmware.

use super::{Build, target};
use crate::native::servers;

/// A key set as `balena-keys` asks for it: `pk`, `kek` and `db`, each with `.auth`, `.esl` and `.pem`.
pub const KEYS: &str = r#"
    cert pk
    cert kek
    cert db
    echo '{"key_id": "pk"}' | ask /secureboot/pk > said
    echo '{"key_id": "kek", "signing_key_id": "pk"}' | ask /secureboot/kek > said
    echo '{"key_id": "db", "signing_key_id": "kek"}' | ask /secureboot/db > said
    for id in pk kek db; do
      show "/secureboot/$id/$id" > "$id.json"
      jq -r ".$id" < "$id.json" | base64 -d > "$id.auth"
      jq -r .esl < "$id.json" | base64 -d > "$id.esl"
      jq -r '.der[0]' < "$id.json" | base64 -d | openssl x509 -inform DER | cmp - "$id.pem"
    done
"#;

/// Splits `NAME.auth` by the lengths in it and puts together the bytes that firmware checks; `verify NAME SIGNER`.
pub const VERIFY: &str = r#"
    utf16() { printf '%s' "$1" | sed 's/./&\x00/g'; }
    split() { # FILE VARIABLE GUID ATTRIBUTES(hex, little-endian)
      length=$(u32 "$1.auth" 16)
      test "$(od -An -tx1 -j 20 -N 4 "$1.auth")" = ' 00 02 f1 0e'
      tail -c +$((16 + 24 + 1)) "$1.auth" | head -c $((length - 24)) > "$1.body"
      tail -c +$((16 + length + 1)) "$1.auth" > "$1.rest"
      # CertData is SignedData without its ContentInfo, which openssl wants around it.
      size=$((length - 24))
      { printf '\060\202'; octets $((size + 15)); printf '\006\011\052\206\110\206\367\015\001\007\002\240\202'
        octets $size; cat "$1.body"; } > "$1.p7"
      { utf16 "$2"; printf "$3"; printf "$4"; head -c 16 "$1.auth"; cat "$1.rest"; } > "$1.signed"
    }
    octets() { printf "\\$(printf %03o $(($1 / 256)))\\$(printf %03o $(($1 % 256)))"; }
    verify() { openssl smime -verify -inform DER -in "$1.p7" -binary -content "$1.signed" -certfile "$2.pem" \
      -nointern -noverify -out out 2> said; }
    global='\141\337\344\213\312\223\322\021\252\015\000\340\230\003\053\214'
    image='\313\262\031\327\072\075\226\105\243\274\332\320\016\147\145\157'
    plain='\047\000\000\000'
    append='\147\000\000\000'
"#;

#[tokio::test]
async fn each_variable_is_signed_by_the_one_that_firmware_asks_for() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        for (name, variable, vendor, signer) in
            [("pk", "PK", "$global", "pk"), ("kek", "KEK", "$global", "pk"), ("db", "db", "$image", "kek")]
        {
            let judge =
                format!("{VERIFY} split {name} {variable} \"{vendor}\" \"$plain\"\nverify {name} {signer}");
            build.sh(&format!("{judge}\ncmp {name}.rest {name}.esl"));
            let auth = build.read(&format!("{name}.auth"));
            let length = u32::from_le_bytes(auth[16..20].try_into().unwrap()) as usize;
            // Year and seconds, the end of the signature, type, owner and certificate of the list, its last byte.
            let covered =
                [0, 6, 16 + length - 1, 16 + length, 16 + length + 28, auth.len() - 400, auth.len() - 1];
            build.judge(&format!("{name}.auth"), &[&judge], &covered);
            let another = judge.replace("$plain", "$append");
            assert!(!build.accepts(&another), "{name}: a signature is for its attributes");
        }
    }
}

#[tokio::test]
async fn lists_are_read_by_the_tools_of_others() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        build.sh(
            "echo '{\"key_id\": [\"kek\", \"db\"], \"signing_key_id\": \"pk\"}' | ask /secureboot/kek > said
             show /secureboot/kek/db,kek | jq -r .esl | base64 -d > two.esl
             cat db.esl kek.esl | cmp - two.esl
             sig-list-to-certs two.esl cert > said
             openssl x509 -inform DER -in cert-0.der | cmp - db.pem
             openssl x509 -inform DER -in cert-1.der | cmp - kek.pem",
        );
        let printed = build.sh("virt-fw-sigdb --input two.esl --print");
        assert!(printed.contains("balenaOS db") && printed.contains("balenaOS kek"), "{printed}");
    }
}

#[tokio::test]
async fn hashes_are_appended_to_db_and_dbx_by_the_key_exchange_key() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        build.write("image", b"an old boot loader");
        // As `hash-to-efi-sig-list` writes it: SHA-256, an owner of zeros, one hash.
        build.sh(
            r#"{ printf '\046\026\304\301\114\120\222\100\254\251\101\371\066\223\103\050\114\0\0\0\0\0\0\0\060\0\0\0'
                 head -c 16 /dev/zero; openssl dgst -sha256 -binary image; } > hashes.esl
               for variable in db dbx; do
                 { printf '{"signing_key_id": "kek", "append": true, "esl": "'; base64 -w 0 hashes.esl; printf '"}'; } \
                   | ask "/secureboot/$variable" | jq -r .auth | base64 -d > "$variable-hashes.auth"
               done"#,
        );
        for variable in ["db", "dbx"] {
            let file = format!("{variable}-hashes");
            let judge = format!("{VERIFY} split {file} {variable} \"$image\" \"$append\"\nverify {file} kek");
            let auth = build.read(&format!("{file}.auth"));
            assert_eq!(auth[..16], [0; 16], "no time, so that the update is the same every time");
            build.judge(&format!("{file}.auth"), &[&judge], &[0, auth.len() - 1, auth.len() - 40]);
        }
    }
}

#[tokio::test]
async fn a_platform_key_is_replaced_by_the_old_one_and_the_rest_is_kept() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        // The new PK is signed by the old; then the same KEK by the new PK. What was signed stays as it was.
        build.sh(
            "cert pk2
             cert kek2
             echo '{\"key_id\": \"pk2\", \"signing_key_id\": \"pk\"}' | ask /secureboot/pk > said
             echo '{\"key_id\": [\"kek\", \"kek2\"], \"signing_key_id\": \"pk2\"}' | ask /secureboot/kek > said
             show /secureboot/pk/pk2 | jq -r .pk | base64 -d > pk2.auth
             show /secureboot/kek/kek,kek2 | jq -r .kek | base64 -d > keks.auth
             show /secureboot/pk/pk | cmp - pk.json",
        );
        build.sh(&format!("{VERIFY} split pk2 PK \"$global\" \"$plain\"\nverify pk2 pk\nnot verify pk2 pk2"));
        build.sh(&format!(
            "{VERIFY} split keks KEK \"$global\" \"$plain\"\nverify keks pk2\nnot verify keks pk"
        ));
    }
}

#[tokio::test]
async fn a_variable_store_of_ovmf_takes_the_keys() {
    let store = ["/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd"];
    let Some(store) = store.into_iter().find(|path| std::path::Path::new(path).exists()) else {
        panic!("no OVMF below /usr/share ({}): run scripts/install-test-tools", target("").display());
    };
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(KEYS);
        let printed = build.sh(&format!(
            "virt-fw-vars --input {store} --output vars.fd --secure-boot \
               --set-pk 8be4df61-93ca-11d2-aa0d-00e098032b8c pk.pem \
               --add-kek 8be4df61-93ca-11d2-aa0d-00e098032b8c kek.pem \
               --add-db 8be4df61-93ca-11d2-aa0d-00e098032b8c db.pem 2> said
             virt-fw-vars --input vars.fd --print --verbose"
        ));
        for id in ["pk", "kek", "db"] {
            assert!(printed.contains(&format!("balenaOS {id}")), "{printed}");
        }
    }
}
