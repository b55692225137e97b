//! What waits for signatures, as the server shows it, and what is in force, from which it must follow.
//!
//! Nothing of it is believed: a signature does not say which role it was asked for, so a server that was taken over
//! may show one thing under the name of another.

use countersign_tuf::delegation::Delegations;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::{Keys, Role, Root};
use countersign_tuf::threshold::{self, Tally};
use serde_json::{Map, Value};

use super::roots::{Roots, refuse};
use super::words;
use crate::failure::{Failure, OrUnknown as _};

/// The names under which the server shows what is in force beside what is pending.
const TRUSTED_ROOT: &str = "trusted_root";
const TRUSTED_TARGETS: &str = "trusted_targets";

/// All that waits.
pub struct Pending {
    /// By role.
    pub roles: Vec<(String, Document)>,
    /// The root in force, if there is one and a root is pending.
    pub trusted_root: Option<Document>,
    /// The targets in force, if a delegated role is pending.
    pub trusted_targets: Option<Document>,
    /// Who waits for whom, by role, as the server says.
    pub status: Map<String, Value>,
}

impl Pending {
    /// Reads the `data` of `GET metadata/sign`; null: nothing waits.
    ///
    /// # Errors
    /// If it is not what it should be, each of the type that its name says.
    pub fn read(data: &Value) -> Result<Self, Failure> {
        let mut pending =
            Self { roles: Vec::new(), trusted_root: None, trusted_targets: None, status: Map::new() };
        for (name, value) in data["metadata"].as_object().into_iter().flatten() {
            let document = Document::from_value(value.clone())
                .or_unknown(&format!("what the server shows as `{}` is no metadata", words::shown(name)))?;
            if Some(document.kind()) != kind_of(name) {
                return Err(Failure::refused(format!(
                    "the server shows metadata of type `{}` as `{}`",
                    document.kind(),
                    words::shown(name)
                ))
                .hint("do not sign: a signature over it would count for another role"));
            }
            match name.as_str() {
                TRUSTED_ROOT => pending.trusted_root = Some(document),
                TRUSTED_TARGETS => pending.trusted_targets = Some(document),
                _ => pending.roles.push((name.clone(), document)),
            }
        }
        pending.status = data["status"].as_object().cloned().unwrap_or_default();
        Ok(pending)
    }

    /// The pending document of `role`, or of the only role that there is.
    ///
    /// # Errors
    /// If there is none, or nobody said which of several.
    pub fn choose(&self, role: Option<&str>) -> Result<(&str, &Document), Failure> {
        let names = || {
            let names: Vec<String> = self.roles.iter().map(|(name, _)| words::shown(name)).collect();
            names.join(", ")
        };
        match (role, self.roles.as_slice()) {
            (_, []) => Err(Failure::refused("nothing waits for signatures")
                .hint("`countersign tuf status` says how far the repository is")),
            (None, [(name, document)]) => Ok((name, document)),
            (None, _) => Err(Failure::unknown(format!("several roles wait for signatures: {}", names()))
                .hint("name one with `--role`")),
            (Some(role), all) => {
                let found = all.iter().find(|(name, _)| name == role);
                found.map(|(name, document)| (name.as_str(), document)).ok_or_else(|| {
                    Failure::refused(format!("no signatures are pending for `{role}`"))
                        .hint(format!("they are for {}", names()))
                })
            }
        }
    }

    /// The root in force, verified, from which the pending root `document` follows; `None`: it is the first.
    ///
    /// - `own`: a root that the signer trusts.
    ///
    /// # Errors
    /// If it does not follow, or what is in force is not shown although there is something.
    pub async fn root_in_force(
        &self,
        document: &Document,
        roots: &Roots,
        own: Option<&[u8]>,
    ) -> Result<Option<&Document>, Failure> {
        let version = document.version();
        let Some(trusted) = &self.trusted_root else {
            if version == 1 && own.is_none() && roots.version(1).await?.is_none() {
                return Ok(None);
            }
            return Err(refuse(&format!(
                "the server does not show the root in force, from which the pending root {version} must follow"
            )));
        };
        roots.lead_to(own, trusted).await?;
        if trusted.version().checked_add(1) == Some(version) {
            return Ok(Some(trusted));
        }
        let trusted = trusted.version();
        Err(refuse(&format!("the pending root has version {version}, and {trusted} is in force")))
    }

