//! What is signed: real files of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_model::{HashAlg, Scheme};

use super::authority::{Authority, BOOT_ROM};
use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};

/// Something to sign.
pub struct Input {
    /// Its name, which is part of file names.
    pub what: &'static str,
    pub file: PathBuf,
    pub bytes: u64,
}

/// Real files of this machine.
pub struct Inputs {
    /// This program's own binary.
    pub program: Input,
    /// The parameters of a job, as text.
    pub job: Input,
    /// The program's SHA-256, as a boot ROM compares it.
    pub boot_hash: Input,
}

impl Inputs {
    /// Finds them, and writes those that are made.
    pub fn make(directory: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe().or_unknown("cannot find this program's own file")?;
        let digest = files::hash(&program, HashAlg::Sha256)?;
        let length = fs::metadata(&program).map_err(|error| Failure::file("read", &program, &error))?.len();
        let job = format!(
            "job: nightly-release\nbranch: main\narchitecture: {}\nprogram: {}\nstarted: {}\n",
            std::env::consts::ARCH,
            digest,
            countersign_model::time::seconds(jiff::Timestamp::now()),
        );
        let write = |what, bytes: &[u8]| {
            let file = directory.join(what);
            files::write(&file, bytes, Mode::Public)?;
            Ok::<_, Failure>(Input { what, file, bytes: bytes.len() as u64 })
        };
        Ok(Self {
            program: Input { what: "program", file: program, bytes: length },
            job: write("job.txt", job.as_bytes())?,
            boot_hash: write("boot-hash", digest.as_bytes())?,
        })
    }

    /// What an authority signs: every scheme of its key.
    pub fn for_authority(&self, authority: &Authority) -> Vec<(&Input, Scheme)> {
        let schemes = authority.public_key.key_type().schemes().into_iter();
        schemes
            .filter(|scheme| *scheme != Scheme::RsaPkcs1Raw || authority.name == BOOT_ROM)
            .map(|scheme| match scheme {
                Scheme::RsaPkcs1Raw => (&self.boot_hash, scheme),
                Scheme::Ed25519 => (&self.job, scheme),
                _ => (&self.program, scheme),
            })
            .collect()
    }
}
