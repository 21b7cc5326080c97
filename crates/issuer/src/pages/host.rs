//! Refusing requests that were sent to somebody else's name.
//!
//! A page of another site can have its own host name resolve to 127.0.0.1 (DNS rebinding) and
//! then talk to a loopback server as if it were its own. An issuer with a public name stands
//! behind TLS, which has that check built in.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::Pages;
use super::refusal::Refusal;

/// Lets a request to a loopback issuer pass only under the issuer's own host and port.
///
/// Who typed `localhost` where the issuer says `127.0.0.1` is sent to the right place: cookies
/// and form origins would not match otherwise.
pub(super) async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    if !pages.is_loopback() {
        return next.run(request).await;
    }
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
        .unwrap_or_default();
    let ours = pages
        .origin
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    if host == ours {
        return next.run(request).await;
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if safe && is_loopback(host) && port(host) == port(ours) {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        if let Ok(location) = HeaderValue::try_from(format!("{}{}", pages.origin, pages.path(path)))
        {
            return (
                StatusCode::TEMPORARY_REDIRECT,
                [(header::LOCATION, location)],
            )
                .into_response();
        }
    }
    Refusal::Misdirected.into_response()
}

fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix(port(host)).unwrap_or(host);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// The port with its colon, or nothing.
fn port(host: &str) -> &str {
    match host.rfind(':') {
        Some(at) if !host.ends_with(']') => host.get(at..).unwrap_or_default(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_known_with_and_without_a_port() {
        for host in [
            "localhost",
            "localhost:4455",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:4455",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example:4455",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_port_is_told_from_an_address() {
        assert_eq!(port("[::1]:4455"), ":4455");
        assert_eq!(port("[::1]"), "");
        assert_eq!(port("localhost"), "");
    }
}
