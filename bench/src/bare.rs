//! What the operation costs by itself, on this machine in this minute.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::kind::Kind;

/// CPU time of one bare signature.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bare {
    /// In this process, by the library that the key host uses, in microseconds.
    pub aws_lc_us: f64,
    /// By `openssl speed`, in microseconds; absent without openssl.
    pub openssl_us: Option<f64>,
}

impl Bare {
    /// Measures for about two seconds, on all cores at once as under load: alone, a core runs faster.
    ///
    /// # Errors
    /// If the library fails.
    pub fn measure(kind: Kind) -> anyhow::Result<Self> {
        let sign = signer(kind)?;
        let cores = thread::available_parallelism()?.get();
        let times: Vec<f64> = thread::scope(|scope| {
            let run = || cpu_us(Duration::from_millis(700), &*sign);
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        ensure!(times.len() == cores, "a bare signature failed");
        Ok(Self { aws_lc_us: times.iter().sum::<f64>() / cores as f64, openssl_us: openssl(kind, cores) })
    }

    /// What lies between two measurements: the machine's speed changes from minute to minute.
    pub fn mean(self, other: Self) -> Self {
        let openssl_us = self.openssl_us.zip(other.openssl_us).map(|(one, two)| f64::midpoint(one, two));
        Self { aws_lc_us: f64::midpoint(self.aws_lc_us, other.aws_lc_us), openssl_us }
    }

    /// The fastest of them: what we compare ourselves with.
    pub fn us(&self) -> f64 {
        self.openssl_us.map_or(self.aws_lc_us, |openssl| openssl.min(self.aws_lc_us))
    }
}

type Signer = Box<dyn Fn() + Send + Sync>;

/// A function that signs 32 bytes with a new key, parsed once as in the key host.
fn signer(kind: Kind) -> anyhow::Result<Signer> {
    const MESSAGE: &[u8] = &[7; 32];
    let rsa = |size| -> anyhow::Result<Signer> {
        let key = RsaKeyPair::generate(size).context("cannot make an RSA key")?;
        Ok(Box::new(move || {
            let mut signature = vec![0; key.public_modulus_len()];
            let result = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut signature);
            assert!(result.is_ok() && signature != [0], "an RSA signature failed");
        }))
    };
    let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| -> anyhow::Result<Signer> {
        let key = EcdsaKeyPair::generate(algorithm).context("cannot make an EC key")?;
        Ok(Box::new(move || {
            assert!(key.sign(&SystemRandom::new(), MESSAGE).is_ok(), "an ECDSA signature failed");
        }))
    };
    match kind {
        Kind::Rsa2048 => rsa(KeySize::Rsa2048),
        Kind::Rsa4096 => rsa(KeySize::Rsa4096),
        Kind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
        Kind::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        Kind::P521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING),
        Kind::Ed25519 => {
            let key = Ed25519KeyPair::generate().context("cannot make an Ed25519 key")?;
            Ok(Box::new(move || assert_eq!(key.sign(MESSAGE).as_ref().len(), 64)))
        }
    }
}

/// CPU time of this thread for one call, in microseconds, over at least this time.
pub fn cpu_us(time: Duration, call: &dyn Fn()) -> f64 {
    call();
    let begun = thread_cpu();
    let mut calls = 0u32;
    loop {
        for _ in 0..8 {
            call();
        }
        calls += 8;
        let spent = thread_cpu() - begun;
        if spent >= time {
            return spent.as_secs_f64() * 1e6 / f64::from(calls);
        }
    }
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// `openssl speed` counts its own CPU time too.
fn openssl(kind: Kind, cores: usize) -> Option<f64> {
    let multi = cores.to_string();
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "1", "-multi", &multi, kind.openssl()])
        .output()
        .ok()?;
    Some(parse_speed(&String::from_utf8_lossy(&output.stdout))? * cores as f64)
}

/// Microseconds from one signature to the next, by the machine-readable report, e.g. `+F2:1:2048:3088.0:101234.0`: signatures,
/// then verifications a second, last; Ed25519 has its name in between.
fn parse_speed(report: &str) -> Option<f64> {
    let line =
        report.lines().rfind(|line| ["+F2:", "+F4:", "+F6:"].iter().any(|start| line.starts_with(start)))?;
    let mut fields = line.rsplit(':');
    let _verifications = fields.next()?;
    let per_second: f64 = fields.next()?.parse().ok()?;
    (per_second > 0.0).then(|| 1e6 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_openssl_speed_is_read() {
        for (line, expected) in [
            ("+F2:1:2048:4000.0:101234.0", Some(250.0)),
            ("+F4:3:256:50000.000000:15000.000000", Some(20.0)),
            ("+F6:0:253:Ed25519:25000.000000:9000.0", Some(40.0)),
            ("+H:16:64", None),
        ] {
            assert_eq!(parse_speed(&format!("Doing x\n{line}\n")), expected, "{line}");
        }
    }
}
