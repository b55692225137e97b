//! How many days the roles of an adopted repository live.

use countersign_tuf::check::delegation::EXPIRE_POLICY;
use countersign_tuf::expires::MAX_DAYS;
use jiff::Timestamp;
use serde_json::Value;

/// What is known of lifetimes.
pub(super) struct Days<'a> {
    /// Settings by name, as an RSTUF server tells them.
    config: Option<&'a Value>,
    now: Timestamp,
}

impl<'a> Days<'a> {
    pub(super) fn new(config: Option<&'a Value>, now: Timestamp) -> Self {
        let config = config.map(|config| config.get("data").unwrap_or(config));
        Self { config, now }
    }

    /// Of a role, `bins` or a top-level one. `policy`: its delegation. `expires`: when its present version does.
    pub(super) fn of(&self, role: &str, policy: Option<&Value>, expires: Option<Timestamp>) -> u32 {
        let told = self.config.and_then(|config| config.get(format!("{}_expiration", role.to_lowercase())));
        let policy = policy.and_then(|policy| policy.get(EXPIRE_POLICY));
        let known = [told, policy].into_iter().flatten().find_map(Value::as_u64);
        let days =
            known.and_then(|days| u32::try_from(days).ok()).filter(|days| (1..=MAX_DAYS).contains(days));
        days.unwrap_or_else(|| self.usual(role).max(self.left(expires)))
    }

    fn usual(&self, role: &str) -> u32 {
        match role {
            "root" | "targets" => 365,
            "snapshot" => 7,
            "timestamp" => 1,
            _ => 30,
        }
    }

    /// Days that are left, begun ones too.
    fn left(&self, expires: Option<Timestamp>) -> u32 {
        let seconds = expires.map_or(0, |expires| expires.as_second().saturating_sub(self.now.as_second()));
        let days = seconds.max(0).div_euclid(86_400) + i64::from(seconds.max(0) % 86_400 > 0);
        u32::try_from(days).unwrap_or(MAX_DAYS).min(MAX_DAYS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lifetimes_are_those_that_were_told_or_the_usual_ones_but_not_shorter_than_what_is_left() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let told =
            json!({"data": {"timestamp_expiration": 2, "my_team_expiration": 9, "root_expiration": 0}});
        let policy = json!({EXPIRE_POLICY: 11});
        let told = Days::new(Some(&told), now);
        assert_eq!(told.of("timestamp", None, at("2026-12-20T12:00:00Z")), 2);
        assert_eq!(told.of("My_Team", Some(&policy), None), 9);
        assert_eq!(told.of("other", Some(&policy), None), 11);
        assert_eq!(told.of("root", None, None), 365, "0 is no lifetime");
        let none = Days::new(None, now);
        for (role, expires, days) in [
            ("timestamp", "2026-11-20T12:00:01Z", 1),
            ("timestamp", "2026-11-21T12:00:01Z", 2),
            ("snapshot", "2020-11-20T12:00:00Z", 7),
            ("bins", "2026-12-31T12:00:00Z", 41),
            ("targets", "2026-12-31T12:00:00Z", 365),
        ] {
            assert_eq!(none.of(role, None, at(expires)), days, "{role} {expires}");
        }
    }
}
