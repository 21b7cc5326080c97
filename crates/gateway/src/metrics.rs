//! Counters, and their form for Prometheus.
//!
//! Every label is from a set that the program or the configuration bounds; nothing of a request ever
//! becomes one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::live::Live;

/// Upper ends of the buckets for times, in microseconds.
const BUCKETS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000,
];

/// What is counted over the life of the process, reloads included.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<Arc<str>, Arc<RouteCounts>>>,
    /// Requests that no rule was found for, and all other refusals and failures, by their code.
    codes: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    pub(crate) connections: Gauge,
    pub(crate) requests: Gauge,
    pub(crate) tunnels: Gauge,
    pub(crate) accepted: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) upstream_connections: AtomicU64,
    pub(crate) upstream_retries: AtomicU64,
    pub(crate) reloads: AtomicU64,
    pub(crate) reloads_refused: AtomicU64,
    /// By the first digit of the status; the first is for all others.
    statuses: [AtomicU64; 6],
    decide: Histogram,
    answer: Histogram,
}

/// What is counted for one route.
#[derive(Debug, Default)]
pub(crate) struct RouteCounts {
    pub(crate) passed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// How many there are now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS.len()],
    above: AtomicU64,
    sum: AtomicU64,
}

impl Histogram {
    fn add(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|end| time <= *end);
        bucket
            .and_then(|at| self.buckets.get(at))
            .unwrap_or(&self.above)
            .fetch_add(1, Relaxed);
        self.sum.fetch_add(time, Relaxed);
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        head(out, name, "histogram", help);
        let mut count = 0;
        for (end, bucket) in BUCKETS.iter().zip(&self.buckets) {
            count += bucket.load(Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {count}", Seconds(*end));
        }
        count += self.above.load(Relaxed);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {}", Seconds(self.sum.load(Relaxed)));
        let _ = writeln!(out, "{name}_count {count}");
    }
}

