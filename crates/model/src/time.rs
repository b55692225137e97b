//! Times as text: RFC 3339, UTC, `Z`.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// `2026-01-02T03:04:05Z`: the form of the API. Fractions are cut off.
pub fn seconds(time: Timestamp) -> String {
    format!("{:.0}", cut(time, Unit::Second))
}

/// `2026-01-02T03:04:05.678Z`: the form of the signing log, always with three digits.
pub fn millis(time: Timestamp) -> String {
    format!("{:.3}", cut(time, Unit::Millisecond))
}

/// A timestamp from Unix milliseconds, clamped to the years that RFC 3339 can write.
pub fn from_unix_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn cut(time: Timestamp, unit: Unit) -> Timestamp {
    time.round(TimestampRound::new().smallest(unit).mode(RoundMode::Floor)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_cut_and_the_zone_is_z() {
        let time: Timestamp = "2026-01-02T03:04:05.9996Z".parse().unwrap();
        assert_eq!(seconds(time), "2026-01-02T03:04:05Z");
        assert_eq!(millis(time), "2026-01-02T03:04:05.999Z");
        let whole: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(millis(whole), "2026-01-02T03:04:05.000Z");
    }
}
