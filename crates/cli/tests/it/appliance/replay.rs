//! 162 calls to balenaSign and what it answered, asked again: the same statuses, types, members and lengths, but where
//! [`TOLERATED`] says otherwise.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use countersign_testkit::server::TestServer;
use serde_json::{Value, json};

use super::systemd_boot;
use crate::native::{b64, servers, unb64};

/// Statuses that differ: number of the call, ours, and why.
const TOLERATED: &[(usize, u16, &str)] = &[
    (25, 200, "ids of RSA keys are hex in either case"),
    (29, 400, "an id that no certificate can have"),
    (47, 400, "several ids need a signer"),
    (48, 400, "no id at all"),
    (49, 400, "no id at all: the original signs an empty PK, which deletes the variable"),
    (58, 400, "not a signature list: the original signs any bytes"),
    (67, 400, "not a signature list: the original signs any bytes"),
    (77, 400, "a subject without a slash is the caller's mistake: clients retry a 500 five times"),
    (78, 200, "a failed creation does not burn the id"),
    (79, 400, "an empty subject is the caller's mistake"),
    (81, 400, "an unknown attribute is not left out silently"),
    (82, 400, "a country of three letters is the caller's mistake"),
    (90, 400, "more days than a certificate can say"),
    (91, 400, "an empty id"),
    (92, 400, "an id is not a path: the original writes a file elsewhere"),
    (93, 400, "an id that no certificate can have"),
    (107, 400, "a digest with a newline"),
    (123, 400, "a name with a newline: the original answers 200 with an empty fingerprint"),
    (125, 200, "unknown members are ignored: the original hands them to gpg"),
    (132, 200, "ids of RSA keys are hex in either case"),
    (137, 404, "an unknown certificate is the caller's mistake"),
    (139, 400, "not a program: the caller's mistake"),
    (144, 400, "a program that was cut: the original signs it"),
    (145, 200, "our root describes the service"),
    (147, 200, "the proxy in front of the original answers this"),
    (161, 400, "a salt that is not base64 is the caller's mistake"),
];

/// Texts of refusals that differ, though the status is the same.
const OTHER_WORDS: &[(usize, &str)] = &[
    (34, "says which certificate is missing"),
    (41, "names the whole list"),
    (44, "says that it is the signer that is missing"),
    (53, "says that it is the signer that is missing"),
    (62, "says that it is the signer that is missing"),
    (108, "says that it is the signer that is missing"),
    (158, "cannot tell which of the two it is"),
    (159, "cannot tell which of the two it is"),
];

/// Lengths that differ by more than what a random number does.
const OTHER_LENGTHS: &[(usize, &str)] = &[
    (9, "the user id says nothing of ciphers: nobody writes to this key"),
    (15, "as 9"),
    (19, "as 9"),
    (20, "as 9"),
    (21, "as 9"),
    (84, "a subject is UTF-8: the original takes each of its bytes for a character"),
];

#[derive(Debug)]
struct Answer {
    status: u16,
    media_type: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

struct Replay<'a> {
    server: &'a TestServer,
    /// Ids of the recorded run, and ours in their place.
    ids: BTreeMap<String, String>,
    answers: Vec<Answer>,
}

#[tokio::test]
async fn recorded_calls_are_answered_as_the_original_did_but_for_what_it_did_wrong() {
    let calls: Vec<Value> = serde_json::from_slice(&super::fixture("transcript.json")).unwrap();
    assert_eq!(calls.len(), 162);
    for server in servers().await {
        let mut replay = Replay { server: &server, ids: BTreeMap::new(), answers: Vec::new() };
        let mut differences = Vec::new();
        for (number, call) in calls.iter().enumerate() {
            let answer = replay.ask(number, call);
            replay.learn(number, &answer);
            differences.extend(replay.compare(number, call, &answer));
            replay.answers.push(answer);
        }
        assert!(differences.is_empty(), "{:#?}", differences);
    }
}

