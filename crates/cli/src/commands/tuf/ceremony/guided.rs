//! A ceremony by questions, for people who do this once in a year.

use std::path::Path;

use countersign_tuf::{bins, check};
use serde_json::{Map, Value};

use super::plan::{BinsPlan, DEFAULT_BINS, OnlinePlan, Plan, RootPlan, default_days, named_key};
use crate::commands::tuf::ask::Asked;
use crate::commands::tuf::delegated::DelegatedPlan;
use crate::failure::Failure;

/// Asks for everything that a ceremony file says.
///
/// # Errors
/// When there are no more answers.
pub fn plan(asked: &mut Asked<'_>) -> Result<Plan, Failure> {
    asked.say("The root says who signs everything else. A few people each hold a key for it, offline;");
    asked.say("so many of them as you say must sign it together. It has no secrets, and neither has this.");
    let keys = keys(asked)?;
    let most = keys.len() as u64;
    let threshold =
        asked.text(&format!("How many of these {most} keys must sign"), Some(&majority(most)), |text| {
            text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or(format!("a number from 1 to {most}"))
        })?;
    let root =
        RootPlan { keys, threshold, days: days(asked, "root", "A new root is signed every so many days")? };
    asked.say("The server signs the other roles with its own key, and does so again in time.");
    let mut online = |role: &str| {
        let days = days(asked, role, &format!("A client believes a {role} for so many days"))?;
        Ok::<_, Failure>(OnlinePlan { days, online: None })
    };
    let (targets, snapshot, timestamp) = (online("targets")?, online("snapshot")?, online("timestamp")?);
    let (bins, roles) = delegation(asked)?;
    Ok(Plan {
        root,
        targets,
        snapshot,
        timestamp,
        bins,
        roles,
        tough_compatible: false,
        extensions: Map::new(),
    })
}

fn majority(of: u64) -> String {
    (of / 2 + 1).min(of).to_string()
}

fn keys(asked: &mut Asked<'_>) -> Result<Vec<Value>, Failure> {
    let mut keys: Vec<Value> = Vec::new();
    loop {
        let more = if keys.is_empty() { "" } else { " (nothing: that is all)" };
        let name = asked.text(&format!("Whose is root key {}{more}", keys.len() + 1), Some(""), |text| {
            let first = keys.is_empty() && text.is_empty();
            if first { Err("a name, such as `ana`".to_owned()) } else { Ok(text.to_owned()) }
        })?;
        if name.is_empty() {
            return Ok(keys);
        }
        let question = format!("The file of the key of {name}: PEM, or a public SSH key");
        let key = asked.text(&question, None, |text| match named_key(&name, Path::new(text)) {
            Ok(key) if keys.iter().any(|known| known["keyval"] == key["keyval"]) => {
                Err("that key is there already: each person has a key of their own".to_owned())
            }
            Ok(key) => Ok(key),
            Err(failure) => Err(failure.message),
        })?;
        keys.push(key);
    }
}

fn days(asked: &mut Asked<'_>, role: &str, question: &str) -> Result<u32, Failure> {
    asked.text(question, Some(&default_days(role).to_string()), |text| {
        let days = text.parse().map_err(|_| "a number of days".to_owned())?;
        check::days(role, days).map_err(|error| error.to_string())
    })
}

fn delegation(asked: &mut Asked<'_>) -> Result<(Option<BinsPlan>, Vec<DelegatedPlan>), Failure> {
    asked.say(
        "Targets are either spread over hash bins, all signed by the server, or go to roles by their paths,",
    );
    asked.say("each signed by people of its own or by the server.");
    let by_bins = asked.text("`bins` or `roles`", Some("bins"), |text| match text {
        "bins" => Ok(true),
        "roles" => Ok(false),
        _ => Err("`bins` or `roles`".to_owned()),
    })?;
    if !by_bins {
        return Ok((None, roles(asked)?));
    }
    let question = "How many bins; 16 for some thousands of targets, 16384 for millions";
    let number = asked.text(question, Some(&DEFAULT_BINS.to_string()), |text| {
        let number = text.parse().map_err(|_| "a number".to_owned())?;
        bins::bit_length(number).map(|_| number).map_err(|error| error.to_string())
    })?;
    let days = days(asked, "bins", "A client believes a bin for so many days")?;
    Ok((Some(BinsPlan { number, days }), Vec::new()))
}

