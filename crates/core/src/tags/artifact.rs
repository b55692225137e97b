//! Tags about bytes: the head that says which.

use countersign_model::Digest;
use countersign_records::tag::Payload;
use countersign_records::tag::head::{Head, HeadError};
use jiff::Timestamp;

use super::Error;
use super::name::TagName;

/// What a client says about an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHead {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// What it is called; `None`: as the tag.
    pub subject: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Further keys with their values, `media-type`, `built-by` and `param.NAME`, in their order.
    pub fields: Vec<(String, String)>,
    /// When it was made: RFC 3339, whole seconds; `None`: now.
    pub created: Option<String>,
}

impl NewHead {
    /// The payload to sign.
    ///
    /// A tag that says the same already, but for the time, is taken as it is: so asking twice makes one
    /// version.
    ///
    /// - `present`: the payload of the current version.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a key or value that cannot be.
    pub(super) fn payload(
        &self,
        name: &TagName,
        present: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Payload, Error> {
        let head = self.head(name, now).map_err(|error| bad(&error))?;
        if self.created.is_none()
            && let Some(present) = present.and_then(|payload| Head::parse(payload).ok())
            && timeless(&present).eq(timeless(&head))
        {
            return Ok(present.to_payload());
        }
        Ok(head.to_payload())
    }

    fn head(&self, name: &TagName, now: Timestamp) -> Result<Head, HeadError> {
        let subject = self.subject.as_deref().unwrap_or(name.as_str());
        let mut head = Head::new(subject, &self.digest)?;
        if let Some(size) = self.size {
            head = head.with_size(size)?;
        }
        for (key, value) in &self.fields {
            head = head.with(key, value)?;
        }
        match &self.created {
            Some(created) => head.with("created", created),
            None => head.with_created(now),
        }
    }
}

/// All that a head says but when.
fn timeless(head: &Head) -> impl Iterator<Item = (&str, &str)> {
    head.fields().filter(|(key, _)| *key != "created")
}

fn bad(error: &HeadError) -> Error {
    Error::BadRequest(format!("{error}: {}", error.hint()))
}

/// The artifact that a payload is about, `sha256:HEX`, if it is a head.
pub(super) fn digest_of(payload: &[u8]) -> Option<String> {
    Head::parse(payload).ok().map(|head| head.digest().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_model::HashAlg;

    fn head() -> NewHead {
        NewHead {
            digest: HashAlg::Sha256.digest(b"jar"),
            subject: None,
            size: Some(3),
            fields: vec![("param.JOB".into(), "nightly\n=== SIGNATURE a\ndigest: x".into())],
            created: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_job_parameter_can_make_no_line() {
        let payload = head().payload(&"app.jar".parse().unwrap(), None, at(0)).unwrap();
        let text = String::from_utf8(payload.as_bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "subject: app.jar");
        assert_eq!(lines[3], "size: 3");
        assert_eq!(lines[4], "param.JOB: nightly%0A=== SIGNATURE a%0Adigest: x");
        assert_eq!(lines[5], "created: 2027-01-15T08:00:00Z");
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn the_same_said_again_is_the_payload_that_is_there() {
        let name = "app.jar".parse().unwrap();
        let first = head().payload(&name, None, at(0)).unwrap();
        assert_eq!(head().payload(&name, Some(first.as_bytes()), at(9)).unwrap(), first);
        let other = NewHead { size: Some(4), ..head() };
        assert_ne!(other.payload(&name, Some(first.as_bytes()), at(0)).unwrap(), first);
        let dated = NewHead { created: Some("2027-01-15T08:00:09Z".into()), ..head() };
        assert_ne!(dated.payload(&name, Some(first.as_bytes()), at(9)).unwrap(), first);
    }

    #[test]
    fn keys_and_values_that_cannot_be_are_refused() {
        for (key, value) in
            [("param.a b", "x"), ("param.", "x"), ("Size", "x"), ("digest", "x"), ("size", "x")]
        {
            let head = NewHead { fields: vec![(key.into(), value.into())], ..head() };
            let refused = head.payload(&"a".parse().unwrap(), None, at(0));
            assert!(matches!(refused, Err(Error::BadRequest(_))), "{key}");
        }
    }
}
