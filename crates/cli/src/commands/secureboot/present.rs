//! What the variables of a machine hold before a rotation.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_pki::efi_var::{AuthenticatedVariable, EfiTime, Variable};
use countersign_pki::esl::{EslError, SignatureDatabase};

use super::appliance;
use super::holder::Holder;
use crate::api::Api;
use crate::failure::Failure;
use crate::files;

/// A variable before the rotation.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it holds.
    pub lists: SignatureDatabase,
    /// The time of the update that made it so, where that is known.
    pub time: Option<EfiTime>,
}

/// What is known of the variables.
#[derive(Clone, Debug, Default)]
pub struct Present {
    known: BTreeMap<Variable, Known>,
    /// Whether a machine was looked at, and not only what was signed for it.
    pub of_machine: bool,
}

impl Present {
    /// What is known of a variable.
    pub fn of(&self, variable: Variable) -> Option<&Known> {
        self.known.get(&variable)
    }

    /// Reads what was copied from a machine: `PK.esl` as `efi-readvar` writes it, or `PK-GUID` as the kernel shows
    /// it, with four bytes of attributes in front. A file that is not there says nothing.
    ///
    /// # Errors
    /// For files that cannot be read or hold something else, and if there is none at all.
    pub fn of_machine(directory: &Path) -> Result<Self, Failure> {
        let mut known = BTreeMap::new();
        for variable in Variable::ALL {
            let dumped = directory.join(format!("{variable}.esl"));
            let shown = directory.join(format!("{variable}-{}", variable.vendor()));
            let (path, attributes) = if dumped.is_file() { (dumped, 0) } else { (shown, 4) };
            if !path.is_file() {
                continue;
            }
            let bytes = files::read_small(&path)?;
            let read = bytes.get(attributes..).ok_or(EslError::Empty).and_then(SignatureDatabase::parse);
            let lists = read.map_err(|error| {
                Failure::unknown(format!("`{}`: {error}", path.display()))
                    .hint("copy it from the machine again: `efi-readvar -v PK -o PK.esl`")
            })?;
            known.insert(variable, Known { lists, time: None });
        }
        if known.is_empty() {
            return Err(Failure::unknown(format!("there is no `PK.esl` in `{}`", directory.display()))
                .hint("on the machine: `efi-readvar -v PK -o PK.esl`, and the same for KEK and db"));
        }
        Ok(Self { known, of_machine: true })
    }

    /// What the appliance signed for these keys: PK, the list of these KEKs, the list of these certificates for db.
    ///
    /// # Errors
    /// If the appliance cannot say. What it did not sign is not known.
    pub async fn of_appliance(
        api: &Api,
        pk: &Holder,
        kek: &[Holder],
        db: &[Holder],
    ) -> Result<Self, Failure> {
        let mut known = BTreeMap::new();
        let pk = std::slice::from_ref(pk);
        for (variable, holders) in [(Variable::Pk, pk), (Variable::Kek, kek), (Variable::Db, db)] {
            let ids: Option<Vec<_>> = holders.iter().map(Holder::appliance_id).collect();
            let Some(ids) = ids.filter(|ids| !ids.is_empty()) else { continue };
            let Some(auth) = appliance::signed_list(api, variable, &ids).await? else { continue };
            let read = AuthenticatedVariable::parse(&auth)
                .and_then(|update| Ok((SignatureDatabase::parse(update.esl)?, update.time)));
            let (lists, time) =
                read.map_err(|error| Failure::unknown(format!("the server's list for {variable}: {error}")))?;
            known.insert(variable, Known { lists, time: Some(time) });
        }
        Ok(Self { known, of_machine: false })
    }

    #[cfg(test)]
    pub(super) fn of_lists(
        of_machine: bool,
        lists: &[(Variable, Vec<countersign_pki::esl::SignatureList>)],
    ) -> Self {
        let known =
            |lists: &[_]| Known { lists: SignatureDatabase::new(lists.to_vec()).unwrap(), time: None };
        Self { known: lists.iter().map(|(variable, lists)| (*variable, known(lists))).collect(), of_machine }
    }
}

#[cfg(test)]
mod tests {
    use countersign_pki::esl::{Guid, SignatureList};

    use super::*;

    #[test]
    fn a_machine_is_read_from_both_forms_of_its_variables() {
        let directory = tempfile::tempdir().unwrap();
        let list = SignatureList::sha256(Guid::from_bytes([1; 16]), &[[7; 32]]).unwrap();
        let bytes = SignatureDatabase::new(vec![list]).unwrap().to_bytes();
        assert!(Present::of_machine(directory.path()).is_err(), "there is nothing");

        std::fs::write(directory.path().join("KEK.esl"), &bytes).unwrap();
        let name = "db-d719b2cb-3d3a-4596-a3bc-dad00e67656f";
        std::fs::write(directory.path().join(name), [b"\x27\0\0\0", &bytes[..]].concat()).unwrap();
        let present = Present::of_machine(directory.path()).unwrap();
        for (variable, known) in [(Variable::Pk, false), (Variable::Kek, true), (Variable::Db, true)] {
            assert_eq!(present.of(variable).is_some(), known, "{variable}");
        }

        for nonsense in [&b"\x27\0"[..], b"\x27\0\0\0", &bytes] {
            std::fs::write(directory.path().join(name), nonsense).unwrap();
            assert!(Present::of_machine(directory.path()).is_err(), "{nonsense:?}");
        }
    }
}
