//! What a command knows beyond its own options: where to work, and how to show the result.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use countersign_core::Context as Deployment;
use countersign_server::Local;
use tokio::sync::{Mutex, MutexGuard};
use zeroize::Zeroizing;

use crate::api::Api;
use crate::args::{Global, Passphrase};
use crate::commands::serve;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::secret;
use crate::transport::{Transport, is_loopback};

/// Where to work and how to show the result.
pub struct Context {
    /// How results are shown.
    pub out: Output,
    data: PathBuf,
    server: Option<String>,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    /// The data directory, when no server runs on it and a command has opened it.
    local: Mutex<Option<Local>>,
}

impl Context {
    /// What the command line and the environment say.
    ///
    /// # Errors
    /// If both a server and a data directory are named on the command line.
    pub fn new(global: &Global, matches: &ArgMatches, out: Output) -> Result<Self, Failure> {
        let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let server = match (typed("server"), typed("data")) {
            (true, true) => {
                return Err(Failure::unknown("`--server` and `--data` are both given")
                    .hint("name the server, or the directory to work on locally"));
            }
            // What was typed wins over what the environment says.
            (false, true) => None,
            _ => global.server.clone().filter(|server| !server.is_empty()),
        };
        let data = global.data.clone().filter(|data| !data.as_os_str().is_empty());
        Ok(Self {
            out,
            data: data.unwrap_or_else(default_data),
            server,
            token_file: global.token_file.clone(),
            ca: global.ca.clone(),
            local: Mutex::new(None),
        })
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The data directory, for commands that work on nothing else.
    ///
    /// # Errors
    /// If a server is named.
    pub fn local_data(&self) -> Result<&Path, Failure> {
        match &self.server {
            None => Ok(&self.data),
            Some(_) => Err(Failure::unknown("this command works on a data directory, not through a server")
                .hint("run it on the server's machine with `--data DIR` and without COUNTERSIGN_SERVER")),
        }
    }

    /// The server that is named, if any.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// PEM of the only certification authorities to trust for the server, if they were named.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn ca(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        self.ca.as_deref().map(files::read_small).transpose()
    }

    /// A client of the server that is named, else of the data directory.
    ///
    /// # Errors
    /// If there is no way to it, or the token cannot be read.
    pub async fn api(&self) -> Result<Api, Failure> {
        let Some(server) = &self.server else {
            return self.local_api().await;
        };
        let token = self.token()?;
        let plain = server.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next());
        if token.is_some() && plain.is_some_and(|host| !host.starts_with('[') && !is_loopback(host)) {
            self.out.say("warning: the token goes to the server without encryption; use https://");
        }
        let ca = self.ca()?;
        let token = token.as_ref();
        Ok(Api::new(Transport::remote(server, token, ca.as_deref().map(Vec::as_slice))?))
    }

    /// A client of the server that runs on the data directory; `None` if none does.
    ///
    /// # Errors
    /// If there is one that does not let us in.
    pub async fn beside(&self) -> Result<Option<Api>, Failure> {
        Ok(Transport::beside(&self.data).await?.map(Api::new))
    }

    async fn local_api(&self) -> Result<Api, Failure> {
        if let Some(beside) = self.beside().await? {
            return Ok(beside);
        }
        let local = self.open(&Passphrase { passphrase_file: None }).await?;
        let router = local.as_ref().map(Local::router).unwrap_or_default();
        Ok(Api::new(Transport::in_process(router)))
    }

    /// The deployment in the data directory, opened by this process; no server may run on it.
    ///
    /// - `typed`: where the passphrase of the seal key comes from, if it is one that is typed.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn deployment(&self, typed: &Passphrase) -> Result<Deployment, Failure> {
        let local = self.open(typed).await?;
        let opened = local.as_ref().map(|local| local.context().clone());
        opened.ok_or_else(|| Failure::unknown("the data directory is closed"))
    }

    /// Opens the data directory unless that was done already. What is returned is never `None`.
    async fn open(&self, typed: &Passphrase) -> Result<MutexGuard<'_, Option<Local>>, Failure> {
        let mut local = self.local.lock().await;
        if local.is_none() {
            // A slip in the name must not make a second deployment with keys of its own.
            if !self.data.is_dir() {
                return Err(Failure::unknown(format!(
                    "there is no data directory `{}`",
                    self.data.display()
                ))
                .hint("`countersign serve --data DIR` makes one; `--server URL` asks a server elsewhere"));
            }
            let passphrase = serve::typed_passphrase(&self.data, None, typed)?;
            let opened = countersign_server::local(&self.data, passphrase, None).await;
            *local = Some(opened.map_err(|error| serve::failure(&error))?);
        }
        Ok(local)
    }

    /// Finishes what was begun where this process was its own server.
    pub async fn close(&self) {
        if let Some(local) = self.local.lock().await.take() {
            local.close().await;
        }
    }

    fn token(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        if let Some(file) = &self.token_file {
            return secret::first_line(file).map(Some);
        }
        Ok(std::env::var("COUNTERSIGN_TOKEN").ok().filter(|token| !token.is_empty()).map(Zeroizing::new))
    }
}

/// `/var/lib/countersign` where it is, else the user's own place.
fn default_data() -> PathBuf {
    let system = PathBuf::from("/var/lib/countersign");
    if system.is_dir() {
        return system;
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".local").join("share"));
    match set("XDG_DATA_HOME").or_else(home) {
        Some(base) => base.join("countersign"),
        None => system,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::args::Cli;

    fn context(line: &str) -> Result<Context, Failure> {
        let matches = Cli::command().get_matches_from(line.split(' '));
        let cli = Cli::from_arg_matches(&matches).unwrap();
        Context::new(&cli.global, &matches, Output::Text)
    }

    #[test]
    fn a_server_and_a_directory_together_are_refused() {
        assert!(context("countersign --server http://x --data d key list").is_err());
        assert!(context("countersign key list --server http://x --data d").is_err());
    }

    #[test]
    fn a_command_for_a_directory_refuses_a_server() {
        assert!(context("countersign --server http://x doctor").unwrap().local_data().is_err());
        let context = context("countersign --data d doctor").unwrap();
        assert_eq!(context.local_data().unwrap(), Path::new("d"));
    }
}
