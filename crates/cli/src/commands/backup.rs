//! `backup`: one encrypted file with everything, a drill that shows that it can be relied on, and a
//! deployment made again from it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use countersign_core::Secret;
use countersign_core::backup::{self, BackupError, Contents, Manifest, RestoreOptions, RestoredSeal};
use countersign_keyhost::seal::read_passphrase;
use countersign_server::config::{Config, SealSource};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{Backup, BackupCommand, Passphrase};
use crate::commands::serve;
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Making, Mode};
use crate::output::card;
use crate::secret::{self, Prompt};

/// Runs a command of `backup`.
pub async fn run(context: &Context, command: BackupCommand) -> Result<Outcome, Failure> {
    match command {
        BackupCommand::Create { backup, force } => create(context, &backup, force).await,
        BackupCommand::Verify(backup) => verify(context, &backup).await,
        BackupCommand::Restore { backup, config } => restore(context, &backup, config.as_deref()).await,
    }
}

async fn create(context: &Context, options: &Backup, force: bool) -> Result<Outcome, Failure> {
    #[derive(Serialize)]
    struct Create<'a> {
        passphrase: &'a str,
    }

    context.local_data()?;
    let path = &options.file;
    if !force && path.symlink_metadata().is_ok() {
        return Err(Failure::refused(format!("there is a file `{}` already", path.display()))
            .hint("choose another name, or give `--force`"));
    }
    let passphrase = secret::passphrase(&options.passphrase, "the backup", Prompt::New)?;
    let api = context.api().await?;
    let mut making = Making::begin(path, Mode::Private)?;
    api.download("/backup", &Create { passphrase: &passphrase }, making.file()).await?;
    // A backup that cannot be read to its end is none, whatever the server said.
    let written = making.read_back()?;
    let bytes = written.metadata().map_err(|error| Failure::file("read back", path, &error))?.len();
    let Contents { manifest, records, .. } = read(&passphrase, written).await?;
    making.finish()?;

    let document = json!({
        "file": path, "bytes": bytes, "created": manifest.created, "records": records,
        "log": log_of(&manifest),
    });
    context.out.value(&document, |document| {
        card(
            document,
            &[
                ("file", "/file"),
                ("bytes", "/bytes"),
                ("created", "/created"),
                ("log", "/log/origin"),
                ("entries", "/log/size"),
            ],
        )
    })?;
    let path = path.display();
    context.out.say(&format!("keep the passphrase elsewhere; try it out: countersign backup verify {path}"));
    Ok(Outcome::Done)
}

async fn verify(context: &Context, options: &Backup) -> Result<Outcome, Failure> {
    let (file, passphrase) = open(options)?;
    let program = std::env::current_exe().or_unknown("cannot find this program's own file")?;
    let scratch = Scratch::make()?;
    let secret = Secret(passphrase.as_bytes().to_vec());
    let drill = match backup::verify(&scratch.0.join("drill"), program, secret, file).await {
        Ok(drill) => drill,
        Err(error) if is_answer(&error) => {
            let reason = error.to_string();
            let document = json!({ "valid": false, "file": options.file, "reason": reason });
            context.out.value(&document, |_| format!("not to be relied on: {reason}"))?;
            if let Some(hint) = error.hint() {
                context.out.say(&format!("hint: {hint}"));
            }
            return Ok(Outcome::No);
        }
        Err(error) => return Err(failure(&error)),
    };
    let restored = drill.restored;
    let document = json!({
        "valid": true, "file": options.file, "created": restored.manifest.created,
        "log": log_of(&restored.manifest), "rows": restored.rows, "files": restored.files,
        "keys": { "working": drill.working, "untried": drill.untried },
    });
    context.out.value(&document, |document| {
        let facts = card(
            document,
            &[
                ("made", "/created"),
                ("log", "/log/origin"),
                ("entries", "/log/size"),
                ("root", "/log/root"),
                ("rows", "/rows"),
                ("files", "/files"),
                ("keys that signed", "/keys/working"),
                ("keys not tried", "/keys/untried"),
            ],
        );
        let checked = "restored, log recomputed against its checkpoint, every signature verified";
        format!("valid: {checked}\n{facts}")
    })?;
    Ok(Outcome::Done)
}

