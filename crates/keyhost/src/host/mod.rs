//! The key host: reads requests, logs, signs, answers.
//!
//! One thread reads; what needs no key work goes straight on to the log; a few threads sign; one slow
//! thread makes and imports keys, so that a batch of RSA-4096 keys does not hold up signatures.

mod cache;
mod pool;
mod service;

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::guardian;
use crate::log::{LogWriter, OpenLog};
use crate::sandbox;
use crate::seal::{DataKeys, SealFile, SealKey, SealSource, check_sealed_with_file, read_passphrase};
use crate::wire::{
    self, FrameError, FrameReader, Hello, HostError, Request, Response, Secret, Welcome, WrappedDataKey,
};
use pool::{Outbox, Pool};
use service::Service;

/// How the process was started. The same words go through the guardian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The data directory.
    pub data: PathBuf,
    /// Where the seal key comes from.
    pub seal: SealSource,
    /// Threads that sign.
    pub workers: usize,
}

impl Arguments {
    /// The arguments as words on a command line. No secret is among them.
    pub fn to_words(&self) -> [std::ffi::OsString; 3] {
        let seal = match &self.seal {
            SealSource::File => "file".into(),
            SealSource::PassphraseFile(path) => {
                let mut word = std::ffi::OsString::from("passphrase-file:");
                word.push(path);
                word
            }
            SealSource::Credential(name) => format!("credential:{name}").into(),
            SealSource::Prompt => "prompt".into(),
        };
        [self.data.clone().into_os_string(), seal, self.workers.to_string().into()]
    }

    /// Reads what [`Self::to_words`] wrote.
    pub fn from_words(words: &[std::ffi::OsString]) -> Option<Self> {
        let [data, seal, workers] = words else { return None };
        let text = seal.to_string_lossy();
        let seal = match text.split_once(':') {
            None if text == "file" => SealSource::File,
            None if text == "prompt" => SealSource::Prompt,
            Some(("passphrase-file", path)) => SealSource::PassphraseFile(path.into()),
            Some(("credential", name)) => SealSource::Credential(name.to_owned()),
            _ => return None,
        };
        let workers = workers.to_str()?.parse().ok().filter(|n| (1..=1024).contains(n))?;
        Some(Self { data: data.into(), seal, workers })
    }
}

/// Runs the key host on the socket that is its standard input, until the front closes it.
pub fn main(words: &[std::ffi::OsString]) -> ExitCode {
    guardian::ignore_signals();
    let Some(arguments) = Arguments::from_words(words) else { return ExitCode::from(2) };
    die_of_any_panic();
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => run(&arguments, UnixStream::from(socket)),
        Err(_) => ExitCode::from(2),
    }
}

/// A thread less would leave requests without an answer; the guardian starts a whole process instead.
fn die_of_any_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

fn run(arguments: &Arguments, mut socket: UnixStream) -> ExitCode {
    let host_dir = arguments.data.join("host");
    let log_dir = arguments.data.join("log");
    // Read before the process gives up the files it is in.
    let passphrase = configured_passphrase(&arguments.seal);
    let mut report = Vec::new();
    sandbox::confine_key_host(&[&host_dir, &log_dir], &mut report);

    let mut reader = FrameReader::default();
    let mut opener = Opener { arguments, passphrase, file: SealFile::new(&host_dir), report };
    let (keys, seal, writer) = match opener.wait(&mut socket, &mut reader) {
        Ok(opened) => opened,
        Err(_) => return ExitCode::SUCCESS,
    };
    let Ok(answers) = socket.try_clone() else { return ExitCode::FAILURE };
    let outbox = Arc::new(Outbox::new(answers));
    let backlog = Arc::clone(writer.backlog());
    let pools = (
        Pool::start("sign", arguments.workers, &outbox, Some(backlog)),
        Pool::start("slow", 1, &outbox, None),
    );
    let (Ok(signers), Ok(slow)) = pools else { return ExitCode::FAILURE };
    let service = Arc::new(Service::new(keys, seal, opener.file, writer, outbox, signers, slow));
    let ended = serve(&service, &mut socket, &mut reader);
    service.stop();
    match ended {
        FrameError::Io(_) => ExitCode::SUCCESS,
        FrameError::TooLarge(_) | FrameError::Malformed => ExitCode::FAILURE,
    }
}

fn serve(service: &Arc<Service>, socket: &mut UnixStream, reader: &mut FrameReader) -> FrameError {
    loop {
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => match wire::decode::<Request>(frame) {
                    Ok((id, request)) => service.handle(id, request),
                    Err(error) => return error,
                },
                Ok(None) => break,
                Err(error) => return error,
            }
        }
        if let Err(error) = reader.fill_from(socket) {
            return error;
        }
    }
}

fn configured_passphrase(seal: &SealSource) -> Option<Result<Zeroizing<Vec<u8>>, HostError>> {
    match seal {
        SealSource::File | SealSource::Prompt => None,
        SealSource::PassphraseFile(path) => Some(read_passphrase(path)),
        SealSource::Credential(name) => Some(match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(directory) => read_passphrase(&PathBuf::from(directory).join(name)),
            None => Err(HostError::Seal(
                "there are no credentials: start it by systemd with `LoadCredential=`".into(),
            )),
        }),
    }
}

