//! Why a repository is not believed: in words, and as the attack that it may be (specification 1.5.2).

use countersign_tuf::client::ClientError;
use countersign_tuf::hashes::Mismatch;
use serde_json::json;

use super::place::NotFetched;
use crate::failure::{Failure, Kind};
use crate::output::safe;

/// A refusal as a failure: no, or nobody could tell.
pub fn of_client(error: &ClientError) -> Failure {
    let (kind, attack) = match error {
        ClientError::Metadata { .. } => (Kind::Refused, "malformed-metadata"),
        ClientError::Signatures { .. } => (Kind::Refused, "wrong-signatures"),
        ClientError::Version { .. } | ClientError::Mismatch { .. } => (Kind::Refused, "mix-and-match"),
        ClientError::Rollback { .. } | ClientError::Dropped { .. } => (Kind::Refused, "rollback"),
        ClientError::Expired { .. } => (Kind::Refused, "freeze"),
        ClientError::TooLong { .. } => (Kind::Refused, "endless-data"),
        ClientError::NotInSnapshot { .. } => (Kind::Refused, "mix-and-match"),
        ClientError::Missing { .. } => (Kind::Unknown, "missing"),
        _ => (Kind::Unknown, "unknown"),
    };
    failure(kind, attack, &error.to_string(), error.hint())
}

/// A file that did not come.
pub fn of_fetch(error: NotFetched) -> Failure {
    let message = error.to_string();
    match error {
        NotFetched::TooLong { .. } => failure(
            Kind::Refused,
            "endless-data",
            &message,
            "somebody may be sending you a file without an end",
        ),
        NotFetched::TooSlow { .. } => {
            let hint =
                "try another place with `--mirror`, or have more patience: `--idle-timeout`, `--least-rate`";
            failure(Kind::Unknown, "slow-retrieval", &message, hint)
        }
        NotFetched::Unknown { .. } => {
            failure(Kind::Unknown, "unknown", &message, "is the address right, and can it be reached?")
        }
        NotFetched::Stopped(failure) => failure,
    }
}

/// A target file that is not the one that was vouched for.
pub fn of_target(path: &str, error: &Mismatch) -> Failure {
    let message = format!("`{path}` is not the file that the repository has vouched for: {error}");
    match error {
        Mismatch::NoKnownHash => {
            failure(Kind::Unknown, "unknown", &message, "its hashes are for other clients; ask its publisher")
        }
        _ => {
            let hint = "do not use it: somebody may have exchanged it; try another place with `--mirror`";
            failure(Kind::Refused, "arbitrary-software", &message, hint)
        }
    }
}

/// A failure whose document names the attack.
pub fn failure(kind: Kind, attack: &str, message: &str, hint: &str) -> Failure {
    let message = safe(message);
    let document = json!({ "valid": false, "attack": attack, "reason": message, "hint": hint });
    let document = Some(document.to_string().into());
    Failure { kind, message, hint: Some(hint.to_owned()), document }
}
