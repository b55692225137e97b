//! `demo`: the main job end to end, on real files, with every result checked by somebody else.
//!
//! A server is started on the embedded defaults, as anyone would start it, told only which collections it signs,
//! and spoken to over HTTP with the token of its first start. Nothing here has a way that a user would not have.

mod authority;
mod collection;
mod input;
mod openssl;
mod report;
mod server;
mod signing;
mod tamper;
mod tuf;

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::authority::Authority;
use self::input::Inputs;
use self::openssl::Openssl;
use self::report::Report;
use self::server::{After, Server};
use self::signing::Stage;
use crate::args::Demo;
use crate::commands::log::{LogReader, parse_key};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};

/// Those who sign the same tag together.
const TAG_AUTHORITIES: [&str; 3] = ["build-farm", "gateway-fleet", "release-team"];

/// Runs the demonstration. The answer is no if anything was not as it should be.
pub async fn run(context: &Context, options: &Demo) -> Result<Outcome, Failure> {
    let say = |text: &str| context.out.say(text);
    let directory = make_directory(options.dir.as_deref())?;
    let after = if options.keep { After::LiveOn } else { After::Stop };

    say(&format!("starting a server in `{}`", directory.display()));
    let begun = Instant::now();
    let server = Server::start(&directory, after).await?;
    let start_ms = millis(begun);
    let stage = Stage { api: server.api()?, directory, openssl: Openssl::find() };

    say(&format!("making {} keys", authority::AUTHORITIES.len()));
    let authorities = authority::make_keys(&stage.api, &stage.directory).await?;
    authority::allow_unprefixed(&stage.api).await?;

    let inputs = Inputs::make(&stage.directory)?;
    let mut signatures = Vec::new();
    for authority in &authorities {
        say(&format!("signing as {}", authority.name));
        for (input, scheme) in inputs.for_authority(authority) {
            signatures.push(stage.sign(authority, input, scheme).await?);
        }
    }
    say("signing one text by several authorities");
    let together: Vec<&Authority> =
        authorities.iter().filter(|authority| TAG_AUTHORITIES.contains(&authority.name)).collect();
    signatures.extend(stage.sign_tag(&inputs.job, &together).await?);

    say("looking for every signature in the log");
    let log = stage.api.service().await?.log;
    let key = parse_key(&log.public_key)?;
    files::write(&stage.directory.join("log.vkey"), format!("{key}\n").as_bytes(), Mode::Public)?;
    let reader = LogReader::new(&stage.api, &log.origin);
    for signature in &mut signatures {
        signature.proof = stage.prove(&reader, &key, signature).await?;
    }

    say("publishing a collection that two agree on");
    let (signature, changed) = collection::run(&stage, &server, &reader, &key).await?;
    signatures.push(signature);

    say("making a TUF repository, with a root that two sign");
    let (timestamp, refused) = tuf::run(&stage, &server, context.out, &inputs.job, (&reader, &key)).await?;
    signatures.push(timestamp);

    say("changing what was signed");
    let mut tampered = tamper::run(&stage, &authorities, &inputs.program.file, &signatures, &key)?;
    tampered.push(changed);
    tampered.extend(refused);

    let (address, pid) = (server.address().to_owned(), server.id());
    let kept = match after {
        After::LiveOn => {
            server.leave_running();
            Some(pid)
        }
        After::Stop => {
            server.stop().await?;
            None
        }
    };
    let report = Report {
        directory: stage.directory,
        program: inputs.program.file,
        address,
        start_ms,
        openssl: stage.openssl.map(|openssl| openssl.version),
        signatures,
        tampered,
        kept,
    };
    context.out.value(&report.document(), |_| report.text())?;
    Ok(if report.is_good() { Outcome::Done } else { Outcome::No })
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

/// The directory to work in, empty and for this user alone.
fn make_directory(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let make = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
    let path = match named {
        Some(path) if path.exists() => {
            let mut inside = fs::read_dir(path).map_err(|error| Failure::file("read", path, &error))?;
            if inside.next().is_some() {
                return Err(Failure::unknown(format!("`{}` is not empty", path.display()))
                    .hint("name an empty directory, or none for a fresh temporary one"));
            }
            path.to_owned()
        }
        Some(path) => {
            make(path).map_err(|error| Failure::file("make", path, &error))?;
            path.to_owned()
        }
        None => {
            let now = jiff::Timestamp::now().as_microsecond();
            let path = std::env::temp_dir().join(format!("countersign-demo-{now}-{}", std::process::id()));
            make(&path).map_err(|error| Failure::file("make", &path, &error))?;
            path
        }
    };
    for below in ["data", "keys", "signatures", "proofs"] {
        make(&path.join(below)).map_err(|error| Failure::file("make", &path, &error))?;
    }
    fs::canonicalize(&path).map_err(|error| Failure::file("find", &path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("demo");
        assert!(make_directory(Some(&inside)).is_ok());
        assert_eq!(make_directory(Some(&inside)).unwrap_err().code(), 2);
    }
}
