//! What a sign-in is for: nothing yet, a terminal's code, an application's request, or the
//! second factors of whoever signs in.
//!
//! This is all that can stand behind a sign-in, so there is no address in a form or a link that
//! could lead anywhere else.

use http::Uri;

use super::form::Fields;
use super::refusal::Refusal;
use super::words::Code;
use super::{Pages, authorize, query};
use crate::core::AuthorizationRequest;

/// The value of `for` that means the pages about second factors.
const FACTORS: &str = "factors";

/// What waits behind a sign-in.
#[derive(Debug)]
pub(super) enum Waiting {
    Nothing,
    /// The pages about second factors.
    Factors,
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
        let purpose = query(uri, "for").unwrap_or_default();
        Self::read(pages, &request, &code, &purpose)
    }

    /// Reads it from a form.
    pub(super) fn from_fields(pages: &Pages, fields: &Fields) -> Result<Self, Refusal> {
        let (request, code) = (fields.text("request"), fields.text("user_code"));
        Self::read(pages, request, code, fields.text("for"))
    }

    fn read(pages: &Pages, request: &str, code: &str, purpose: &str) -> Result<Self, Refusal> {
        if !request.is_empty() {
            let now = pages.app.now();
            return match pages.core().resume_authorization(request, now) {
                Ok(found) => Ok(Self::Application(Box::new(found), request.to_owned())),
                Err(problem) => Err(problem.into()),
            };
        }
        if purpose == FACTORS {
            return Ok(Self::Factors);
        }
        Ok(Code::parse(code).map_or(Self::Nothing, Self::Device))
    }

    /// Where the person signs in for it.
    pub(super) fn sign_in_path(&self) -> String {
        self.carried_to("/sign-in")
    }

    /// Where the person proves a second factor for it.
    pub(super) fn code_path(&self) -> String {
        self.carried_to("/sign-in/code")
    }

    /// Where a person who has to have a second factor sets one up for it.
    pub(super) fn set_up_path(&self) -> String {
        self.carried_to("/factors/totp")
    }

    /// Where such a person sets a Yubikey up.
    pub(super) fn key_path(&self) -> String {
        self.carried_to("/factors/yubikey")
    }

    /// A page of ours that knows what waits.
    fn carried_to(&self, page: &str) -> String {
        match self {
            Self::Nothing => page.to_owned(),
            Self::Factors => format!("{page}?for={FACTORS}"),
            Self::Device(code) => format!("{page}?user_code={}", code.shown),
            Self::Application(_, sealed) => format!("{page}?request={sealed}"),
        }
    }

    /// Where it goes on once the person has signed in.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Nothing => "/".to_owned(),
            Self::Factors => "/factors".to_owned(),
            Self::Device(code) => format!("/device?user_code={}", code.shown),
            Self::Application(_, sealed) => authorize::consent_path(sealed),
        }
    }
}
