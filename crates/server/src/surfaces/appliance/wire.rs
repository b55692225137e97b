//! What clients post. Texts are borrowed from the body: payloads are large.

use std::borrow::Cow;

use serde::Deserialize;

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
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Ids<'a> {
    One(#[serde(borrow)] Text<'a>),
    Several(#[serde(borrow)] Vec<Text<'a>>),
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
