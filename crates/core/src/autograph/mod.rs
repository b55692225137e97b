//! Autograph: requests that are signed with a Hawk pair, answered by signers that are native keys.
//!
//! A client names a signer by its id: a native key's own name, or an id that the configuration gives to one. What a
//! signer makes follows from its key, or from the configuration:
//!
//! | type | key | made of data | made of a hash |
//! |---|---|---|---|
//! | `contentsignature`, `contentsignaturepki` | P-256, P-384, P-521 | R and S over the prefixed data | R and S |
//! | `genericrsa` | RSA | PKCS#1 v1.5 or PSS | the same |
//! | `gpg2` | any with an OpenPGP certificate | an armored detached signature | – |
//!
//! and of files a `gpg2` signer in mode `debsign` makes clear-signed ones.
//!
//! Who may use a signer says the policy: `key:sign` on `key:NAME` in the format `content-signature` (data),
//! `openpgp`, or `raw`: RSA, and whatever is signed by its hash alone, because nobody sees what is behind that.
//!
//! ```text
//! settings   what the configuration says   client    ids → the signers that the client may use
//! hawk       who asks, once                signer    keys, and what they make
//! claims     requests answered before      plan      what a signer does with what it is asked for
//! content    base64, hashed in passing     sign      data and hashes
//!                                          files     OpenPGP; clear-signed files, with checksums renewed
//! ```

mod chain;
pub mod checksums;
mod claims;
mod client;
mod content;
mod error;
mod files;
mod hawk;
mod plan;
mod settings;
mod sign;
mod signer;

pub use client::keyids;
pub use content::Content;
pub use error::Error;
pub use files::{AskedFiles, File, MAX_FILES, check_file_name, sign_files};
pub use hawk::{Presented, Proof};
pub use settings::{Kind, OpenPgpMode, Padding, Settings, SettingsError, SignerSettings};
pub use sign::{Asked, Encoding, How, Made, Prepared, Signed, monitor, prepare, sign};
pub use signer::{Described, RsaOptions};

/// What the surface keeps between requests.
pub struct Autograph {
    /// What the configuration says.
    pub settings: Settings,
    claims: claims::Claims,
    defaults: client::Defaults,
}

impl Autograph {
    /// Starts without having answered anything; what other nodes did, and this one before, is in the database.
    pub fn new(settings: Settings) -> Self {
        let claims = claims::Claims::new(settings.skew_seconds);
        Self { settings, claims, defaults: client::Defaults::default() }
    }
}
