//! i.MX trees of an archive: certificates, their keys, and what the fuses are burnt with.

use std::collections::{BTreeMap, BTreeSet};

use countersign_keyhost::archive::{ArchivedKey, TreeFile};
use countersign_model::HashAlg;
use countersign_pki::imx::srk::{self, Family, HabEntry, SuperRootKey};
use countersign_pki::x509::Certificate;
use countersign_store::{TreeMemberRecord, TreeRecord};
use jiff::Timestamp;

use super::super::Error;
use super::contents::{self, Found, Imported, Keys};

/// Takes the trees into `found`, and their keys from `keys`. A tree without its table of super root keys was
/// never finished, and is passed over with its keys.
///
/// # Errors
/// [`Error::Invalid`] if certificates, keys, table and fuses do not belong together.
pub(super) fn read(
    files: Vec<TreeFile>,
    keys: &mut Keys,
    now: Timestamp,
    found: &mut Found,
) -> Result<(), Error> {
    let mut trees: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for file in files {
        trees.entry(file.tree).or_default().insert(file.path, file.content);
    }
    for (id, files) in trees {
        match read_tree(&id, &files, keys, now)? {
            Some((record, imported)) => {
                found.batch.keys.extend(imported.into_iter().map(|key| key.record));
                found.batch.trees.push(record);
            }
            None => found.skipped.push(format!("pki/{id}")),
        }
    }
    Ok(())
}

fn read_tree(
    id: &str,
    files: &BTreeMap<String, Vec<u8>>,
    keys: &mut Keys,
    now: Timestamp,
) -> Result<Option<(TreeRecord, Vec<Imported>)>, Error> {
    let Some(table) = files.get("SRK_table.bin") else { return Ok(None) };
    let certificates = certificates(id, files)?;
    let (family, _) = srk::entries(table).map_err(|why| refused(id, &why))?;
    let fuses = srk::fuses(table).map_err(|why| refused(id, &why))?;
    check_table(family, table, &fuses, &certificates).map_err(|why| refused(id, &why))?;
    if files.get("SRK_efuses.bin").is_some_and(|written| *written != fuses) {
        return Err(refused(id, &"`SRK_efuses.bin` does not belong to `SRK_table.bin`"));
    }

    let mut members = Vec::new();
    let mut imported = Vec::new();
    for (name, certificate) in &certificates {
        let archived = ArchivedKey::Pki { tree: id.to_owned(), name: name.clone() };
        let key = keys.remove(&archived);
        if key.as_ref().is_some_and(|key| key.public != *certificate.public_key()) {
            return Err(contents::mismatch(&format!("pki/{id}/crts/{name}_crt.pem")));
        }
        let signing_key = key.as_ref().map(|key| key.record.name.clone());
        members.push(TreeMemberRecord { name: name.clone(), signing_key, der: certificate.der().to_vec() });
        imported.extend(key);
    }
    let kind = match family {
        Family::Hab => "hab",
        Family::Ahab => "ahab",
    };
    let (kind, srk_table) = (kind.to_owned(), table.clone());
    let record = TreeRecord { id: id.to_owned(), kind, srk_table, fuses, created: now, members };
    Ok(Some((record, imported)))
}

fn refused(id: &str, why: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("the tree `{id}` of the archive: {why}"))
}

/// `crts/NAME_crt.pem` by name. The same in DER beside it, and numbered copies, are not looked at.
fn certificates(id: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Certificate>, Error> {
    let named = |(path, content): (&String, &Vec<u8>)| {
        let name = path.strip_prefix("crts/")?.strip_suffix("_crt.pem")?.to_owned();
        let certificate = contents::certificate(&format!("pki/{id}/{path}"), content);
        Some(certificate.map(|certificate| (name, certificate)))
    };
    files.iter().filter_map(named).collect()
}

/// Whether the table is that of the certificates of the super root keys.
fn check_table(
    family: Family,
    table: &[u8],
    fuses: &[u8],
    certificates: &BTreeMap<String, Certificate>,
) -> Result<(), String> {
    let keys = super_root_keys(certificates)?;
    let text = |error: srk::SrkError| error.to_string();
    let good = match family {
        Family::Hab => srk::hab_fuses(&keys.map(HabEntry::Key)).map_err(text)? == fuses,
        // The names say which hash, but they need not be kept: there are three.
        Family::Ahab => [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512]
            .into_iter()
            .any(|hash| srk::ahab_table(&keys, hash).is_ok_and(|made| made == table)),
    };
    if good { Ok(()) } else { Err("`SRK_table.bin` is not that of its certificates".into()) }
}

/// The keys of `SRK1_…` to `SRK4_…`.
fn super_root_keys(certificates: &BTreeMap<String, Certificate>) -> Result<[SuperRootKey; 4], String> {
    let key = |number: u8| {
        let prefix = format!("SRK{number}_");
        let named = certificates.iter().filter(|(name, _)| name.starts_with(&prefix));
        let keys: BTreeSet<&str> = named.clone().map(|(name, _)| name.as_str()).collect();
        match (named.map(|(_, certificate)| certificate).next(), keys.len()) {
            (Some(certificate), 1) => {
                Ok(SuperRootKey { key: certificate.public_key().clone(), is_ca: certificate.is_authority() })
            }
            (_, count) => {
                Err(format!("{count} certificates of super root key {number}, where one is expected"))
            }
        }
    };
    Ok([key(1)?, key(2)?, key(3)?, key(4)?])
}
