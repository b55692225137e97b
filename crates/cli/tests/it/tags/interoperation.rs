//! What we write verifies with `awk` and `openssl`; what `openssl` signs we accept.

use crate::native::servers;

use super::{ALGORITHMS, Desk, OPENSSL_KEYS, fixture, make_authority};

/// Lines that a careless reader trips over: none of them is a header.
const PAYLOAD: &str = "build=42\n\n  indented\ttab\r\n=== SIGNATUREx\n--- \u{fc}\u{1f600}\nlast line";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_signs_verifies_with_awk_and_openssl() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("payload", PAYLOAD);
        for algorithm in ALGORITHMS {
            make_authority(&desk, algorithm, algorithm);
            desk.sh(&format!(
                r#"
                curl -sSf -o {algorithm}.pub "$SERVER/authorities/{algorithm}.pub"
                as_me -H 'Content-Type: text/plain' --data-binary @payload -o signed \
                    "$SERVER/tags/sign?authority={algorithm}"
                text signed > signed.text
                signature signed {algorithm} > signed.sig
                openssl dgst -sha256 -verify {algorithm}.pub -signature signed.sig signed.text
                {{ cat payload; echo; }} | cmp - signed.text
                "#
            ));
        }

        // One file by all of them, and all its signatures at once.
        let query = ALGORITHMS.map(|name| format!("authority={name}")).join("&");
        let named = ALGORITHMS.join(",");
        desk.sh(&format!(
            r#"
            as_me -H 'Content-Type: text/plain' --data-binary @payload -o all "$SERVER/tags/sign?{query}"
            for name in {names}; do
                text all > all.text
                signature all $name > all.sig
                openssl dgst -sha256 -verify $name.pub -signature all.sig all.text
            done
            test $(grep -c '^=== SIGNATURE ' all) = 6
            curl -sSf -H 'Content-Type: text/plain' --data-binary @all -o validated -D headers \
                "$SERVER/tags/validate?authorities={named}"
            cmp validated all.text
            tr -d '\r' < headers | grep -ix 'countersign-authorities: {named}'
            sum=$(sha256sum < all.text | cut -d' ' -f1)
            tr -d '\r' < headers | grep -ix "countersign-payload-sha256: $sum"
            "#,
            names = ALGORITHMS.join(" "),
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_signature_is_handed_out_ready_for_openssl() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("payload", "build=42\n");
        for algorithm in ["rsa-2048", "ec-p256"] {
            make_authority(&desk, algorithm, algorithm);
            desk.sh(&format!(
                r#"
                curl -sSf -o key.pub "$SERVER/authorities/{algorithm}.pub"
                as_me -H 'Content-Type: text/plain' --data-binary @payload -o /dev/null \
                    "$SERVER/tags/builds/42?authority={algorithm}"
                curl -sSf -o raw.sig "$SERVER/tags/builds/42.{algorithm}.sig?raw=1"
                openssl dgst -sha256 -verify key.pub -signature raw.sig payload
                curl -sSf "$SERVER/tags/builds/42.{algorithm}.sig" > lines
                base64 -d lines | cmp - raw.sig
                test "$(awk 'length > 76' lines)" = ""
                curl -sSf "$SERVER/tags/builds/42" > signed
                signature signed {algorithm} | cmp - raw.sig
                "#
            ));
        }
        // Both signed the same text, and neither signature was lost.
        desk.sh(r#"test $(grep -c '^=== SIGNATURE ' signed) = 2"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_openssl_signs_is_accepted() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("payload", PAYLOAD.to_owned() + "\n");
        for (path, algorithm) in OPENSSL_KEYS {
            let name = path.split('/').nth(1).unwrap();
            desk.write("private", fixture(&format!("{path}.key")));
            desk.write("public", fixture(&format!("{path}.pub")));
            desk.sh(&format!(
                r#"
                openssl pkey -pubin -in public -out {name}.pub
                register {name} {name}.pub
                curl -sSf "$SERVER/authorities/{name}" | grep -q '"algorithm": *"{algorithm}"'
                curl -sSf "$SERVER/authorities/{name}.pub" | cmp - {name}.pub

                openssl dgst -sha256 -sign private -out sig payload
                {{ cat payload; echo '=== SIGNATURE {name}'; base64 sig; }} > signed
                curl -sSf -H 'Content-Type: text/plain' --data-binary @signed \
                    "$SERVER/tags/validate?authorities={name}" | cmp - payload
                as_me -X PUT -H 'Content-Type: text/plain' --data-binary @signed -o /dev/null \
                    "$SERVER/tags/release"
                curl -sSf "$SERVER/tags/release?authorities={name}" | cmp - payload
                "#
            ));
        }
        desk.sh(r#"
            curl -sSf "$SERVER/tags/release" > all
            test $(grep -c '^=== SIGNATURE ' all) = 6
            mkdir keys; cp *.pub keys
            "$COUNTERSIGN" tag payload keys all alpha delta Charlie bravo echo-384 foxtrot-521 | cmp - payload
            "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_text_is_refused_by_us_and_by_openssl_and_never_printed() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("payload", "limit=1000\n");
        make_authority(&desk, "bank", "ec-p256");
        desk.sh(
            r#"
            curl -sSf -o bank.pub "$SERVER/authorities/bank.pub"
            as_me -H 'Content-Type: text/plain' --data-binary @payload -o signed "$SERVER/tags/sign?authority=bank"
            sed s/limit=1000/limit=9999/ signed > forged
            test $(status -H 'Content-Type: text/plain' --data-binary @forged "$SERVER/tags/validate?authorities=bank") = 403
            not grep -q limit= body
            grep -q '"invalid-signature"' body
            test $(status -H 'Accept: text/plain' -H 'Content-Type: text/plain' --data-binary @forged "$SERVER/tags/validate?authorities=bank") = 403
            not grep -q limit= body
            text forged > forged.text
            signature forged bank > forged.sig
            not openssl dgst -sha256 -verify bank.pub -signature forged.sig forged.text
            test $(status -X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: text/plain' --data-binary @forged "$SERVER/tags/limit") = 403
            test $(status "$SERVER/tags/limit") = 404
            "#,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_signed_with_our_public_keys_beside_it_is_what_stags_reads() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("payload", PAYLOAD);
        make_authority(&desk, "builder", "rsa-2048");
        make_authority(&desk, "qa", "ec-p384");
        desk.sh(
            r#"
            mkdir keys
            for name in builder qa; do curl -sSf -o keys/$name.pub "$SERVER/authorities/$name.pub"; done
            as_me -H 'Content-Type: text/plain' --data-binary @payload -o one "$SERVER/tags/sign?authority=builder"
            as_me -H 'Content-Type: text/plain' --data-binary @one -o both "$SERVER/tags/sign?authority=qa&signed=1"
            ln -s "$COUNTERSIGN" stags
            ./stags payload keys both builder qa > out
            { cat payload; echo; } | cmp - out
            "#,
        );
    }
}
