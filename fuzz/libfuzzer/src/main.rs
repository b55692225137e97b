//! Runs the target that `FUZZ_TARGET` names under libFuzzer.

#![no_main]

use std::sync::LazyLock;

use countersign_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    countersign_fuzz::target(&name).unwrap_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        panic!("FUZZ_TARGET is `{name}`; the targets are {}", known.join(", "))
    })
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (*TARGET)(data));
