//! What can be said of requests before they wait for the one who writes: who may not do what they ask is refused by
//! what the database has now, so that nobody else waits for them.

use super::call::Call;
use super::error::Error;
use super::who::Who;
use super::work::{Mode, Work};
use super::{apply, writer};
use crate::context::Context;

/// Why calls are refused, by their place in the request, for rights that are missing. Those of which nothing is said
/// are judged, whole, when they are done.
///
/// An earlier call of the same request may give a right, so it is looked at calls until one may change something.
pub(super) async fn refusals(ctx: &Context, who: &Who, calls: &[Call]) -> Vec<Option<Error>> {
    let mut refusals = vec![None; calls.len()];
    if who.admin {
        return refusals;
    }
    // If the database does not answer, that is told by who does what is asked.
    let Ok(mut work) = Work::begin(ctx, Mode::Read).await else { return refusals };
    for (call, refusal) in calls.iter().zip(&mut refusals) {
        if !writer::writes(call) {
            continue;
        }
        match apply::judge(&mut work, who, call).await {
            Err(error @ (Error::Unauthorized | Error::Forbidden(_))) => *refusal = Some(error),
            Ok(()) | Err(_) => break,
        }
    }
    refusals
}

/// Bytes that the answers to one request have, about.
const MOST_BYTES: usize = 64 << 20;

/// How much there is still room for in the answers to one request.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MOST_BYTES)
    }
}

impl Room {
    /// Refuses to do more when the answers that are there are large already.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.0 > 0 {
            return Ok(());
        }
        Err(Error::TooLarge("The answers are too large: send fewer requests together.".into()))
    }

    /// An answer takes its part.
    pub(super) fn take(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes);
    }
}