/// Everything between the start and the first request: the seal key, the data keys, the log.
struct Opener<'a> {
    arguments: &'a Arguments,
    passphrase: Option<Result<Zeroizing<Vec<u8>>, HostError>>,
    file: SealFile,
    report: Vec<String>,
}

type Opened = (DataKeys, SealKey, LogWriter);

impl Opener<'_> {
    /// Answers hellos until one succeeds: a refused one can be followed by a passphrase.
    fn wait(&mut self, socket: &mut UnixStream, reader: &mut FrameReader) -> Result<Opened, FrameError> {
        loop {
            let (id, request) = loop {
                if let Some(frame) = reader.next_frame()? {
                    break wire::decode::<Request>(frame)?;
                }
                reader.fill_from(socket)?;
            };
            let opened = match request {
                Request::Hello(hello) => self.open(hello),
                _ => Err(HostError::Protocol("the first message must be a hello".into())),
            };
            let (response, opened) = match opened {
                Ok((welcome, opened)) => (Response::Welcome(welcome), Some(opened)),
                Err(error) => (Response::Refused(error), None),
            };
            let mut answer = Vec::new();
            wire::encode(id, &response, &mut answer)?;
            io::Write::write_all(socket, &answer)?;
            if let Some(opened) = opened {
                return Ok(opened);
            }
        }
    }

    fn open(&mut self, mut hello: Hello) -> Result<(Welcome, Opened), HostError> {
        if hello.version != wire::VERSION {
            let why = format!("the front speaks version {}, the key host {}", hello.version, wire::VERSION);
            return Err(HostError::Protocol(why));
        }
        let (seal, how) = self.seal_key(hello.passphrase.take(), &hello.data_keys)?;
        let (keys, seal, new_data_key) = if hello.data_keys.is_empty() {
            let keys = DataKeys::generate()?;
            let wrapped = keys.wrap(&seal)?.pop();
            (keys, seal, wrapped)
        } else {
            let (keys, seal) = self.unwrap(&hello, seal)?;
            (keys, seal, None)
        };
        let log_dir = self.arguments.data.join("log");
        let log = OpenLog::open(&log_dir, &hello.origin, &keys, hello.known_head.as_ref())?;
        let welcome = Welcome {
            new_data_key,
            verifier_key: log.verifier_key(),
            log_size: log.size(),
            sandbox: self.report.clone(),
            seal: how,
        };
        Ok((welcome, (keys, seal, LogWriter::start(log, self.arguments.workers)?)))
    }

    /// A rotation that was not finished leaves two keys: the database knows which one is in force.
    fn unwrap(&self, hello: &Hello, seal: SealKey) -> Result<(DataKeys, SealKey), HostError> {
        let error = match DataKeys::unwrap(&hello.data_keys, &seal) {
            Ok(keys) => {
                self.file.discard_next()?;
                return Ok((keys, seal));
            }
            Err(error) => error,
        };
        let next = if self.arguments.seal == SealSource::File { self.file.read_next()? } else { None };
        let Some(next) = next else { return Err(error) };
        let keys = DataKeys::unwrap(&hello.data_keys, &next).map_err(|_| error)?;
        self.file.commit()?;
        Ok((keys, next))
    }

    fn seal_key(
        &self,
        typed: Option<Secret>,
        data_keys: &[WrappedDataKey],
    ) -> Result<(SealKey, String), HostError> {
        let passphrase = |bytes: Zeroizing<Vec<u8>>| SealKey::Passphrase(bytes);
        match (&self.arguments.seal, &self.passphrase, typed) {
            (SealSource::File, _, _) => {
                let how = "a file with mode 0600".to_owned();
                match self.file.read()? {
                    Some(key) => Ok((key, how)),
                    None if data_keys.is_empty() => Ok((self.file.create()?, how)),
                    None => {
                        check_sealed_with_file(data_keys)?;
                        Ok((self.first_file()?, how))
                    }
                }
            }
            (_, Some(configured), _) => {
                Ok((passphrase(configured.clone()?), "a passphrase (argon2id)".into()))
            }
            (_, None, Some(typed)) => {
                let how = "a passphrase typed at start (argon2id)".into();
                Ok((passphrase(Zeroizing::new(typed.0.clone())), how))
            }
            (_, None, None) => Err(HostError::Locked),
        }
    }

    /// The file of a rotation from a passphrase to a file that was cut short: no other file is in its way.
    fn first_file(&self) -> Result<SealKey, HostError> {
        let missing = || {
            HostError::Seal(
                "the seal key file is missing, and this deployment has keys already: copy `seal.key` \
                 from another node's or a backup's `host` directory"
                    .into(),
            )
        };
        let next = self.file.read_next()?.ok_or_else(missing)?;
        self.file.commit()?;
        Ok(next)
    }
}
