//! The server under test: started in a directory of its own, watched through `/proc`, stopped at the end.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::load;

/// A running server. It is stopped when this is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    token: String,
    /// From the start of the process to the first answer that it is ready.
    pub ready_after: Duration,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// Starts `program serve` on `data` and waits until it is ready.
    ///
    /// # Errors
    /// If it does not get ready; what it said is in `data`/../server.log.
    pub fn start(program: &Path, data: &Path) -> anyhow::Result<Self> {
        let address_file = data.join("run/address");
        let _ = fs::remove_file(&address_file);
        let log_file = data.with_extension("log");
        let log = fs::File::create(&log_file)?;
        let begun = Instant::now();
        let child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            token: String::new(),
            ready_after: begun.elapsed(),
        };
        server.wait_until_ready(&address_file, begun).with_context(|| {
            let said = fs::read_to_string(&log_file).unwrap_or_default();
            format!("the server did not get ready; it said:\n{said}")
        })?;
        server.ready_after = begun.elapsed();
        let token = data.join("admin.token");
        let token = fs::read_to_string(&token).with_context(|| format!("no {}", token.display()))?;
        server.token = token.trim().to_owned();
        Ok(server)
    }

    fn wait_until_ready(&mut self, address_file: &Path, begun: Instant) -> anyhow::Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if let Some(address) = read_address(address_file) {
                self.address = address;
                if let Ok((200, _)) = load::exchange(address, &load::request("GET", "/readyz", "none", "")) {
                    return Ok(());
                }
            }
            ensure!(begun.elapsed() < PATIENCE, "it is not ready after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Renders a request of the administrator.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        load::request(method, path, &self.token, body)
    }

    /// Renders a request of the administrator with a body of this media type.
    pub fn request_as(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
        load::request_as(method, path, &self.token, media_type, body)
    }

    /// Renders a request of the administrator with the token as an API key.
    pub fn request_with_key(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        load::request_with_key(method, path, &self.token, body)
    }

    /// Sends one request and wants `status`.
    ///
    /// # Errors
    /// With the answer, if it has another status.
    pub fn ask(&self, method: &str, path: &str, body: &str, status: u16) -> anyhow::Result<String> {
        let (got, answer) = load::exchange(self.address, &self.request(method, path, body))?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        ensure!(got == status, "{method} {path}: {got}\n{answer}");
        Ok(answer)
    }

    /// CPU time of all its processes so far, in the kernel and outside.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let ticks: u64 = self.processes()?.values().map(|process| process.ticks).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// How many processes it has.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn process_count(&self) -> anyhow::Result<usize> {
        Ok(self.processes()?.len())
    }

    /// Memory of all its processes in bytes: what is resident, and the same with shared pages counted once
    /// (absent without the right to look).
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn memory(&self) -> anyhow::Result<(u64, Option<u64>)> {
        let (mut resident, mut proportional) = (0, Some(0));
        for pid in self.processes()?.keys() {
            let folder = PathBuf::from(format!("/proc/{pid}"));
            let status = fs::read_to_string(folder.join("status"))?;
            resident += kib(&status, "VmRSS:").unwrap_or(0) << 10;
            let rollup = fs::read_to_string(folder.join("smaps_rollup")).ok();
            let pss = rollup.as_deref().and_then(|rollup| kib(rollup, "Pss:"));
            proportional = proportional.zip(pss).map(|(sum, pss)| sum + (pss << 10));
        }
        Ok((resident, proportional))
    }

    /// The most memory that each of its processes had resident so far, together, in bytes.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn peak(&self) -> anyhow::Result<u64> {
        let mut peak = 0;
        for pid in self.processes()?.keys() {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            peak += kib(&status, "VmHWM:").unwrap_or(0) << 10;
        }
        Ok(peak)
    }

    /// Itself and all that descend from it.
    fn processes(&self) -> anyhow::Result<BTreeMap<u32, Process>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may end between the listing and here.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            if let Some(process) = Process::parse(&stat) {
                all.insert(pid, process);
            }
        }
        let root = self.child.id();
        let descends = |mut pid: u32| {
            while pid != root {
                match all.get(&pid) {
                    Some(process) if process.parent != 0 => pid = process.parent,
                    _ => return false,
                }
            }
            true
        };
        let ours = all.keys().copied().filter(|pid| descends(*pid)).collect::<Vec<_>>();
        Ok(ours.into_iter().filter_map(|pid| Some((pid, *all.get(&pid)?))).collect())
    }

    /// Asks it to end and waits.
    ///
    /// # Errors
    /// If it does not end in time; it is then killed.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("the server did not end within {PATIENCE:?} and was killed")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whatever went wrong has been reported where it happened.
        let _ = self.end();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    ticks: u64,
}

impl Process {
    /// Reads `/proc/PID/stat`. The name, in parentheses, may hold anything, parentheses too.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
    }
}

fn kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

fn read_address(file: &Path) -> Option<SocketAddr> {
    fs::read_to_string(file).ok()?.trim().strip_prefix("http://")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 5 6 7";
        assert_eq!(Process::parse(stat), Some(Process { parent: 7, ticks: 42 }));
        assert_eq!(Process::parse("42 (a"), None);
    }
}
