//! Sending one request and receiving one answer.

use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

/// Sends requests. Implemented over HTTP here, and in memory by tests.
pub trait Transport: Send + Sync {}

/// How requests are sent over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How long a connection may take to be made, TLS included. 10 seconds by default.
    pub connect_limit: Duration,
    /// How long a whole exchange may take, name lookup to last byte. 30 seconds by default.
    pub overall_limit: Duration,
    /// PEM files whose certificates are trusted in addition to the system's.
    pub ca_files: Vec<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(10),
            overall_limit: Duration::from_secs(30),
            ca_files: Vec::new(),
        }
    }
}

/// The network.
#[derive(Debug)]
pub struct HttpTransport {
    options: HttpOptions,
}

impl HttpTransport {
    /// Prepares to use the network. Nothing is loaded before the first request.
    pub fn new(options: HttpOptions) -> Self {
        Self { options }
    }

    /// How requests are sent.
    pub fn options(&self) -> &HttpOptions {
        &self.options
    }
}

impl Transport for HttpTransport {}

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
