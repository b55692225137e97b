//! Named places in the signing path where a test can make the process die or a write fail.
//!
//! `COUNTERSIGN_FAILPOINTS=NAME=ACTION@COUNT[,…]`: at the COUNT-th passing of NAME, `kill` the process at
//! once (no destructor runs, nothing is flushed), or `fail` the operation. Only in builds with debug
//! assertions; in release builds every function here is empty.

/// Passes the place `name`; the process may end here.
#[inline]
pub fn pass(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Passes the place `name`, where an operation may be made to fail.
///
/// # Errors
/// The error that the environment asks for: `full` (no space) or `fail` (input/output error).
#[inline]
pub fn check(name: &'static str) -> std::io::Result<()> {
    #[cfg(debug_assertions)]
    return armed::check(name);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        Ok(())
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Point {
        name: String,
        action: String,
        from: u64,
        passed: AtomicU64,
    }

    fn points() -> &'static [Point] {
        static POINTS: OnceLock<Vec<Point>> = OnceLock::new();
        POINTS.get_or_init(|| {
            let text = std::env::var("COUNTERSIGN_FAILPOINTS").unwrap_or_default();
            text.split(',').filter_map(parse).collect()
        })
    }

    fn parse(text: &str) -> Option<Point> {
        let (name, rest) = text.split_once('=')?;
        let (action, from) = rest.split_once('@').unwrap_or((rest, "1"));
        let from = from.parse().ok()?;
        Some(Point { name: name.into(), action: action.into(), from, passed: AtomicU64::new(0) })
    }

    /// The action for this passing: once for `kill`, from then on for the others.
    fn action(name: &str) -> Option<&'static str> {
        points().iter().filter(|p| p.name == name).find_map(|point| {
            let passed = point.passed.fetch_add(1, Ordering::Relaxed) + 1;
            (passed >= point.from).then_some(point.action.as_str())
        })
    }

    pub(super) fn pass(name: &'static str) {
        if action(name) == Some("kill") {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            // The signal may take a moment; nothing may happen in between.
            loop {
                std::thread::park();
            }
        }
    }

    pub(super) fn check(name: &'static str) -> io::Result<()> {
        match action(name) {
            Some("full") => Err(io::ErrorKind::StorageFull.into()),
            Some("fail") => Err(io::Error::other("made to fail by a test")),
            _ => Ok(()),
        }
    }
}
