//! A form that was sent by one of our own pages.
//!
//! A handler that takes [`Post`] cannot be reached by anything else: the origin, the size, the
//! media type and the CSRF token were checked before it runs.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::form::{Fields, FormError, LIMIT};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::{Pages, origin};

/// A checked form and the browser it came from.
pub(super) struct Post {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
}

impl FromRequest<Pages> for Post {
    type Rejection = Refusal;

    async fn from_request(request: Request, pages: &Pages) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        if !origin::is_own(&parts.headers, &pages.origin) {
            return Err(Refusal::ForeignOrigin);
        }
        let visitor = Visitor::from_request_parts(&mut parts, pages).await?;
        let body = Limited::new(body, LIMIT).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::TooLarge
            } else {
                Refusal::MalformedForm
            }
        })?;
        let body = zeroize::Zeroizing::new(Vec::from(body.to_bytes()));
        let fields = Fields::parse(&parts.headers, &body)?;
        let token = fields.text("csrf");
        if !pages.core().csrf_matches(&visitor.cookie, token) {
            return Err(Refusal::FormExpired);
        }
        Ok(Self { visitor, fields })
    }
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        match error {
            FormError::MediaType => Self::UnsupportedForm,
            FormError::Malformed => Self::MalformedForm,
        }
    }
}
