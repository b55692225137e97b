//! Keys of an SSH agent: of OpenSSH's, or of gpg-agent for the keys of OpenPGP cards.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use countersign_model::ssh::{self, Identity, SshError};
use countersign_model::{PublicKey, RawSignature, Scheme};

use crate::failure::{Failure, OrUnknown as _};
use crate::output::safe;

/// How long its owner may take to touch a token or to type a PIN.
const PATIENCE: Duration = Duration::from_secs(120);

/// A key that an agent has.
pub struct AgentKey {
    /// Its public half.
    pub public: PublicKey,
    /// What its owner calls it.
    pub comment: String,
    blob: Vec<u8>,
    socket: PathBuf,
}

/// The key of the agent with this comment or fingerprint.
pub fn find(wanted: &str) -> Result<AgentKey, Failure> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from);
    let socket = socket.ok_or_else(|| {
        Failure::unknown("there is no SSH agent: SSH_AUTH_SOCK is not set").hint(
            "`eval $(ssh-agent)` starts one; `gpgconf --list-dirs agent-ssh-socket` names that of gpg-agent",
        )
    })?;
    let answer = ask(&socket, &ssh::request_identities())?;
    let identities = ssh::identities(&answer).map_err(|error| refused(&error))?;
    let mut fitting = identities.iter().filter(|key| key.comment == wanted || key.fingerprint() == wanted);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => own(one, socket),
        (None, _) => {
            Err(Failure::refused(format!("the SSH agent has no key `{wanted}`")).hint(known(&identities)))
        }
        (Some(_), Some(_)) => Err(Failure::refused(format!("the SSH agent has several keys `{wanted}`"))
            .hint(format!("name it by its fingerprint: {}", known(&identities)))),
    }
}

fn own(identity: &Identity, socket: PathBuf) -> Result<AgentKey, Failure> {
    match &identity.public {
        Some(public) => Ok(AgentKey {
            public: public.clone(),
            comment: safe(&identity.comment).replace('\n', " "),
            blob: identity.blob.clone(),
            socket,
        }),
        None => Err(Failure::refused(format!("`{}`: {}", safe(&identity.comment), SshError::Unsupported))
            .hint(
                "keys of security tokens (`sk-…`) sign more than they are asked to, which TUF does not know",
            )),
    }
}

fn known(identities: &[Identity]) -> String {
    if identities.is_empty() {
        return "it has no keys: `ssh-add FILE` adds one".to_owned();
    }
    let keys = identities.iter().map(|key| format!("`{}` ({})", safe(&key.comment), key.fingerprint()));
    format!("it has {}", keys.collect::<Vec<_>>().join(", "))
}

impl AgentKey {
    /// Signs a message.
    pub fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<RawSignature, Failure> {
        let request = ssh::sign_request(&self.blob, message, scheme).ok_or_else(|| {
            Failure::refused(format!("an SSH agent does not sign in the scheme `{scheme}`")).hint(
                "put the RSA key into metadata in the scheme rsa-pkcs1v15-sha256: its `.pub` file does that",
            )
        })?;
        if request.len() > ssh::MAX_MESSAGE {
            return Err(Failure::refused("the document is longer than an SSH agent takes")
                .hint("sign with `--key` or `--signer`"));
        }
        ssh::signature(&ask(&self.socket, &request)?, &self.public, scheme).map_err(|error| refused(&error))
    }
}

fn refused(error: &SshError) -> Failure {
    Failure::unknown(format!("the SSH agent did not answer as it should: {error}"))
        .hint("is the agent locked, or did its owner say no? `ssh-add -l` lists its keys")
}

/// One message there, one back; each has its length before it.
fn ask(socket: &PathBuf, message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream =
        UnixStream::connect(socket).map_err(|error| Failure::file("connect to", socket, &error))?;
    let mut exchange = || {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes())?;
        stream.write_all(message)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > ssh::MAX_MESSAGE {
            return Err(std::io::Error::other("its answer is too long"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    exchange().or_unknown("no answer from the SSH agent")
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use countersign_model::HashAlg;
    use countersign_model::ToSign;

    use super::*;

    struct Agent(Child);

    impl Drop for Agent {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// OpenSSH's own agent, with a key of each kind.
    #[test]
    fn keys_of_openssh_sign_what_we_verify() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent");
        let Ok(child) =
            Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn()
        else {
            return;
        };
        let _agent = Agent(child);
        for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "2048")] {
            let file = directory.path().join(format!("{kind}{bits}"));
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", kind, "-b", bits, "-N", "", "-C", &format!("{kind}{bits}"), "-f"]);
            assert!(keygen.arg(&file).status().unwrap().success());
            while !socket.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let added = Command::new("ssh-add").arg("-q").arg(&file).env("SSH_AUTH_SOCK", &socket).status();
            assert!(added.unwrap().success());
        }
        let answer = ask(&socket, &ssh::request_identities()).unwrap();
        let identities = ssh::identities(&answer).unwrap();
        assert_eq!(identities.len(), 4);
        for identity in &identities {
            let key = own(identity, socket.clone()).unwrap();
            let scheme = match key.public.key_type() {
                countersign_model::KeyType::Rsa(_) => Scheme::RsaPkcs1(HashAlg::Sha512),
                other => other.default_scheme(),
            };
            for message in [b"".as_slice(), b"{\"a\":1}", &[7; 10_000]] {
                let raw = key.sign(scheme, message).unwrap();
                let to_sign = ToSign::of_message(scheme, message);
                assert!(key.public.verify(scheme, &to_sign, &raw).is_ok(), "{}", key.comment);
            }
        }
    }
}
