//! What a request is for.

use super::HawkError;

/// How a request comes: says which port is meant where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Port 80.
    Http,
    /// Port 443.
    Https,
}

/// The part of a request that its MAC protects whatever the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) method: String,
    pub(super) resource: String,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// - `method`: in any case.
    /// - `resource`: path and query as they stand in the request, e.g. `/sign/data?a=b`.
    /// - `host`: the `Host` header, `NAME`, `NAME:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
    ///
    /// # Errors
    /// [`HawkError::Host`], [`HawkError::Target`].
    pub fn new(method: &str, resource: &str, host: &str, transport: Transport) -> Result<Self, HawkError> {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !visible(method) || !visible(resource) {
            return Err(HawkError::Target);
        }
        let (name, port) = split(host)?;
        let port = match (port, transport) {
            (Some(port), _) => port,
            (None, Transport::Http) => 80,
            (None, Transport::Https) => 443,
        };
        let (method, resource) = (method.to_ascii_uppercase(), resource.to_owned());
        Ok(Self { method, resource, host: name.to_ascii_lowercase(), port })
    }
}

/// The brackets of an address stay with it, as the reference has them.
fn split(host: &str) -> Result<(&str, Option<u16>), HawkError> {
    let end = match host.strip_prefix('[') {
        Some(address) => address.find(']').ok_or(HawkError::Host)? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, rest) = host.split_at(end);
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| HawkError::Host)?)
        }
        None if rest.is_empty() => None,
        _ => return Err(HawkError::Host),
    };
    if named { Ok((name, port)) } else { Err(HawkError::Host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_host_or_of_the_transport() {
        for (host, transport, wanted) in [
            ("Example.org", Transport::Http, ("example.org", 80)),
            ("example.org", Transport::Https, ("example.org", 443)),
            ("example.org:8000", Transport::Https, ("example.org", 8000)),
            ("[::1]", Transport::Http, ("[::1]", 80)),
            ("[::1]:8000", Transport::Http, ("[::1]", 8000)),
        ] {
            let target = Target::new("get", "/", host, transport).unwrap();
            assert_eq!((target.host.as_str(), target.port), wanted, "{host}");
            assert_eq!(target.method, "GET");
        }
        for host in ["", ":80", "a:", "a:x", "a:+8", "a:65536", "a:1:2", "[::1", "[::1]x", "a b"] {
            assert_eq!(Target::new("GET", "/", host, Transport::Http), Err(HawkError::Host), "{host}");
        }
        for (method, resource) in [("", "/"), ("GET", ""), ("GET", "/a b"), ("GET", "/\n"), ("G\nT", "/")] {
            let target = Target::new(method, resource, "a", Transport::Http);
            assert_eq!(target, Err(HawkError::Target), "{method} {resource}");
        }
    }
}
