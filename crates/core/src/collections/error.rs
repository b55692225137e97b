//! Why a request is refused, in the words of Kinto's protocol; the surface gives each its status and `errno`.

use serde_json::Value;

/// Why a request is refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No or bad credentials where a right is missing.
    #[error("Please authenticate yourself to use this endpoint.")]
    Unauthorized,
    /// Authenticated, but not allowed; also for what does not exist and must not be known of.
    #[error("{0}")]
    Forbidden(String),
    /// Malformed.
    #[error("{0}")]
    Invalid(Invalid),
    /// Refused by the rules of signing: states, tracking fields, numbers with fractions.
    #[error("{0}")]
    Refused(String),
    /// There is no such object.
    #[error("{resource} not found")]
    NotFound {
        /// What it would be, such as `record`.
        resource: &'static str,
        /// Its id.
        id: String,
    },
    /// The parent of what is asked for does not exist.
    #[error("The resource you are looking for could not be found.")]
    MissingParent {
        /// What it would be: `bucket` or `collection`.
        resource: &'static str,
        /// Its id.
        id: String,
    },
    /// There is nothing like that here.
    #[error("Method not allowed on this endpoint.")]
    MethodNotAllowed,
    /// A precondition does not hold.
    #[error("Resource was modified meanwhile")]
    PreconditionFailed {
        /// The timestamp of the object, or of its list where there is no object; for `ETag`.
        timestamp: i64,
        /// The object as it is, if there is one.
        existing: Option<Value>,
    },
    /// The body is of a type that is not taken here.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// More than is taken.
    #[error("{0}")]
    TooLarge(String),
    /// The signer, the database or another part does not answer: to be tried again.
    #[error("{0}")]
    Unavailable(String),
    /// Another use-case's refusal.
    #[error(transparent)]
    Other(#[from] crate::Error),
}

/// What is malformed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where it stands.
    pub location: Location,
    /// What it is called, if it has a name: `_since`, `data.id`.
    pub name: Option<String>,
    /// What is wrong with it.
    pub description: String,
}

/// Where something malformed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the body.
    Body,
    /// In the query.
    Querystring,
    /// In a header.
    Header,
    /// In the path.
    Path,
}

impl Location {
    /// As answers have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Querystring => "querystring",
            Self::Header => "header",
            Self::Path => "path",
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            // As the protocol has it: a description that has the name in it stands for itself.
            Some(name) if self.description.contains(name.as_str()) => f.write_str(&self.description),
            Some(name) => write!(f, "{name} in {}: {}", self.location.as_str(), self.description),
            None => write!(f, "{}: {}", self.location.as_str(), self.description),
        }
    }
}

impl Error {
    /// Something malformed that has a name.
    pub fn invalid(location: Location, name: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(Invalid { location, name: Some(name.into()), description: description.into() })
    }

    /// Something malformed that has no name.
    pub fn nameless(location: Location, description: impl Into<String>) -> Self {
        Self::Invalid(Invalid { location, name: None, description: description.into() })
    }

    /// Authenticated, but not allowed, with the protocol's usual words.
    pub fn forbidden() -> Self {
        Self::Forbidden("This user cannot access this resource.".into())
    }

    /// Whether it undoes all of a batch: nothing was the client's fault.
    pub fn undoes_all(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Other(_))
    }
}

impl From<countersign_store::StoreError> for Error {
    fn from(error: countersign_store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_names_what_is_wrong_stands_by_itself() {
        for (name, what, wanted) in [
            ("_since", "\"abc\" is not a number", "_since in querystring: \"abc\" is not a number"),
            ("_since", "Invalid value for _since", "Invalid value for _since"),
            ("", "Unrecognized keys", "Unrecognized keys"),
        ] {
            assert_eq!(Error::invalid(Location::Querystring, name, what).to_string(), wanted);
        }
        let nameless = Error::nameless(Location::Path, "Invalid object id");
        assert_eq!(nameless.to_string(), "path: Invalid object id");
    }
}
