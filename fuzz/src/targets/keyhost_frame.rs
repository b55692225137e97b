//! Frames between the front and the key host.

use countersign_keyhost::wire::{FrameReader, Request, Response, decode, encode};

/// A stream of bytes splits into the same frames whole or in pieces, and what is read as a message and
/// written again is read as the same message.
pub fn keyhost_frame(data: &[u8]) {
    let whole = frames(data, data.len().max(1));
    for frame in &whole {
        if let Ok((id, message)) = decode::<Request>(frame) {
            let written = content(id, &message);
            let (_, again) = decode::<Request>(&written).expect("our own message is read again");
            assert_eq!(content(id, &again), written);
        }
        if let Ok((id, message)) = decode::<Response>(frame) {
            let written = content(id, &message);
            assert_eq!(decode::<Response>(&written).expect("our own message is read again"), (id, message));
        }
    }
    assert_eq!(frames(data, 1 + data.len() / 3), whole);
}

/// The frames of a stream that arrives in pieces of `step` bytes.
fn frames(mut stream: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut reader = FrameReader::default();
    let mut frames = Vec::new();
    loop {
        while let Ok(Some(frame)) = reader.next_frame() {
            frames.push(frame.to_vec());
        }
        if reader.next_frame().is_err() || stream.is_empty() {
            return frames;
        }
        let space = reader.space();
        let count = space.len().min(step).min(stream.len());
        space[..count].copy_from_slice(&stream[..count]);
        reader.filled(count);
        stream = &stream[count..];
    }
}

fn content(id: u64, message: &impl serde::Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    encode(id, message, &mut out).expect("what fitted in a frame fits again");
    out.split_off(4)
}
