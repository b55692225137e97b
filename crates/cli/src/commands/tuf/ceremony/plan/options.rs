//! A ceremony file from the options of `tuf init`.

use countersign_tuf::check;
use serde_json::Map;

use super::{BinsPlan, DEFAULT_BINS, DEFAULT_DAYS, OnlinePlan, Plan, RootPlan, default_days, named_key};
use crate::args::InitCeremony;
use crate::commands::tuf::delegated::DelegatedPlan;
use crate::commands::tuf::words;
use crate::failure::Failure;

impl Plan {
    /// What the options say.
    ///
    /// # Errors
    /// If a key cannot be read, or something cannot be.
    pub fn of_options(options: &InitCeremony) -> Result<Self, Failure> {
        let keys = options.root_keys.iter().map(|key| named_key(&key.name, &key.file));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let days = |role: &str| {
            let named = options.days.iter().rev().find(|days| days.role == role);
            let days =
                named.map_or(i64::from(default_days(role)), |days| i64::try_from(days.number).unwrap_or(0));
            check::days(role, days).map_err(|error| Failure::unknown(error.to_string()).hint(error.hint()))
        };
        let online =
            |role: &str| Ok::<_, Failure>(OnlinePlan { days: days(role)?, online: options.online.clone() });
        let mut roles = Vec::new();
        for role in &options.roles {
            let keys = options.role_keys.iter().filter(|key| key.name == role.role);
            let threshold =
                options.role_thresholds.iter().rev().find(|threshold| threshold.role == role.role);
            roles.push(DelegatedPlan {
                name: role.role.clone(),
                paths: role.patterns.clone(),
                keys: keys.map(|key| named_key("", &key.file)).collect::<Result<_, _>>()?,
                threshold: threshold.map_or(1, |threshold| threshold.number),
                terminating: true,
                days: days(&role.role)?,
            });
        }
        let bins = match (options.bins, roles.is_empty()) {
            (None, false) => None,
            (number, _) => Some(BinsPlan { number: number.unwrap_or(DEFAULT_BINS), days: days("bins")? }),
        };
        let plan = Self {
            root: RootPlan { keys, threshold: options.threshold, days: days("root")? },
            targets: online("targets")?,
            snapshot: online("snapshot")?,
            timestamp: online("timestamp")?,
            bins,
            roles,
            tough_compatible: options.tough_compatible,
            extensions: Map::new(),
        };
        let stray =
            options.days.iter().map(|days| &days.role).chain(options.role_keys.iter().map(|key| &key.name));
        let stray = stray.chain(options.role_thresholds.iter().map(|threshold| &threshold.role));
        let known = |role: &&String| {
            DEFAULT_DAYS.iter().any(|(name, _)| name == role)
                || options.roles.iter().any(|known| known.role == **role)
        };
        if let Some(role) = stray.into_iter().find(|role| !known(role)) {
            return Err(Failure::unknown(format!(
                "there is no role `{}` to say something of",
                words::shown(role)
            ))
            .hint("delegated roles come with `--role NAME=PATTERN,…`"));
        }
        plan.judge()?;
        Ok(plan)
    }
}
