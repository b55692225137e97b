//! Reading tags: for anybody.

use countersign_model::{Digest, HashAlg, time};
use countersign_records::tag::{AuthorityName, Tag};
use countersign_store::{TagFilter, TagRecord, TagSummary};
use serde::Serialize;

use super::name::{TagName, check_prefix, shown, signature_paths};
use super::validate::{Verdict, Who, validate};
use super::{Error, file};
use crate::context::Context;
use crate::page::Page;

/// What the API says about a version of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagDocument {
    /// The tag.
    pub name: String,
    /// From 1.
    pub version: u64,
    /// SHA-256 of the payload in hex.
    pub payload_sha256: String,
    /// Whose signatures it has.
    pub authorities: Vec<String>,
    /// When the version was made: RFC 3339.
    pub created: String,
}

/// A page of tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagList {
    /// In the order of their names.
    pub tags: Vec<TagDocument>,
    /// What to ask for after this page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A version in the list of a tag's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionDocument {
    /// From 1.
    pub version: u64,
    /// SHA-256 of the payload in hex.
    pub payload_sha256: String,
    /// Whose signatures it has.
    pub authorities: Vec<String>,
    /// When it was made: RFC 3339.
    pub created: String,
    /// Whether the tag is hidden, with all its versions.
    pub hidden: bool,
}

/// The versions of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionList {
    /// The tag.
    pub name: String,
    /// In their order.
    pub versions: Vec<VersionDocument>,
    /// What to ask for after this page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A version of a tag as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which version.
    pub version: u64,
    /// SHA-256 of its payload.
    pub payload_sha256: [u8; 32],
    /// The payload with all its signatures.
    pub file: Vec<u8>,
}

/// A signature of a stored tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSignature {
    /// Which version.
    pub version: u64,
    /// SHA-256 of the payload that is signed.
    pub payload_sha256: [u8; 32],
    /// Lines of base64, each with its line feed.
    pub lines: Vec<u8>,
    /// RSA as long as the modulus, ECDSA in DER.
    pub raw: Vec<u8>,
}

impl TagDocument {
    pub(super) fn of(tag: &TagRecord) -> Self {
        Self {
            name: tag.name.clone(),
            version: tag.version,
            payload_sha256: hex::encode(tag.payload_sha256),
            authorities: tag.signatures.iter().map(|signature| signature.authority.clone()).collect(),
            created: time::seconds(tag.created),
        }
    }

    fn listed(tag: TagSummary) -> Self {
        Self {
            name: tag.name,
            version: tag.version,
            payload_sha256: hex::encode(tag.payload_sha256),
            authorities: tag.authorities,
            created: time::seconds(tag.created),
        }
    }
}

/// A version of a tag, the current one if none is named. Nothing is verified.
///
/// # Errors
/// [`Error::UnknownTag`], [`Error::Hidden`].
pub async fn get(ctx: &Context, name: &TagName, version: Option<u64>) -> Result<Stored, Error> {
    let tag = visible(find(ctx, name, version).await?)?;
    Ok(Stored { version: tag.version, payload_sha256: tag.payload_sha256, file: file::signed(&tag) })
}

/// As [`get`], and what the signatures of these authorities are worth now.
///
/// # Errors
/// As [`get`] and [`validate`].
pub async fn get_judged(
    ctx: &Context,
    name: &TagName,
    version: Option<u64>,
    authorities: Vec<AuthorityName>,
) -> Result<(u64, Verdict), Error> {
    let stored = get(ctx, name, version).await?;
    let verdict = validate(ctx, stored.file, Who::Named(authorities)).await?;
    Ok((stored.version, verdict))
}

/// The signature that the path `NAME.AUTHORITY` means: that of the longest NAME there is, if AUTHORITY signed
/// it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Hidden`].
pub async fn signature(ctx: &Context, path: &str, version: Option<u64>) -> Result<StoredSignature, Error> {
    for (name, authority) in signature_paths(path) {
        let Some(tag) = ctx.store.tag(name.as_str(), version).await? else { continue };
        if !tag.signatures.iter().any(|signature| signature.authority == authority.as_str()) {
            continue;
        }
        let tag = visible(tag)?;
        let parsed = Tag::parse(&file::signed(&tag)).map_err(|_| damaged(&name))?;
        let block = parsed.block(&authority).ok_or_else(|| damaged(&name))?;
        return Ok(StoredSignature {
            version: tag.version,
            payload_sha256: tag.payload_sha256,
            lines: block.base64_lines().to_vec(),
            raw: block.signature().to_vec(),
        });
    }
    Err(Error::NotFound(format!("signature {}.sig", shown(path))))
}