fn roles(asked: &mut Asked<'_>) -> Result<Vec<DelegatedPlan>, Failure> {
    let mut roles: Vec<DelegatedPlan> = Vec::new();
    loop {
        let more = if roles.is_empty() { "" } else { " (nothing: that is all)" };
        let name =
            asked.text(&format!("The name of role {}{more}", roles.len() + 1), Some(""), |text| {
                match (text, roles.is_empty()) {
                    ("", false) => Ok(String::new()),
                    _ if roles.iter().any(|role| role.name == text) => {
                        Err("there is such a role already".to_owned())
                    }
                    _ => check::delegation::role_name(text)
                        .map(|()| text.to_owned())
                        .map_err(|error| error.to_string()),
                }
            })?;
        if name.is_empty() {
            return Ok(roles);
        }
        let paths = asked.text("Its paths, such as `dev/*`; several with commas", None, |text| {
            let paths: Vec<String> = text.split(',').map(|path| path.trim().to_owned()).collect();
            if paths.iter().any(String::is_empty) { Err("a pattern".to_owned()) } else { Ok(paths) }
        })?;
        let mut keys: Vec<Value> = Vec::new();
        loop {
            let key = asked.text(
                "The file of a key that signs it (nothing: no more; none at all: the server)",
                Some(""),
                |text| {
                    if text.is_empty() {
                        Ok(None)
                    } else {
                        named_key("", Path::new(text)).map(Some).map_err(|failure| failure.message)
                    }
                },
            )?;
            match key {
                Some(key) => keys.push(key),
                None => break,
            }
        }
        let most = keys.len().max(1) as u64;
        let threshold = if most == 1 {
            1
        } else {
            asked.text(&format!("How many of these {most} must sign"), Some("1"), |text| {
                text.parse()
                    .ok()
                    .filter(|n| (1..=most).contains(n))
                    .ok_or(format!("a number from 1 to {most}"))
            })?
        };
        let days = days(asked, &name, "A client believes it for so many days")?;
        roles.push(DelegatedPlan { name, paths, keys, threshold, terminating: true, days });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_make_a_plan_and_a_slip_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, n: u8| {
            let path = directory.path().join(name);
            let key = serde_json::json!({"keytype":"ed25519","scheme":"ed25519","keyval":{"public": format!("{n:02x}").repeat(32)}});
            std::fs::write(&path, key.to_string()).unwrap();
            path.display().to_string()
        };
        let (ana, bo) = (file("ana", 1), file("bo", 2));
        let answers = format!("\nana\n/nowhere\n{ana}\nbo\n{ana}\n{bo}\n\n3\n2\n30\n\n\n\nbins\n12\n256\n\n");
        let plan = plan(&mut Asked::prepared(&answers)).unwrap();
        assert_eq!((plan.root.keys.len(), plan.root.threshold, plan.root.days), (2, 2, 30));
        assert_eq!(plan.root.keys[1]["name"], "bo");
        assert_eq!((plan.bins.unwrap().number, plan.timestamp.days), (256, 1));
    }

    #[test]
    fn roles_are_asked_for_one_after_another() {
        let mut asked = Asked::prepared("dev\ndev/*, nightly/*\n\n30\nroot\nall\n*\n\n\n\n");
        let roles = roles(&mut asked).unwrap();
        assert_eq!(roles[0].paths, ["dev/*", "nightly/*"]);
        assert_eq!((roles.len(), roles[1].name.as_str(), roles[1].days), (2, "all", 90));
        assert!(roles[1].keys.is_empty());
    }
}
