//! `backup`: create, verify, restore. Works on the data directory alone.

use crate::args::BackupCommand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::secret::{self, Prompt};

/// Runs a command of `backup`.
pub async fn run(context: &Context, command: BackupCommand) -> Result<Outcome, Failure> {
    let data = context.local_data()?;
    let (doing, options, prompt) = match &command {
        BackupCommand::Create(options) => ("create", options, Prompt::New),
        BackupCommand::Verify(options) => ("verify", options, Prompt::Existing),
        BackupCommand::Restore(options) => ("restore", options, Prompt::Existing),
    };
    if prompt == Prompt::Existing && !options.file.is_file() {
        return Err(Failure::unknown(format!("there is no backup `{}`", options.file.display())));
    }
    let _passphrase = secret::passphrase(&options.passphrase, "the backup", prompt)?;
    Err(Failure::unknown(format!("cannot {doing} a backup of `{}`: not built in yet", data.display())))
}
