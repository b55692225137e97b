//! What a person or a script sees. The only place that prints.
//!
//! Data goes to standard output, talk to standard error. Nothing depends on colour. With `--json`,
//! standard output has exactly one JSON document: the API's own, byte by byte, where there is one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the place that prints")]

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Short tables and texts.
    Text,
    /// One JSON document.
    Json,
}

/// A column of a table or a line of a card: its heading, and where its value is in the document (a JSON
/// pointer, RFC 6901).
pub type Field<'a> = (&'a str, &'a str);

impl Output {
    /// Whether `--json` was given.
    pub fn is_json(self) -> bool {
        self == Self::Json
    }

    /// Prints a document of the API as it came, or what `text` makes of it.
    pub fn document(self, body: &[u8], text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        match self {
            Self::Json => write_stdout(body, true),
            Self::Text => {
                let value = serde_json::from_slice(body).map_err(|error| {
                    Failure::unknown(format!("the server's answer is not JSON: {error}"))
                        .hint("is this the address of a countersign server?")
                })?;
                write_stdout(text(&value).as_bytes(), true)
            }
        }
    }

    /// As [`document`](Self::document), for a document made here.
    pub fn value(self, value: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        match self {
            Self::Json => write_stdout(value.to_string().as_bytes(), true),
            Self::Text => write_stdout(text(value).as_bytes(), true),
        }
    }

    /// Prints bytes as they are: a signature, a PEM, a script.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        write_stdout(bytes, false)
    }

    /// Prints one line at once, for output that goes on.
    pub fn line(self, line: &str) -> Result<(), Failure> {
        write_stdout(line.as_bytes(), true)
    }

    /// Says something to the person: progress, what was written where. Not data.
    pub fn say(self, text: &str) {
        // A closed standard error must not stop the work.
        let _ = writeln!(io::stderr(), "{}", safe(text));
    }

    /// Reports how the command ended and returns the exit code for it.
    pub fn finish(self, result: Result<Outcome, Failure>) -> ExitCode {
        let failure = match result {
            Ok(Outcome::Done) => return ExitCode::SUCCESS,
            Ok(Outcome::No) => return ExitCode::from(1),
            Err(failure) => failure,
        };
        if self.is_json() {
            let _ = write_stdout(&failure_document(&failure), true);
        }
        self.say(&format!("error: {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.say(&format!("hint: {hint}"));
        }
        ExitCode::from(failure.code())
    }
}

/// The server's error document, or one of the same form for what went wrong here.
fn failure_document(failure: &Failure) -> Vec<u8> {
    match &failure.document {
        Some(document) => document.to_vec(),
        None => {
            let mut problem = serde_json::json!({
                "type": "about:blank", "title": "the command failed", "detail": failure.message,
            });
            if let Some(hint) = &failure.hint {
                problem["hint"] = hint.as_str().into();
            }
            problem.to_string().into_bytes()
        }
    }
}

fn write_stdout(bytes: &[u8], line: bool) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let mut write = || {
        stdout.write_all(bytes)?;
        if line && !bytes.ends_with(b"\n") {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    };
    match write() {
        // The reader has seen enough, as in `countersign log monitor | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::unknown(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Rows as a table with a heading, columns padded to their widest cell. `none` when there are no rows.
pub fn table(rows: &[Value], columns: &[Field<'_>], none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let mut lines = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| columns.iter().map(|(_, at)| cell(row.pointer(at))).collect()));
    align(&lines)
}

/// One document as lines `name  value`.
pub fn card(document: &Value, fields: &[Field<'_>]) -> String {
    let lines: Vec<Vec<String>> =
        fields.iter().map(|(name, at)| vec![(*name).to_owned(), cell(document.pointer(at))]).collect();
    align(&lines)
}

/// Cells in columns, two spaces between them, no spaces at the ends of lines.
pub fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| lines.iter().filter_map(|line| line.get(i)).map(|c| c.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// A value as one cell: absent and null are `-`, lists are joined by commas.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::String(text)) => safe_cell(text),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        Some(other) => safe_cell(&other.to_string()),
    }
}

/// Text of others, without the control characters that would let it move about on a terminal.
pub fn safe(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n';
    text.chars().flat_map(|c| if harmless(c) { vec![c] } else { c.escape_default().collect() }).collect()
}

fn safe_cell(text: &str) -> String {
    safe(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_widest_cells() {
        let rows = [
            json!({"name":"release","type":"p384","formats":null}),
            json!({"name":"a","type":"rsa-2048","formats":["raw","tag"]}),
        ];
        let columns = [("NAME", "/name"), ("TYPE", "/type"), ("FORMATS", "/formats")];
        assert_eq!(
            table(&rows, &columns, "no keys"),
            "NAME     TYPE      FORMATS\n\
             release  p384      -\n\
             a        rsa-2048  raw,tag\n"
        );
        assert_eq!(table(&[], &columns, "no keys"), "no keys");
    }

    #[test]
    fn a_card_has_a_line_for_each_field() {
        let document = json!({"name":"r","log":{"index":7},"exportable":false});
        let fields = [("name", "/name"), ("log index", "/log/index"), ("exportable", "/exportable")];
        assert_eq!(card(&document, &fields), "name        r\nlog index   7\nexportable  no\n");
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        let rows = [json!({"subject":"a\u{1b}[2Jb\nc"})];
        assert_eq!(table(&rows, &[("SUBJECT", "/subject")], ""), "SUBJECT\na\\u{1b}[2Jb\\nc\n");
    }

    #[test]
    fn a_failure_without_a_document_gets_one_of_the_same_form() {
        let failure = Failure::unknown("cannot connect").hint("start the server");
        let document: Value = serde_json::from_slice(&failure_document(&failure)).unwrap();
        assert_eq!(document["detail"], "cannot connect");
        assert_eq!(document["hint"], "start the server");
    }
}
