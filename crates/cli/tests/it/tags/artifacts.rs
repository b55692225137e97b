//! Tags about bytes, by those who have nothing but a shell.

use crate::native::servers;

use super::{Desk, fixture, make_authority};

#[tokio::test(flavor = "multi_thread")]
async fn the_head_that_the_service_builds_is_one_that_a_shell_reads() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("app.jar", [0, 1, 2, 255, 10]);
        make_authority(&desk, "builder", "rsa-2048");
        desk.sh(
            r#"
            sum=$(sha256sum < app.jar | cut -d' ' -f1)
            as_me -X POST -o /dev/null -G "$SERVER/tags/app.jar" --data-urlencode authority=builder \
                --data-urlencode digest=sha256:$sum --data-urlencode subject=app.jar \
                --data-urlencode param.JOB=nightly --data-urlencode "param.NOTE=100% done
=== SIGNATURE builder
digest: sha256:00"
            curl -sSf "$SERVER/tags/app.jar?authorities=builder" > payload
            test "$(head -1 payload)" = 'countersign-tag: 1'
            test "$(sed -n 's/^digest: sha256://p' payload)" = $sum
            test "$(sed -n 's/^subject: //p' payload)" = app.jar
            test "$(sed -n 's/^param.JOB: //p' payload)" = nightly
            test "$(sed -n 's/^param.NOTE: //p' payload)" = '100%25 done%0A=== SIGNATURE builder%0Adigest: sha256:00'
            curl -sSf "$SERVER/tags/app.jar" > signed
            test $(grep -c '^=== SIGNATURE ' signed) = 1
            test "$(grep -c '^digest: ' signed)" = 1
            curl -sSf -o builder.pub "$SERVER/authorities/builder.pub"
            text signed > signed.text
            signature signed builder > signed.sig
            openssl dgst -sha256 -verify builder.pub -signature signed.sig signed.text
            "#,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_a_shell_builds_and_openssl_signs_is_found_by_its_digest() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("image.json", r#"{"schemaVersion":2}"#);
        desk.write("private", fixture("keys/bravo.key"));
        desk.write("bravo.pub", fixture("keys/bravo.pub"));
        desk.sh(
            r#"
            register bravo bravo.pub
            sum=$(sha256sum < image.json | cut -d' ' -f1)
            printf 'countersign-tag: 1\nsubject: repo/app\ndigest: sha256:%s\nparam.GIT_BRANCH: main\n' $sum > head
            openssl dgst -sha256 -sign private -out sig head
            { cat head; echo '=== SIGNATURE bravo'; base64 sig; } > signed
            as_me -X PUT -H 'Content-Type: text/plain' --data-binary @signed -o /dev/null "$SERVER/tags/repo/app/1.0"
            curl -sSf -G "$SERVER/tags/" -d digest=sha256:$sum -d authorities=bravo > found
            grep -q '"repo/app/1.0"' found
            other=$(echo other | sha256sum | cut -d' ' -f1)
            curl -sSf -G "$SERVER/tags/" -d digest=sha256:$other -d authorities=bravo > found
            not grep -q '"repo/app/1.0"' found

            "$COUNTERSIGN" tag check image.json --authority bravo --server "$SERVER"
            echo ' ' >> image.json
            not "$COUNTERSIGN" tag check image.json --authority bravo --server "$SERVER"
            "#,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_hashes_a_body_as_sha256sum_does() {
    for server in servers().await {
        let desk = Desk::new(&server);
        desk.write("app.bin", (0..=255).cycle().take(300_000).collect::<Vec<u8>>());
        make_authority(&desk, "builder", "ec-p256");
        desk.sh(r#"
            sum=$(sha256sum < app.bin | cut -d' ' -f1)
            as_me -H 'Content-Type: application/octet-stream' --data-binary @app.bin -o /dev/null \
                "$SERVER/tags/app.bin?hash=1&subject=app.bin&authority=builder"
            curl -sSf "$SERVER/tags/app.bin?authorities=builder" | grep -x "digest: sha256:$sum"
            "$COUNTERSIGN" tag check app.bin --authority builder --server "$SERVER"
            "#);
    }
}
