//! The words after the program's name.

use std::ffi::{OsStr, OsString};

use countersign_model::{Digest, HashAlg};
use countersign_records::tag::WeakKeys;
use countersign_verify::bundle::Expired;
use countersign_verify::tag::At;
use jiff::Timestamp;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Add signatures.
    Sign,
    /// Print the payload if the named authorities signed it.
    Payload,
}

/// A complete command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub action: Action,
    /// Where the keys are, as given.
    pub keys: Keys,
    /// The tag file, as given.
    pub file: OsString,
    /// At least one, as given.
    pub authorities: Vec<OsString>,
    pub json: bool,
    pub verbose: bool,
    pub check: bool,
    pub drop_invalid: Option<OsString>,
    pub at: At,
    pub weak_keys: WeakKeys,
    /// The signatures are of the file's own bytes, each in `FILE.AUTHORITY.sig`.
    pub detached: bool,
    /// What the tag must be about.
    pub digest: Option<Digest>,
}

impl Options {
    /// When the keys of authorities with a life are judged: `--at`, else now.
    pub fn now(&self) -> Timestamp {
        match self.at {
            At::Time(at) => at,
            At::AnyTime => Timestamp::now(),
        }
    }
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A directory of PEM files.
    Directory(OsString),
    /// A server, which is asked for each authority.
    Url {
        url: OsString,
        /// The only certification authorities to trust.
        ca: Option<OsString>,
    },
    /// A signed bundle: no socket is opened.
    Bundle(Bundle),
}

/// A bundle of keys, and what it is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub file: OsString,
    /// The file of the root key that signed it.
    pub root: OsString,
    /// Where the highest version seen is kept; else the user's own place.
    pub state: Option<OsString>,
    pub expired: Expired,
}

/// What the words ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Run(Box<Options>),
    Help,
}

/// The words are no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongUsage {
    /// What is wrong, unless the usage text says it best.
    pub reason: Option<OsString>,
}

impl WrongUsage {
    fn because(text: &str, word: &OsStr) -> Self {
        let mut reason = OsString::from(text);
        reason.push(": ");
        reason.push(word);
        Self { reason: Some(reason) }
    }
}

/// Reads options, which may stand anywhere before `--`, and the words in their order.
pub fn parse(args: &[OsString]) -> Result<Parsed, WrongUsage> {
    let mut words: Vec<&OsString> = Vec::new();
    let mut given = Given::default();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        if !text.starts_with('-') || text == "-" {
            words.push(word);
            continue;
        }
        if text == "--" {
            words.extend(rest);
            break;
        }
        let (name, mut inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_ref(), None),
        };
        if let Some(value) = given.with_value(name) {
            let found = inline.take().or_else(|| rest.next().cloned());
            *value = Some(found.ok_or_else(|| WrongUsage::because("option needs a value", word))?);
            continue;
        }
        match given.flag(name) {
            Some(flag) if inline.is_none() => *flag = true,
            _ => return Err(WrongUsage::because("unknown option", word)),
        }
        if given.help {
            return Ok(Parsed::Help);
        }
    }
    command(&words, given).map(|options| Parsed::Run(Box::new(options)))
}

/// The options that were given.
#[derive(Default)]
struct Given {
    json: bool,
    verbose: bool,
    check: bool,
    allow_weak: bool,
    detached: bool,
    allow_expired: bool,
    help: bool,
    drop_invalid: Option<OsString>,
    at: Option<OsString>,
    digest: Option<OsString>,
    keys_url: Option<OsString>,
    ca: Option<OsString>,
    offline: Option<OsString>,
    root: Option<OsString>,
    state: Option<OsString>,
}

