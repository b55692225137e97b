//! What only the owner of the data directory may ask, over the control socket: the seal, backups.
//!
//! The routes are those of the surface, but whoever comes over the network is refused, whatever their
//! rights: a passphrase of this weight does not travel, and neither does a whole deployment.

use std::io;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use countersign_core::backup::{self, BackupError};
use countersign_core::{Caller, Code, Context, Secret, seal};
use countersign_tlog::hash::Hash;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use tokio::sync::mpsc;

use super::answer::{bytes, json};
use super::wire;
use crate::app::{App, Meta};
use crate::auth::{Native, Peer};
use crate::call::Call;
use crate::problem::Problem;

fn only_by_control(meta: &Meta) -> Result<(), Problem> {
    if meta.peer == Peer::Control {
        return Ok(());
    }
    Err(Problem::new(Code::NotPermitted, "this is for the control socket only")
        .hint("run the command on the server's machine, as the user who runs it, with `--data DIR`"))
}

/// Says how the seal key is kept, what each process gave up, and whether the database answers.
#[utoipa::path(
    get, path = "/countersign/v1/seal", tag = "process", operation_id = "get_seal",
    responses((status = 200, body = wire::Seal), (status = "default", body = wire::Problem))
)]
pub async fn seal(
    State(app): State<App>,
    Extension(meta): Extension<Meta>,
    _: Native,
) -> Result<Response, Problem> {
    only_by_control(&meta)?;
    json(StatusCode::OK, &describe(&app.ctx).await)
}

async fn describe(ctx: &Context) -> wire::Seal {
    let (state, reason) = match seal::state(ctx) {
        seal::State::Ready => ("ready", None),
        seal::State::Locked => ("locked", Some("the key host waits for its passphrase".to_owned())),
        seal::State::Down(why) => ("down", Some(why)),
    };
    let (seal, key_host) = ctx.welcome().map(|welcome| (welcome.seal, welcome.sandbox)).unzip();
    wire::Seal {
        state,
        reason,
        seal,
        key_host: key_host.unwrap_or_default(),
        front: ctx.front_sandbox().to_vec(),
        database: describe_database(ctx).await,
    }
}

async fn describe_database(ctx: &Context) -> wire::SealDatabase {
    let head = ctx.store().log_head(ctx.node().as_str()).await;
    wire::SealDatabase {
        engine: ctx.store().kind().as_str(),
        answers: head.is_ok(),
        log: head.ok().flatten().map(|head| wire::KnownLog {
            origin: head.origin,
            size: head.size,
            root: Hash::from_bytes(head.root).to_string(),
        }),
    }
}

/// Gives the key host the passphrase that it waits for.
#[utoipa::path(
    post, path = "/countersign/v1/seal/unlock", tag = "process", operation_id = "unlock_seal",
    request_body = wire::UnlockSeal,
    responses((status = 204), (status = "default", body = wire::Problem))
)]
pub async fn unlock_seal(
    State(app): State<App>,
    Extension(meta): Extension<Meta>,
    call: Call<wire::UnlockSeal>,
) -> Result<Response, Problem> {
    only_by_control(&meta)?;
    call.shown_once(&app, |app, _, body| async move {
        seal::unlock(&app.ctx, body.passphrase.into_secret()).await?;
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    })
    .await
}

/// Makes a backup: one file, encrypted under the passphrase, as it comes. It is whole only if it can be
/// read to its end.
#[utoipa::path(
    post, path = "/countersign/v1/backup", tag = "process", operation_id = "create_backup",
    request_body = wire::CreateBackup,
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = wire::Problem)
    )
)]
pub async fn backup(
    State(app): State<App>,
    Extension(meta): Extension<Meta>,
    call: Call<wire::CreateBackup>,
) -> Result<Response, Problem> {
    only_by_control(&meta)?;
    call.shown_once(&app, |app, caller, body| async move {
        let mut pieces = begin_backup(&app, caller, body.passphrase.into_secret());
        // What is refused is refused before the first byte.
        match pieces.recv().await {
            Some(Ok(first)) => {
                let next = |mut pieces: mpsc::Receiver<Piece>| async move {
                    pieces.recv().await.map(|piece| (piece, pieces))
                };
                let rest = stream::unfold(pieces, next);
                let all = stream::iter([Ok(first)]).chain(rest);
                Ok(bytes(StatusCode::OK, "application/octet-stream", Body::from_stream(all)))
            }
            Some(Err(error)) => Err(refused(error)),
            None => Err(Problem::new(Code::Internal, "the server failed")),
        }
    })
    .await
}

type Piece = Result<Bytes, BackupError>;

/// Pieces that wait for the client, of at most 64 KiB.
const WAITING: usize = 8;

/// Starts a backup whose pieces can be taken from what is returned; a failure is the last of them.
fn begin_backup(app: &App, caller: Caller, passphrase: Secret) -> mpsc::Receiver<Piece> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let (ctx, guard) = (app.ctx.clone(), app.tasks.guard());
    tokio::spawn(async move {
        let out = Pieces(sender.clone());
        if let Err(error) = backup::create(&ctx, &caller, passphrase, out).await {
            tracing::warn!(%error, "a backup was not completed");
            let _ = sender.send(Err(error)).await;
        }
        drop(guard);
    });
    pieces
}

/// Hands each write on, and waits while too many are not taken. For threads that may block.
struct Pieces(mpsc::Sender<Piece>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::ErrorKind::BrokenPipe;
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refused(error: BackupError) -> Problem {
    let hint = error.hint();
    match error {
        BackupError::Core(error) => error.into(),
        BackupError::ShortPassphrase => {
            let problem = Problem::new(Code::WrongPassphrase, error.to_string());
            hint.into_iter().fold(problem, Problem::hint)
        }
        error => {
            tracing::error!(%error, "request failed");
            Problem::new(Code::Internal, "the server failed")
                .hint("tell the operator the request id: the server's log has the reason")
        }
    }
}
