//! Sending one request and receiving one answer.
//!
//! Not responsible for what requests and answers mean, nor for sending anything twice.

mod forward;
mod http;
mod proxy;
mod roots;

use std::time::Duration;

use countersign_oauth::{HttpRequest, HttpResponse, TransportError};
use url::{Host, Url};

pub use self::forward::{Forwarder, Incoming, Outgoing};
pub use self::http::{HttpOptions, HttpTransport};
pub(crate) use self::proxy::Proxies;

/// Sends requests. Implemented over HTTP by [`HttpTransport`], and in memory by tests.
pub trait Transport: Send + Sync {
    /// Sends `request` as it is and returns the answer, whatever its status.
    ///
    /// Ends within `limit`, or sooner if the implementation has a shorter limit of its own.
    ///
    /// # Errors
    /// When there was no complete answer. A redirect counts as none: whoever follows one takes the
    /// credentials along to a place nobody configured.
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError>;
}

/// Whether `url` is one that secrets may be sent to: `https`, or `http` on this computer.
pub(crate) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether `url` leads to this computer.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // RFC 6761, section 6.3.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_https_or_nowhere_but_here() {
        let cases = [
            ("https://id.example.com/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://127.8.9.1/token", true),
            ("http://[::1]:8080/token", true),
            ("http://localhost/token", true),
            ("http://app.localhost/token", true),
            ("http://id.example.com/token", false),
            ("http://localhost.example.com/token", false),
            ("http://127.0.0.1.example.com/token", false),
            ("http://notlocalhost/token", false),
            ("http://[::ffff:127.0.0.1]/token", false),
            ("http://10.0.0.1/token", false),
            ("ftp://127.0.0.1/token", false),
            ("file:///token", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_safe(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }
}
