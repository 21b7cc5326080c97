//! A refusal that a handler returns: an answer that is complete.

use std::fmt;

use http::Response;

use crate::{Advice, Rejection};

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
