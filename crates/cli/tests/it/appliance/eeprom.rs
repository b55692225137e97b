//! Raspberry Pi EEPROM digests, judged by OpenSSL in the steps of the board maker's tool.

use super::Build;
use crate::native::servers;

#[tokio::test]
async fn a_boot_image_is_signed_as_the_boot_loader_checks_it() {
    for server in servers().await {
        let build = Build::new(&server);
        build.write("boot.img", vec![0xa5; 100_000]);
        build.sh(r#"
            echo '{}' | ask /rsa/key | jq -r .fingerprint > id
            show "/rsa/key/$(cat id)" | jq -r .key > public.pem
            sign /rsa/sign "$(cat id)" boot.img signature > boot.sig
            test "$(wc -l < boot.sig)" = 3
            test "$(sed -n 1p boot.sig)" = "$(sha256sum boot.img | cut -d ' ' -f 1)"
            test "$(sed -n 2p boot.sig | cut -d ' ' -f 1)" = ts:
            age=$(($(date +%s) - $(sed -n 2p boot.sig | cut -d ' ' -f 2)))
            test "$age" -ge -1 && test "$age" -lt 300
        "#);
        let verify = r#"
            sed -n 's/^rsa2048: //p' boot.sig | tr a-f A-F | basenc --base16 -d > bin
            openssl dgst -sha256 -verify public.pem -signature bin boot.img
        "#;
        build.judge("boot.img", &[verify], &[0, 50_000, 99_999]);
        let text = build.read("boot.sig");
        let hex = text.len() - 513;
        build.judge("boot.sig", &[verify], &[hex, text.len() - 2]);
    }
}
