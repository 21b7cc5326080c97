//! The verified caller of a request, as handlers see it.

use std::ops::Deref;
use std::sync::Arc;

use countersign_jose::Verified;
use http::Extensions;

use crate::AccessToken;

/// Who is calling: a verified access token, put into the request's extensions
/// by [`ValidatorLayer`](crate::ValidatorLayer).
///
/// A handler that takes a `Caller` cannot be reached without one, because only
/// a verified token makes one. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Verified<AccessToken>>);

impl Caller {
    /// The caller that the layer put into these extensions; `None` when the
    /// request did not pass the layer.
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}

impl From<Verified<AccessToken>> for Caller {
    fn from(token: Verified<AccessToken>) -> Self {
        Self(Arc::new(token))
    }
}

impl Deref for Caller {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.0
    }
}
