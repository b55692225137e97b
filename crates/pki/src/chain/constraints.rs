//! NameConstraints (RFC 5280, 4.2.1.10), of host names.

use crate::asn1::{self, Reader};
use crate::extension::AltName;

/// Which host names an authority may certify.
pub(super) struct NameConstraints {
    permitted: Vec<String>,
    excluded: Vec<String>,
}

impl NameConstraints {
    /// Reads the content of the extension's SEQUENCE. Constraints of anything but host names are not
    /// understood: `None`.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut lists = Reader::new(content);
        let permitted = lists.optional(asn1::context_constructed(0)).ok()?;
        let excluded = lists.optional(asn1::context_constructed(1)).ok()?;
        lists.finish().ok()?;
        let subtrees = |list: Option<asn1::Element<'_>>| match list {
            Some(list) => read_subtrees(list.content),
            None => Some(Vec::new()),
        };
        Some(Self { permitted: subtrees(permitted)?, excluded: subtrees(excluded)? })
    }

    /// Whether a name of a leaf may be certified. Names that are no host names are not constrained.
    pub(super) fn allow(&self, name: &AltName) -> bool {
        let AltName::Dns(host) = name else { return true };
        let within = |subtrees: &[String]| subtrees.iter().any(|subtree| is_within(host, subtree));
        let permitted = self.permitted.is_empty() || within(&self.permitted);
        // What `*` stands for may be excluded.
        let excluded = !self.excluded.is_empty() && (host.starts_with('*') || within(&self.excluded));
        permitted && !excluded
    }
}

fn read_subtrees(content: &[u8]) -> Option<Vec<String>> {
    let mut list = Reader::new(content);
    let mut subtrees = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.sequence().ok()?;
        let name = subtree.expect(asn1::context(2)).ok()?;
        // Minimum and maximum are never used.
        subtree.finish().ok()?;
        let name = std::str::from_utf8(name.content).ok().filter(|name| name.is_ascii())?;
        subtrees.push(name.to_ascii_lowercase());
    }
    Some(subtrees)
}

/// `example.org` has itself and all below it, `.example.org` all below it, the empty name has all.
fn is_within(host: &str, subtree: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let Some(above) = host.strip_suffix(subtree) else { return false };
    if subtree.starts_with('.') {
        !above.is_empty()
    } else {
        subtree.is_empty() || above.is_empty() || above.ends_with('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_has_what_is_below_it() {
        for (host, subtree, wanted) in [
            ("a.content-signature.example", ".content-signature.example", true),
            ("a.b.content-signature.example", ".content-signature.example", true),
            ("A.Content-Signature.example", ".content-signature.example", true),
            ("content-signature.example", ".content-signature.example", false),
            ("example.org", "example.org", true),
            ("a.example.org", "example.org", true),
            ("badexample.org", "example.org", false),
            ("example.org.evil", "example.org", false),
            ("a.example.org", "", true),
        ] {
            assert_eq!(is_within(host, subtree), wanted, "{host} {subtree}");
        }
    }
}