/// The versions of a tag, also of a hidden one.
///
/// - `after`: the last version of the page before, or 0.
///
/// # Errors
/// [`Error::UnknownTag`].
pub async fn versions(ctx: &Context, name: &TagName, after: u64, limit: u32) -> Result<VersionList, Error> {
    let mut versions = ctx.store.tag_versions(name.as_str(), after, limit.saturating_add(1)).await?;
    if versions.is_empty() && ctx.store.tag(name.as_str(), None).await?.is_none() {
        return Err(Error::UnknownTag(name.to_string()));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = versions.len() > limit;
    versions.truncate(limit);
    let next = if more { versions.last().map(|last| last.version) } else { None };
    let document = |version: countersign_store::TagVersionSummary| VersionDocument {
        version: version.version,
        payload_sha256: hex::encode(version.payload_sha256),
        authorities: version.authorities,
        created: time::seconds(version.created),
        hidden: version.hidden,
    };
    Ok(VersionList { name: name.to_string(), versions: versions.into_iter().map(document).collect(), next })
}

/// The tags that are not hidden, in the order of their names. Nothing is verified.
///
/// # Errors
/// [`Error::BadTagName`] if no name begins with `prefix`.
pub async fn list(ctx: &Context, prefix: &str, page: &Page) -> Result<TagList, Error> {
    let (tags, next) = page_of(ctx, prefix, None, page).await?;
    Ok(TagList { tags: tags.into_iter().map(TagDocument::listed).collect(), next })
}

/// How many signatures are judged for one page of a search by digest, which anybody may ask for.
pub const MOST_JUDGED: usize = 100;

/// The tags whose current version is about the artifact with this digest and was signed by all of these
/// authorities, as of now. Only their names stand in the documents.
///
/// A page may have fewer tags than its limit, and others after it: at most [`MOST_JUDGED`] signatures are judged
/// for it.
///
/// # Errors
/// [`Error::BadRequest`] for another digest than SHA-256; [`Error::NoAuthorities`];
/// [`Error::UnknownAuthority`]; [`Error::BadTagName`].
pub async fn find_by_digest(
    ctx: &Context,
    digest: &Digest,
    authorities: &[AuthorityName],
    prefix: &str,
    page: &Page,
) -> Result<TagList, Error> {
    if digest.alg() != HashAlg::Sha256 {
        return Err(Error::BadRequest("artifacts are known by `sha256:HEX`".into()));
    }
    if authorities.is_empty() {
        return Err(Error::NoAuthorities);
    }
    for name in authorities {
        super::authorities::known(ctx, name)?;
    }
    let most = (MOST_JUDGED / authorities.len()).max(1);
    let page = Page { limit: page.limit.min(most), after: page.after.clone() };
    let (found, next) = page_of(ctx, prefix, Some(&digest.to_string()), &page).await?;
    let mut tags = Vec::new();
    for summary in found {
        // Of a tag that was written to meanwhile the version that was found is judged.
        let Some(tag) = ctx.store.tag(&summary.name, Some(summary.version)).await? else { continue };
        let who = Who::Named(authorities.to_vec());
        if validate(ctx, file::signed(&tag), who).await?.refusal().is_none() {
            let authorities = authorities.iter().map(ToString::to_string).collect();
            tags.push(TagDocument { authorities, ..TagDocument::of(&tag) });
        }
    }
    Ok(TagList { tags, next })
}

async fn page_of(
    ctx: &Context,
    prefix: &str,
    digest: Option<&str>,
    page: &Page,
) -> Result<(Vec<TagSummary>, Option<String>), Error> {
    check_prefix(prefix)?;
    let filter = TagFilter { prefix, after: page.after.as_deref(), digest };
    // A page has at most 1000.
    let limit = u32::try_from(page.limit).unwrap_or(1000).saturating_add(1);
    let tags = ctx.store.tags(&filter, limit).await?;
    Ok(page.cut(tags.into_iter(), |tag| tag.name.clone()))
}

pub(super) async fn find(ctx: &Context, name: &TagName, version: Option<u64>) -> Result<TagRecord, Error> {
    let what = || match version {
        Some(version) => format!("{name} of version {version}"),
        None => name.to_string(),
    };
    // No version is 0, which the store takes for the current one.
    let found = match version {
        Some(0) => None,
        _ => ctx.store.tag(name.as_str(), version).await?,
    };
    found.ok_or_else(|| Error::UnknownTag(what()))
}

/// The tag, unless it is hidden.
pub(super) fn visible(tag: TagRecord) -> Result<TagRecord, Error> {
    match &tag.hidden {
        None => Ok(tag),
        Some(hidden) => Err(Error::Hidden { name: tag.name.clone(), by: hidden.by.clone(), at: hidden.at }),
    }
}

fn damaged(name: &TagName) -> Error {
    Error::Core(crate::Error::Internal(format!("tag `{name}` is damaged in the database")))
}
