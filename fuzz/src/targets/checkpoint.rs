//! Checkpoints of logs.

use countersign_tlog::checkpoint::Checkpoint;

/// What is read as a checkpoint is written again byte by byte.
pub fn checkpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
    }
}
