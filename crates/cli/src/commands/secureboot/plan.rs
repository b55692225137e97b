//! Which updates bring a machine from old keys to new ones, in which order, signed by whom.
//!
//! ```text
//! KEK   gets the new one beside the old      by PK
//! db    gets the new one beside the old      by the old KEK
//! PK    becomes the new one                  by the old PK: from here on there is no way back
//! KEK   loses the old one                    by the new PK
//! db    loses the old one                    by the new KEK
//! ```
//!
//! UEFI 2.10, 8.2.2 and 32.3: PK signs PK and KEK, a KEK signs db and dbx, and an update that replaces must be later
//! than what is there. Between any two steps a machine starts what it started before, and takes the next step.

use countersign_pki::efi_var::{self, Variable};
use countersign_pki::esl::{CERT_X509, EslError, Guid, SignatureDatabase, SignatureList};
use jiff::Timestamp;

use super::holder::{Holder, KeyPlace};
use super::present::Present;

/// What is to become of a machine's keys.
#[derive(Debug)]
pub struct Wish {
    /// The PK that it has.
    pub pk: Holder,
    /// The PK that it gets.
    pub new_pk: Option<Holder>,
    /// The KEKs that it has and that go; the first signs db.
    pub kek: Vec<Holder>,
    /// The KEK that it gets.
    pub new_kek: Option<Holder>,
    /// The certificates in db that go.
    pub db: Vec<Holder>,
    /// The certificate that db gets.
    pub new_db: Option<Holder>,
    /// Whether the new KEK is appended.
    pub append: bool,
    /// Who owns new entries.
    pub owner: Guid,
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// KEK has the old and the new one.
    AddKek,
    /// db has the old and the new one.
    AddDb,
    /// The new PK takes the place of the old.
    ReplacePk,
    /// KEK has the new one.
    DropKek,
    /// db has the new one.
    DropDb,
}

/// An update to be signed.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is for.
    pub purpose: Purpose,
    /// The variable.
    pub variable: Variable,
    /// Whether it is added to what the variable holds, or takes its place.
    pub append: bool,
    /// Who signs.
    pub signer: Holder,
    /// Those of its certificates that the command line named.
    pub ours: Vec<Holder>,
    /// What it holds.
    pub lists: SignatureDatabase,
}

/// Why there is no safe way.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No new key is named.
    #[error("no new key is named")]
    Nothing,
    /// The new key is an old one.
    #[error("`{name}` has the same key as `{old}`, which it is to take the place of in {variable}")]
    SameKey { variable: Variable, name: String, old: String },
    /// A certificate that is not in the variable.
    #[error("`{name}` is not in the machine's {variable}")]
    NotPresent { variable: Variable, name: String },
    /// Nobody says what a variable holds.
    #[error("nobody says what the machine's {variable} holds")]
    NotKnown { variable: Variable },
    /// A PK that holds more than one certificate.
    #[error("the machine's PK holds {entries} entries, and not one")]
    SeveralPk { entries: usize },
    /// A new certificate that is not valid now.
    #[error("the certificate of `{name}` is valid from {from} to {to}, and not now")]
    NotValid { name: String, from: Timestamp, to: Timestamp },
    /// A key that firmware does not know.
    #[error("the key of `{name}` is of a type that firmware does not take")]
    KeyType { name: String },
    /// A certificate without its key has to sign.
    #[error("`{name}` has to sign {variable}, and is only a certificate")]
    CannotSign { variable: Variable, name: String },
    /// The appliance replaces KEK and never appends to it.
    #[error("the signing appliance does not append to KEK")]
    AppendByAppliance,
    /// The appliance signs lists of its own certificates for KEK.
    #[error(
        "{variable} holds what the signing appliance has no certificate of, and it signs PK and KEK of its own only"
    )]
    Others { variable: Variable },
    /// A variable would be deleted.
    #[error(transparent)]
    Lists(#[from] EslError),
}

