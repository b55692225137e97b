//! Files on the web, bounded in bytes and in time.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::{METADATA, NotFetched, Sink, TARGETS};
use crate::failure::{Failure, OrUnknown as _};
use crate::transport::is_loopback;

/// Files on the web.
pub struct Web {
    client: reqwest::Client,
    pub metadata: String,
    pub targets: String,
    patience: Patience,
}

/// How slow a place may be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, and between two pieces.
    pub idle: Duration,
    /// Bytes in a second, on the average of a file.
    pub least_rate: u64,
}

pub fn base_of(url: &str) -> Result<String, Failure> {
    let bad = |why: &str| {
        Failure::unknown(format!("`{url}` is not the address of a repository: {why}"))
            .hint("it has the form https://tuf.example.org/metadata")
    };
    let parsed: http::Uri = url.parse().map_err(|_| bad("it is not a URL"))?;
    if parsed.query().is_some() {
        return Err(bad("it has a query"));
    }
    if parsed.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(bad("it has no host, or a name before it"));
    }
    let bare = url.trim_end_matches('/');
    // Only a host: what a server of ours has.
    let whole =
        if matches!(parsed.path(), "" | "/") { format!("{bare}/{METADATA}") } else { bare.to_owned() };
    Ok(format!("{whole}/"))
}

/// `…/targets/` for `…/metadata/`; for any other, `targets` beside it.
pub fn beside(metadata: &str) -> String {
    let bare = metadata.trim_end_matches('/');
    let host = bare.find("://").map_or(0, |at| at + 3);
    match bare.rfind('/').filter(|at| *at > host) {
        Some(at) => format!("{}/{TARGETS}/", &bare[..at]),
        None => format!("{bare}/{TARGETS}/"),
    }
}

impl Web {
    /// A client of two addresses, each ended by a slash.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(
        metadata: String,
        targets: String,
        ca: Option<&[u8]>,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.idle)
            .read_timeout(patience.idle)
            .redirect(reqwest::redirect::Policy::limited(5));
        let hosts = [&metadata, &targets].map(|url| url.parse::<http::Uri>().ok());
        let local = |url: &Option<http::Uri>| url.as_ref().and_then(http::Uri::host).is_some_and(is_loopback);
        if hosts.iter().all(local) {
            builder = builder.no_proxy();
        }
        if let Some(pem) = ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .or_unknown("the file of --repository-ca has no certificate that can be read")?;
            builder = builder.tls_certs_only(certificates);
        } else if metadata.starts_with("http://") && targets.starts_with("http://") {
            // Spares loading the system's certificates, which a small machine may not even have.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().or_unknown("cannot set up TLS")?;
        Ok(Self { client, metadata, targets, patience })
    }

    pub async fn fetch(
        &self,
        url: &str,
        file: &str,
        limit: u64,
        sink: &mut Sink<'_>,
    ) -> Result<bool, NotFetched> {
        let unknown = |why: String| NotFetched::Unknown { file: file.to_owned(), why };
        let begun = Instant::now();
        let get = tokio::time::timeout(self.patience.idle, self.client.get(url).send()).await;
        let response = match get {
            Err(_) => return Err(self.slow(file, 0, begun)),
            Ok(Err(error)) if error.is_timeout() => return Err(self.slow(file, 0, begun)),
            Ok(answer) => answer.map_err(|error| unknown(root_cause(&error)))?,
        };
        match response.status() {
            // What static servers and S3 say of a file that is not there.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => return Ok(false),
            status if status.is_success() => {}
            status => return Err(unknown(format!("the server answered {status}"))),
        }
        let mut response = response;
        let mut bytes = 0;
        loop {
            let piece = match tokio::time::timeout(self.patience.idle, response.chunk()).await {
                Err(_) => return Err(self.slow(file, bytes, begun)),
                Ok(Err(error)) if error.is_timeout() => return Err(self.slow(file, bytes, begun)),
                Ok(piece) => piece.map_err(|error| unknown(root_cause(&error)))?,
            };
            let Some(piece) = piece else { return Ok(true) };
            bytes += piece.len() as u64;
            if bytes > limit {
                return Err(NotFetched::TooLong { file: file.to_owned(), limit });
            }
            sink(&piece).map_err(NotFetched::Stopped)?;
            if begun.elapsed() > self.patience.time_for(bytes) {
                return Err(self.slow(file, bytes, begun));
            }
        }
    }

    fn slow(&self, file: &str, bytes: u64, begun: Instant) -> NotFetched {
        NotFetched::TooSlow { file: file.to_owned(), bytes, seconds: begun.elapsed().as_secs() }
    }
}

impl Patience {
    /// How long so many bytes may take: what they take at the least rate, and once the time of waiting.
    fn time_for(self, bytes: u64) -> Duration {
        self.idle + Duration::from_secs(bytes / self.least_rate.max(1))
    }
}

/// The innermost reason: the outer ones only repeat the address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_files_are_beside_the_metadata() {
        for (given, metadata, targets) in [
            ("https://h", "https://h/metadata/", "https://h/targets/"),
            ("https://h/", "https://h/metadata/", "https://h/targets/"),
            ("http://h:1/metadata/", "http://h:1/metadata/", "http://h:1/targets/"),
            ("https://h/a/repository", "https://h/a/repository/", "https://h/a/targets/"),
        ] {
            let base = base_of(given).unwrap();
            assert_eq!((base.as_str(), beside(&base).as_str()), (metadata, targets), "{given}");
        }
        for bad in ["https://h/m?x=1", "https://u:p@h/m", "https:///m"] {
            assert!(base_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn time_grows_with_what_came_and_not_with_what_was_promised() {
        let patience = Patience { idle: Duration::from_secs(30), least_rate: 1_000 };
        assert_eq!(patience.time_for(0), Duration::from_secs(30));
        assert_eq!(patience.time_for(500_000), Duration::from_secs(530));
    }
}
