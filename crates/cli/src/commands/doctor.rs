//! `doctor`: what can be seen from outside, and what could be better.

mod expiry;
mod seal;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use countersign_server::config::Config;
use serde_json::{Value, json};

use crate::api::{Api, Request};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::align;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Works, and could be better.
    Warning,
    Bad,
    /// Could not be looked at.
    Unseen,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Unseen => "unseen",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    hint: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { name, state, found: found.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Looks at everything and says what it found. The answer is no if something is bad.
pub async fn run(context: &Context) -> Result<Outcome, Failure> {
    let mut checks = Vec::new();
    if context.server().is_none() {
        look_at_directory(context.data(), &mut checks);
    }
    match context.api().await {
        Ok(api) => {
            look_at_server(&api, &mut checks).await;
            if context.server().is_none() {
                seal::look(&api, &mut checks).await;
            }
            checks.push(expiry::tokens(&api).await);
            checks.extend(expiry::chains::look(&api).await);
        }
        Err(failure) => {
            let mut check = Check::new("server", State::Unseen, failure.message);
            check.hint = failure.hint;
            checks.push(check);
        }
    }
    let bad = checks.iter().any(|check| check.state == State::Bad);
    context.out.value(&as_document(&checks), |_| as_text(&checks))?;
    Ok(if bad { Outcome::No } else { Outcome::Done })
}

fn as_document(checks: &[Check]) -> Value {
    let checks: Vec<Value> = checks
        .iter()
        .map(|c| json!({ "name": c.name, "state": c.state.as_str(), "found": c.found, "hint": c.hint }))
        .collect();
    json!({ "checks": checks })
}

fn as_text(checks: &[Check]) -> String {
    let lines: Vec<Vec<String>> =
        checks.iter().map(|c| vec![c.state.as_str().into(), c.name.into(), c.found.clone()]).collect();
    let mut text = align(&lines);
    for check in checks {
        if let Some(hint) = &check.hint {
            text.push_str(&format!("hint: {}: {hint}\n", check.name));
        }
    }
    text
}

/// Files of the data directory that only their owner may touch. The directory itself comes first.
const PRIVATE: [(&str, &str); 5] = [
    ("data directory", ""),
    ("seal key", "host"),
    ("database", "db"),
    ("admin token", "admin.token"),
    ("control socket", "run/control.sock"),
];

fn look_at_directory(data: &Path, checks: &mut Vec<Check>) {
    if !data.is_dir() {
        let hint = "`countersign serve --data DIR` makes it";
        let found = format!("`{}` is not there", data.display());
        checks.push(Check::new("data directory", State::Unseen, found).hint(hint));
        return;
    }
    for (name, below) in PRIVATE {
        checks.extend(private_to_owner(name, &data.join(below)));
    }
    if data.join("admin.token").exists() {
        checks.push(
            Check::new("first token", State::Warning, "the token of the first start is still in admin.token")
                .hint("make principals of your own, then delete the file; through the control socket you stay admin"),
        );
    }
    checks.push(free_space(data));
    match Config::load(data, None) {
        Ok(config) => checks.extend(expiry::certificate(data, &config)),
        Err(error) => {
            checks.push(Check::new("configuration", State::Bad, error.to_string()).hint(error.hint()));
        }
    }
}

/// `None` if the file is not there, which is for the server to complain about.
fn private_to_owner(name: &'static str, path: &Path) -> Option<Check> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    let mode = metadata.permissions().mode() & 0o777;
    let mine = metadata.uid() == rustix::process::geteuid().as_raw();
    Some(if mode & 0o077 != 0 {
        Check::new(name, State::Bad, format!("others may touch it: mode {mode:03o}"))
            .hint(format!("chmod go= {}", path.display()))
    } else if !mine {
        Check::new(name, State::Warning, format!("belongs to user {}", metadata.uid()))
            .hint("run this as the user who runs the server")
    } else {
        Check::new(name, State::Good, format!("mode {mode:03o}"))
    })
}

/// Below this the next backup or a burst of log entries may not fit.
const LITTLE_SPACE: u64 = 1 << 30;

fn free_space(data: &Path) -> Check {
    match rustix::fs::statvfs(data) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let text = format!("{} MiB free", free >> 20);
            if free >= LITTLE_SPACE {
                Check::new("disk", State::Good, text)
            } else {
                Check::new("disk", State::Warning, text).hint("a full disk stops signing; reading goes on")
            }
        }
        Err(error) => Check::new("disk", State::Unseen, error.to_string()),
    }
}

async fn look_at_server(api: &Api, checks: &mut Vec<Check>) {
    match api.send(Request::get("/readyz")).await {
        Ok(answer) if answer.status.is_success() => {
            checks.push(Check::new("ready", State::Good, api.place()));
        }
        Ok(answer) => {
            let document: Value = answer.json().unwrap_or_default();
            let reasons: Vec<&str> =
                document["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let found = if reasons.is_empty() { "not ready".to_owned() } else { reasons.join("; ") };
            checks.push(
                Check::new("ready", State::Bad, found)
                    .hint("after a restart of the key host, `countersign seal unlock` may be needed"),
            );
        }
        Err(failure) => {
            checks.push(Check::new("ready", State::Bad, failure.message));
            return;
        }
    }
    match api.service().await {
        Ok(service) => {
            let ours = env!("CARGO_PKG_VERSION");
            checks.push(if service.version == ours {
                Check::new("version", State::Good, ours)
            } else {
                let found = format!("the server is {}, this program {ours}", service.version);
                Check::new("version", State::Warning, found).hint("restart the server after an update")
            });
            checks.push(look_at_log(api, &service.log.origin, &service.log.public_key).await);
        }
        Err(failure) => checks.push(Check::new("version", State::Unseen, failure.message)),
    }
}

async fn look_at_log(api: &Api, origin: &str, key: &str) -> Check {
    if key.is_empty() {
        return Check::new("log", State::Unseen, "its key is known when the key host has its passphrase");
    }
    let checked = async {
        let key = super::log::parse_key(key)?;
        super::log::LogReader::new(api, origin).checkpoint(&key).await
    };
    match checked.await {
        Ok((_, checkpoint)) => {
            Check::new("log", State::Good, format!("{origin}: {} entries, signed", checkpoint.head.size))
        }
        Err(failure) => Check::new("log", State::Bad, failure.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_bad() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("admin.token");
        std::fs::write(&token, "x").unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o640)).unwrap();
        let check = private_to_owner("admin token", &token).unwrap();
        assert_eq!(check.state, State::Bad);
        assert!(check.hint.unwrap().starts_with("chmod go= "));
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(private_to_owner("admin token", &token).unwrap().state, State::Good);
        assert!(private_to_owner("seal key", &directory.path().join("host")).is_none());
    }

    #[test]
    fn hints_follow_the_list() {
        let checks = [Check::new("disk", State::Warning, "1 MiB free").hint("make room")];
        assert_eq!(as_text(&checks), "warning  disk  1 MiB free\nhint: disk: make room\n");
    }
}
