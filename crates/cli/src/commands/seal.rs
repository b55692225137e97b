//! `seal`: the key that seals all other keys.

use serde::Serialize;

use crate::args::SealCommand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::secret::{self, Prompt};

/// Runs a command of `seal`.
pub async fn run(context: &Context, command: SealCommand) -> Result<Outcome, Failure> {
    match command {
        SealCommand::Rotate(_) => {
            let data = context.local_data()?;
            Err(Failure::unknown(format!("cannot rotate the seal of `{}`: not built in yet", data.display())))
        }
        SealCommand::Unlock(options) => {
            #[derive(Serialize)]
            struct Unlock<'a> {
                passphrase: &'a str,
            }

            // Over the control socket only: a passphrase of this weight does not go through the network.
            context.local_data()?;
            let api = context.api().await?;
            let passphrase = secret::passphrase(&options, "the seal key", Prompt::Existing)?;
            api.post("/seal/unlock", &Unlock { passphrase: &passphrase }).await?;
            context.out.say("unlocked");
            Ok(Outcome::Done)
        }
    }
}
