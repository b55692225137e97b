//! What stands for what: timestamps, ids and names of a capture, and the ones of a server that is asked the same.

use std::collections::HashMap;

use serde_json::Value;

/// Texts of the capture, and what they are here.
#[derive(Default)]
pub struct Bindings {
    texts: HashMap<String, String>,
    /// The last timestamp there and here.
    last: (i64, i64),
}

impl Bindings {
    /// `there` is `here` from now on.
    pub fn bind(&mut self, there: &str, here: &str) {
        self.texts.insert(there.into(), here.into());
    }

    /// What of a captured request is to be sent. A timestamp that was not seen yet keeps its distance to the last
    /// one.
    pub fn sent(&mut self, text: &str) -> String {
        let mut sent = text.to_owned();
        for (there, here) in &self.texts {
            if there.len() >= 8 {
                sent = sent.replace(there, here);
            }
        }
        for there in timestamps(text) {
            if !self.texts.contains_key(&there) {
                let here = (there.parse::<i64>().unwrap() - self.last.0 + self.last.1).to_string();
                sent = sent.replace(&there, &here);
                self.bind(&there, &here);
            }
        }
        sent
    }

    /// Compares what was answered there and here.
    pub fn same(&mut self, there: &Value, here: &Value) -> Result<(), String> {
        self.same_at("", there, here)
    }

    fn same_at(&mut self, at: &str, there: &Value, here: &Value) -> Result<(), String> {
        let different = || Err(format!("{at}: {there} there, {here} here"));
        match (there, here) {
            (Value::Object(a), Value::Object(b)) => {
                let names = |o: &serde_json::Map<String, Value>| {
                    let mut names: Vec<String> = o.keys().cloned().collect();
                    names.sort();
                    names
                };
                // A signature says more here than it must.
                let is_signature = a.contains_key("x5u");
                if is_signature
                    && !["type", "public_key", "signer_id"].iter().all(|name| b.contains_key(*name))
                    || !is_signature && names(a) != names(b)
                {
                    return different();
                }
                a.iter().try_for_each(|(name, there)| {
                    // Lists of principals have no order.
                    let (there, here) =
                        match at.ends_with("permissions") || name == "permissions" && there.is_array() {
                            true => (sorted(self.known(there)), sorted(b[name].clone())),
                            false => (there.clone(), b[name].clone()),
                        };
                    self.same_at(&format!("{at}/{name}"), &there, &here)
                })
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let mut items = a.iter().zip(b).enumerate();
                items.try_for_each(|(index, (a, b))| self.same_at(&format!("{at}/{index}"), a, b))
            }
            (Value::Number(a), Value::Number(b)) => {
                let (a_text, b_text) = (a.to_string(), b.to_string());
                if is_timestamp(&a_text) && b.is_i64() {
                    return self.same_variable(at, &a_text, &b_text);
                }
                if a == b || a.as_f64() == b.as_f64() { Ok(()) } else { different() }
            }
            (Value::String(a), Value::String(b)) => self.same_text(at, a, b),
            (a, b) if a == b => Ok(()),
            _ => different(),
        }
    }

    fn same_text(&mut self, at: &str, there: &str, here: &str) -> Result<(), String> {
        if self.sent_known(there) == here {
            return Ok(());
        }
        let bare = there.trim_matches('"');
        if is_timestamp(bare) {
            return self.same_variable(at, bare, here.trim_matches('"'));
        }
        if is_date(there) && is_date(here) {
            return Ok(());
        }
        let random = is_uuid(there) && is_uuid(here)
            || there.len() == 128 && here.len() == 128
            || at.ends_with("/id") && there.len() == 8 && here.len() == 8;
        if random {
            return self.same_variable(at, there, here);
        }
        Err(format!("{at}: {there:?} there, {here:?} here"))
    }

    /// Something that is another one here, but always the same.
    pub fn same_variable(&mut self, at: &str, there: &str, here: &str) -> Result<(), String> {
        if is_timestamp(there) {
            self.last = (there.parse().unwrap(), here.parse().map_err(|_| format!("{at}: {here}"))?);
        }
        let bound = self.texts.entry(there.into()).or_insert_with(|| here.into());
        if bound == here {
            Ok(())
        } else {
            Err(format!("{at}: {there} there, which is {bound}, not {here}, here"))
        }
    }

    fn sent_known(&self, text: &str) -> String {
        self.texts.get(text).cloned().unwrap_or_else(|| text.to_owned())
    }

    fn known(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.known(item)).collect(),
            Value::String(text) => self.sent_known(text).into(),
            other => other.clone(),
        }
    }
}

fn sorted(mut value: Value) -> Value {
    if let Value::Array(items) = &mut value {
        items.sort_by_key(Value::to_string);
    }
    value
}

fn is_timestamp(text: &str) -> bool {
    text.len() == 13 && (text.starts_with("179520") && text.bytes().all(|b| b.is_ascii_digit()))
}

fn is_date(text: &str) -> bool {
    text.len() == 32 && text.as_bytes()[10] == b'T' && text.ends_with("+00:00")
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn timestamps(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    words.filter(|word| is_timestamp(word)).map(str::to_owned).collect()
}
