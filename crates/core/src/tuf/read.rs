//! Answers about the state, the settings, and what waits for signatures.

use std::collections::BTreeMap;

use countersign_model::time;
use countersign_store::{PendingRow, TufTx};
use countersign_tuf::check;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use countersign_tuf::root::Role;
use serde_json::{Map, Value, json};

use super::Error;
use super::repository::{Bootstrap, Delegation, Repository};
use super::root::{ROOT, damaged, stored};
use super::{role, serve};
use crate::Context;

/// An answer: the surface's `data` and `message`.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `data`.
    pub data: Value,
    /// `message`.
    pub message: &'static str,
}

/// GET bootstrap: `{"bootstrap":bool,("state","id")}`.
///
/// # Errors
/// [`Error::Other`] if the database cannot be read.
pub async fn bootstrap(ctx: &Context) -> Result<Answer, Error> {
    let mut tx = ctx.store.tuf_read().await?;
    let state = Repository::load(&mut tx).await?.bootstrap;
    let finished = state.is_finished();
    let Some(id) = state.id() else {
        let data = json!({"bootstrap": false});
        return Ok(Answer { data, message: "System available for bootstrap." });
    };
    let data = json!({"bootstrap": finished, "state": state.state_text(), "id": id});
    Ok(Answer { data, message: "System LOCKED for bootstrap." })
}

/// GET config: every setting under its lower-case name.
///
/// - `bootstrap`: the id of the first bootstrap task.
/// - `R_expiration` (days), `R_threshold`, `R_num_keys` for `root`, `targets`, `snapshot`, `timestamp`, and for `bins` or
///   each delegated role.
/// - `number_of_delegated_bins`, where there are bins; `targets_online_key`: true.
/// - `root_signing`, and for roles that people sign `R_signing`: what is pending, or null.
///
/// # Errors
/// [`Error::WrongState`] before the end of the bootstrap.
pub async fn config(ctx: &Context) -> Result<Value, Error> {
    let mut tx = ctx.store.tuf_read().await?;
    let repository = Repository::load(&mut tx).await?;
    let Bootstrap::Finished(id) = &repository.bootstrap else {
        let (message, wanted) = ("No Repository Settings/Config found.", "It requires bootstrap.");
        return Err(Error::state(message, wanted, &repository.bootstrap));
    };
    let root = root_in_force(&mut tx, &repository).await?.ok_or_else(|| damaged("the root in force"))?;
    let root = root.root().map_err(|_| damaged("the root in force"))?;
    let mut settings = Settings::default();
    settings.values.insert("bootstrap".to_owned(), json!(id));
    settings.values.insert("targets_online_key".to_owned(), json!(true));
    for kind in Kind::ALL {
        let days = repository.days.get(kind.as_str()).copied();
        settings.add_role(kind.as_str(), days, root.role(kind));
    }
    settings.add_delegated(&mut tx, &repository).await?;
    settings.values.insert("root_signing".to_owned(), Value::Null);
    for pending in tx.all_pending().await? {
        let name = settings.name(&pending.role, "signing");
        settings.values.insert(name, value_of(&pending)?);
    }
    Ok(Value::Object(settings.values))
}

/// GET metadata/sign: `{"metadata":{ROLE:MD,…,"trusted_root","trusted_targets"},"status":{ROLE:{…}}}`; `None` if nothing
/// is pending.
///
/// # Errors
/// [`Error::WrongState`] before a bootstrap.
pub async fn signing(ctx: &Context) -> Result<Option<Value>, Error> {
    let mut tx = ctx.store.tuf_read().await?;
    let repository = Repository::load(&mut tx).await?;
    if !matches!(repository.bootstrap, Bootstrap::Signing(_) | Bootstrap::Finished(_)) {
        let (message, wanted) = ("No metadata pending signing available", "Requires bootstrap started.");
        return Err(Error::state(message, wanted, &repository.bootstrap));
    }
    let pending = tx.all_pending().await?;
    if pending.is_empty() {
        return Ok(None);
    }
    let delegations = role::delegations(&mut tx).await?;
    let trusted = root_in_force(&mut tx, &repository).await?;
    let targets = match pending.iter().any(|row| row.role != ROOT) {
        true => public_targets(ctx, &mut tx).await?,
        false => None,
    };
    drop(tx);
    // Every signature is verified: not where others wait.
    let shown = tokio::task::spawn_blocking(move || {
        let mut shown = shown(&pending, trusted.as_ref(), delegations.as_ref())?;
        if let Some(targets) = targets {
            shown["metadata"]["trusted_targets"] = targets;
        }
        Ok::<_, Error>(shown)
    });
    let internal = |_| crate::Error::Internal("what is pending could not be shown".into());
    Ok(Some(shown.await.map_err(internal)??))
}

