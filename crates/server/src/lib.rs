//! HTTP over the use-cases: the process, native and log surfaces.
//!
//! ```text
//! connection ─▶ listener ─▶ app::Front ─▶ route ─▶ auth ─▶ body ─▶ use-case ─▶ answer
//!  TCP, TLS,     limits,     request id,          401     413,       403 404
//!  control       timeouts    panics, metrics              415, 400   409 …
//! ```
//!
//! - [`run`] is `countersign serve`: it opens the data directory, listens, and ends when it is told to.
//! - [`local`] is the same router without a socket, for commands that work on a data directory themselves.
//!
//! A surface is a folder in [`surfaces`]; its handlers parse, make one call of `countersign-core`, render.

pub mod accept;
pub mod app;
pub mod auth;
pub mod body;
pub mod call;
pub mod config;
mod described;
pub mod idempotency;
pub mod listener;
pub mod metrics;
pub mod mount;
pub mod outside;
mod patience;
pub mod problem;
pub mod rate;
mod refusal;
pub mod surfaces;
pub mod tasks;
pub mod tiled;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use countersign_core::startup::{self, OpenOptions, StartError};
use countersign_core::{Context, Limits, SealSource, Secret};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::app::App;
use crate::auth::Peer;
use crate::config::{Config, ConfigError};
use crate::listener::Serving;
use crate::mount::MountError;
use crate::outside::Outside;
use crate::tls::{Certificate, Files, TlsError};

/// What `countersign serve` was told.
#[derive(Debug)]
pub struct ServeOptions {
    /// The data directory. Made if it is not there.
    pub data: PathBuf,
    /// Where to listen, instead of where the configuration says.
    pub listen: Option<SocketAddr>,
    /// The configuration, instead of `DATA/countersign.toml`.
    pub config: Option<PathBuf>,
    /// A passphrase that was typed, for `[seal] source = "prompt"`.
    pub passphrase: Option<Secret>,
    /// The program that is the key host; `None`: this one.
    pub program: Option<PathBuf>,
}

impl ServeOptions {
    /// Defaults for a data directory.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), listen: None, config: None, passphrase: None, program: None }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The data directory, the database or the key host.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The disk that the data directory must be on.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The certificate.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The address.
    #[error("cannot listen on `{address}`: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The control socket, or the file with the address.
    #[error("cannot make `{path}`: {error}", path = path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// There are no threads to be had.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// The guardian of the key host died while the server ran.
    #[error("the guardian of the key host is gone")]
    GuardianGone,
}

impl ServeError {
    /// One sentence that says what to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(error) => error.hint().into(),
            Self::Start(error) => return error.hint(),
            Self::Mount(error) => error.hint().into(),
            Self::Tls(error) => error.hint().into(),
            Self::Listen { .. } => "choose another address with `--listen`; port 0 takes any free one".into(),
            Self::Run { .. } => {
                "the path of the data directory must be shorter than 80 bytes, and its file system writable"
                    .into()
            }
            Self::GuardianGone => "start the server again: no signature is lost".into(),
            Self::Signals(_) | Self::Runtime(_) => return None,
        })
    }
}

/// How long what was accepted may take to finish after the end was asked for.
const GRACE: Duration = Duration::from_secs(30);

/// How often the certificate's files are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(10);

/// Serves a data directory until SIGTERM or SIGINT, then finishes what was accepted.
///
/// To be called by a process that has no threads yet: between starting the key host and starting its own
/// threads it gives up what it does not need. Prints nothing: it writes to the log, and when it listens the
/// address to `DATA/run/address`.
///
/// # Errors
/// [`ServeError`] if it cannot start, and if the key host's guardian dies.
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    let mut config = Config::load(&options.data, options.config.as_deref())?;
    config.listen = options.listen.unwrap_or(config.listen);
    let any_port = bind_any_port(&mut config)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    check_mount(&options.data, &config)?;
    let certificate = load_certificate(&options.data, &config)?.map(Arc::new);
    let open = |passphrase| open_options(&options.data, &config, passphrase, options.program.clone());

    let mut prepared = startup::prepare(open(options.passphrase.clone())?)?;
    if !prepared.has_begun() {
        if config.seal.source == config::SealSource::File {
            tracing::warn!(
                "the seal key is made in the file `host/seal.key` of the data directory: who copies the disk \
                 has it; `[seal] source = \"passphrase-file\"` or `\"credential\"` protects better"
            );
        }
        // The first start writes beside the directories that a confined process can write to.
        runtime()?.block_on(async {
            prepared.open().await?.shutdown().await;
            Ok::<_, StartError>(())
        })?;
        prepared = startup::prepare(open(options.passphrase.clone())?)?;
    }
    // Still not, if the key host waits for its passphrase: the next start is confined.
    if prepared.has_begun() {
        prepared.confine();
    }
    runtime()?.block_on(async {
        let signals = Signals::new().map_err(ServeError::Signals)?;
        let ctx = prepared.open().await?;
        let served = serve(&ctx, config, any_port, certificate, signals).await;
        ctx.shutdown().await;
        tracing::info!("stopped");
        served
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, ServeError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)
}

/// Port 0 is any that is free: it is taken before all else, since what is signed and served names it.
fn bind_any_port(config: &mut Config) -> Result<Option<std::net::TcpListener>, ServeError> {
    let address = config.listen;
    if address.port() != 0 {
        return Ok(None);
    }
    let mut bind = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        config.listen = listener.local_addr()?;
        Ok(listener)
    };
    bind().map(Some).map_err(|error| ServeError::Listen { address, error })
}

