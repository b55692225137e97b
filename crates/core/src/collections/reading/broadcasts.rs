//! What push services ask for: one text that is another one when something was published.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::monitor;
use crate::collections::error::Error;
use crate::context::Context;

/// Everybody is woken at most this often.
const SPACING: Duration = Duration::from_secs(300);

/// What was announced last.
#[derive(Debug, Default)]
pub(super) struct Announced(Mutex<Option<(i64, Timestamp)>>);

/// The timestamp that `GET /__broadcasts__` announces: that of the monitor, without previews, and no other one
/// for five minutes.
///
/// # Errors
/// When the database does not answer.
pub async fn timestamp(ctx: &Context) -> Result<i64, Error> {
    let newest = monitor::current(ctx).await?.announced();
    Ok(ctx.collections.reading.announced.announce(newest, ctx.now()))
}

impl Announced {
    fn announce(&self, newest: i64, now: Timestamp) -> i64 {
        let mut announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *announced {
            Some((last, at)) if last == newest || now.duration_since(at).unsigned_abs() < SPACING => last,
            _ => {
                // What was there when this process began may be announced at once, and so may what follows.
                let at = if announced.is_none() { Timestamp::UNIX_EPOCH } else { now };
                *announced = Some((newest, at));
                newest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_soon_is_announced_later() {
        let announced = Announced::default();
        let at = |seconds: i64| Timestamp::from_second(1_795_208_000 + seconds).unwrap();
        for (newest, seconds, wanted) in [
            (5, 0, 5),
            (6, 1, 6),
            (7, 2, 6),
            (8, 300, 6),
            (8, 301, 8),
            (9, 302, 8),
            (8, 2000, 8),
            (9, 2001, 9),
        ] {
            assert_eq!(announced.announce(newest, at(seconds)), wanted, "at {seconds} s");
        }
    }
}
