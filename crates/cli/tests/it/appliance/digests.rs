//! Certificates, and bare signatures of digests, judged by OpenSSL.

use super::Build;
use crate::native::servers;

#[tokio::test]
async fn an_image_is_signed_by_its_digest_and_openssl_agrees() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("image", vec![7; 300_000]);
        build.sh(r#"
            cert image 4096
            digest=$(openssl dgst -sha256 -hex -r image | cut -d ' ' -f 1)
            printf '{"cert_id": "image", "digest": "%s"}' "$digest" | ask /cert/sign | jq -r .signature \
              | base64 -d > image.sig
            openssl dgst -sha256 -binary image > digest
        "#);
        let verify = "openssl pkeyutl -verify -in digest -certin -inkey image.pem -sigfile image.sig";
        build.judge("digest", &[verify], &[0, 31]);
        build.judge("image.sig", &[verify], &[0, 511]);
        // No DigestInfo: the padding is followed by the digest itself.
        let bare = "openssl pkeyutl -verifyrecover -in image.sig -certin -inkey image.pem | cmp - digest";
        assert!(build.accepts(bare));
    }
}

#[tokio::test]
async fn a_certificate_is_what_openssl_would_have_made() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(r#"
            cert ours
            openssl req -new -x509 -newkey rsa:2048 -nodes -sha256 -days 7305 -subj '/O=Example/CN=balenaOS ours' \
              -keyout theirs.key -out theirs.pem 2> said
            shape() {
              openssl x509 -in "$1" -noout -text -certopt no_serial,no_validity,no_pubkey,no_sigdump \
                | sed -E 's/([0-9A-F]{2}:){19}[0-9A-F]{2}/ID/'
            }
            shape ours.pem > ours.txt
            shape theirs.pem > theirs.txt
            grep -q 'Public Key Algorithm\|CA:TRUE' ours.txt
            diff ours.txt theirs.txt
            openssl verify -CAfile ours.pem -check_ss_sig ours.pem
        "#);
        // What the installer compares with the ids of the keys that a kernel trusts.
        build.sh(r#"
            hash=$(openssl x509 -in ours.pem -noout -ocspid | awk '/key/ { print tolower($NF) }')
            id=$(openssl x509 -in ours.pem -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ': ' | tr A-F a-f)
            test "$hash" = "$id"
            test "$(show /cert/ours | jq -r .cert)" = "$(cat ours.pem)"
        "#);
    }
}

#[tokio::test]
async fn the_days_and_the_subject_are_kept_to_the_letter() {
    for server in servers().await {
        let build = Build::new(&server);
        build.sh(r#"
            printf '%s' '{"cert_id": "z", "subject": "/C=CH/O=A\\/B/OU=x+CN=Zürich ☃", "days": 10}' \
              | ask /cert | jq -r .cert > z.pem
            openssl x509 -in z.pem -noout -subject -nameopt RFC2253,utf8,-esc_msb > subject
            grep -F 'Zürich ☃' subject
            grep -F 'O=A/B,C=CH' subject
            openssl x509 -in z.pem -noout -checkend 863000
            not openssl x509 -in z.pem -noout -checkend 864001
        "#);
    }
}
