//! What a sign-in is for: nothing yet, a terminal's code, or an application's request.
//!
//! This is all that can stand behind a sign-in, so there is no address in a form or a link that
//! could lead anywhere else.

use http::Uri;

use super::form::Fields;
use super::refusal::Refusal;
use super::words::Code;
use super::{Pages, authorize, query};
use crate::core::AuthorizationRequest;

/// What waits behind a sign-in.
#[derive(Debug)]
pub(super) enum Waiting {
    Nothing,
    /// A device login.
    Device(Code),
    /// An authorization request, and the request as the browser carries it.
    Application(Box<AuthorizationRequest>, String),
}

impl Waiting {
    /// Reads it from the query of a page. What is none of ours is nothing.
    pub(super) fn from_query(pages: &Pages, uri: &Uri) -> Result<Self, Refusal> {
        let request = query(uri, "request").unwrap_or_default();
        let code = query(uri, "user_code").unwrap_or_default();
        Self::read(pages, &request, &code)
    }

    /// Reads it from a form.
    pub(super) fn from_fields(pages: &Pages, fields: &Fields) -> Result<Self, Refusal> {
        Self::read(pages, fields.text("request"), fields.text("user_code"))
    }

    fn read(pages: &Pages, request: &str, code: &str) -> Result<Self, Refusal> {
        if !request.is_empty() {
            let now = pages.app.now();
            return match pages.core().resume_authorization(request, now) {
                Ok(found) => Ok(Self::Application(Box::new(found), request.to_owned())),
                Err(problem) => Err(problem.into()),
            };
        }
        Ok(Code::parse(code).map_or(Self::Nothing, Self::Device))
    }

    /// Where the person signs in for it.
    pub(super) fn sign_in_path(&self) -> String {
        match self {
            Self::Nothing => "/sign-in".to_owned(),
            Self::Device(code) => format!("/sign-in?user_code={}", code.shown),
            Self::Application(_, sealed) => authorize::sign_in_path(sealed),
        }
    }

    /// Where it goes on once the person has signed in.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Nothing => "/".to_owned(),
            Self::Device(code) => format!("/device?user_code={}", code.shown),
            Self::Application(_, sealed) => authorize::consent_path(sealed),
        }
    }
}
