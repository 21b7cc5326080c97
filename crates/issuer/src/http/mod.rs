//! The JSON endpoints, and what they share with the pages.
//!
//! Not responsible for any rule: an endpoint reads a request, asks
//! [`crate::core::Core`] and writes the outcome down as its RFC says. URLs
//! that are given out begin with the configured issuer, never with what a
//! request calls us.

mod device;
mod discovery;
mod dpop;
mod errors;
mod form;
mod introspection;
mod presented;
mod pushing;
mod revocation;
mod token;
mod userinfo;

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::routing::{get, post};
use countersign_jose::Timestamp;
use countersign_oauth::Secret;
use http::StatusCode;
use http::request::Parts;
use url::Url;

use crate::core::Core;

/// The longest request body, in bytes: several times the longest token.
const LONGEST_BODY: usize = 64 * 1024;

/// Where things are, below the issuer.
pub(crate) mod paths {
    pub(crate) const DEVICE_AUTHORIZATION: &str = "/device_authorization";
    pub(crate) const PUSHED_REQUEST: &str = "/par";
    pub(crate) const TOKEN: &str = "/token";
    pub(crate) const USERINFO: &str = "/userinfo";
    pub(crate) const REVOCATION: &str = "/revoke";
    pub(crate) const INTROSPECTION: &str = "/introspect";
    pub(crate) const JWKS: &str = "/jwks";
    /// The authorization endpoint, which is a page.
    pub(crate) const AUTHORIZATION: &str = "/authorize";
    /// Where clients have their people signed out, which is a page.
    pub(crate) const END_SESSION: &str = "/end_session";
    /// The page for user codes.
    pub(crate) const DEVICE: &str = "/device";
    /// The page that makes the first account.
    pub(crate) const SETUP: &str = "/setup";
}

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// Tells an operator about a failure.
type Reporter = dyn Fn(&(dyn StdError + 'static)) + Send + Sync;

/// What every handler is given.
#[derive(Clone)]
pub struct AppState {
    /// The rules and records.
    pub core: Arc<Core>,
    /// What the server was configured with.
    pub settings: Arc<Settings>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    reporter: Arc<Reporter>,
}

/// What pages and endpoints must know of the configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The issuer: the beginning of every URL given out, never the Host header.
    pub issuer: Url,
    /// Whether this is an issuer for trying things out: pages and metadata say
    /// so.
    pub development: bool,
}

impl Settings {
    /// The settings of an issuer. One without TLS can only be a trial.
    pub fn new(issuer: Url) -> Self {
        let development = issuer.scheme() != "https";
        Self {
            issuer,
            development,
        }
    }

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
            reporter: Arc::new(|_| {}),
        }
    }

    /// Has failures of our own told to `reporter`: requesters are told only
    /// that there was one.
    #[must_use]
    pub fn with_reporter(
        self,
        reporter: impl Fn(&(dyn StdError + 'static)) + Send + Sync + 'static,
    ) -> Self {
        Self {
            reporter: Arc::new(reporter),
            ..self
        }
    }

    /// The time of this request.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The one-time link that makes the first account, for the terminal.
    pub fn setup_link(&self, token: &Secret) -> String {
        // Base64url: nothing to encode.
        format!(
            "{}?token={}",
            self.settings.url(paths::SETUP),
            token.expose()
        )
    }

    /// Tells the operator about a failure of our own.
    pub(crate) fn report(&self, error: &(dyn StdError + 'static)) {
        (self.reporter)(error);
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Everything the issuer serves: the JSON endpoints and the pages.
///
/// Requests need a [`Peer`] among their extensions.
pub fn router(state: &AppState) -> Router {
    let served = Router::new()
        .route(OPENID, get(discovery::metadata))
        .route(OAUTH, get(discovery::metadata))
        .route(paths::JWKS, get(discovery::jwks))
        .route(paths::DEVICE_AUTHORIZATION, post(device::authorize))
        .route(paths::PUSHED_REQUEST, post(pushing::push))
        .route(paths::TOKEN, post(token::token))
        .route(paths::USERINFO, get(userinfo::get).post(userinfo::post))
        .route(paths::REVOCATION, post(revocation::revoke))
        .route(paths::INTROSPECTION, post(introspection::introspect))
        .with_state(state.clone())
        .merge(crate::pages::router(state.clone()))
        .layer(DefaultBodyLimit::max(LONGEST_BODY));
    let base = state.settings.base_path();
    if base.is_empty() {
        return served;
    }
    // RFC 8414, section 3.1 puts the well-known part before the issuer's path,
    // OpenID Connect Discovery 1.0, section 4.1 behind it. Clients mix the two.
    Router::new()
        .route(&format!("{OPENID}{base}"), get(discovery::metadata))
        .route(&format!("{OAUTH}{base}"), get(discovery::metadata))
        .with_state(state.clone())
        .nest(base, served)
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
