//! Bodies of the TUF repository service.

use countersign_core::tuf::error::BodyFault;
use countersign_core::tuf::request::{Bootstrap, Request};
use countersign_server::surfaces::tuf::bodies::{self, MOST_ARTIFACTS};
use countersign_tuf::check::artifact::check_path;
use countersign_tuf::metadata::{Document, Kind};
use serde_json::Value;

/// A reader of bodies.
type Reader = fn(&[u8]) -> Result<Request, Vec<BodyFault>>;

const READERS: &[(&[u8], Reader)] = &[
    (b"bootstrap", bodies::bootstrap),
    (b"config", bodies::config),
    (b"metadata", bodies::metadata),
    (b"online", bodies::online),
    (b"sign", bodies::sign),
    (b"stop", bodies::stop),
    (b"override", bodies::override_),
    (b"delegations", bodies::delegations_add),
    (b"delegations-update", bodies::delegations_update),
    (b"delegations-delete", bodies::delegations_delete),
];

/// The first line is the reader, or what is read otherwise. What is taken is stored and read again as it was; a refusal
/// has a reason.
pub fn tuf_bodies(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (kind, body) = (&data[..end], &data[end + 1..]);
    match kind {
        b"artifacts" => match bodies::add_artifacts(body) {
            Ok(read) => {
                assert!(read.artifacts.len() <= MOST_ARTIFACTS);
                for artifact in &read.artifacts {
                    assert!(check_path(&artifact.path).is_ok());
                    assert!(artifact.info["length"].is_u64());
                }
                is_stored(&Request::AddArtifacts(read));
            }
            Err(faults) => is_told(&faults),
        },
        b"artifacts-delete" => match bodies::remove_artifacts(body) {
            Ok(read) => assert!(read.artifacts.len() <= MOST_ARTIFACTS),
            Err(faults) => is_told(&faults),
        },
        b"challenge" => drop(bodies::challenge(body).map_err(|faults| is_told(&faults))),
        b"key" => drop(bodies::new_key(body).map_err(|faults| is_told(&faults))),
        b"query" => drop(bodies::query(&String::from_utf8_lossy(body), "task_id")),
        _ => {
            let Some((_, read)) = READERS.iter().find(|(name, _)| *name == kind) else { return };
            match read(body) {
                Ok(request) => {
                    root_of(&request).into_iter().for_each(is_a_root);
                    is_stored(&request);
                }
                Err(faults) => is_told(&faults),
            }
        }
    }
}

fn root_of(request: &Request) -> Option<&Value> {
    match request {
        Request::Bootstrap(Bootstrap { root, .. })
        | Request::MetadataUpdate { root }
        | Request::OverrideSignMetadata { root, .. } => Some(root),
        _ => None,
    }
}

fn is_a_root(root: &Value) {
    let document = Document::from_value(root.clone()).expect("the reader has looked at it");
    assert_eq!((document.kind(), &document.to_value()), (Kind::Root, root));
}

fn is_stored(request: &Request) {
    let text = serde_json::to_string(request).expect("a request is JSON");
    let again: Request = serde_json::from_str(&text).expect("our own text");
    assert_eq!(&again, request);
}

fn is_told(faults: &[BodyFault]) {
    assert!((1..=100).contains(&faults.len()));
    assert!(faults.iter().all(|fault| !fault.loc.is_empty() && !fault.msg.is_empty()));
}