impl Given {
    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "--json" => &mut self.json,
            "-v" | "--verbose" => &mut self.verbose,
            "--check" => &mut self.check,
            "--allow-weak" => &mut self.allow_weak,
            "--detached" => &mut self.detached,
            "--allow-expired" => &mut self.allow_expired,
            "-h" | "--help" => &mut self.help,
            _ => return None,
        })
    }

    fn with_value(&mut self, name: &str) -> Option<&mut Option<OsString>> {
        Some(match name {
            "--drop-invalid" => &mut self.drop_invalid,
            "--at" => &mut self.at,
            "--digest" => &mut self.digest,
            "--keys-url" => &mut self.keys_url,
            "--ca" => &mut self.ca,
            "--offline" => &mut self.offline,
            "--root" => &mut self.root,
            "--state" => &mut self.state,
            _ => return None,
        })
    }

    /// The first option that says nothing in this command.
    fn out_of_place(&self, action: Action) -> Option<&'static str> {
        let of_sign = action == Action::Sign;
        let offline = self.offline.is_some();
        let misplaced = [
            ("--at", of_sign && self.at.is_some() && self.drop_invalid.is_none()),
            ("--keys-url", self.keys_url.is_some() && (of_sign || offline)),
            ("--ca", self.ca.is_some() && self.keys_url.is_none()),
            ("--offline", of_sign && offline),
            ("--root", self.root.is_some() && !offline),
            ("--state", self.state.is_some() && !offline),
            ("--allow-expired", self.allow_expired && !offline),
            ("--check", self.check && (!of_sign || self.detached)),
            ("--drop-invalid", self.drop_invalid.is_some() && (!of_sign || self.detached)),
        ];
        misplaced.into_iter().find(|(_, misplaced)| *misplaced).map(|(name, _)| name)
    }
}

/// Puts the command together.
fn command(words: &[&OsString], given: Given) -> Result<Options, WrongUsage> {
    let usage = WrongUsage { reason: None };
    let [command, words @ ..] = words else { return Err(usage) };
    let action = match command.to_str() {
        Some("sign") => Action::Sign,
        Some("payload") => Action::Payload,
        _ => return Err(usage),
    };
    if let Some(option) = given.out_of_place(action) {
        return Err(WrongUsage::because("option does not belong to this command", OsStr::new(option)));
    }
    // Keys from elsewhere take the place of the directory.
    let (keys, words) = match (given.keys_url, given.offline) {
        (Some(url), _) => (Keys::Url { url, ca: given.ca }, words),
        (None, Some(file)) => {
            let root = given.root.ok_or_else(|| {
                WrongUsage::because("option needs another", OsStr::new("--offline needs --root KEY"))
            })?;
            let expired = if given.allow_expired { Expired::Allow } else { Expired::Refuse };
            (Keys::Bundle(Bundle { file, root, state: given.state, expired }), words)
        }
        (None, None) => match words {
            [directory, words @ ..] => (Keys::Directory((*directory).clone()), words),
            [] => return Err(usage),
        },
    };
    let [file, authorities @ ..] = words else { return Err(usage) };
    if authorities.is_empty() {
        return Err(usage);
    }
    Ok(Options {
        action,
        keys,
        file: (*file).clone(),
        authorities: authorities.iter().map(|name| (*name).clone()).collect(),
        json: given.json,
        verbose: given.verbose,
        check: given.check,
        drop_invalid: given.drop_invalid,
        at: given.at.map_or(Ok(At::AnyTime), |at| time(&at))?,
        weak_keys: if given.allow_weak { WeakKeys::Allow } else { WeakKeys::Refuse },
        detached: given.detached,
        digest: given.digest.map(|digest| sha256(&digest)).transpose()?,
    })
}

fn time(text: &OsStr) -> Result<At, WrongUsage> {
    let parsed: Option<Timestamp> = text.to_str().and_then(|time| time.parse().ok());
    parsed.map(At::Time).ok_or_else(|| WrongUsage::because("bad time", text))
}

fn sha256(text: &OsStr) -> Result<Digest, WrongUsage> {
    let parsed: Option<Digest> = text.to_str().and_then(|digest| digest.parse().ok());
    parsed
        .filter(|digest| digest.alg() == HashAlg::Sha256)
        .ok_or_else(|| WrongUsage::because("bad digest, not sha256:HEX", text))
}

/// The usage text; `program` is `stags` or `countersign`.
pub fn usage(program: &str) -> String {
    let (p, more) = match program {
        "countersign" => ("countersign tag", STORE),
        other => (other, ""),
    };
    format!(
        "\
Usage: {p} sign PRIVDIR FILE AUTHORITY...
       {p} payload PUBDIR FILE AUTHORITY...
       {p} payload --keys-url URL FILE AUTHORITY...
       {p} payload --offline BUNDLE --root KEY FILE AUTHORITY...

sign     adds signatures by PRIVDIR/AUTHORITY.key to FILE; the old FILE becomes FILE.bak
payload  prints the text of FILE if every AUTHORITY signed it, by PUBDIR/AUTHORITY.pub
{more}
Options, before or after these words; `--` ends them:
  --json                 print one JSON document
  -v, --verbose          say more on standard error
  --check                sign: say how many lines are signed; with -v also whose blocks are kept
  --drop-invalid PUBDIR  sign: drop blocks of others that do not verify by PUBDIR
  --digest sha256:HEX    the tag must be about the artifact with this digest
  --detached             signatures of the bytes of FILE themselves, in FILE.AUTHORITY.sig
  --at TIME              judge the times of keys as of TIME, e.g. 2026-01-02T03:04:05Z
  --allow-weak           accept signatures by RSA keys below 2048 bits
  --keys-url URL         payload: take the keys from URL/AUTHORITY, else URL/AUTHORITY.pub;
                         of a server URL is https://HOST/authorities
  --ca FILE              with --keys-url: trust only this certification authority (PEM)
  --offline BUNDLE       payload: take the keys from this bundle, open no socket
  --root KEY             with --offline: the public key (PEM) that signed the bundle
  --allow-expired        with --offline: only warn of a bundle that is too old
  --state FILE           with --offline: where the highest version seen is kept
  -h, --help             print this text

Exit codes: 0 done, 1 the answer is no, 2 wrong usage.
"
    )
}

