//! The pages people see: home, sign-in, second factors, the device page, consent, sign-out,
//! set-up.
//!
//! Server-rendered, without a script and without a foreign request. A person's decision is
//! always a POST from our own page ([`post`]); a GET shows things and changes nothing.
//!
//! Not responsible for any rule: a page asks [`crate::core::Core`] and shows
//! the outcome.

mod assets;
mod authorize;
mod choice;
mod claimant;
mod cookie;
mod device;
mod end_session;
mod factors;
mod form;
mod home;
mod host;
mod origin;
mod post;
mod qr;
mod refusal;
mod respond;
mod second_factor;
mod setup;
mod sign_in;
mod view;
mod visitor;
mod waiting;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use http::Uri;

use crate::http::paths;
use crate::{AppState, Core};
use cookie::CookieJar;
use refusal::Refusal;

/// The routes of all pages, to be merged into the server's router.
pub fn router(state: AppState) -> Router {
    let pages = Pages::new(state);
    Router::new()
        .route("/", get(home::show))
        .route("/device", get(device::show).post(device::enter))
        .route("/d", get(device::show).post(device::enter))
        .route("/device/decision", post(device::decide))
        .route("/device/done", get(device::done))
        .route(
            paths::AUTHORIZATION,
            get(authorize::begin).post(authorize::begin),
        )
        .route("/authorize/consent", get(authorize::show))
        .route("/authorize/decision", post(authorize::decide))
        .route(
            paths::END_SESSION,
            get(end_session::begin).post(end_session::begin),
        )
        .route("/end_session/confirm", get(end_session::show))
        .route("/end_session/decision", post(end_session::decide))
        .route("/end_session/done", get(end_session::done))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route(
            "/sign-in/code",
            get(second_factor::show).post(second_factor::submit),
        )
        .route("/sign-out", post(sign_in::sign_out))
        .route("/factors", get(factors::show))
        .route(
            "/factors/totp",
            get(factors::show_totp).post(factors::set_up_totp),
        )
        .route(
            "/factors/yubikey",
            get(factors::show_key).post(factors::claim_key),
        )
        .route("/factors/recovery", post(factors::renew_codes))
        .route(
            "/factors/remove",
            get(factors::ask_removal).post(factors::remove),
        )
        .route("/setup", get(setup::show).post(setup::submit))
        .route("/assets/{file}", get(assets::serve))
        .fallback(async || Refusal::NotFound)
        .layer(middleware::from_fn_with_state(pages.clone(), host::guard))
        .layer(middleware::map_response_with_state(
            pages.clone(),
            respond::finish,
        ))
        .with_state(pages)
}

/// What every page's handler is given.
#[derive(Clone)]
struct Pages {
    app: AppState,
    jar: Arc<CookieJar>,
    /// The issuer's origin, as a browser writes it in `Origin`.
    origin: Arc<str>,
}

impl Pages {
    fn new(app: AppState) -> Self {
        let settings = &app.settings;
        let jar = CookieJar::new(settings.secure_cookies(), settings.issuer.port());
        let origin = settings.issuer.origin().ascii_serialization();
        Self {
            jar: Arc::new(jar),
            origin: origin.into(),
            app,
        }
    }

    /// The rules that every page asks.
    fn core(&self) -> &Core {
        &self.app.core
    }

    /// The path of one of our pages, as a browser must ask for it.
    fn path(&self, path: &str) -> String {
        below(self.app.settings.base_path(), path)
    }

    /// Whether this issuer can only be reached from its own machine.
    fn is_loopback(&self) -> bool {
        match self.app.settings.issuer.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

/// Puts `path` below the path of the issuer. The start page of an issuer with a path is that
/// path itself, without a slash at its end, as in its URL.
fn below(base: &str, path: &str) -> String {
    match (base, path) {
        ("", path) => path.to_owned(),
        (base, "/") => base.to_owned(),
        (base, path) => format!("{base}{path}"),
    }
}

/// The value of `name` in a query, when it is there exactly once.
fn query(uri: &Uri, name: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(known, _)| known == name);
    let (_, value) = values.next()?;
    values.next().is_none().then(|| value.into_owned())
}
