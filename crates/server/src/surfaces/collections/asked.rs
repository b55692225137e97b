//! One request to a place, by itself or in a batch.

use countersign_core::collections::call::BadBody;
use countersign_core::collections::{Answer, Body, Call, Settings};
use http::{HeaderMap, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::Refusal;
use super::parse::{self, Query};
use super::reply::{Reply, Shown};
use super::route::Place;

/// A request to a place.
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path after `/v1`, as it was sent.
    pub path: String,
    /// What stands there.
    pub place: Place,
    /// The query as it was sent; may be empty.
    pub raw_query: String,
    /// The query, decoded.
    pub query: Query,
}

impl Asked {
    /// Reads what is not a body.
    ///
    /// # Errors
    /// 400 for a query that is not UTF-8; 405.
    pub fn new(method: Method, path: &str, place: Place, raw_query: &str) -> Result<Self, Refusal> {
        if !place.methods().contains(&method) {
            return Err(Refusal::method_not_allowed(place.allow()));
        }
        let query = parse::query(raw_query).map_err(|invalid| Refusal::invalid(&invalid))?;
        Ok(Self { method, path: path.to_owned(), place, raw_query: raw_query.to_owned(), query })
    }

    /// The call, where the place is a list or an object.
    pub fn call(&mut self, headers: &HeaderMap, body: Result<Option<Body>, BadBody>) -> Option<Call> {
        let Place::Objects(target) = &self.place else { return None };
        let method = parse::method(&self.method)?;
        let query = std::mem::take(&mut self.query);
        Some(parse::call(method, target.clone(), headers, query, body))
    }

    /// The answer in the protocol's form.
    ///
    /// - `base`: how the client reaches the server.
    /// - `cache`: `Cache-Control` of what is read.
    pub fn reply(&self, answer: Answer, base: &str, cache: &str) -> Reply {
        let head = self.method == Method::HEAD;
        let shown = Shown {
            head,
            read: head || self.method == Method::GET,
            cache,
            next: &|token| self.next(base, token),
            allow: &|| self.place.allow(),
        };
        Reply::of(answer, &shown)
    }

    /// The same list from `token` on.
    fn next(&self, base: &str, token: &str) -> String {
        let mut url = format!("{base}/v1{}?", self.path);
        for pair in self.raw_query.split('&') {
            if !pair.is_empty() && pair != "_token" && !pair.starts_with("_token=") {
                url.push_str(pair);
                url.push('&');
            }
        }
        url.push_str("_token=");
        url.extend(utf8_percent_encode(token, NON_ALPHANUMERIC));
        url
    }

    /// `Cache-Control` of what is read here.
    ///
    /// - `anonymous`: whether the reader has shown no good credentials: only then others may be given it too.
    pub fn cache_control(&self, settings: &Settings, anonymous: bool) -> String {
        let seconds = anonymous.then(|| self.seconds(settings)).flatten();
        seconds.map_or_else(|| "no-cache, no-store".into(), |seconds| format!("max-age={seconds}"))
    }

    fn seconds(&self, settings: &Settings) -> Option<u32> {
        let (bucket, collection) = self.place.within();
        let bucket = format!("/buckets/{}", bucket?);
        let collection = collection.map(|collection| format!("{bucket}/collections/{collection}"));
        let of =
            |place: &str| settings.cache.iter().find(|cache| cache.place == place).map(|cache| cache.seconds);
        // What is said of a collection wins.
        collection.and_then(|collection| of(&collection)).or_else(|| of(&bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surfaces::collections::route::{Found, find};
    use countersign_core::collections::settings::CacheSettings;

    fn asked(path: &str, query: &str) -> Asked {
        let Found::At(place) = find(path) else { panic!("{path}") };
        Asked::new(Method::GET, path, place, query).unwrap()
    }

    #[test]
    fn the_next_page_has_the_same_query_and_the_token() {
        let list = asked("/buckets/b/collections", "_limit=2&_token=old&like_a=%C3%BC&_token");
        assert_eq!(
            list.next("http://h:1", "a+/="),
            "http://h:1/v1/buckets/b/collections?_limit=2&like_a=%C3%BC&_token=a%2B%2F%3D"
        );
        assert_eq!(asked("/buckets", "").next("http://h", "t"), "http://h/v1/buckets?_token=t");
    }

    #[test]
    fn only_readers_without_credentials_may_keep_what_is_configured() {
        let cached = |place: &str, seconds| CacheSettings { place: place.into(), seconds };
        let cache = vec![cached("/buckets/b", 60), cached("/buckets/b/collections/c", 5)];
        let settings = Settings { cache, ..Settings::default() };
        for (path, anonymous, expected) in [
            ("/buckets/b/collections/c/records", true, "max-age=5"),
            ("/buckets/b/collections/d/records", true, "max-age=60"),
            ("/buckets/b", true, "max-age=60"),
            ("/buckets/b", false, "no-cache, no-store"),
            ("/buckets/x", true, "no-cache, no-store"),
            ("/buckets", true, "no-cache, no-store"),
        ] {
            assert_eq!(asked(path, "").cache_control(&settings, anonymous), expected, "{path}");
        }
    }
}
