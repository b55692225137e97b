//! What nobody can be faster than on this machine: the signatures, and the bytes on the disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::bare::Bare;
use crate::kind::Kind;

/// Measured at the beginning.
#[derive(Clone, Copy, Serialize)]
pub struct Limits {
    /// Seconds for one Ed25519 signature on one core, with all of them at work.
    pub signature: f64,
    /// How many cores there are to sign.
    pub cores: usize,
    /// Seconds for a new file of no length that is durable, many at once.
    pub file: f64,
    /// Seconds for one file of no length that is durable, by itself.
    pub sync: f64,
    /// Seconds for a byte.
    pub byte: f64,
}

impl Limits {
    /// Takes a few seconds.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub fn measure(scratch: &Path) -> anyhow::Result<Self> {
        let directory = scratch.join("limits");
        fs::create_dir_all(&directory)?;
        let bulk = |name: &str, count: usize, bytes: usize| -> anyhow::Result<f64> {
            let content = vec![7; bytes];
            let begun = Instant::now();
            for number in 0..count {
                File::create(directory.join(format!("{name}-{number}")))?.write_all(&content)?;
            }
            rustix::fs::syncfs(File::open(&directory)?)?;
            Ok(begun.elapsed().as_secs_f64() / count as f64)
        };
        let (empty, full) = (bulk("empty", 4_000, 0)?, bulk("full", 200, 1 << 20)?);
        let mut syncs = Vec::new();
        for number in 0..50 {
            let begun = Instant::now();
            let file = File::create(directory.join(format!("one-{number}")))?;
            file.sync_all()?;
            File::open(&directory)?.sync_all()?;
            syncs.push(begun.elapsed().as_secs_f64());
        }
        syncs.sort_by(f64::total_cmp);
        fs::remove_dir_all(&directory)?;
        Ok(Self {
            signature: Bare::measure(Kind::Ed25519)?.us() / 1e6,
            cores: std::thread::available_parallelism()?.get(),
            file: empty,
            sync: syncs[syncs.len() / 2],
            byte: (full - empty).max(0.0) / f64::from(1 << 20),
        })
    }

    /// Seconds for so many signatures, on all cores.
    pub fn signatures(&self, count: usize) -> f64 {
        self.signature * count as f64 / self.cores.min(count.max(1)) as f64
    }

    /// Seconds for so many files of so many bytes.
    pub fn files(&self, count: usize, bytes: u64) -> f64 {
        let each = if count == 1 { self.sync } else { self.file };
        (each + self.byte * bytes as f64) * count as f64
    }
}
