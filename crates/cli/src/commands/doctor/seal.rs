//! What the server says of itself to the owner of the data directory: the seal, what each process gave up,
//! the database, and whether the log on disk is the one that the database remembers.

use countersign_tlog::hash::{Hash, Head};
use serde::Deserialize;

use super::{Check, State};
use crate::api::Api;
use crate::commands::log::{LogReader, continue_from, parse_key};
use crate::failure::{Failure, Kind};

#[derive(Debug, Deserialize)]
struct Seal {
    state: String,
    reason: Option<String>,
    seal: Option<String>,
    key_host: Vec<String>,
    front: Vec<String>,
    database: Database,
}

#[derive(Debug, Deserialize)]
struct Database {
    engine: String,
    answers: bool,
    log: Option<KnownLog>,
}

#[derive(Debug, Deserialize)]
struct KnownLog {
    origin: String,
    size: u64,
    root: String,
}

/// Asks for everything; only for the control socket and for this process.
pub async fn look(api: &Api, checks: &mut Vec<Check>) {
    let asked = async { api.get("/seal").await?.json::<Seal>() };
    let seal = match asked.await {
        Ok(seal) => seal,
        Err(failure) => {
            checks.push(Check::new("seal", State::Unseen, failure.message));
            return;
        }
    };
    checks.push(how_sealed(&seal));
    checks.extend(given_up("key host", &seal.key_host));
    if api.is_in_process() {
        let found = "no server runs on the directory: look again when one does";
        checks.push(Check::new("front", State::Unseen, found));
    } else {
        checks.extend(given_up("front", &seal.front));
    }
    let Database { engine, answers, log } = seal.database;
    checks.push(if answers {
        Check::new("database engine", State::Good, engine)
    } else {
        Check::new("database engine", State::Bad, format!("{engine} does not answer"))
            .hint("nothing is signed without it: the server's log says why")
    });
    if let Some(known) = log {
        checks.push(remembered(api, &known).await);
    }
}

fn how_sealed(seal: &Seal) -> Check {
    let reason = || seal.reason.clone().unwrap_or_else(|| seal.state.clone());
    match (seal.state.as_str(), &seal.seal) {
        ("ready", Some(how)) => Check::new("seal", State::Good, how),
        ("locked", _) => Check::new("seal", State::Bad, reason()).hint("run `countersign seal unlock`"),
        _ => Check::new("seal", State::Bad, reason()).hint("the server's log says why the key host is away"),
    }
}

/// A check for each line of a process's report.
fn given_up(name: &'static str, lines: &[String]) -> Vec<Check> {
    let check = |line: &String| match line.split_once(": ") {
        Some(("ok", found)) => Check::new(name, State::Good, found),
        Some(("warning", found)) => Check::new(name, State::Warning, found),
        _ => Check::new(name, State::Warning, line.as_str()),
    };
    lines.iter().map(check).collect()
}

/// Whether the log that is served goes on from the last head in the database.
async fn remembered(api: &Api, known: &KnownLog) -> Check {
    const NAME: &str = "log and database";
    let checked = async {
        let root: Hash = known.root.parse().map_err(|_| Failure::unknown("the head has no root"))?;
        let key = parse_key(&api.service().await?.log.public_key)?;
        let reader = LogReader::new(api, &known.origin);
        let (_, checkpoint) = reader.checkpoint(&key).await?;
        continue_from(&reader, Head { size: known.size, root }, checkpoint.head).await
    };
    match checked.await {
        Ok(_) => Check::new(NAME, State::Good, format!("the log continues the {} known entries", known.size)),
        Err(failure) if failure.kind == Kind::Refused => Check::new(NAME, State::Bad, failure.message)
            .hint("the log's files were changed: keep them as evidence, and restore a backup"),
        Err(failure) => Check::new(NAME, State::Unseen, failure.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_the_kernel_refused_is_a_warning() {
        let lines = ["ok: no core dumps", "warning: not enforced: no files: old kernel", "odd"];
        let checks = given_up("front", &lines.map(str::to_owned));
        let seen: Vec<_> = checks.iter().map(|check| (check.state, check.found.as_str())).collect();
        assert_eq!(
            seen,
            [
                (State::Good, "no core dumps"),
                (State::Warning, "not enforced: no files: old kernel"),
                (State::Warning, "odd"),
            ]
        );
    }

    #[test]
    fn a_locked_seal_is_bad_and_says_how_to_unlock_it() {
        let seal: Seal = serde_json::from_str(
            r#"{"state":"locked","reason":"it waits","seal":null,"key_host":[],"front":[],
                "database":{"engine":"sqlite","answers":true,"log":null}}"#,
        )
        .unwrap();
        let check = how_sealed(&seal);
        assert_eq!((check.state, check.found.as_str()), (State::Bad, "it waits"));
        assert!(check.hint.unwrap().contains("seal unlock"));
    }
}
