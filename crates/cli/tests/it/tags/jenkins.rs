//! From a build job to a deployment with a POSIX shell and `curl`, each with no more rights than it needs.

use countersign_testkit::server::TestServer;
use serde_json::json;

use crate::native::servers;

use super::{Desk, allow, make_authority};

/// The job: hashes what it built, and has the digest signed with its parameters.
const JOB: &str = r#"
JOB_NAME=nightly
BUILD_NUMBER=42
CHANGES='fix: 100% of it
=== SIGNATURE jenkins-prd
digest: sha256:0000000000000000000000000000000000000000000000000000000000000000'
digest=sha256:$(sha256sum < app-1.0.jar | cut -d' ' -f1)
as_me -X POST -G "$SERVER/tags/builds/app-1.0.jar" -o answer \
    --data-urlencode authority=jenkins-prd --data-urlencode digest="$digest" \
    --data-urlencode subject=app-1.0.jar --data-urlencode param.JOB="$JOB_NAME" \
    --data-urlencode param.BUILD_NUMBER="$BUILD_NUMBER" --data-urlencode param.CHANGES="$CHANGES"
"#;

/// The deployment: takes the artifact only if the tag of the trusted authority is about these bytes. The public
/// key came with the machine.
const DEPLOY: &str = r#"
curl -sSf -o tag "$SERVER/tags/builds/app-1.0.jar"
text tag > tag.text
signature tag jenkins-prd > tag.sig
openssl dgst -sha256 -verify jenkins-prd.pub -signature tag.sig tag.text > /dev/null || exit 1
test "$(head -1 tag.text)" = 'countersign-tag: 1' || exit 1
digest=sha256:$(sha256sum < app-1.0.jar | cut -d' ' -f1)
test "$(sed -n 's/^digest: //p' tag.text)" = "$digest" || exit 1
test "$(sed -n 's/^subject: //p' tag.text)" = app-1.0.jar || exit 1
echo deployed build $(sed -n 's/^param.BUILD_NUMBER: //p' tag.text)
"#;

/// The same, with the service as the judge.
const DEPLOY_ASKING: &str = r#"
digest=sha256:$(sha256sum < app-1.0.jar | cut -d' ' -f1)
curl -sSf "$SERVER/tags/builds/app-1.0.jar?authorities=jenkins-prd" -o tag.text || exit 1
grep -qx "digest: $digest" tag.text || exit 1
echo deployed
"#;

/// The administrator's part: the authority, and a principal that may sign as it and write below `builds/`.
async fn prepare(server: &TestServer) -> (Desk, Desk) {
    let admin = Desk::new(server);
    make_authority(&admin, "jenkins-prd", "rsa-3072");
    make_authority(&admin, "release", "ec-p256");
    let rule = |id: &str, action: &str, resource: &str| {
        json!({"id": id, "effect": "allow", "principals": ["role:builder"], "actions": [action],
            "resources": [resource]})
    };
    let write = rule("builder-writes", "tag:write", "tag:builds/*");
    let sign = rule("builder-signs", "authority:sign", "authority:jenkins-prd");
    allow(server, &[write, sign]).await;
    let token = server.principal("jenkins", &["builder"]).await.unwrap();
    (Desk::of(server, &token), Desk::of(server, "none"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_signs_what_it_built_and_a_deployment_takes_only_that() {
    for server in servers().await {
        let (job, deployment) = prepare(&server).await;
        job.write("app-1.0.jar", b"PK\x03\x04 the jar\n");
        job.sh(JOB);
        deployment.write("app-1.0.jar", b"PK\x03\x04 the jar\n");
        deployment.sh("curl -sSf -o jenkins-prd.pub \"$SERVER/authorities/jenkins-prd.pub\"");
        assert_eq!(deployment.sh(DEPLOY), "deployed build 42\n");
        assert_eq!(deployment.sh(DEPLOY_ASKING), "deployed\n");

        deployment.write("app-1.0.jar", b"PK\x03\x04 another jar\n");
        for script in [DEPLOY, DEPLOY_ASKING] {
            let run = deployment.try_sh(script);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_neither_sign_for_others_nor_write_elsewhere_nor_take_a_tag_away_from_them() {
    for server in servers().await {
        let (job, _) = prepare(&server).await;
        let statuses = job.sh(
            r#"
            auth="Authorization: Bearer $TOKEN"
            plain='Content-Type: text/plain'
            status -H "$auth" -H "$plain" -d x "$SERVER/tags/sign?authority=release"
            status -H "$auth" -H "$plain" -d x "$SERVER/tags/builds/x?authority=release"
            status -H "$auth" -H "$plain" -d x "$SERVER/tags/releases/x?authority=jenkins-prd"
            status -H "$auth" -X DELETE "$SERVER/tags/releases/x"
            status -H "$auth" -H 'Content-Type: application/json' -d '{"name":"mine","algorithm":"ec-p256"}' "$SERVER/authorities/"
            status -H "$plain" -d x "$SERVER/tags/builds/x?authority=jenkins-prd"
            status -H 'Authorization: Bearer wrong' -H "$plain" -d x "$SERVER/tags/builds/x?authority=jenkins-prd"
            status "$SERVER/tags/builds/x"
            status -H "$auth" -H "$plain" -d x "$SERVER/tags/builds/x?authority=jenkins-prd"
            "#,
        );
        let statuses: Vec<_> = statuses.lines().collect();
        assert_eq!(statuses, ["403", "403", "403", "403", "403", "401", "401", "404", "201"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_signs_for_one_authority_need_not_name_it() {
    for server in servers().await {
        let (job, _) = prepare(&server).await;
        job.write("text", "build=42\n");
        job.sh(r#"
            as_me -H 'Content-Type: text/plain' --data-binary @text -o answer "$SERVER/tags/builds/42"
            grep -q '"authorities": *\["jenkins-prd"\]' answer
            curl -sSf "$SERVER/tags/builds/42?authorities=jenkins-prd" | cmp - text
            "#);
    }
}