/// Microseconds, written in seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Metrics {
    /// The counters of a route; the same ones after a reload.
    pub(crate) fn route(&self, name: &Arc<str>) -> Arc<RouteCounts> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(Arc::clone(name)).or_default())
    }

    /// Counts what went wrong: `refuse` or `fail`, and its code.
    pub(crate) fn code(&self, decision: &'static str, code: &'static str) {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        *codes.entry((decision, code)).or_default() += 1;
    }

    /// How long it took to decide.
    pub(crate) fn decided(&self, time: Duration) {
        self.decide.add(time);
    }

    /// An answer began to go to the caller.
    pub(crate) fn answered(&self, status: http::StatusCode, time: Duration) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(count) = self.statuses.get(class).or(self.statuses.first()) {
            count.fetch_add(1, Relaxed);
        }
        self.answer.add(time);
    }

    /// Everything, in the text format of Prometheus (version 0.0.4).
    pub(crate) fn text(&self, live: &Live) -> String {
        let mut out = String::new();
        self.write_decisions(&mut out, live);
        let load = |count: &AtomicU64| count.load(Relaxed);
        let counters = [
            (
                "connections_accepted_total",
                "Connections taken.",
                load(&self.accepted),
            ),
            (
                "connections_refused_total",
                "Connections closed because there were too many.",
                load(&self.turned_away),
            ),
            (
                "upstream_connections_total",
                "Connections opened to upstreams.",
                load(&self.upstream_connections),
            ),
            (
                "upstream_retries_total",
                "Requests sent again on another connection.",
                load(&self.upstream_retries),
            ),
            (
                "reloads_total",
                "Configurations taken into use after the first.",
                load(&self.reloads),
            ),
            (
                "reloads_refused_total",
                "Configurations that could not be used.",
                load(&self.reloads_refused),
            ),
            (
                "audit_lost_total",
                "Lines that the audit log could not take.",
                live.audit().map_or(0, |audit| audit.lost()),
            ),
        ];
        for (name, help, value) in counters {
            let name = format!("countersign_gateway_{name}");
            head(&mut out, &name, "counter", help);
            let _ = writeln!(out, "{name} {value}");
        }
        let gauges = [
            (
                "connections",
                "Connections of callers.",
                self.connections.now(),
            ),
            (
                "requests",
                "Requests that are being answered.",
                self.requests.now(),
            ),
            ("tunnels", "WebSocket connections.", self.tunnels.now()),
        ];
        for (name, help, value) in gauges {
            let name = format!("countersign_gateway_{name}");
            head(&mut out, &name, "gauge", help);
            let _ = writeln!(out, "{name} {value}");
        }
        let name = "countersign_gateway_responses_total";
        head(&mut out, name, "counter", "Answers by class of status.");
        for (class, count) in self.statuses.iter().enumerate().skip(1) {
            let _ = writeln!(out, "{name}{{class=\"{class}xx\"}} {}", count.load(Relaxed));
        }
        self.decide.write(
            &mut out,
            "countersign_gateway_decision_seconds",
            "Time from the head of a request to its decision.",
        );
        self.answer.write(
            &mut out,
            "countersign_gateway_answer_seconds",
            "Time from the head of a request to the head of its answer.",
        );
        write_upstreams(&mut out, live);
        write_issuers(&mut out, live);
        out
    }

    fn write_decisions(&self, out: &mut String, live: &Live) {
        let name = "countersign_gateway_decisions_total";
        head(out, name, "counter", "Requests by rule and decision.");
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if live.config().metrics.routes {
            for (route, counts) in &*routes {
                for (decision, count) in counts.all() {
                    let _ = write!(out, "{name}{{route=");
                    label(out, route);
                    let _ = writeln!(out, ",decision=\"{decision}\"}} {count}");
                }
            }
        } else {
            let mut sums = [0; 3];
            for counts in routes.values() {
                for (sum, (_, count)) in sums.iter_mut().zip(counts.all()) {
                    *sum += count;
                }
            }
            for (sum, decision) in sums.iter().zip(["pass", "refuse", "fail"]) {
                let _ = writeln!(out, "{name}{{decision=\"{decision}\"}} {sum}");
            }
        }
        let name = "countersign_gateway_codes_total";
        head(out, name, "counter", "Refusals and failures by reason.");
        let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        for ((decision, code), count) in &*codes {
            let _ = writeln!(
                out,
                "{name}{{decision=\"{decision}\",code=\"{code}\"}} {count}"
            );
        }
    }
}

impl RouteCounts {
    /// Counts a request that passed.
    pub(crate) fn count_passed(&self) {
        self.passed.fetch_add(1, Relaxed);
    }

    fn all(&self) -> [(&'static str, u64); 3] {
        [
            ("pass", self.passed.load(Relaxed)),
            ("refuse", self.refused.load(Relaxed)),
            ("fail", self.failed.load(Relaxed)),
        ]
    }
}

fn write_upstreams(out: &mut String, live: &Live) {
    let name = "countersign_gateway_upstream_up";
    head(
        out,
        name,
        "gauge",
        "Whether an address of an upstream is in use.",
    );
    for upstream in live.upstreams() {
        for (address, up) in upstream.status() {
            let _ = write!(out, "{name}{{upstream=");
            label(out, &upstream.spec().name);
            out.push_str(",address=");
            label(out, address);
            let _ = writeln!(out, "}} {}", u8::from(up));
        }
    }
}

fn write_issuers(out: &mut String, live: &Live) {
    let Some(validator) = live.validator() else {
        return;
    };
    let name = "countersign_gateway_issuer_keys";
    head(
        out,
        name,
        "gauge",
        "Keys of an issuer that can verify tokens now.",
    );
    for (issuer, status) in validator.key_statuses() {
        let _ = write!(out, "{name}{{issuer=");
        label(out, issuer);
        let keys = if status.ready { status.keys } else { 0 };
        let _ = writeln!(out, "}} {keys}");
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A label's value, escaped as the format wants it.
fn label(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}
