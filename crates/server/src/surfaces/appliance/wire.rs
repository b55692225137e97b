//! What clients post. Texts are borrowed from the body: payloads are large.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use countersign_core::appliance::MAX_IDS;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A text of the body. Borrowed unless it has escapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// `POST /cert`, and each certificate of `POST /bootstrap`.
#[derive(Debug, Deserialize)]
pub struct Certificate<'a> {
    #[serde(borrow)]
    pub cert_id: Text<'a>,
    #[serde(borrow)]
    pub subject: Text<'a>,
    #[serde(default = "rsa_2048")]
    pub key_length: u32,
    #[serde(default = "twenty_years")]
    pub days: u32,
}

/// `POST /cert/sign`.
#[derive(Debug, Deserialize)]
pub struct SignDigest<'a> {
    #[serde(borrow)]
    pub cert_id: Text<'a>,
    #[serde(borrow)]
    pub digest: Text<'a>,
}

/// `POST /gpg/sign`, `/kmod/sign`, `/rsa/sign` and `/secureboot/efi`.
#[derive(Debug, Deserialize)]
pub struct Sign<'a> {
    #[serde(borrow)]
    pub key_id: Text<'a>,
    #[serde(borrow)]
    pub payload: Text<'a>,
}

/// `POST /gpg/key`.
#[derive(Debug, Deserialize)]
pub struct OpenPgpKey<'a> {
    #[serde(borrow)]
    pub name_real: Text<'a>,
    #[serde(borrow)]
    pub name_email: Text<'a>,
    #[serde(borrow, default = "no_text")]
    pub name_comment: Text<'a>,
    #[serde(default = "rsa_2048")]
    pub key_length: u32,
}

/// `POST /secureboot/pk`, `/kek`, `/db` and `/dbx`.
#[derive(Debug, Deserialize)]
pub struct SignList<'a> {
    #[serde(borrow, default)]
    pub key_id: Option<Ids<'a>>,
    #[serde(borrow, default)]
    pub signing_key_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub esl: Option<Text<'a>>,
    #[serde(default)]
    pub append: bool,
}

/// One id or several.
#[derive(Debug)]
pub enum Ids<'a> {
    One(Text<'a>),
    /// At most [`MAX_IDS`].
    Several(Vec<Text<'a>>),
}

/// Reading stops at the first one too many: ids take more memory than their bytes in the body.
impl<'de: 'a, 'a> Deserialize<'de> for Ids<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdsVisitor(PhantomData))
    }
}

struct IdsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for IdsVisitor<'a> {
    type Value = Ids<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id or a list of ids")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Ids<'a>, E> {
        Ok(Ids::One(Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Ids<'a>, E> {
        Ok(Ids::One(Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Ids<'a>, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = texts.next_element()? {
            if ids.len() == MAX_IDS {
                return Err(A::Error::custom(format!("a list has at most {MAX_IDS} ids")));
            }
            ids.push(id);
        }
        Ok(Ids::Several(ids))
    }
}

/// `POST /imx/pki`, and the two trees of `POST /bootstrap`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Tree {
    pub hab_type: TreeKind,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TreeKind {
    Hab,
    Ahab,
}

/// `POST /export`.
#[derive(Deserialize)]
pub struct Export<'a> {
    #[serde(borrow)]
    pub key: Text<'a>,
}

/// `POST /import`.
#[derive(Deserialize)]
pub struct Import<'a> {
    #[serde(borrow)]
    pub key: Text<'a>,
    #[serde(borrow)]
    pub data: Text<'a>,
    #[serde(borrow)]
    pub salt: Text<'a>,
}

/// An object whose members do not matter.
#[derive(Debug, Default, Deserialize)]
pub struct Anything {}

/// `POST /bootstrap`.
#[derive(Debug, Deserialize)]
pub struct Bootstrap<'a> {
    #[serde(borrow)]
    pub gpg: OpenPgpKey<'a>,
    #[serde(rename = "rsa")]
    pub _rsa: Anything,
    pub hab: Tree,
    pub ahab: Tree,
    #[serde(borrow)]
    pub certificates: Certificates<'a>,
}

#[derive(Debug, Deserialize)]
pub struct Certificates<'a> {
    #[serde(borrow)]
    pub pk: Certificate<'a>,
    #[serde(borrow)]
    pub kek: Certificate<'a>,
    #[serde(borrow)]
    pub kmod: Certificate<'a>,
    #[serde(borrow, default)]
    pub db: Option<Certificate<'a>>,
}

fn rsa_2048() -> u32 {
    2048
}

fn twenty_years() -> u32 {
    7305
}

fn no_text<'a>() -> Text<'a> {
    Text(Cow::Borrowed(""))
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(json: &str) -> Result<usize, serde_json::Error> {
        let text = format!("{{\"key_id\": {json}}}");
        let list: SignList<'_> = serde_json::from_str(&text)?;
        Ok(match list.key_id {
            None => 0,
            Some(Ids::One(_)) => 1,
            Some(Ids::Several(ids)) => ids.len(),
        })
    }

    #[test]
    fn a_list_has_one_id_or_several_and_no_more_than_can_be_looked_up() {
        let list = |count: usize| format!("[{}]", vec!["\"a\""; count].join(","));
        assert_eq!(ids("\"a\"").unwrap(), 1);
        assert_eq!(ids("\"\\u0061\"").unwrap(), 1);
        assert_eq!(ids("null").unwrap(), 0);
        for count in [0, 1, MAX_IDS] {
            assert_eq!(ids(&list(count)).unwrap(), count);
        }
        for bad in [list(MAX_IDS + 1), "7".into(), "{}".into(), "[[\"a\"]]".into(), "true".into()] {
            assert!(ids(&bad).is_err(), "{bad}");
        }
    }
}
