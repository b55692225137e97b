//! Kernel modules, judged as `modinfo` and the kernel read them: the trailer, then the CMS by OpenSSL.

use super::{Build, module};
use crate::native::servers;

/// Takes `signed.ko` apart: trailer of 28 bytes, 12 bytes of lengths, the signature, and the module before it.
const TAKE_APART: &str = r#"
    size=$(wc -c < signed.ko)
    test "$(tail -c 28 signed.ko)" = '~Module signature appended~'
    test "$(tail -c 40 signed.ko | head -c 8 | od -An -tx1)" = ' 00 00 02 00 00 00 00 00'
    length=$((0x$(tail -c 32 signed.ko | head -c 4 | od -An -tx1 | tr -d ' ')))
    tail -c $((40 + length)) signed.ko | head -c "$length" > signature
    head -c $((size - 40 - length)) signed.ko > content
"#;

const VERIFY: &str = "openssl cms -verify -binary -inform DER -in signature -content content -certfile kmod.pem \
    -nointern -noverify -out out 2> said";

#[tokio::test]
async fn a_module_of_debian_is_signed_and_openssl_agrees() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("module.ko", module());
        build.sh("cert kmod 4096\nsign /kmod/sign kmod module.ko signed > signed.ko");
        build.sh(TAKE_APART);
        build.sh("cmp content module.ko && cp content good");
        build.judge("content", &[VERIFY], &[0, 64, 9000, module().len() - 1]);
        let last = build.read("signature").len() - 1;
        build.judge("signature", &[VERIFY], &[last, last - 300]);

        let said = build.sh("modinfo ./signed.ko");
        for line in ["sig_id:         PKCS#7", "signer:         balenaOS kmod", "sig_hashalgo:   sha512"] {
            assert!(said.contains(line), "{line}: {said}");
        }
        // What the kernel refuses in the signature of a module: signed attributes. And no certificate is in it.
        let parts = build.sh("openssl cms -cmsout -print -noout -inform DER -in signature");
        let parts = parts.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            parts.contains("certificates: <ABSENT>") && parts.contains(" signedAttrs: <ABSENT>"),
            "{parts}"
        );
        build.sh("sign /kmod/sign kmod module.ko signed | cmp - signed.ko");
        assert!(!build.accepts(
            "cert other && openssl cms -verify -binary -inform DER -in signature -content good \
            -certfile other.pem -nointern -noverify -out out 2> said"
        ));
    }
}

#[tokio::test]
async fn a_module_with_a_signature_gets_another_around_it() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("module.ko", module());
        build.sh("cert kmod
             sign /kmod/sign kmod module.ko signed > once.ko
             sign /kmod/sign kmod once.ko signed > signed.ko");
        build.sh(TAKE_APART);
        build.sh("cmp content once.ko");
        assert!(build.accepts(VERIFY));
    }
}

#[tokio::test]
async fn several_certificates_sign_modules_at_once() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("module.ko", module());
        build.sh("cert vendor
             cert owner
             for id in vendor owner; do sign /kmod/sign $id module.ko signed > $id.ko; done
             modinfo -F signer ./vendor.ko | grep -x 'balenaOS vendor'
             modinfo -F signer ./owner.ko | grep -x 'balenaOS owner'
             show /kmod/cert/owner | jq -j .cert | cmp - owner.pem");
    }
}
