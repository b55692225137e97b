//! Changes one bit of what was signed, of a signature, of a tag and of a log entry. Each must be refused.

use std::fs;
use std::path::Path;

use countersign_tlog::note::VerifierKey;

use super::authority::Authority;
use super::report::{Check, Signature, Tampered};
use super::signing::{Stage, proof_holds, tag_holds};
use crate::args::EncodingArg;
use crate::commands::verify::{Verdict, verify_file};
use crate::failure::Failure;
use crate::files;

/// Changes each thing once and says who refused it. `program` is what `signatures` say was signed.
pub fn run(
    stage: &Stage,
    authorities: &[Authority],
    program: &Path,
    signatures: &[Signature],
    key: &VerifierKey,
) -> Result<Vec<Tampered>, Failure> {
    let changed = stage.directory.join("changed");
    let entry = files::with_suffix(&changed, ".entry");
    let mut tampered = Vec::new();
    for authority in authorities {
        let of_program = |s: &&Signature| s.authority == authority.name && s.what == "program";
        let Some(signature) = signatures.iter().find(of_program) else { continue };
        copy_changed(program, &changed, Place::Middle)?;
        tampered.push(refusals("program", stage, authority, signature, &changed, &signature.file)?);
        copy_changed(&signature.file, &changed, Place::Middle)?;
        tampered.push(refusals("signature", stage, authority, signature, program, &changed)?);

        fs::copy(&signature.proof_file, &changed)
            .map_err(|error| Failure::file("write", &changed, &error))?;
        copy_changed(&files::with_suffix(&signature.proof_file, ".entry"), &entry, Place::Middle)?;
        tampered.push(Tampered {
            what: "log entry",
            authority: authority.name,
            openssl: Check::NotAsked,
            countersign: (!proof_holds(&changed, key, signature)?).into(),
        });
    }
    for signature in signatures.iter().filter(|s| stage.tag_file().ends_with(s.what)) {
        let Some(authority) = authorities.iter().find(|a| a.name == signature.authority) else { continue };
        copy_changed(&stage.tag_file(), &changed, Place::Start)?;
        tampered.push(Tampered {
            what: "tag",
            authority: authority.name,
            openssl: Check::NotAsked,
            countersign: (!tag_holds(&changed, authority)?).into(),
        });
    }
    let _ = fs::remove_file(changed);
    let _ = fs::remove_file(entry);
    Ok(tampered)
}

fn refusals(
    what: &'static str,
    stage: &Stage,
    authority: &Authority,
    signature: &Signature,
    file: &Path,
    signature_file: &Path,
) -> Result<Tampered, Failure> {
    let (bytes, scheme) = (files::read_small(signature_file)?, signature.scheme);
    let verdict = verify_file(file, &bytes, &authority.public_key, scheme, EncodingArg::Der)?;
    Ok(Tampered {
        what,
        authority: authority.name,
        openssl: stage.by_openssl(authority, scheme, file, signature_file)?.opposite(),
        countersign: (verdict != Verdict::Valid).into(),
    })
}

/// Where the changed bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the first byte.
    Start,
    /// In the byte in the middle.
    Middle,
}

/// Copies a file with one bit changed.
///
/// # Errors
/// If it cannot be copied.
pub fn copy_changed(from: &Path, to: &Path, place: Place) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt as _;

    let failed = |error| Failure::file("write", to, &error);
    fs::copy(from, to).map_err(failed)?;
    // The program is not writable everywhere; its copy must be.
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(to, writable).map_err(failed)?;
    let file = fs::OpenOptions::new().read(true).write(true).open(to).map_err(failed)?;
    let at = match place {
        Place::Start => 0,
        Place::Middle => file.metadata().map_err(failed)?.len() / 2,
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).map_err(failed)?;
    byte[0] ^= 1;
    file.write_all_at(&byte, at).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_copy_differs_in_one_bit() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&from, [0; 9]).unwrap();
        copy_changed(&from, &to, Place::Middle).unwrap();
        assert_eq!(fs::read(&to).unwrap(), [0, 0, 0, 0, 1, 0, 0, 0, 0]);
        copy_changed(&from, &to, Place::Start).unwrap();
        assert_eq!(fs::read(&to).unwrap(), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
