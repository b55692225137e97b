//! Proof of possession: the server gives a text, and a root key signs it.

use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::proof::{CONTEXT, Operation};
use http::Method;
use serde_json::{Value, json};

use super::pending::Pending;
use super::service::Service;
use super::signer::Signer;
use crate::failure::Failure;

/// A proof by the first signer that is a root key of what is pending or of what is in force.
///
/// - `new`: what takes the place of the pending metadata, for [`Operation::Override`].
///
/// # Errors
/// If none of the signers is, or the server's text is not about this.
pub async fn make(
    service: &Service,
    pending: &Pending,
    (role, old): (&str, &Document),
    operation: Operation,
    new: Option<&Document>,
    signers: &[Signer],
) -> Result<Value, Failure> {
    let mut asked = json!({"role": role, "operation": operation.as_str()});
    let digest = new.map(|new| hex::encode(new.signed_sha256()));
    if let Some(digest) = &digest {
        asked["metadata_sha256"] = json!(digest);
    }
    let data = service.send(Method::POST, "metadata/sign/challenge", &asked).await?;
    let (nonce, payload) = (text(&data, "nonce")?, text(&data, "payload")?);
    check(payload, operation, role, old, digest.as_deref(), nonce)?;
    for by in root_signers(pending, old)? {
        for signer in signers {
            if let Some((keyid, key)) = signer.ids(&by.keys, &by.role).next() {
                let sig = signer.sign(key, payload.as_bytes())?;
                return Ok(json!({"nonce": nonce, "keyid": keyid, "sig": sig}));
            }
        }
    }
    Err(Failure::refused("none of the keys is a root key, so it proves nothing")
        .hint("a root key of the root in force or of the pending one does"))
}

fn root_signers(pending: &Pending, old: &Document) -> Result<Vec<super::pending::Signers>, Failure> {
    pending.signers(Kind::Root.as_str(), old)
}

fn text<'a>(data: &'a Value, name: &str) -> Result<&'a str, Failure> {
    data[name].as_str().ok_or_else(|| Failure::unknown(format!("the server's challenge has no `{name}`")))
}

/// Nothing is signed but the text for what was asked: a server must not get a signature over anything else.
fn check(
    payload: &str,
    operation: Operation,
    role: &str,
    old: &Document,
    new: Option<&str>,
    nonce: &str,
) -> Result<(), Failure> {
    let lines: Vec<&str> = payload.split('\n').collect();
    let old = hex::encode(old.signed_sha256());
    let fits = match lines.as_slice() {
        [context, _, asked, of, before, after, once, ""] => {
            *context == CONTEXT
                && *asked == operation.as_str()
                && *of == role
                && *before == old
                && *after == new.unwrap_or("-")
                && *once == nonce
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Failure::refused("the server's challenge is not about what was asked")
        .hint("what is pending may have changed meanwhile: look at it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_about_something_else_is_not_signed() {
        let old = json!({"_type":"snapshot","spec_version":"1.0.31","version":1,"expires":"2027-01-01T00:00:00Z","meta":{}});
        let old = Document::unsigned(old).unwrap();
        let digest = hex::encode(old.signed_sha256());
        let good = format!("{CONTEXT}\nserver\ndelete\nroot\n{digest}\n-\nabc\n");
        let judged = |text: &str, operation| check(text, operation, "root", &old, None, "abc").is_ok();
        assert!(judged(&good, Operation::Delete));
        assert!(!judged(&good, Operation::Override));
        for (from, to) in
            [("root", "targets"), ("abc", "abd"), ("-\n", "0a\n"), (CONTEXT, "{"), ("abc\n", "abc")]
        {
            assert!(!judged(&good.replace(from, to), Operation::Delete), "{from}");
        }
        assert!(!judged("", Operation::Delete));
    }
}