async fn restore(context: &Context, options: &Backup, config: Option<&Path>) -> Result<Outcome, Failure> {
    let data = context.local_data()?;
    // Before anybody is asked for a passphrase.
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(failure(&BackupError::NotEmpty(data.to_owned())));
    }
    let (file, passphrase) = open(options)?;
    let contents = read(&passphrase, file).await?;
    let plan = Plan::make(context, contents, config)?;
    let seal = plan.seal(data)?;
    // Opened again: reading it through has used the first one up.
    let (file, secret) = (open_file(&options.file)?, Secret(passphrase.as_bytes().to_vec()));
    let restore = RestoreOptions {
        data: data.to_owned(),
        database: Some(plan.config.storage.database.clone()),
        seal,
        node: plan.config.node.clone(),
        config: plan.text.clone(),
    };
    let restored = backup::restore(restore, secret, file).await.map_err(|error| half_done(&error, data))?;

    let document = json!({
        "data": data, "node": restored.node, "continues": log_of(&restored.manifest),
        "rows": restored.rows, "files": restored.files,
    });
    context.out.value(&document, |document| {
        card(
            document,
            &[
                ("data", "/data"),
                ("node", "/node"),
                ("continues", "/continues/origin"),
                ("entries", "/continues/size"),
                ("rows", "/rows"),
                ("files", "/files"),
            ],
        )
    })?;
    for file in plan.files_to_put_back(data) {
        context.out.say(&format!("warning: `{}` is not in a backup: put it back first", file.display()));
    }
    let data = data.display();
    context.out.say(&format!("the tokens are those of the backup; go on: countersign serve --data {data}"));
    Ok(Outcome::Done)
}

/// How a deployment is to be restored: as its configuration says.
struct Plan {
    config: Config,
    /// The file, if it is not to be the one in the backup.
    text: Option<Vec<u8>>,
}

impl Plan {
    fn make(context: &Context, contents: Contents, given: Option<&Path>) -> Result<Self, Failure> {
        let parse = |text: &str| Config::parse(text).map_err(|error| serve::failure(&error.into()));
        if let Some(path) = given {
            let bytes = files::read_small(path)?.to_vec();
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Failure::unknown(format!("`{}` is not text", path.display())))?;
            return Ok(Self { config: parse(text)?, text: Some(bytes) });
        }
        let Some(bytes) = contents.config else {
            return Ok(Self { config: Config::default(), text: None });
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::refused("the configuration in the backup is not text"))?;
        let config = parse(&text)?;
        if config.node.is_none() {
            return Ok(Self { config, text: None });
        }
        // The name goes on in the old log, which is closed now.
        let text = without_node(&text);
        let config = parse(&text)?;
        if config.node.is_some() {
            return Err(Failure::refused("the configuration in the backup names the old node").hint(
                "give `--config FILE`: a copy without `node`, since a restored node needs a new name",
            ));
        }
        context
            .out
            .say("note: `node` in the configuration was commented out: a restored node has a new name");
        Ok(Self { config, text: Some(text.into_bytes()) })
    }

    fn seal(&self, data: &Path) -> Result<RestoredSeal, Failure> {
        let of_file = |path: &Path| {
            let read = read_passphrase(path).map_err(|error| {
                Failure::unknown(error.to_string())
                    .hint("the configuration says where it is; `--config FILE` gives another one")
            })?;
            Ok(RestoredSeal::Passphrase(Secret(read.to_vec())))
        };
        let seal = &self.config.seal;
        match seal.source {
            SealSource::File => Ok(RestoredSeal::File),
            SealSource::PassphraseFile => {
                of_file(&data.join(seal.passphrase_file.as_deref().unwrap_or(Path::new(""))))
            }
            SealSource::Credential => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Failure::unknown(
                        "the configuration keeps the seal key in a credential of systemd, and there are none",
                    )
                    .hint("run this with `systemd-run --pipe -p LoadCredential=…`, or give `--config FILE`")
                })?;
                of_file(&Path::new(&directory).join(seal.credential.as_deref().unwrap_or("countersign-seal")))
            }
            SealSource::Prompt => {
                let typed = secret::passphrase(
                    &Passphrase { passphrase_file: None },
                    "the restored seal key",
                    Prompt::New,
                )?;
                Ok(RestoredSeal::Passphrase(Secret(typed.as_bytes().to_vec())))
            }
        }
    }

    /// What the configuration names in the data directory and no backup has.
    fn files_to_put_back(&self, data: &Path) -> Vec<PathBuf> {
        let tls = self.config.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        tls.map(|file| data.join(file)).filter(|file| !file.exists()).collect()
    }
}

