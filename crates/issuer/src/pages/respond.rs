//! Making answers: pages, redirects, and the headers that every one of them carries.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use countersign_oauth::Secret;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::refusal::Refusal;
use super::view::{Frame, Leave, Outcome, Tone};
use super::visitor::Visitor;
use super::{Pages, assets, words};
use crate::core::AuthorizationResponse;

/// What pages may do: show themselves, our style sheet and icon, and send forms to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// On every answer, whatever it is. `no-store` is not among them only because the style sheet
/// and the icon, which tell nothing, are kept.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Nothing is told to other sites. Not `no-referrer`: see `origin::is_own`.
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    // For browsers that do not know `frame-ancestors`.
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Puts a page around a bare refusal, and the headers on everything.
pub(super) async fn finish(State(pages): State<Pages>, response: Response) -> Response {
    let mut response = response;
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == HTML);
    if (status.is_client_error() || status.is_server_error()) && !is_page {
        let refusal = response
            .extensions()
            .get()
            .cloned()
            .unwrap_or(Refusal::Other(status));
        if let Refusal::Failed(error) = &refusal {
            pages.app.report(error.as_ref());
        }
        let page = pages.refusal(&refusal);
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HTML);
        response = Response::from_parts(parts, page.into());
    }
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Sends the browser away, to an address that a client has registered. Only for an answer that
/// no form of ours has led to: see [`Pages::leave_by`].
pub(super) fn redirect_away(url: &Secret) -> Result<Response, Refusal> {
    let mut location = HeaderValue::try_from(url.expose()).map_err(Refusal::failed)?;
    location.set_sensitive(true);
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

impl Pages {
    /// What surrounds a page shown to `visitor`.
    pub(super) fn frame(&self, visitor: &Visitor) -> Frame {
        Frame {
            username: visitor
                .session
                .as_ref()
                .map(|session| session.account.username.clone()),
            csrf: visitor.csrf(self),
            ..self.bare_frame()
        }
    }

    fn bare_frame(&self) -> Frame {
        Frame {
            base: self.app.settings.base_path().to_owned(),
            style: self.path(&assets::STYLE.path),
            icon: self.path(&assets::ICON.path),
            issuer: self.app.settings.url(""),
            development: self.app.settings.development,
            username: None,
            csrf: String::new(),
        }
    }

    /// A page for `visitor`, with a mark for the browser if it has none yet.
    pub(super) fn page(
        &self,
        visitor: &Visitor,
        status: StatusCode,
        template: &impl Template,
    ) -> Result<Response, Refusal> {
        let html = template.render().map_err(Refusal::failed)?;
        let response = (status, Html(html)).into_response();
        Ok(if visitor.fresh {
            self.with_cookie(response, &visitor.cookie)
        } else {
            response
        })
    }

    /// Gives the browser a new cookie with `response`.
    pub(super) fn with_cookie(&self, mut response: Response, cookie: &Secret) -> Response {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, self.jar.set(cookie.expose()));
        response
    }

    /// Makes the browser forget its cookie with `response`.
    pub(super) fn without_cookie(&self, mut response: Response) -> Response {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, self.jar.clear());
        response
    }

    /// Sends the browser on to one of our own pages: 303, so that it comes with a GET.
    ///
    /// `path` is always written by us; what came from outside reaches it only as a value that
    /// was parsed into something that cannot hold a slash.
    pub(super) fn redirect(&self, path: &str) -> Response {
        let location = HeaderValue::try_from(self.path(path));
        match location {
            Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
            Err(error) => Refusal::failed(error).into_response(),
        }
    }

    /// Sends the browser away with the answer to an application.
    pub(super) fn leave(
        &self,
        visitor: &Visitor,
        tone: Tone,
        title: &'static str,
        response: &AuthorizationResponse,
    ) -> Result<Response, Refusal> {
        let page = Leave {
            frame: self.frame(visitor),
            tone,
            title,
            destination: words::destination(&response.destination),
            url: response.url.clone(),
        };
        self.leave_by(visitor, &page)
    }

    /// Sends the browser away by a page that it leaves at once, for an answer that one of our
    /// forms has led to.
    ///
    /// Some browsers hold `form-action` against every redirect that follows a form, wherever it
    /// leads in the end. Naming the address in the policy would help with some: a policy cannot
    /// name `[::1]` (CSP Level 3, "host-part matches"), nor what a callback redirects to in its turn. So the
    /// form ends here, at our own page, and the policy stays `'self'` on all of them.
    pub(super) fn leave_by(&self, visitor: &Visitor, page: &Leave) -> Result<Response, Refusal> {
        let mut response = self.page(visitor, StatusCode::OK, page)?;
        let mut refresh = HeaderValue::try_from(format!("0;url={}", page.url.expose()))
            .map_err(Refusal::failed)?;
        refresh.set_sensitive(true);
        response.headers_mut().insert(header::REFRESH, refresh);
        Ok(response)
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        let words = refusal.words();
        let page = Outcome {
            frame: self.bare_frame(),
            tone: words.tone,
            title: words.title,
            text: words.text,
            command: words.command,
            next: words.next,
        };
        // Writing to a string does not fail; if it did, the status says enough.
        page.render().unwrap_or_default()
    }
}