async fn serve(
    ctx: &Context,
    config: Config,
    any_port: Option<std::net::TcpListener>,
    certificate: Option<Arc<Certificate>>,
    mut signals: Signals,
) -> Result<(), ServeError> {
    let address = config.listen;
    let listener = match any_port {
        Some(listener) => TcpListener::from_std(listener),
        None => TcpListener::bind(address).await,
    };
    let listener = listener.map_err(|error| ServeError::Listen { address, error })?;
    let address = listener.local_addr().map_err(|error| ServeError::Listen { address, error })?;
    let run = ctx.data().join("run");
    let control_path = run.join("control.sock");
    let control = listener::bind_control(&control_path)
        .map_err(|error| ServeError::Run { path: control_path.clone(), error })?;

    // At least 4, so it fits.
    let connections = config.limits.connections as usize;
    let app = App::new(ctx.clone(), config);
    let (stop, stopping) = watch::channel(false);
    let serving = Serving { front: app.front(), stop: stopping, alive: app.tasks.guard() };
    let network = listener::accept_network(listener, certificate.clone(), connections, serving.clone());
    let network = tokio::spawn(network);
    let control = tokio::spawn(listener::accept_control(control, serving));

    let scheme = if certificate.is_some() { "https" } else { "http" };
    let address_path = run.join("address");
    write_address(&address_path, &format!("{scheme}://{address}\n"))
        .map_err(|error| ServeError::Run { path: address_path.clone(), error })?;
    tracing::info!(%address, scheme, node = %ctx.node(), "ready");

    let Signals { terminate, interrupt, hangup } = &mut signals;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = ctx.key_host().gone() => Err(ServeError::GuardianGone),
        never = keep_certificate(certificate.as_deref(), hangup) => match never {},
    };
    tracing::info!("stopping: finishing what was accepted");
    stop.send_replace(true);
    let _ = tokio::join!(network, control);
    if tokio::time::timeout(GRACE, app.tasks.end()).await.is_err() {
        tracing::warn!("some requests did not finish in {} s", GRACE.as_secs());
    }
    for path in [address_path, control_path] {
        let _ = std::fs::remove_file(path);
    }
    ended
}

/// What the process is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Before anything is made in the data directory.
fn check_mount(data: &Path, config: &Config) -> Result<(), MountError> {
    config.storage.require_mount.as_deref().map_or(Ok(()), |path| mount::check(path, data))
}

fn load_certificate(data: &Path, config: &Config) -> Result<Option<Certificate>, TlsError> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let files = Files { certificate: data.join(&tls.certificate), key: data.join(&tls.key) };
    Certificate::load(files).map(Some)
}

/// Takes a new certificate when its files have changed, and on SIGHUP. Never ends.
async fn keep_certificate(
    certificate: Option<&Certificate>,
    hangup: &mut Signal,
) -> std::convert::Infallible {
    let mut ticks = tokio::time::interval(CERTIFICATE_CHECK);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        let Some(certificate) = certificate else { continue };
        if asked || certificate.is_stale() {
            match certificate.reload() {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!(%error, "the certificate in force is kept"),
            }
        }
    }
}

/// Puts the address where local commands look for it; they never see half of it.
fn write_address(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

fn open_options(
    data: &Path,
    config: &Config,
    passphrase: Option<Secret>,
    program: Option<PathBuf>,
) -> Result<OpenOptions, ConfigError> {
    let mut options = OpenOptions::new(data);
    options.database = Some(config.storage.database.clone());
    options.files = config.storage.files();
    options.seal = match config.seal.source {
        config::SealSource::File => SealSource::File,
        config::SealSource::PassphraseFile => SealSource::PassphraseFile(
            data.join(config.seal.passphrase_file.as_deref().unwrap_or(Path::new(""))),
        ),
        config::SealSource::Credential => SealSource::Credential(
            config.seal.credential.clone().unwrap_or_else(|| "countersign-seal".into()),
        ),
        config::SealSource::Prompt => SealSource::Prompt,
    };
    options.passphrase = passphrase;
    options.node = config.node.clone();
    options.collections = config.collections().settings(&config.reached_at(), data)?;
    options.tuf = config.tuf().settings();
    options.http = Outside::new().map(|client| Arc::new(client) as _);
    options.limits = Limits {
        verify_raw: config.limits.verify_raw,
        streamed_bytes: config.limits.streamed(),
        ..Limits::default()
    };
    if let Some(program) = program {
        options.program = program;
    }
    Ok(options)
}

/// A data directory that was opened without a server.
pub struct Local {
    router: Router,
    app: App,
}

impl Local {
    /// All routes; every request is made as the principal `admin`.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The open deployment, for what has no route.
    pub fn context(&self) -> &Context {
        &self.app.ctx
    }

    /// Finishes what was begun and stops the key host.
    pub async fn close(self) {
        self.app.tasks.end().await;
        self.app.ctx.clone().shutdown().await;
    }
}

/// Opens a data directory that no server has open, for commands that work on it themselves.
///
/// # Errors
/// [`ServeError`], for instance when a server has it open: then ask that, by its control socket.
pub async fn local(
    data: &Path,
    passphrase: Option<Secret>,
    program: Option<PathBuf>,
) -> Result<Local, ServeError> {
    let config = Config::load(data, None)?;
    check_mount(data, &config)?;
    let ctx = startup::open(open_options(data, &config, passphrase, program)?).await?;
    let app = App::new(ctx, config);
    let router = app.front().into_router(Peer::Control);
    Ok(Local { router, app })
}
