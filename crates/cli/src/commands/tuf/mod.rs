//! `tuf`: a repository of The Update Framework. What is public is verified here, root first; all else is asked of the
//! repository service.
//!
//! ```text
//! place.rs  memory.rs  reader.rs  refused.rs      a client: where from, what is kept, the work, why not
//! walk.rs  verify.rs  download.rs  export.rs      for those who download
//! service.rs                                      the service as a client sees it: requests, tasks
//! ceremony/  sign.rs  root.rs  proof.rs           for those who hold root keys
//! pending.rs  roots.rs  words.rs                  what waits, from which root it follows, in words
//! signer.rs  ask.rs                              who signs; questions
//! delegated.rs                                    delegated roles as people write them down
//! publish.rs  delegation.rs  status.rs  online_keys.rs  gc.rs  adopt.rs     for those who run it
//! ```

mod adopt;
mod ask;
pub mod ceremony;
mod delegated;
mod delegation;
pub mod download;
mod export;
mod gc;
pub mod memory;
pub mod online_keys;
pub mod pending;
pub mod place;
mod proof;
pub mod publish;
pub mod reader;
pub mod refused;
mod root;
mod roots;
pub mod service;
pub mod sign;
pub mod signer;
mod status;
mod verify;
mod walk;
mod words;

use crate::args::{RootCommand, TufCommand};
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Runs a command of `tuf`.
pub async fn run(context: &Context, command: TufCommand) -> Result<Outcome, Failure> {
    match command {
        TufCommand::Init(options) => ceremony::init(context, &options),
        TufCommand::Ceremony(options) => ceremony::run(context, &options).await,
        TufCommand::Sign(options) => sign::run(context, &options).await,
        TufCommand::Status => status::run(context).await,
        TufCommand::Publish(options) => publish::run(context, &options).await,
        TufCommand::Remove(options) => publish::remove(context, &options).await,
        TufCommand::Verify(options) => verify::run(context, &options).await,
        TufCommand::Download(options) => download::run(context, &options).await,
        TufCommand::Export(options) => export::run(context, &options).await,
        TufCommand::Gc(options) => gc::run(context, &options).await,
        TufCommand::Adopt(options) => adopt::run(context, &options).await,
        TufCommand::Delegation(command) => delegation::run(context, command).await,
        TufCommand::Keys(command) => online_keys::run(context, command).await,
        TufCommand::Root(RootCommand::Show { version }) => root::show(context, version).await,
        TufCommand::Root(RootCommand::Edit(options)) => root::edit(context, &options).await,
        TufCommand::Root(RootCommand::Rotate(options)) => root::rotate(context, &options).await,
        TufCommand::Stop(options) => root::stop(context, &options).await,
        TufCommand::Online { roles } => online_keys::bump(context, &roles).await,
    }
}
