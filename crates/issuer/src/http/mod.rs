//! The JSON endpoints and what they share with the pages.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::pending::Timestamp;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use url::Url;

use crate::core::Core;

/// What every handler is given.
#[derive(Clone)]
pub struct AppState {
    /// The rules and records.
    pub core: Arc<Core>,
    /// What the server was configured with.
    pub settings: Arc<Settings>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// What pages and endpoints must know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer: the beginning of every URL given out, never the Host header.
    pub issuer: Url,
}

impl Settings {
    /// The URL of one of our pages or endpoints; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.as_str().trim_end_matches('/'))
    }

    /// Whether cookies are for TLS only (`Secure`, and the `__Host-` prefix).
    pub fn secure_cookies(&self) -> bool {
        self.issuer.scheme() == "https"
    }

    /// The path below which everything is served, without a slash at its end:
    /// empty unless the issuer has a path.
    pub fn base_path(&self) -> &str {
        self.issuer.path().trim_end_matches('/')
    }
}

impl AppState {
    /// Puts a core behind a clock.
    pub fn new(
        core: Arc<Core>,
        settings: Settings,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            core,
            settings: Arc::new(settings),
            clock: Arc::new(clock),
        }
    }

    /// The time of this request.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The requester's address: the connection's, or what a configured proxy
/// says. The listener puts it into every request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        // Without an address no limit could be kept, so nothing is served.
        parts
            .extensions
            .get()
            .copied()
            .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
