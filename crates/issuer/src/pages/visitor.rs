//! Who is at the other end: a signed-in browser, or one that only carries a mark.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use countersign_oauth::Secret;
use http::request::Parts;

use super::{Pages, refusal::Refusal};
use crate::core::BrowserSession;

/// The browser that sent this request.
#[derive(Debug)]
pub(super) struct Visitor {
    /// The cookie's value: the session's secret, or the mark of a browser not signed in.
    pub(super) cookie: Secret,
    /// Whether `cookie` was just made and has to be sent with the answer.
    pub(super) fresh: bool,
    /// The session, when the cookie names a live one.
    pub(super) session: Option<BrowserSession>,
}

impl Visitor {
    async fn recognise(pages: &Pages, parts: &Parts) -> Result<Self, Refusal> {
        let core = pages.core();
        match pages.jar.read(&parts.headers) {
            Some(value) => {
                let cookie = Secret::from(value.to_owned());
                let now = pages.app.now();
                let session = core.session(&cookie, now)?;
                if let Some(session) = &session {
                    core.keep_session(session, now).await?;
                }
                Ok(Self {
                    cookie,
                    fresh: false,
                    session,
                })
            }
            None => Ok(Self {
                cookie: core.browser_mark()?,
                fresh: true,
                session: None,
            }),
        }
    }

    /// The value that this browser's forms must carry.
    pub(super) fn csrf(&self, pages: &Pages) -> String {
        pages.core().csrf_token(&self.cookie)
    }
}

impl FromRequestParts<Pages> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Refusal> {
        Self::recognise(pages, parts).await
    }
}

/// How somebody came to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// From one of our own pages, typed, or opened by another program.
    Own,
    /// By following another site's link.
    Foreign,
}

impl<S: Sync> FromRequestParts<S> for Arrival {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Fetch Metadata, section 2.4. A browser that does not say counts as our own page: taken
        // for foreign, its person could compare the code for ever and never get to decide.
        let site = parts.headers.get("sec-fetch-site");
        Ok(match site.map(http::HeaderValue::as_bytes) {
            Some(b"cross-site" | b"same-site") => Self::Foreign,
            _ => Self::Own,
        })
    }
}
