//! Tags checked where there is no network at all.

use std::process::Command;

use crate::native::servers;

use super::{Desk, make_authority};

/// Runs its arguments with a network of their own, in which not even loopback is up.
const ALONE: &str = "unshare --map-root-user --net";

/// A tag by two authorities, the bundle and its root key, as a reader carries them away.
fn carry_away(desk: &Desk) {
    desk.write("payload", "build=42\n");
    make_authority(desk, "builder", "rsa-2048");
    make_authority(desk, "qa", "ec-p521");
    desk.sh(r#"
        as_me -H 'Content-Type: text/plain' --data-binary @payload -o tag \
            "$SERVER/tags/sign?authority=builder&authority=qa"
        curl -sSf -o keys.bundle "$SERVER/authorities/bundle"
        curl -sSf -o root.pub "$SERVER/authorities/bundle.pub"
        "#);
}

/// `countersign tag payload --offline` without a network, on these further words.
fn payload(desk: &Desk, words: &str) -> super::Run {
    desk.try_sh(&format!(
        "exec {ALONE} \"$COUNTERSIGN\" tag payload --offline keys.bundle --root root.pub {words}"
    ))
}

#[test]
fn the_network_of_these_tests_reaches_nothing() {
    let script = "! curl -sS --max-time 5 http://127.0.0.1:9/ 2>reason";
    let mut command = Command::new("sh");
    let output = command.args(["-c", &format!("{ALONE} sh -c '{script}'; cat reason")]);
    let output = output.current_dir(tempfile::tempdir().unwrap().path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("unreachable") || said.contains("connect"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_checked_with_a_bundle_and_no_network() {
    for server in servers().await {
        let desk = Desk::new(&server);
        carry_away(&desk);
        let run = payload(&desk, "tag builder qa");
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "build=42\n", ""));

        let json = payload(&desk, "tag builder qa --json");
        assert_eq!(json.code, 0, "{json:?}");
        assert!(
            json.stdout.contains("\"valid\":true") || json.stdout.contains("\"valid\": true"),
            "{json:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_is_what_python_calls_canonical_and_openssl_calls_signed() {
    for server in servers().await {
        let desk = Desk::new(&server);
        carry_away(&desk);
        desk.sh(
            r#"
            python3 - <<'END'
import base64, hashlib, json
document = json.load(open("keys.bundle"))
open("signed", "wb").write(json.dumps(document["signed"], sort_keys=True).encode())
[signature] = document["signatures"]
open("keyid", "w").write(signature["keyid"])
open("sig", "wb").write(base64.b64decode(signature["sig"]))
END
            openssl pkeyutl -verify -rawin -pubin -inkey root.pub -in signed -sigfile sig
            test "$(cat keyid)" = "sha256:$(openssl pkey -pubin -in root.pub -outform DER | sha256sum | cut -d' ' -f1)"
            sed 's/^.*"signed": //; s/}$//' keys.bundle | tr -d '\n' | cmp - signed
            "#,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_believed_offline_is_refused_without_the_text() {
    for server in servers().await {
        let desk = Desk::new(&server);
        carry_away(&desk);
        desk.sh(
            "sed s/42/43/ tag > forged; sed 's/\"version\": 1/\"version\": 2/' keys.bundle > forged.bundle",
        );
        desk.sh("openssl genpkey -algorithm ED25519 | openssl pkey -pubout -out other.pub");
        let expiry = desk.sh("sed 's/.*\"expires\": \"\\([^\"]*\\)\".*/\\1/' keys.bundle");
        let expired = format!("key bundle expired {}", expiry.trim());
        for (words, wanted) in [
            ("forged builder", "invalid signature for builder"),
            ("tag nobody", "nobody"),
            ("tag builder --at 2999-01-01T00:00:00Z", expired.as_str()),
            ("tag builder --root other.pub", "not signed by the root key"),
            ("tag builder --offline forged.bundle", "invalid signature by the root key"),
        ] {
            let run = payload(&desk, words);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{words}: {run:?}");
            assert!(run.stderr.contains(wanted), "{words}: {}", run.stderr);
        }
        let allowed = payload(&desk, "tag builder --at 2999-01-01T00:00:00Z --allow-expired");
        assert_eq!((allowed.code, allowed.stdout.as_str()), (0, "build=42\n"), "{allowed:?}");
        assert!(allowed.stderr.contains(&expired), "it warns: {}", allowed.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_offline_readers_with_the_next_bundle_and_an_older_one_is_refused() {
    for server in servers().await {
        let desk = Desk::new(&server);
        carry_away(&desk);
        assert_eq!(payload(&desk, "tag builder").code, 0);
        desk.sh(r#"
            key=$(openssl pkey -pubin -in /dev/stdin -outform DER <<END | sha256sum | cut -d' ' -f1
$(curl -sSf "$SERVER/authorities/builder.pub")
END
)
            as_me -H 'Content-Type: application/json' -o /dev/null \
                -d "{\"key\":\"sha256:$key\",\"reason\":\"lost\"}" "$SERVER/authorities/builder/revoke"
            mv keys.bundle old.bundle
            curl -sSf -o keys.bundle "$SERVER/authorities/bundle"
            test $(status "$SERVER/authorities/builder.pub") = 410
            "#);
        let run = payload(&desk, "tag builder");
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        assert!(run.stderr.contains("revoked"), "{}", run.stderr);
        assert_eq!(payload(&desk, "tag qa").code, 0, "the other authority is not touched");

        // The old bundle would still call it good, but a newer one was seen.
        desk.sh("mv old.bundle keys.bundle");
        let run = payload(&desk, "tag builder");
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        assert!(run.stderr.contains("was seen before"), "{}", run.stderr);
    }
}