/// The configuration with its `node` in a comment. It stands before the first section.
fn without_node(text: &str) -> String {
    let mut at_top = true;
    let lines = text.split_inclusive('\n').map(|line| {
        at_top &= !line.trim_start().starts_with('[');
        let name = line.split_once('=').map(|(name, _)| name.trim());
        if at_top && name == Some("node") { format!("# {line}") } else { line.to_owned() }
    });
    lines.collect()
}

/// A directory for the drill that is nobody else's.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Failure> {
        let base = std::env::temp_dir();
        for attempt in 0..100 {
            let path = base.join(format!("countersign-drill-{}-{attempt}", std::process::id()));
            // Not `recursive`: what is there already may belong to somebody else.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Failure::file("make", &path, &error).hint("TMPDIR says where to work"));
                }
            }
        }
        Err(Failure::unknown(format!("cannot find a free name in `{}`", base.display()))
            .hint("TMPDIR says where to work"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(options: &Backup) -> Result<(File, Zeroizing<String>), Failure> {
    let file = open_file(&options.file)?;
    Ok((file, secret::passphrase(&options.passphrase, "the backup", Prompt::Existing)?))
}

fn open_file(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::file("read", path, &error))
}

async fn read(passphrase: &str, file: File) -> Result<Contents, Failure> {
    let secret = Secret(passphrase.as_bytes().to_vec());
    let read = tokio::task::spawn_blocking(move || backup::read(&secret, file)).await;
    read.or_unknown("reading was cut short")?.map_err(|error| failure(&error))
}

fn log_of(manifest: &Manifest) -> Value {
    json!({ "origin": manifest.origin, "size": manifest.size, "root": manifest.root })
}

/// Whether an error says something of the backup, rather than of this machine.
fn is_answer(error: &BackupError) -> bool {
    matches!(
        error,
        BackupError::ShortPassphrase
            | BackupError::NotABackup
            | BackupError::WrongPassphrase
            | BackupError::Damaged(_)
            | BackupError::TooLarge
            | BackupError::NotEmpty(_)
            | BackupError::Log(_)
            | BackupError::Key { .. }
    )
}

fn failure(error: &BackupError) -> Failure {
    let text = error.to_string();
    let failure = if is_answer(error) { Failure::refused(text) } else { Failure::unknown(text) };
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// As [`failure`], and what to do about a directory that was begun.
fn half_done(error: &BackupError, data: &Path) -> Failure {
    let failure = failure(error);
    if !data.join("run/restoring").exists() {
        return failure;
    }
    let remove = format!("remove `{}` before the next attempt", data.display());
    let hint = failure.hint.as_ref().map_or_else(|| remove.clone(), |hint| format!("{hint}; {remove}"));
    failure.hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_own_name_is_commented_out() {
        let text = "listen = \"127.0.0.1:0\"\n  node=\"a\"\nnodes = 1\n[x]\nnode = \"b\"\n";
        let want = "listen = \"127.0.0.1:0\"\n#   node=\"a\"\nnodes = 1\n[x]\nnode = \"b\"\n";
        assert_eq!(without_node(text), want);
    }

    #[test]
    fn a_drill_works_in_a_directory_of_its_own_and_cleans_up() {
        let (one, two) = (Scratch::make().unwrap(), Scratch::make().unwrap());
        let paths = [one.0.clone(), two.0.clone()];
        assert_ne!(paths[0], paths[1]);
        assert!(paths.iter().all(|path| path.is_dir()));
        drop((one, two));
        assert!(!paths.iter().any(|path| path.exists()));
    }
}
