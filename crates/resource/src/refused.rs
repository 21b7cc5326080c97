//! A refusal that a handler returns: an answer that is complete.

use std::fmt;

use http::Response;

use crate::{Advice, Rejection, grpc};

/// A [`Rejection`] with the answer to it, for handlers that ask for more than their route.
#[derive(Debug, Clone)]
pub struct Refused {
    rejection: Box<Rejection>,
    response: Response<()>,
}

impl Refused {
    pub(crate) fn new(rejection: Rejection, advice: &Advice) -> Self {
        Self {
            response: rejection.response(advice),
            rejection: Box::new(rejection),
        }
    }

    /// Why.
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    /// The answer, with an empty body.
    pub fn response<B: Default>(self) -> Response<B> {
        self.response.map(|()| B::default())
    }

    /// The answer for a caller by gRPC; see [`Rejection::grpc_response`]. With tonic,
    /// `Status::from_header_map` makes a status of its headers, challenge included.
    pub fn grpc_response<B: Default>(mut self) -> Response<B> {
        grpc::tell(&mut self.response, &self.rejection);
        self.response()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection.fmt(f)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.rejection.source()
    }
}
