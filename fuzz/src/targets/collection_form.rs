//! Forms with a file for a record.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use countersign_server::surfaces::collections::form;

/// A file that is taken is a part of what was sent, and its name is none of a folder.
pub fn collection_form(data: &[u8]) {
    let mut reading = pin!(form::read(data.to_vec().into(), "X".into()));
    let mut context = Context::from_waker(Waker::noop());
    // Everything is there, so nothing is waited for long.
    let read = (0..100).find_map(|_| match reading.as_mut().poll(&mut context) {
        Poll::Ready(read) => Some(read),
        Poll::Pending => None,
    });
    let Some(Ok(form)) = read else { return };
    let content = &form.file.content;
    assert!(content.is_empty() || data.windows(content.len()).any(|window| window == content));
    assert!(!form.file.name.contains(['/', '\\', '\0']) && (1..=255).contains(&form.file.name.len()));
}
