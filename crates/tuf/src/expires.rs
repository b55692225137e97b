//! Times in metadata: exactly `YYYY-MM-DDTHH:MM:SSZ` (specification 4.2.1), and how long a role lives.

use countersign_model::time;
use jiff::{SignedDuration, Timestamp};

/// The most days that a role may live: a hundred years.
pub const MAX_DAYS: u32 = 36_525;

/// Reads a time. `None` for anything but the one form.
pub fn parse(text: &str) -> Option<Timestamp> {
    let form = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, want)| match want {
            b'd' => byte.is_ascii_digit(),
            want => byte == *want,
        });
    let time: Timestamp = if fits { text.parse().ok()? } else { return None };
    // A leap second would be read as another second.
    (render(time) == text).then_some(time)
}

/// The text of `time`; fractions of a second are cut off.
pub fn render(time: Timestamp) -> String {
    time::seconds(time)
}

/// When a role that is signed at `now` and lives for `days` expires, in whole seconds.
pub fn after(now: Timestamp, days: u32) -> Timestamp {
    let lifetime = SignedDuration::from_hours(24 * i64::from(days.min(MAX_DAYS)));
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    whole.checked_add(lifetime).unwrap_or(Timestamp::MAX)
}

/// Whether a role should be signed anew: a third of its `days`, or less, is left at `now`.
pub fn is_due(expires: Timestamp, days: u32, now: Timestamp) -> bool {
    let left = expires.as_second().saturating_sub(now.as_second());
    left <= i64::from(days) * 86_400 / 3
}
