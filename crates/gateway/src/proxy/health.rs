//! Asking upstreams how they are, where the configuration says so.
//!
//! Two bad answers in a row take an address out of use, one good answer brings it back. Not
//! responsible for addresses that fail while requests are sent; those rest by themselves.

use std::sync::Weak;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Upload;
use super::connect::Connected;
use super::upstream::Upstream;
use crate::config::{Health, Target};

const FAILURES: u32 = 2;

/// Asks one address again and again, until the upstream is no longer in the configuration. `report`
/// is told when it goes and when it comes back.
pub(crate) async fn watch(upstream: Weak<Upstream>, number: usize, report: fn(&str)) {
    let Some(health) = upstream.upgrade().and_then(|up| up.spec().health.clone()) else {
        return;
    };
    let mut ticks = interval(health.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    loop {
        ticks.tick().await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        let Some(target) = upstream.spec().targets.get(number) else {
            return;
        };
        let limit = upstream.spec().connect_time + upstream.spec().answer_time.min(health.interval);
        let well = timeout(limit, ask(&upstream, target, &health))
            .await
            .unwrap_or(false);
        failures = if well { 0 } else { failures + 1 };
        let changed = match failures {
            0 => upstream.set_healthy(number, true),
            FAILURES.. => upstream.set_healthy(number, false),
            _ => false,
        };
        if changed {
            let state = if well { "is back" } else { "is down" };
            report(&format!(
                "upstream {}: {} {state}",
                upstream.spec().name,
                target.authority
            ));
        }
    }
}

/// Whether the address answers with 200 to 399.
async fn ask(upstream: &Upstream, target: &Target, health: &Health) -> bool {
    const AGENT: &str = concat!("countersign-gateway/", env!("CARGO_PKG_VERSION"));
    let Ok(connected) = upstream.connect(target).await else {
        return false;
    };
    let mut request = Request::new(Upload::Empty);
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let authority = target.authority.as_str();
    let (uri, host) = match &connected {
        Connected::Http1(_) => (health.path.clone(), HeaderValue::from_str(authority).ok()),
        Connected::Http2(_) => {
            let scheme = if target.tls { "https" } else { "http" };
            (format!("{scheme}://{authority}{}", health.path), None)
        }
    };
    headers.extend(host.map(|host| (HOST, host)));
    let Ok(uri) = Uri::try_from(uri) else {
        return false;
    };
    *request.uri_mut() = uri;
    let answer = match connected {
        Connected::Http1(mut sender) => sender.send_request(request).await,
        Connected::Http2(mut sender) => sender.send_request(request).await,
    };
    answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
}