impl Replay<'_> {
    fn ask(&self, number: usize, call: &Value) -> Answer {
        let text = |member: &str| call[member].as_str().unwrap_or_default();
        let path = self.in_our_ids(text("path"));
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--path-as-is", "-o", "-", "-w", "\n%{http_code} %{content_type}"]);
        match text("method") {
            "HEAD" => curl.args(["-I", "-o", "/dev/null"]),
            method => curl.args(["-X", method]),
        };
        let wrong = call["response"]["detail"] == "Provided apikey is not valid";
        let key = if wrong { "wrong" } else { &self.server.token };
        if call["with_key"] == true {
            curl.args(["-H", &format!("X-API-Key: {key}")]);
        }
        if let Some((media_type, body)) = self.body(number, call) {
            let file = body_file(&body);
            curl.args(["-H", &format!("Content-Type: {media_type}"), "--data-binary"]);
            curl.arg(format!("@{}", file.path().display()));
            return run(curl.arg(format!("{}{path}", self.server.url)));
        }
        run(curl.arg(format!("{}{path}", self.server.url)))
    }

    /// What to send. The recording leaves out what is long or is not JSON.
    fn body(&self, number: usize, call: &Value) -> Option<(&'static str, Vec<u8>)> {
        const JSON: &str = "application/json";
        let export = || self.answers[154].json();
        let import = |key: &str, data: &str, salt: &Value| json!({"key": key, "data": data, "salt": salt});
        let program = |bytes: &[u8]| json!({"key_id": "g-db", "payload": b64(bytes)});
        let request = match number {
            // The recording has the member that was missing.
            5 => {
                let mut request = call["request"].clone();
                request.as_object_mut()?.remove("hab");
                request
            }
            98 => return Some((JSON, b"{".to_vec())),
            99 => return Some((JSON, Vec::new())),
            100 => return Some(("text/plain", b"{}".to_vec())),
            101 => return Some(("application/x-www-form-urlencoded", b"a=b".to_vec())),
            142 => program(&systemd_boot()),
            143 => program(&unb64(&self.answers[142].json()["signed"])),
            144 => program(&systemd_boot()[..4096]),
            158 => import("d3Jvbmc=", export()["data"].as_str()?, &export()["salt"]),
            159 => import("cGFzcw==", &export()["data"].as_str()?[..400], &export()["salt"]),
            160 => import("cGFzcw==", export()["data"].as_str()?, &export()["salt"]),
            161 => import("cGFzcw==", export()["data"].as_str()?, &"a".into()),
            _ if call["request"].is_null() => return None,
            _ => call["request"].clone(),
        };
        Some((JSON, self.in_our_ids(&request.to_string()).into_bytes()))
    }

    /// The first two key sets are asked for by their ids later.
    fn learn(&mut self, number: usize, answer: &Answer) {
        let (openpgp, rsa) = match number {
            3 => ("6C55C9F65962A98ACD654AD43FE95FB4B6D57FE1", "1d4230b2c4e93c7b9a474feda672394e"),
            6 => ("33007D02BA715DF89174FD76A3936BE547A643B2", "a703fbbac59f6fb5d66c8339f7efcd8e"),
            _ => return,
        };
        let made = answer.json();
        let mut same = |theirs: &str, ours: &str| {
            for (theirs, ours) in
                [(theirs.to_uppercase(), ours.to_uppercase()), (theirs.to_lowercase(), ours.to_lowercase())]
            {
                self.ids.insert(theirs, ours);
            }
        };
        let ours = made["gpg"]["fingerprint"].as_str().unwrap_or_else(|| panic!("{made}"));
        for start in [0, 24, 32] {
            same(&openpgp[start..], &ours[start..]);
        }
        same(rsa, made["rsa"]["fingerprint"].as_str().unwrap());
    }

    fn in_our_ids(&self, text: &str) -> String {
        // Long ids first: short ones are their ends.
        let mut ids: Vec<_> = self.ids.iter().collect();
        ids.sort_by_key(|(theirs, _)| std::cmp::Reverse(theirs.len()));
        ids.into_iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    /// In what our answer differs, beyond what is tolerated.
    fn compare(&self, number: usize, call: &Value, ours: &Answer) -> Option<String> {
        let what = format!("{number} {} {} ({})", call["method"], call["path"], call["note"]);
        let theirs = u16::try_from(call["status"].as_u64()?).ok()?;
        let tolerated = TOLERATED.iter().find(|(tolerated, ..)| *tolerated == number);
        let expected = tolerated.map_or(theirs, |(_, status, _)| *status);
        if ours.status != expected {
            return Some(format!("{what}: {} instead of {expected}: {}", ours.status, ours.json()));
        }
        if ours.status >= 400 {
            return self.compare_refusals(number, call, ours).map(|why| format!("{what}: {why}"));
        }
        if ours.status != theirs || call["method"] == "HEAD" || ours.status != 200 {
            return None;
        }
        let media_type = call["content_type"].as_str()?;
        if ours.media_type != media_type {
            return Some(format!("{what}: {} instead of {media_type}", ours.media_type));
        }
        self.compare_members(number, &call["response"], &ours.json()).map(|why| format!("{what}: {why}"))
    }

    /// Either shape will do. What clients show to people is the same where the request was understood.
    fn compare_refusals(&self, number: usize, call: &Value, ours: &Answer) -> Option<String> {
        let json = ours.json();
        let Some(said) = json["error"].as_str().or(json["detail"].as_str()) else {
            return Some(format!("a refusal that says nothing: {json}"));
        };
        if ["signature", "signed", "auth"].iter().any(|taken| json.get(taken).is_some()) {
            return Some(format!("a refusal that looks like a success: {json}"));
        }
        let wanted = call["response"]["error"].as_str().or(call["response"]["detail"].as_str())?;
        let understood = matches!(ours.status, 401 | 404 | 409) && call["status"] == ours.status;
        let routed = ours.status == 404 && call["content_type"] == "application/problem+json";
        let other_words = OTHER_WORDS.iter().any(|(tolerated, _)| *tolerated == number);
        let same = self.in_our_ids(wanted) == said;
        (understood && !routed && other_words == same).then(|| format!("{said:?} instead of {wanted:?}"))
    }

    /// All members of theirs are in ours, with values of the same type and length.
    fn compare_members(&self, number: usize, theirs: &Value, ours: &Value) -> Option<String> {
        let Value::Object(theirs) = theirs else {
            // The recording was cut: the first member is known.
            let first = theirs.as_str()?.split('"').nth(1)?;
            return ours.get(first).is_none().then(|| format!("no {first:?}"));
        };
        theirs.iter().find_map(|(name, wanted)| {
            let got = &ours[name];
            match (wanted, got) {
                (Value::String(wanted), Value::String(got)) => {
                    let length = recorded_length(wanted);
                    let other = OTHER_LENGTHS.iter().any(|(tolerated, _)| *tolerated == number);
                    // Numbers in DER and in OpenPGP are shorter when they begin with zeros.
                    let same = length.abs_diff(got.len()) <= 8;
                    (same == other).then(|| format!("{name}: {} characters, not {length}", got.len()))
                }
                (Value::Array(wanted), Value::Array(got)) => {
                    let sorted = |mut ids: Vec<String>| {
                        ids.sort();
                        ids
                    };
                    let wanted =
                        sorted(wanted.iter().filter_map(|id| Some(self.in_our_ids(id.as_str()?))).collect());
                    let got = sorted(got.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect());
                    (wanted != got).then(|| format!("{name}: {got:?} instead of {wanted:?}"))
                }
                _ => (wanted != got).then(|| format!("{name}: {got} instead of {wanted}")),
            }
        })
    }
}

/// `BEGINNING...(N chars)` stands for a text of N characters.
fn recorded_length(text: &str) -> usize {
    let cut = text.strip_suffix(" chars)").and_then(|rest| rest.rsplit_once("...("));
    cut.and_then(|(_, length)| length.parse().ok()).unwrap_or(text.len())
}

fn body_file(body: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(body).unwrap();
    file
}

fn run(curl: &mut Command) -> Answer {
    let output = curl.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let end = output.stdout.iter().rposition(|byte| *byte == b'\n').unwrap();
    let line = String::from_utf8_lossy(&output.stdout[end + 1..]).into_owned();
    let (status, media_type) = line.split_once(' ').unwrap_or((&line, ""));
    let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
    Answer { status: status.parse().unwrap(), media_type, body: output.stdout[..end].to_vec() }
}
