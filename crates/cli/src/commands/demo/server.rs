//! A server of our own, started as a user would start it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::api::{Api, Request};
use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};
use crate::secret;
use crate::transport::Transport;

/// Until the server is ready, and until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(10);

/// What has no default: which collections are signed, and where they go.
const CONFIGURATION: &str = r#"[[collections.resource]]
source = "/buckets/staging"
destination = "/buckets/prod"
review = true
"#;

/// What becomes of a server when the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is stopped.
    Stop,
    /// It runs on.
    LiveOn,
}

/// A child process; stopped when this value goes away.
pub struct Server {
    child: Option<Child>,
    data: PathBuf,
    log: PathBuf,
    address: String,
}

impl Server {
    /// Starts a server on `DIRECTORY/data`, which it configures, and a free port, and waits until it is ready.
    ///
    /// # Errors
    /// If it ends or is not ready in time, with the last thing it said.
    pub async fn start(directory: &Path, after: After) -> Result<Self, Failure> {
        let program = std::env::current_exe().or_unknown("cannot find this program's own file")?;
        let (data, log) = (directory.join("data"), directory.join("server.log"));
        files::write(&data.join("countersign.toml"), CONFIGURATION.as_bytes(), Mode::Public)?;
        let said = File::create(&log).map_err(|error| Failure::file("write", &log, &error))?;
        let said_too = said.try_clone().map_err(|error| Failure::file("write", &log, &error))?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data").arg(&data).args(["--listen", "127.0.0.1:0"]);
        // The user's own settings are about another server.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COUNTERSIGN_") {
                command.env_remove(name);
            }
        }
        if after == After::LiveOn {
            // Out of the terminal's reach, which would stop it together with us.
            command.process_group(0);
        }
        command.stdin(Stdio::null()).stdout(said).stderr(said_too);
        let child = command.spawn().or_unknown("cannot start the server")?;
        let mut server = Self { child: Some(child), data, log, address: String::new() };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let file = self.data.join("run").join("address");
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                self.child = None;
                return Err(self.not_ready(&format!("the server ended ({status})")));
            }
            if let Some(address) = read_address(&file) {
                let api = Api::new(Transport::remote(&address, None, None)?);
                let ready = api.send(Request::get("/readyz")).await;
                if ready.is_ok_and(|answer| answer.status.is_success()) {
                    self.address = address;
                    return Ok(());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.not_ready("the server was not ready in time"))
    }

    /// What happened, with the last line that the server said.
    fn not_ready(&self, what: &str) -> Failure {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(4096)..]).into_owned();
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Failure::unknown(format!("{what}: {last}"))
            .hint(format!("all it said is in `{}`", self.log.display()))
    }

    /// Where it listens, as a URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// A client with the token of the first start.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn api(&self) -> Result<Api, Failure> {
        let token = secret::first_line(&self.data.join("admin.token"))?;
        self.api_as(Some(&token))
    }

    /// A client with this token, or with none.
    ///
    /// # Errors
    /// If the token is malformed.
    pub fn api_as(&self, token: Option<&Zeroizing<String>>) -> Result<Api, Failure> {
        Ok(Api::new(Transport::remote(&self.address, token, None)?))
    }

    /// Lets it live on.
    pub fn leave_running(mut self) {
        self.child = None;
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// If it does not stop in time; it is then killed.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let asked = rustix::process::kill_process(
            rustix::process::Pid::from_child(child),
            rustix::process::Signal::TERM,
        );
        asked.or_unknown("cannot stop the server")?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(Some(status)) = child.try_wait() {
                self.child = None;
                return if status.success() {
                    Ok(())
                } else {
                    Err(self.not_ready(&format!("the server did not stop well ({status})")))
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.not_ready("the server did not stop in time"))
    }
}

/// The address that the server wrote, once the line is whole.
fn read_address(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let address = text.trim();
    (!address.is_empty()).then(|| address.to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
