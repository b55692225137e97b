//! The words after the program's name.

use std::ffi::{OsStr, OsString};

use countersign_records::tag::WeakKeys;
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
    pub directory: OsString,
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
}

/// What the words ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Run(Options),
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
    let (mut json, mut verbose, mut check) = (false, false, false);
    let (mut drop_invalid, mut at, mut weak_keys) = (None, At::AnyTime, WeakKeys::Refuse);

    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        if !text.starts_with('-') || text == "-" {
            words.push(word);
            continue;
        }
        let (name, mut inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_ref(), None),
        };
        let mut value = || {
            let value = inline.take().or_else(|| rest.next().cloned());
            value.ok_or_else(|| WrongUsage::because("option needs a value", word))
        };
        match name {
            "--at" => {
                let time = value()?;
                let parsed: Option<Timestamp> = time.to_str().and_then(|time| time.parse().ok());
                at = At::Time(parsed.ok_or_else(|| WrongUsage::because("bad time", &time))?);
            }
            "--drop-invalid" => drop_invalid = Some(value()?),
            _ if inline.is_some() => return Err(WrongUsage::because("unknown option", word)),
            "--json" => json = true,
            "--allow-weak" => weak_keys = WeakKeys::Allow,
            "--check" => check = true,
            "-v" | "--verbose" => verbose = true,
            "-h" | "--help" => return Ok(Parsed::Help),
            "--" => {
                words.extend(rest);
                break;
            }
            _ => return Err(WrongUsage::because("unknown option", word)),
        }
    }

    let usage = WrongUsage { reason: None };
    let [command, directory, file, authorities @ ..] = words.as_slice() else { return Err(usage) };
    let action = match command.to_str() {
        Some("sign") => Action::Sign,
        Some("payload") => Action::Payload,
        _ => return Err(usage),
    };
    if authorities.is_empty() {
        return Err(usage);
    }
    let out_of_place = match action {
        Action::Sign if at != At::AnyTime && drop_invalid.is_none() => Some("--at"),
        Action::Payload if check => Some("--check"),
        Action::Payload if drop_invalid.is_some() => Some("--drop-invalid"),
        Action::Sign | Action::Payload => None,
    };
    if let Some(option) = out_of_place {
        return Err(WrongUsage::because("option does not belong to this command", OsStr::new(option)));
    }
    Ok(Parsed::Run(Options {
        action,
        directory: (*directory).clone(),
        file: (*file).clone(),
        authorities: authorities.iter().map(|name| (*name).clone()).collect(),
        json,
        verbose,
        check,
        drop_invalid,
        at,
        weak_keys,
    }))
}

/// The usage text; `program` is `stags` or `countersign`.
pub fn usage(program: &str) -> String {
    let p = if program == "countersign" { "countersign tag" } else { program };
    format!(
        "\
Usage: {p} sign PRIVDIR FILE AUTHORITY...
       {p} payload PUBDIR FILE AUTHORITY...

sign     adds signatures by PRIVDIR/AUTHORITY.key to FILE; the old FILE becomes FILE.bak
payload  prints the text of FILE if every AUTHORITY signed it, by PUBDIR/AUTHORITY.pub

Options, before or after these words; `--` ends them:
  --json                 print one JSON document
  -v, --verbose          say more on standard error
  --check                sign: say how many lines are signed; with -v also whose blocks are kept
  --drop-invalid PUBDIR  sign: drop blocks of others that do not verify by PUBDIR
  --at TIME              judge certificates' times as of TIME, e.g. 2026-01-02T03:04:05Z
  --allow-weak           accept signatures by RSA keys below 2048 bits
  -h, --help             print this text

Exit codes: 0 done, 1 the answer is no, 2 wrong usage.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn run(line: &str) -> Options {
        match parse(&words(line)) {
            Ok(Parsed::Run(options)) => options,
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
        assert_eq!((options.directory, options.file), ("-keys".into(), "--json".into()));
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
        ] {
            assert_eq!(parse(&words(line)), Err(WrongUsage { reason: Some(reason.into()) }), "{line}");
        }
    }
}