impl PlanError {
    /// One sentence for the person at the terminal.
    pub fn hint(&self) -> String {
        match self {
            Self::Nothing => "give one or more of `--new-pk`, `--new-kek` and `--new-db`".into(),
            Self::SameKey { .. } => {
                "make a new key; a new certificate of the old key replaces nothing".into()
            }
            Self::NotPresent { .. } => "name what the machine has: `efi-readvar` shows it".into(),
            Self::NotKnown { variable } => {
                format!(
                    "copy it from a machine with `efi-readvar -v {variable} -o {variable}.esl`, and give `--present DIR`"
                )
            }
            Self::SeveralPk { .. } => "firmware has exactly one platform key: look at the machine".into(),
            Self::NotValid { .. } => "make another certificate".into(),
            Self::KeyType { .. } => "firmware knows RSA; with 2048 bits every one does".into(),
            Self::CannotSign { .. } => "give its key, too: `KEY,FILE`, or the id in the appliance".into(),
            Self::AppendByAppliance => {
                "leave `--append` out: the old and the new one are written together".into()
            }
            Self::Others { .. } => {
                "sign with a PK among the keys of the server (`KEY,FILE`), or bring the others into the \
                                    appliance and name them with `--kek`"
                    .into()
            }
            Self::Lists(error) => error.hint().into(),
        }
    }
}

/// The steps of a rotation, in their order.
///
/// - `now`: against which the new certificates' validity is judged. Firmware has no clock that it believes, so the
///   old ones' does not matter.
///
/// # Errors
/// [`PlanError`], for whatever would leave a machine without a key that is known here.
pub fn plan(wish: &Wish, present: &Present, now: Timestamp) -> Result<Vec<Step>, PlanError> {
    check_new_keys(wish, now)?;
    check_old_keys(wish, present)?;
    let mut steps = Vec::new();
    if let Some(new) = &wish.new_kek {
        steps.extend(add_kek(wish, present, new)?);
    }
    if let (Some(new), Some(kek)) = (&wish.new_db, wish.kek.first()) {
        steps.extend(add_db(wish, present, new, kek)?);
    }
    if let Some(new) = &wish.new_pk {
        let lists = SignatureDatabase::new(vec![entry(wish, new)])?;
        steps.push(step(Purpose::ReplacePk, &wish.pk, vec![new.clone()], lists)?);
    }
    if let Some(new) = &wish.new_kek {
        let (lists, others) = without(wish, present, Variable::Kek, &wish.kek, new)?;
        let pk = wish.new_pk.as_ref().unwrap_or(&wish.pk);
        if others && pk.appliance_id().is_some() {
            return Err(PlanError::Others { variable: Variable::Kek });
        }
        steps.push(step(Purpose::DropKek, pk, vec![new.clone()], lists)?);
    }
    if let (Some(new), Some(old), false) = (&wish.new_db, wish.kek.first(), wish.db.is_empty()) {
        let (lists, _) = without(wish, present, Variable::Db, &wish.db, new)?;
        let kek = wish.new_kek.as_ref().unwrap_or(old);
        steps.push(step(Purpose::DropDb, kek, vec![new.clone()], lists)?);
    }
    Ok(steps)
}

/// For each variable, the old ones and the new one.
fn changes(wish: &Wish) -> impl Iterator<Item = (Variable, &[Holder], &Holder)> {
    let all = [
        (Variable::Pk, std::slice::from_ref(&wish.pk), wish.new_pk.as_ref()),
        (Variable::Kek, &wish.kek[..], wish.new_kek.as_ref()),
        (Variable::Db, &wish.db[..], wish.new_db.as_ref()),
    ];
    all.into_iter().filter_map(|(variable, old, new)| Some((variable, old, new?)))
}

fn check_new_keys(wish: &Wish, now: Timestamp) -> Result<(), PlanError> {
    if changes(wish).next().is_none() {
        return Err(PlanError::Nothing);
    }
    for (variable, old, new) in changes(wish) {
        let name = || new.name.clone();
        if let Some(old) = old.iter().find(|old| old.key() == new.key()) {
            return Err(PlanError::SameKey { variable, name: name(), old: old.name.clone() });
        }
        let (from, to) = (new.certificate.not_before(), new.certificate.not_after());
        if now < from || to < now {
            return Err(PlanError::NotValid { name: name(), from, to });
        }
        if efi_var::scheme_for(new.key().key_type()).is_none() || new.key().is_weak() {
            return Err(PlanError::KeyType { name: name() });
        }
    }
    Ok(())
}

fn check_old_keys(wish: &Wish, present: &Present) -> Result<(), PlanError> {
    let old = [
        (Variable::Pk, std::slice::from_ref(&wish.pk)),
        (Variable::Kek, &wish.kek[..]),
        (Variable::Db, &wish.db[..]),
    ];
    for (variable, holders) in old.into_iter().filter(|(_, holders)| !holders.is_empty()) {
        let known = &present.of(variable).ok_or(PlanError::NotKnown { variable })?.lists;
        if let Some(missing) = holders.iter().find(|holder| !has(known, holder)) {
            return Err(PlanError::NotPresent { variable, name: missing.name.clone() });
        }
        let entries = known.lists().iter().map(|list| list.entries().len()).sum();
        if variable == Variable::Pk && entries != 1 {
            return Err(PlanError::SeveralPk { entries });
        }
    }
    Ok(())
}

