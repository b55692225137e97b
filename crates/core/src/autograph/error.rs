//! Why a request of an Autograph client was refused.

/// Why a request was refused. `Display` is what the client is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is not signed, or not by the secret of its id, or not now, or was answered before. Which of
    /// these is not said.
    #[error("authorization verification failed: {0}")]
    Unauthorized(&'static str),
    /// There is no such signer, or not for this client.
    #[error("{id} is not authorized to sign with key ID {key}")]
    NotForYou {
        /// The Hawk id.
        id: String,
        /// The signer asked for.
        key: String,
    },
    /// No signer was named, and there is none that the client may use.
    #[error("\"{0}\" does not have a default signing key")]
    NoDefault(String),
    /// Only one's own key ids can be asked for.
    #[error("Authorized user \"{id}\" cannot request keyids for user \"{other}\"")]
    Other {
        /// The Hawk id.
        id: String,
        /// The id asked about.
        other: String,
    },
    /// The signer makes something else.
    #[error("requested signer \"{signer}\" does not implement {operation} signing")]
    NotImplemented {
        /// Its id.
        signer: String,
        /// `data`, `hash`, `file` or `multiple file`.
        operation: &'static str,
    },
    /// A request that cannot be done as it stands.
    #[error("{0}")]
    Invalid(String),
    /// What every surface can meet.
    #[error(transparent)]
    Core(#[from] crate::Error),
}

impl Error {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}
