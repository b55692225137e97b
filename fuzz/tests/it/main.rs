//! Replays the corpus of every target and mutates it for a while, on the stable toolchain.
//!
//! `COUNTERSIGN_FUZZ_SECONDS` says for how long in all (60); `COUNTERSIGN_FUZZ_SEED` which mutations (those
//! of the run's own choice, which is printed); `COUNTERSIGN_FUZZ_TARGET` limits it to one target.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a test that reports")]

mod corpus;
mod mutate;
mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_fuzz::TARGETS;

use crate::mutate::Mutator;
use crate::watch::Watch;

/// Longer inputs find little that shorter ones do not, and take longer.
const MAX_INPUT: usize = 16 << 10;
/// No target needs more for an input of [`MAX_INPUT`] bytes, on the slowest machine.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// A parser that allocates by a number that it was told runs into this.
const MEMORY_LIMIT: u64 = 2 << 30;

#[test]
fn every_target_has_its_file_its_line_in_the_table_and_its_seeds() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(known.len(), TARGETS.len(), "a target stands twice in the table");
    assert_eq!(corpus::names("src/targets", ".rs"), known, "files in src/targets and lines in TARGETS");
    assert_eq!(corpus::names("corpus", ""), known, "folders in corpus and lines in TARGETS");
    for name in &known {
        assert!(!corpus::seeds(name).is_empty(), "`{name}` has no seeds");
    }
}

#[test]
fn no_input_of_the_corpus_and_no_mutation_of_it_breaks_a_parser() {
    watch::limit_memory(MEMORY_LIMIT);
    let budget = Duration::from_secs(number("COUNTERSIGN_FUZZ_SECONDS").unwrap_or(60));
    let seed = number("COUNTERSIGN_FUZZ_SEED").unwrap_or_else(seed_of_now);
    let only = std::env::var("COUNTERSIGN_FUZZ_TARGET").ok();
    println!("seed {seed}");

    let watch = Watch::start(TIME_LIMIT);
    let mut runs: Vec<Run> = TARGETS
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
        .map(|(name, target)| Run { name, target: *target, seeds: corpus::seeds(name), inputs: 0 })
        .collect();
    assert!(!runs.is_empty(), "there is no target `{}`", only.unwrap_or_default());

    for run in &mut runs {
        for input in run.seeds.clone() {
            run.check(&watch, &input);
        }
    }
    let mut mutator = Mutator::new(seed);
    let end = Instant::now() + budget;
    let turn = (budget / u32::try_from(8 * runs.len()).expect("few targets")).min(Duration::from_millis(500));
    while Instant::now() < end {
        for run in &mut runs {
            let turn_end = (Instant::now() + turn).min(end);
            while Instant::now() < turn_end {
                let input = mutator.mutate(&run.seeds, MAX_INPUT);
                run.check(&watch, &input);
            }
        }
    }
    for run in &runs {
        println!("{:>10} inputs  {}", run.inputs, run.name);
    }
}

/// One target and how far it came.
struct Run {
    name: &'static str,
    target: countersign_fuzz::Target,
    seeds: Vec<Vec<u8>>,
    inputs: u64,
}

impl Run {
    fn check(&mut self, watch: &Watch, input: &[u8]) {
        self.inputs += 1;
        watch.begin(self.name, input);
        let outcome = std::panic::catch_unwind(|| (self.target)(input));
        watch.end();
        if let Err(panic) = outcome {
            let kept = corpus::keep_failure(self.name, input);
            eprintln!("target `{}` failed; its input is in {}", self.name, kept.display());
            std::panic::resume_unwind(panic);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}
