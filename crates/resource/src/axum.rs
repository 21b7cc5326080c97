//! axum: the caller as an argument of a handler, and answers as its return value.
//!
//! Not responsible for letting anybody in: that is the layer's. A handler that takes a [`Caller`]
//! on a route without the layer is never reached, nor is one that takes a [`Confirmed`] on a route
//! that asks for no password.

use std::convert::Infallible;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::step_up::Confirmed;
use crate::{Caller, Refused, ResourceMetadata};

/// A handler asks for a caller, and its route has no [`ValidatorLayer`](crate::ValidatorLayer): a
/// mistake of the API, which answers 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no validator stands in front of this route")]
pub struct NoValidator;

impl IntoResponse for NoValidator {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = NoValidator;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoValidator> {
        let caller = Self::from_extensions(&parts.extensions);
        caller.cloned().ok_or(NoValidator)
    }
}

/// For handlers that are behind the layer on some routes and in the open on others.
impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::from_extensions(&parts.extensions).cloned())
    }
}

/// A handler asks for a confirmed request, and its route has no
/// [`StepUpLayer`](crate::step_up::StepUpLayer): a mistake of the API, which answers 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing on this route asks for a one-time password")]
pub struct NoStepUp;

impl IntoResponse for NoStepUp {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Confirmed {
    type Rejection = NoStepUp;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoStepUp> {
        let confirmed = Self::from_extensions(&parts.extensions);
        confirmed.cloned().ok_or(NoStepUp)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.response::<Body>()
    }
}

impl IntoResponse for ResourceMetadata {
    fn into_response(self) -> Response {
        self.response::<Body>()
    }
}