/// What is pending, with the root in force where a root is, and who has signed.
fn shown(
    pending: &[PendingRow],
    trusted: Option<&Document>,
    delegations: Option<&Delegations>,
) -> Result<Value, Error> {
    let (mut metadata, mut status) = (Map::new(), Map::new());
    for row in pending {
        let document = stored(&row.document)?;
        metadata.insert(row.role.clone(), document.to_value());
        let progress = if row.role == ROOT {
            if let Some(trusted) = trusted {
                metadata.insert("trusted_root".to_owned(), trusted.to_value());
            }
            let signed = check::root::progress(&document, trusted);
            signed.map_err(|_| damaged("a pending root"))?.status(document.version(), &submitted(row))
        } else {
            role_status(&document, row, delegations)
        };
        status.insert(row.role.clone(), progress);
    }
    Ok(json!({"metadata": metadata, "status": status}))
}

/// `{"version","submitted","trusted":{"threshold","have","missing"}}`, counted by the delegation in force.
fn role_status(document: &Document, row: &PendingRow, delegations: Option<&Delegations>) -> Value {
    let tally = delegations.and_then(|known| check::delegation::progress(document, known, &row.role));
    let mut status = json!({"version": document.version(), "submitted": submitted(row)});
    if let Some(tally) = tally {
        status["trusted"] = check::root::tally(&tally);
    }
    status
}

fn submitted(row: &PendingRow) -> String {
    time::seconds(row.submitted)
}

fn value_of(row: &PendingRow) -> Result<Value, Error> {
    Ok(stored(&row.document)?.to_value())
}

async fn root_in_force(tx: &mut TufTx, repository: &Repository) -> Result<Option<Document>, Error> {
    if repository.root_version == 0 {
        return Ok(None);
    }
    tx.root(repository.root_version).await?.map(|text| stored(&text)).transpose()
}

/// The top-level targets that clients see: while a new version is on its way, the one before it.
async fn public_targets(ctx: &Context, tx: &mut TufTx) -> Result<Option<Value>, Error> {
    let name = Kind::Targets.as_str();
    let Some(row) = tx.role(name).await? else { return Ok(None) };
    for version in [row.version, row.version.saturating_sub(1)] {
        if let Some(served) =
            serve::metadata(ctx, &file_name(name, Some(version)), serve::Form::Plain).await?
        {
            let bytes = served.bytes;
            let document = Document::parse(&bytes).map_err(|_| damaged("the targets"))?;
            return Ok(Some(document.to_value()));
        }
    }
    Ok(None)
}

/// Settings by name.
#[derive(Default)]
struct Settings {
    values: Map<String, Value>,
    /// Whose are the settings that begin so.
    owners: BTreeMap<String, String>,
}

impl Settings {
    fn add_role(&mut self, name: &str, days: Option<u32>, role: &Role) {
        let members = [
            ("expiration", json!(days)),
            ("threshold", json!(role.threshold)),
            ("num_keys", json!(role.keyids.len())),
        ];
        let names = members.map(|(what, value)| (self.name(name, what), value));
        self.values.extend(names);
    }

    async fn add_delegated(&mut self, tx: &mut TufTx, repository: &Repository) -> Result<(), Error> {
        let Some(delegations) = role::delegations(tx).await? else { return Ok(()) };
        match &delegations.delegated {
            Delegated::Bins(bins) => {
                if let Delegation::Bins(bits) = repository.delegation {
                    self.values.insert("number_of_delegated_bins".to_owned(), json!(1_u32 << bits.min(31)));
                }
                self.add_role("bins", repository.days.get("bins").copied(), &bins.role);
            }
            Delegated::Roles(roles) => {
                let names: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
                let rows = tx.roles(&names).await?;
                let rows: BTreeMap<&str, (u32, bool)> =
                    rows.iter().map(|row| (row.name.as_str(), (row.days, row.online))).collect();
                for role in roles {
                    let row = rows.get(role.name.as_str());
                    self.add_role(&role.name, row.map(|(days, _)| *days), &role.role);
                    if row.is_some_and(|(_, online)| !online) {
                        let name = self.name(&role.name, "signing");
                        self.values.insert(name, Value::Null);
                    }
                }
            }
        }
        Ok(())
    }

    /// `ROLE_what` in small letters; as the role is spelled, where another role has the same small letters.
    fn name(&mut self, role: &str, what: &str) -> String {
        let small = role.to_lowercase();
        let owner = self.owners.entry(small.clone()).or_insert_with(|| role.to_owned());
        let prefix = if owner == role { &small } else { role };
        format!("{prefix}_{what}")
    }
}