/// What only the program `countersign` has.
const STORE: &str = "
Tags that a server keeps: push, get, check, list, hide, restore, request, approve, refuse;
`countersign tag push --help` and so on say more.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn run(line: &str) -> Options {
        match parse(&words(line)) {
            Ok(Parsed::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_stand_before_between_and_after_the_words() {
        let want = run("--json -v payload keys f a b");
        for line in [
            "payload keys f a b --json -v",
            "payload -v keys f --json a b",
            "-v --json payload keys f -- a b",
        ] {
            assert_eq!(run(line), want, "{line}");
        }
    }

    #[test]
    fn after_two_dashes_everything_is_a_word() {
        let options = run("sign -- -keys --json -a");
        assert_eq!((options.keys, options.file), (Keys::Directory("-keys".into()), "--json".into()));
        assert_eq!(options.authorities, ["-a"]);
        assert!(!options.json);
    }

    #[test]
    fn values_follow_or_stand_behind_an_equals_sign() {
        let time = At::Time("2026-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(run("payload --at 2026-01-02T03:04:05Z k f a").at, time);
        assert_eq!(run("payload k f a --at=2026-01-02T03:04:05Z").at, time);
        assert_eq!(run("sign k f a --drop-invalid pub").drop_invalid, Some("pub".into()));
    }

    #[test]
    fn keys_from_elsewhere_take_the_place_of_the_directory() {
        let options = run("payload --keys-url https://x/authorities f a b");
        assert_eq!(options.keys, Keys::Url { url: "https://x/authorities".into(), ca: None });
        assert_eq!((options.file, options.authorities.len()), ("f".into(), 2));
        let options = run("payload f a --offline b --root r --allow-expired --state s");
        let state = Some("s".into());
        let bundle = Bundle { file: "b".into(), root: "r".into(), state, expired: Expired::Allow };
        assert_eq!(options.keys, Keys::Bundle(bundle));
    }

    #[test]
    fn what_is_no_command_is_wrong_usage() {
        for line in ["", "sign", "sign k", "sign k f", "payload k f", "other k f a", "SIGN k f a"] {
            assert_eq!(parse(&words(line)), Err(WrongUsage { reason: None }), "{line}");
        }
        for (line, reason) in [
            ("sign k f a --frobnicate", "unknown option: --frobnicate"),
            ("sign k f a --json=yes", "unknown option: --json=yes"),
            ("sign k f a --drop-invalid", "option needs a value: --drop-invalid"),
            ("payload k f a --at noon", "bad time: noon"),
            ("sign k f a --at 2026-01-02T03:04:05Z", "option does not belong to this command: --at"),
            ("payload k f a --check", "option does not belong to this command: --check"),
            ("payload k f a --drop-invalid d", "option does not belong to this command: --drop-invalid"),
            ("sign k f a --keys-url u", "option does not belong to this command: --keys-url"),
            ("payload --keys-url u f a --offline b", "option does not belong to this command: --keys-url"),
            ("sign k f a --offline b --root r", "option does not belong to this command: --offline"),
            ("payload k f a --root r", "option does not belong to this command: --root"),
            ("payload k f a --state s", "option does not belong to this command: --state"),
            ("payload k f a --allow-expired", "option does not belong to this command: --allow-expired"),
            ("payload --offline b f a", "option needs another: --offline needs --root KEY"),
            ("payload k f a --digest sha256:00", "bad digest, not sha256:HEX: sha256:00"),
            ("sign k f a --detached --check", "option does not belong to this command: --check"),
        ] {
            assert_eq!(parse(&words(line)), Err(WrongUsage { reason: Some(reason.into()) }), "{line}");
        }
    }
}
