//! The updates are signed by the server, one after the other, and judged as a machine judges them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use countersign_pki::efi_var::{AuthenticatedVariable, EfiTime, Update, Variable};
use countersign_pki::esl::SignatureDatabase;
use countersign_verify::format as judge;
use serde_json::json;

use super::appliance;
use super::holder::KeyPlace;
use super::plan::Step;
use super::present::Present;
use crate::api::{Api, Signed, base64, escape};
use crate::failure::Failure;

/// Times in variables are whole seconds: an update that replaces waits until the one before is a second old.
const BETWEEN: Duration = Duration::from_millis(1100);

/// Signs each step.
///
/// # Errors
/// What the server refuses, and if anything that it signed is not what a machine takes after the step before.
pub async fn sign_all(api: &Api, steps: &[Step], present: &Present) -> Result<Vec<Vec<u8>>, Failure> {
    let begun = Instant::now();
    let mut times = Times::default();
    for variable in Variable::ALL {
        if let Some(time) = present.of(variable).and_then(|known| known.time) {
            times.latest.insert(variable, (time, begun));
        }
    }
    let mut updates = Vec::new();
    for step in steps {
        if !step.append {
            times.wait(step.variable).await;
        }
        let auth = sign(api, step).await?;
        check(step, &auth, &mut times)?;
        updates.push(auth);
    }
    Ok(updates)
}

async fn sign(api: &Api, step: &Step) -> Result<Vec<u8>, Failure> {
    match (&step.signer.place, step.variable) {
        (KeyPlace::Appliance(signer), Variable::Pk | Variable::Kek) => {
            let ids: Vec<_> = step.ours.iter().filter_map(|holder| holder.appliance_id()).collect();
            appliance::sign_list(api, step.variable, &ids, signer).await
        }
        (KeyPlace::Appliance(signer), Variable::Db | Variable::Dbx) => {
            let esl = step.lists.to_bytes();
            appliance::sign_external(api, step.variable, &esl, signer, step.append).await
        }
        (KeyPlace::Native(key), variable) => {
            let wanted = json!({
                "format": "efi-var", "variable": variable.name(), "append": step.append, "subject": variable.name(),
                "certificate": base64(step.signer.certificate.der()), "message": base64(&step.lists.to_bytes()),
            });
            let answer = api.post(&format!("/keys/{}/sign", escape(key.as_str())), &wanted).await?;
            answer.json::<Signed>()?.signature()
        }
        (KeyPlace::Elsewhere, variable) => {
            Err(Failure::unknown(format!("`{}` has no key to sign {variable} with", step.signer.name)))
        }
    }
}

/// The update is the step's, by the step's signer, and later than what the variable had.
fn check(step: &Step, auth: &[u8], times: &mut Times) -> Result<(), Failure> {
    let (variable, signer) = (step.variable, &step.signer);
    let update = judge::efi_variable(auth, variable, &signer.certificate).map_err(|error| {
        Failure::refused(format!("the update of {variable} is not by `{}`: {error}", signer.name))
            .hint("the appliance signs a list once and for all: take certificates with other ids")
    })?;
    let held =
        AuthenticatedVariable::parse(auth).and_then(|update| Ok(SignatureDatabase::parse(update.esl)?));
    let held = held.map_err(|error| Failure::unknown(error.to_string()).hint(error.hint()))?;
    if !holds_the_same(&held, &step.lists) {
        return Err(Failure::unknown(format!("the update of {variable} does not hold what was asked for")));
    }
    match update {
        Update::Append if step.append => Ok(()),
        Update::Replace(time) if !step.append => times.take(variable, time),
        Update::Append | Update::Replace(_) => {
            Err(Failure::unknown(format!("the update of {variable} is of another kind than was asked for")))
        }
    }
}

/// Owners and order may differ: the appliance has its own.
fn holds_the_same(held: &SignatureDatabase, wanted: &SignatureDatabase) -> bool {
    let entries = |lists: &SignatureDatabase| {
        let typed = |list: &countersign_pki::esl::SignatureList| {
            let kind = list.signature_type();
            list.entries().iter().map(move |entry| (kind, entry.data.clone())).collect::<Vec<_>>()
        };
        let mut entries: Vec<_> = lists.lists().iter().flat_map(typed).collect();
        entries.sort_unstable();
        entries
    };
    entries(held) == entries(wanted)
}

/// The latest time of each variable, and when it was learnt.
#[derive(Default)]
struct Times {
    latest: BTreeMap<Variable, (EfiTime, Instant)>,
}

impl Times {
    async fn wait(&self, variable: Variable) {
        if let Some((_, since)) = self.latest.get(&variable) {
            tokio::time::sleep(BETWEEN.saturating_sub(since.elapsed())).await;
        }
    }

    fn take(&mut self, variable: Variable, time: EfiTime) -> Result<(), Failure> {
        if let Some((before, _)) = self.latest.get(&variable)
            && order(&time) <= order(before)
        {
            return Err(Failure::refused(format!(
                "the update of {variable} is of {time}, and the one before it of {before}: no machine takes it"
            ))
            .hint("is the server's clock right? what the appliance signed stays: take certificates with other ids"));
        }
        self.latest.insert(variable, (time, Instant::now()));
        Ok(())
    }
}

/// The year, then months to seconds.
fn order(time: &EfiTime) -> (u16, [u8; 5]) {
    let [y0, y1, month, day, hour, minute, second, ..] = *time.as_bytes();
    (u16::from_le_bytes([y0, y1]), [month, day, hour, minute, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> EfiTime {
        EfiTime::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_times_of_one_variable_grow() {
        let mut times = Times::default();
        let noon = time("2026-12-31T12:00:00Z");
        times.take(Variable::Kek, noon).unwrap();
        times.take(Variable::Pk, time("2026-01-01T00:00:00Z")).unwrap();
        for late in ["2026-12-31T12:00:00Z", "2026-12-31T11:59:59Z", "2025-12-31T23:59:59Z"] {
            let refused = times.take(Variable::Kek, time(late)).unwrap_err();
            assert_eq!(refused.code(), 1, "{late}");
        }
        times.take(Variable::Kek, time("2027-01-01T00:00:00Z")).unwrap();
    }
}
