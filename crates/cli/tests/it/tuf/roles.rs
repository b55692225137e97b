//! Delegated roles: made with the repository, added, changed, ended; signed by people or by the server.

use super::*;

/// A repository of named roles in force, and its root in `root.json`: `tools` is the server's, `docs` wants both Bo
/// and Cy.
fn with_roles(desk: &Desk) {
    keys(desk);
    desk.admin(
        "tuf init -o plan.json --root-key ana=ana.pem --role tools=tools/* --role docs=docs/* --role-key docs=bo.pub \
         --role-key docs=cy.pub --role-threshold docs=2 --days docs=30",
    )
    .good();
    desk.admin("tuf ceremony --file plan.json --key ana.pem --yes").good();
    desk.admin("tuf export first").good();
    fs::copy(desk.path("first/metadata/1.root.json"), desk.path("root.json")).unwrap();
}

fn publish(desk: &Desk, folder: &str, name: &str, content: &str) {
    desk.write(name, content);
    desk.admin(&format!("tuf publish {name} --path-prefix {folder}")).good();
}

fn comes(desk: &Desk, path: &str, content: &str) {
    download(desk, &metadata(desk), path, "").good();
    assert_eq!(fs::read_to_string(desk.path("out")).unwrap(), content);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_sign_is_public_when_enough_of_them_have() {
    on_each_engine(async |desk| {
        with_roles(&desk);
        publish(&desk, "tools", "hammer", "a hammer");
        comes(&desk, "tools/hammer", "a hammer");
        publish(&desk, "docs", "manual", "a manual");
        assert_eq!(download(&desk, &metadata(&desk), "docs/manual", "").code, 1);

        desk.admin("tuf sign --key ana.pem --yes").is(1, "not a key that may sign");
        let shown = desk.admin("tuf sign --role docs --key bo.pem --yes");
        assert!(shown.error.contains("docs/manual"), "{}", shown.error);
        assert!(shown.good().contains("1 of 2 signatures"), "Cy is missing");
        assert_eq!(download(&desk, &metadata(&desk), "docs/manual", "").code, 1);
        assert!(desk.admin("tuf sign --key cy.pem --yes").good().contains("Role docs signing complete"));
        comes(&desk, "docs/manual", "a manual");

        // A new version waits, and the old one stays public.
        publish(&desk, "docs", "manual", "another manual");
        comes(&desk, "docs/manual", "a manual");
        desk.admin("tuf sign --key bo.pem --key cy.pem --yes").good();
        comes(&desk, "docs/manual", "another manual");
        let status = desk.admin("tuf status").good();
        assert!(status.contains("docs") && status.contains("2 of 2"), "{status}");
        let place = metadata(&desk);
        desk.anybody(&format!("tuf verify {place} --root root.json --targets")).good();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_added_changed_and_ended() {
    on_each_engine(async |desk| {
        with_roles(&desk);
        let add = "tuf delegation add notes --path notes/* --role-key bo.pub";
        let added = desk.admin(add).good();
        assert!(added.contains("notes: done") && added.contains("0 of 1 signatures"), "{added}");
        let again = desk.admin(add);
        assert_eq!(again.code, 1, "{}", again.error);
        assert!(again.out.contains("notes: NOT done: the role exists already"), "{}", again.out);
        desk.admin("tuf sign --role notes --key bo.pem --yes").good();
        publish(&desk, "notes", "one", "1");
        desk.admin("tuf sign --role notes --key bo.pem --yes").good();
        comes(&desk, "notes/one", "1");

        // Another key, in place of the first; its owner signs what there is.
        let id =
            desk.admin("tuf delegation list --json").json()["delegations"]["roles"][2]["keyids"][0].clone();
        let id = &id.as_str().unwrap()[..12];
        let change = format!("tuf delegation update notes --add-key cy.pub --remove-key {id} --days 9");
        desk.admin(&change).good();
        desk.admin("tuf sign --role notes --key bo.pem --yes").is(1, "not a key that may sign");
        desk.admin("tuf sign --role notes --key cy.pem --yes").good();
        comes(&desk, "notes/one", "1");
        let listed = desk.admin("tuf delegation list").good();
        let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["tools", "1", "the", "server", "90", "tools/*"], "{listed}");
        assert_eq!((rows[2][..5].join(" ").as_str(), rows[3][1]), ("docs not signed yet 2", "3"), "{listed}");
        assert_eq!(rows[3][rows[3].len() - 2..], ["9", "notes/*"], "{listed}");

        // The server's alone; paths go over to it at once.
        desk.admin("tuf delegation update notes --by-server --path notes/* --path more/*").good();
        publish(&desk, "more", "two", "2");
        comes(&desk, "more/two", "2");
        comes(&desk, "notes/one", "1");
        desk.admin("tuf delegation update nobody --days 3").is(1, "nobody delegates to `nobody`");

        desk.admin("tuf delegation remove notes").good();
        assert_eq!(desk.admin("tuf delegation remove notes").code, 1);
        download(&desk, &metadata(&desk), "notes/one", "").is(1, "no target");
        let place = metadata(&desk);
        desk.anybody(&format!("tuf verify {place} --root root.json")).good();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_come_from_a_file_as_the_service_takes_them() {
    let desk = Desk::on(Engine::Sqlite).await;
    with_roles(&desk);
    let role = |paths: &[&str], days: u32| {
        let role = serde_json::json!({"name": "misc", "terminating": false, "keyids": [], "threshold": 1,
            "paths": paths, "x-rstuf-expire-policy": days});
        serde_json::json!({"delegations": {"keys": {}, "roles": [role]}}).to_string()
    };
    desk.write("misc.json", role(&["misc/*"], 5));
    desk.admin("tuf delegation update --file misc.json").is(1, "");
    desk.admin("tuf delegation add --file misc.json").good();
    desk.write("misc.json", role(&["misc/*", "*"], 6));
    desk.admin("tuf delegation update --file misc.json").good();
    publish(&desk, "misc", "a", "a");
    comes(&desk, "misc/a", "a");
    let listed = desk.admin("tuf delegation list --json").json();
    assert_eq!(listed["roles"][2]["days"], 6);
    assert_eq!(listed["delegations"]["roles"][2]["paths"], serde_json::json!(["misc/*", "*"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_hash_bins_takes_no_roles() {
    let desk = Desk::on(Engine::Sqlite).await;
    in_force(&desk);
    assert!(desk.admin("tuf delegation list").good().contains("4 hash bins"));
    desk.admin("tuf delegation add notes --path notes/*").is(1, "hash-bins");
}
