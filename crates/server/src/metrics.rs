//! Metrics in the text form of Prometheus.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::MatchedPath;
use countersign_core::collections::autograph::CircuitState;
use countersign_core::collections::chain::Element;
use countersign_core::collections::webhook::Counts;
use countersign_model::Scheme;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    duration: Histogram,
    signatures: Family<Signed, Counter>,
    log_entries: Gauge<u64, AtomicU64>,
    publication_entries: Gauge<u64, AtomicU64>,
    publication_stopped: Gauge,
    ready: Gauge,
    chains: Family<ChainElement, Gauge>,
    circuits: Family<Service, Gauge>,
    events: Family<EventResult, Counter>,
    not_signed_again: Gauge,
}

/// How signed collections are.
#[derive(Clone, Debug, Default)]
pub struct Collections {
    /// Every certificate of every chain in use.
    pub chains: Vec<Element>,
    /// The Autographs that sign, by their addresses.
    pub circuits: Vec<(String, CircuitState)>,
    /// What became of events.
    pub events: Counts,
    /// Collections that are not signed again, because they are not as they were signed.
    pub not_signed_again: u64,
}

/// How the publication log is.
#[derive(Clone, Copy, Debug)]
pub struct Publication {
    /// Entries that its newest checkpoint covers.
    pub entries: u64,
    /// Whether it had to stop.
    pub stopped: bool,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Route,
    status: u16,
}

/// The pattern of a path; `None` where no route matched.
#[derive(Clone, Debug)]
struct Route(Option<MatchedPath>);

impl Route {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Signed {
    scheme: &'static str,
}

/// A certificate of the chain of a key, here or at an Autograph: there are as many as keys are configured.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ChainElement {
    key: String,
    element: &'static str,
}

/// An Autograph that is configured.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Service {
    url: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EventResult {
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("countersign");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let duration = Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]);
        registry.register(
            "http_request_duration_seconds",
            "Time from a request's head to its answer's head",
            duration.clone(),
        );
        let signatures = Family::default();
        registry.register("signatures", "Signatures released", signatures.clone());
        let log_entries = Gauge::default();
        registry.register(
            "log_entries",
            "Entries that this node's log is known to have",
            log_entries.clone(),
        );
        let publication_entries = Gauge::default();
        registry.register(
            "publication_log_entries",
            "Entries that the newest checkpoint of the publication log covers",
            publication_entries.clone(),
        );
        let publication_stopped = Gauge::default();
        registry.register(
            "publication_log_stopped",
            "1 if the publication log had to stop",
            publication_stopped.clone(),
        );
        let ready = Gauge::default();
        registry.register("ready", "1 if the server can do its work", ready.clone());
        let chains = Family::default();
        registry.register(
            "chain_not_after_seconds",
            "When a certificate of a content signature's chain ends, in Unix seconds",
            chains.clone(),
        );
        let circuits = Family::default();
        registry.register(
            "autograph_circuit",
            "Whether an Autograph is asked: 0 yes, 1 with one request, 2 no, since it failed",
            circuits.clone(),
        );
        let events = Family::default();
        registry.register(
            "webhook_events",
            "Events of collections: delivered, failed tries, dropped because too many waited",
            events.clone(),
        );
        let not_signed_again = Gauge::default();
        registry.register(
            "collections_not_signed_again",
            "Collections that are not as they were signed, so that their old signatures are not made again",
            not_signed_again.clone(),
        );
        Self {
            registry,
            chains,
            circuits,
            events,
            not_signed_again,
            requests,
            duration,
            signatures,
            log_entries,
            publication_entries,
            publication_stopped,
            ready,
        }
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, method: &http::Method, route: Option<MatchedPath>, status: u16, took: Duration) {
        let labels = Answered { method: known_method(method), route: Route(route), status };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a signature, whose entry in the log is number `index`.
    pub fn signed(&self, scheme: Scheme, index: u64) {
        self.signatures.get_or_create(&Signed { scheme: scheme.as_str() }).inc();
        self.log_entries.inner().fetch_max(index + 1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Takes over how collections are.
    pub fn collections(&self, now: &Collections) {
        // Keys and addresses that are not configured any more have no line.
        self.chains.clear();
        for Element { key, element, not_after } in &now.chains {
            let labels = ChainElement { key: key.to_string(), element };
            self.chains.get_or_create(&labels).set(not_after.as_second());
        }
        for (url, state) in &now.circuits {
            let state = match state {
                CircuitState::Closed => 0,
                CircuitState::HalfOpen => 1,
                CircuitState::Open => 2,
            };
            self.circuits.get_or_create(&Service { url: url.clone() }).set(state);
        }
        self.not_signed_again.set(i64::try_from(now.not_signed_again).unwrap_or(i64::MAX));
        let Counts { delivered, failed, dropped } = now.events;
        for (result, count) in [("delivered", delivered), ("failed", failed), ("dropped", dropped)] {
            let counter = self.events.get_or_create(&EventResult { result });
            counter.inner().fetch_max(count, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// The text form, with the state as it is now.
    pub fn encode(&self, ready: bool, log_entries: Option<u64>, publication: Publication) -> String {
        self.ready.set(i64::from(ready));
        self.publication_entries.set(publication.entries);
        self.publication_stopped.set(i64::from(publication.stopped));
        if let Some(entries) = log_entries {
            self.log_entries.inner().fetch_max(entries, std::sync::atomic::Ordering::Relaxed);
        }
        let mut out = String::with_capacity(4096);
        if text::encode(&mut out, &self.registry).is_err() {
            out.clear();
            let _ = write!(out, "# the metrics could not be written");
        }
        out
    }
}

/// A label from a closed set: a client must not be able to make new series.
fn known_method(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::collections::chain::Owner;

    use super::*;

    #[test]
    fn what_is_counted_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.answered(&http::Method::GET, None, 404, Duration::from_millis(2));
        metrics.answered(&"BREW".parse().unwrap(), None, 405, Duration::ZERO);
        metrics.signed(Scheme::Ed25519, 6);
        metrics.collections(&Collections {
            chains: vec![
                Element {
                    key: Owner::Key("collections/main".parse().unwrap()),
                    element: "leaf",
                    not_after: "2027-01-01T00:00:00Z".parse().unwrap(),
                },
                Element {
                    key: Owner::Autograph("rs".into()),
                    element: "root",
                    not_after: "2027-01-01T00:00:01Z".parse().unwrap(),
                },
            ],
            circuits: vec![("https://a".into(), CircuitState::Open)],
            events: Counts { delivered: 3, failed: 2, dropped: 1 },
            not_signed_again: 4,
        });
        let text = metrics.encode(true, Some(3), Publication { entries: 5, stopped: true });
        for line in [
            r#"countersign_http_requests_total{method="GET",route="none",status="404"} 1"#,
            r#"countersign_http_requests_total{method="other",route="none",status="405"} 1"#,
            r#"countersign_signatures_total{scheme="ed25519"} 1"#,
            "countersign_log_entries 7",
            "countersign_publication_log_entries 5",
            "countersign_publication_log_stopped 1",
            "countersign_ready 1",
            r#"countersign_chain_not_after_seconds{key="collections/main",element="leaf"} 1798761600"#,
            r#"countersign_chain_not_after_seconds{key="autograph:rs",element="root"} 1798761601"#,
            r#"countersign_autograph_circuit{url="https://a"} 2"#,
            r#"countersign_webhook_events_total{result="delivered"} 3"#,
            r#"countersign_webhook_events_total{result="dropped"} 1"#,
            "countersign_collections_not_signed_again 4",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
