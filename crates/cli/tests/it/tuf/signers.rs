//! Root keys that this program never holds: on a PKCS#11 token, by `pkcs11-tool` over SoftHSM, and in gpg-agent.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::*;

const PIN: &str = "271828";

/// Where Debian puts the token's module.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A shell in the desk's directory with variables of its own.
struct Shell<'a> {
    desk: &'a Desk,
    variables: Vec<(&'static str, String)>,
}

impl Shell<'_> {
    fn run(&self, line: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-ec", line]).current_dir(&self.desk.directory).stdin(Stdio::null());
        let done = command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(done.status.success(), "{line}: {}{}", text(&done.stdout), text(&done.stderr));
        text(&done.stdout)
    }

    /// As [`Desk::admin`], with the variables.
    fn admin(&self, line: &str) -> Said {
        let data = self.desk.server.data().to_str().unwrap();
        let words: Vec<&str> = ["--data", data].into_iter().chain(line.split(' ')).collect();
        let mut command = crate::server::countersign(&words);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let done = command.current_dir(&self.desk.directory).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: done.status.code().unwrap(), out: text(done.stdout), error: text(done.stderr) }
    }

    /// A program in the desk's directory.
    fn program(&self, name: &str, line: &str) {
        let file = self.desk.write(name, format!("#!/bin/sh\n{line}\n"));
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Keys of a token: name, type, scheme in metadata, and what `--signer` runs. No Ed25519: `pkcs11-tool` gives a token no
/// more than 1 024 bytes at a time, and Ed25519 wants all at once.
const TOKEN: [(&str, &str, &str, &str); 3] = [
    (
        "ec",
        "EC:prime256v1",
        "ecdsa-sha2-nistp256",
        "openssl dgst -sha256 -binary | $TOKEN --sign --mechanism ECDSA --signature-format openssl --id 00",
    ),
    ("pss", "rsa:2048", "rsassa-pss-sha256", "$TOKEN --sign --mechanism SHA256-RSA-PKCS-PSS --id 01"),
    ("pkcs1", "rsa:2048", "rsa-pkcs1v15-sha256", "$TOKEN --sign --mechanism SHA256-RSA-PKCS --id 02"),
];

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_pkcs11_token_sign_the_root() {
    let desk = Desk::on(Engine::Sqlite).await;
    let shell = Shell {
        variables: vec![
            ("SOFTHSM2_CONF", desk.path("softhsm2.conf").display().to_string()),
            ("PIN", PIN.to_owned()),
            ("TOKEN", format!("pkcs11-tool --module {MODULE} --login --pin env:PIN")),
        ],
        desk: &desk,
    };
    fs::create_dir(desk.path("tokens")).unwrap();
    desk.write("softhsm2.conf", format!("directories.tokendir = {}\n", desk.path("tokens").display()));
    shell.run(&format!("softhsm2-util --init-token --free --label root --so-pin {PIN} --pin {PIN}"));
    let mut init = "tuf init -o plan.json --bins 2 --threshold 3".to_owned();
    for (number, (name, key_type, _, line)) in TOKEN.iter().enumerate() {
        shell.run(&format!("$TOKEN --keypairgen --key-type {key_type} --label {name} --id 0{number}"));
        shell.run(&format!("$TOKEN --read-object --type pubkey --id 0{number} -o {name}.key"));
        shell.run(&format!("openssl pkey -pubin -in {name}.key -out {name}.pem"));
        shell.program(name, line);
        init.push_str(&format!(" --root-key {name}={name}.pem"));
    }
    desk.admin(&init).good();
    let mut plan: Value = serde_json::from_slice(&fs::read(desk.path("plan.json")).unwrap()).unwrap();
    for (number, (name, _, scheme, _)) in TOKEN.iter().enumerate() {
        let key = &mut plan["root"]["keys"][number];
        if *name == "pkcs1" {
            key["scheme"] = (*scheme).into();
        }
        assert_eq!(key["scheme"], *scheme);
    }
    desk.write("plan.json", plan.to_string());

    let mut line = "tuf ceremony --file plan.json".to_owned();
    for (name, ..) in TOKEN {
        shell.admin(&format!("{line} --signer ./{name} --signer-key {name}.pem --yes")).good();
        "tuf sign".clone_into(&mut line);
    }
    assert_eq!(desk.admin("tuf status --json").json()["state"], "finished");
    desk.admin("tuf root show").good();

    // A token that says no, and a key that is another one's.
    let edit = "tuf root edit --days 30 --yes --signer-key ec.pem --signer";
    shell.admin(&format!("{edit} ./pss")).is(1, "no signature of `ecdsa-sha2-nistp256` by its key");
    let mut locked = shell;
    locked.variables.push(("PIN", "wrong".to_owned()));
    locked.admin(&format!("{edit} ./ec")).is(2, "the command of `--signer` failed");
}

/// A gpg-agent, which would outlive the test.
struct GpgAgent<'a>(Shell<'a>);

impl Drop for GpgAgent<'_> {
    fn drop(&mut self) {
        let variables = self.0.variables.iter().map(|(name, value)| (name, value));
        let _ = Command::new("gpgconf").args(["--kill", "gpg-agent"]).envs(variables).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_openpgp_signs_through_gpg_agents_ssh_socket() {
    let desk = Desk::on(Engine::Sqlite).await;
    let home = desk.path("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.join("gpg-agent.conf"), "enable-ssh-support\n").unwrap();
    let mut agent =
        GpgAgent(Shell { variables: vec![("GNUPGHOME", home.display().to_string())], desk: &desk });
    let gpg = "gpg -q --batch --passphrase '' --pinentry-mode loopback";
    agent.0.run(&format!("{gpg} --quick-gen-key bo@example.org ed25519 cert 1y"));
    let fingerprint = agent.0.run("gpg -q --with-colons -K | awk -F: '/^fpr/ { print $10; exit }'");
    agent.0.run(&format!("{gpg} --quick-add-key {} ed25519 auth 1y", fingerprint.trim()));
    // Keys of a card are offered as they are; others by their keygrip.
    agent.0.run(
        "gpg -q --with-colons --with-keygrip -K | awk -F: '/^ssb/ { s = 1 } s && /^grp/ { print $10 }' \
         > $GNUPGHOME/sshcontrol",
    );
    let socket = agent.0.run("gpgconf --list-dirs agent-ssh-socket").trim().to_owned();
    agent.0.variables.push(("SSH_AUTH_SOCK", socket));
    let listed = agent.0.run("ssh-add -l");
    let name = listed.split(' ').nth(1).unwrap();

    keys(&desk);
    openssl(desk.directory.path(), "pkey -in ana.pem -pubout -out ana.pub");
    agent.0.run("gpg --export-ssh-key bo@example.org > bo.pub");
    desk.admin("tuf init -o plan.json --bins 2 --threshold 2 --root-key ana=ana.pub --root-key bo=bo.pub")
        .good();
    desk.admin("tuf ceremony --file plan.json --key ana.pem --yes").good();
    let unknown = agent.0.admin("tuf sign --agent-key nobody --yes");
    assert!(unknown.error.contains(name), "{}", unknown.error);
    unknown.is(1, "no key `nobody`");
    let signed = agent.0.admin(&format!("tuf sign --agent-key {name} --yes"));
    assert!(signed.good().contains("Bootstrap Finished"), "two have signed");
    desk.admin("tuf export first").good();
    desk.anybody(&format!("tuf verify {} --root first/metadata/1.root.json", metadata(&desk))).good();
}