    /// Checks that the targets in force, who delegate, are signed as the newest root demands.
    ///
    /// - `own`: a root that the signer trusts.
    ///
    /// # Errors
    /// If they are not, or are not shown.
    pub async fn check_targets(&self, roots: &Roots, own: Option<&[u8]>) -> Result<(), Failure> {
        let Some(targets) = &self.trusted_targets else { return Err(nobody_delegates()) };
        let root = roots.newest(own).await?;
        let view = root.root().or_unknown("the root in force is no root")?;
        let name = Kind::Targets;
        threshold::verify(targets, &view.keys, view.role(name), name.as_str())
            .map_err(|error| refuse(&format!("root {} does not know these targets: {error}", root.version())))
    }

    /// Who may sign `role`: each with its keys and what it counts for.
    ///
    /// # Errors
    /// If the metadata are not what they should be.
    pub fn signers(&self, role: &str, document: &Document) -> Result<Vec<Signers>, Failure> {
        if role == Kind::Root.as_str() {
            let of = |name: &'static str, document: &Document| {
                let root = document.root().or_unknown("what is pending is no root")?;
                Ok::<_, Failure>(Signers::of_root(name, document.clone(), &root))
            };
            let trusted =
                self.trusted_root.as_ref().map(|trusted| of("the root in force", trusted)).transpose()?;
            return Ok(trusted.into_iter().chain([of("the new root", document)?]).collect());
        }
        document.expect(Kind::Targets).or_unknown("what is pending is no delegated role")?;
        let targets = self.trusted_targets.as_ref();
        let delegations = targets.and_then(|targets| targets.targets().ok()?.delegations);
        let (Some(targets), Some(delegations)) = (targets, delegations) else {
            return Err(nobody_delegates());
        };
        let by: &Delegations = &delegations;
        let role = by.role(role).ok_or_else(|| Failure::refused(format!("nobody delegates to `{role}`")))?;
        Ok(vec![Signers {
            name: "the targets in force",
            named_in: targets.clone(),
            keys: by.keys.clone(),
            role: role.clone(),
        }])
    }
}

/// The type of what is shown under `name`; `None` for what nobody but the server signs.
fn kind_of(name: &str) -> Option<Kind> {
    match (name, Kind::of_name(name)) {
        (TRUSTED_ROOT, _) | (_, Some(Kind::Root)) => Some(Kind::Root),
        (_, Some(Kind::Timestamp | Kind::Snapshot)) => None,
        // Delegated roles are of type targets.
        _ => Some(Kind::Targets),
    }
}

fn nobody_delegates() -> Failure {
    Failure::unknown("the server does not show who delegates to the role")
}

/// Keys that count for a pending document.
pub struct Signers {
    /// Who says so.
    pub name: &'static str,
    /// Where the keys stand.
    pub named_in: Document,
    /// All keys there.
    pub keys: Keys,
    /// Which of them count, and how many must sign.
    pub role: Role,
}

impl Signers {
    fn of_root(name: &'static str, document: Document, root: &Root) -> Self {
        Self { name, named_in: document, keys: root.keys.clone(), role: root.role(Kind::Root).clone() }
    }

    /// Who has signed.
    pub fn tally(&self, document: &Document) -> Tally {
        Tally::of(document, &self.keys, &self.role)
    }

    /// `2 of 3 for the root in force; missing: bo (ed25519, 0a…)`.
    pub fn line(&self, document: &Document) -> String {
        let tally = self.tally(document);
        let missing: Vec<String> = tally.missing.iter().map(|keyid| self.key(keyid)).collect();
        let counted = format!("{} of {} signatures by {}", tally.have.len(), tally.threshold, self.name);
        match (tally.is_met(), missing.is_empty()) {
            (true, _) => counted,
            (false, false) => format!("{counted}; any of these can sign: {}", missing.join(", ")),
            (false, true) => format!("{counted}; nobody is left to sign"),
        }
    }

    fn key(&self, keyid: &str) -> String {
        // In targets the keys stand one level lower.
        match self.named_in.kind() {
            Kind::Root => words::key(&self.named_in, keyid),
            _ => words::shown(&keyid.chars().take(12).chain(['…']).collect::<String>()),
        }
    }
}