/// KEK with the new one beside all that is there; nothing to do where it is there already.
fn add_kek(wish: &Wish, present: &Present, new: &Holder) -> Result<Option<Step>, PlanError> {
    let known = &present.of(Variable::Kek).ok_or(PlanError::NotKnown { variable: Variable::Kek })?.lists;
    if has(known, new) {
        return Ok(None);
    }
    let by_appliance = wish.pk.appliance_id().is_some();
    if wish.append {
        if by_appliance {
            return Err(PlanError::AppendByAppliance);
        }
        let lists = SignatureDatabase::new(vec![entry(wish, new)])?;
        return step(Purpose::AddKek, &wish.pk, vec![new.clone()], lists)
            .map(|step| Some(Step { append: true, ..step }));
    }
    let (_, others) = without(wish, present, Variable::Kek, &wish.kek, new)?;
    if by_appliance && others {
        return Err(PlanError::Others { variable: Variable::Kek });
    }
    let ours: Vec<Holder> = wish.kek.iter().chain([new]).cloned().collect();
    let lists = known.lists().iter().cloned().chain([entry(wish, new)]).collect();
    step(Purpose::AddKek, &wish.pk, ours, SignatureDatabase::new(lists)?).map(Some)
}

/// The new one for db, appended; nothing to do where it is known to be there.
fn add_db(wish: &Wish, present: &Present, new: &Holder, kek: &Holder) -> Result<Option<Step>, PlanError> {
    if present.of(Variable::Db).is_some_and(|known| has(&known.lists, new)) {
        return Ok(None);
    }
    let lists = SignatureDatabase::new(vec![entry(wish, new)])?;
    let step = step(Purpose::AddDb, kek, vec![new.clone()], lists)?;
    Ok(Some(Step { append: true, ..step }))
}

/// A step that replaces.
fn step(
    purpose: Purpose,
    signer: &Holder,
    ours: Vec<Holder>,
    lists: SignatureDatabase,
) -> Result<Step, PlanError> {
    let variable = match purpose {
        Purpose::ReplacePk => Variable::Pk,
        Purpose::AddKek | Purpose::DropKek => Variable::Kek,
        Purpose::AddDb | Purpose::DropDb => Variable::Db,
    };
    if signer.place == KeyPlace::Elsewhere {
        return Err(PlanError::CannotSign { variable, name: signer.name.clone() });
    }
    if efi_var::scheme_for(signer.key().key_type()).is_none() || signer.key().is_weak() {
        return Err(PlanError::KeyType { name: signer.name.clone() });
    }
    // The appliance makes the lists of PK and KEK itself, of certificates that it has.
    let own_only = signer.appliance_id().is_some() && variable != Variable::Db;
    if own_only && ours.iter().any(|holder| holder.appliance_id().is_none()) {
        return Err(PlanError::Others { variable });
    }
    Ok(Step { purpose, variable, append: false, signer: signer.clone(), ours, lists })
}

/// What a variable holds without the old ones, and with the new one once; and whether there is more than that.
fn without(
    wish: &Wish,
    present: &Present,
    variable: Variable,
    old: &[Holder],
    new: &Holder,
) -> Result<(SignatureDatabase, bool), PlanError> {
    let known = &present.of(variable).ok_or(PlanError::NotKnown { variable })?.lists;
    let gone = |data: &[u8]| old.iter().chain([new]).any(|holder| holder.certificate.der() == data);
    let mut lists = Vec::new();
    for list in known.lists() {
        let entries = list.entries();
        if list.signature_type() != CERT_X509 || !entries.iter().any(|entry| gone(&entry.data)) {
            lists.push(list.clone());
            continue;
        }
        let kept = entries.iter().filter(|entry| !gone(&entry.data));
        lists.extend(kept.map(|entry| SignatureList::x509(entry.owner, &entry.data)));
    }
    let others = !lists.is_empty();
    lists.push(entry(wish, new));
    Ok((SignatureDatabase::new(lists)?, others))
}

fn entry(wish: &Wish, holder: &Holder) -> SignatureList {
    SignatureList::x509(wish.owner, holder.certificate.der())
}

fn has(lists: &SignatureDatabase, holder: &Holder) -> bool {
    lists.certificates().any(|der| der == holder.certificate.der())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
