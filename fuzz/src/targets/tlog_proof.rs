//! Log proofs as text.

use countersign_tlog::hash::Hash;
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::VerifierKey;

/// What is read as a proof is written again byte by byte, and checking it ends.
pub fn tlog_proof(data: &[u8]) {
    if let Ok(proof) = LogProof::parse(data) {
        assert_eq!(proof.to_string().as_bytes(), data);
        if let Ok(key) = KEY.parse::<VerifierKey>() {
            // The leaf of the seeds; whether it is proved is not the point.
            let _ = proof.verify_leaf(Hash::leaf(b"entry 5"), &key);
        }
    }
}

/// The key that signed the seeds.
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
