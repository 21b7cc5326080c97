//! The verified caller of a request, as handlers see it.

use std::ops::Deref;
use std::sync::Arc;

use http::Extensions;

use crate::AccessToken;

/// How a token came, and what was checked beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presentation {
    /// As a bearer token (RFC 6750): whoever holds it may use it.
    Bearer,
    /// With a proof of the key that it is bound to (RFC 9449).
    Dpop,
    /// Over TLS with the certificate that it is bound to (RFC 8705).
    Certificate,
    /// In the signed header of a load balancer that has signed the person in.
    LoadBalancer,
    /// As an opaque token, about which its issuer was asked (RFC 7662).
    Introspected,
}

impl Presentation {
    /// Whether a stolen token could not have been presented so.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Dpop | Self::Certificate)
    }

    /// A stable name, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Dpop => "dpop",
            Self::Certificate => "certificate",
            Self::LoadBalancer => "load_balancer",
            Self::Introspected => "introspected",
        }
    }
}

/// Who is calling: a verified access token, and how it was presented. The
/// layer ([`ValidatorLayer`](crate::ValidatorLayer)) puts it into the request's
/// extensions.
///
/// A handler that takes a `Caller` cannot be reached without one, because only
/// a verified token makes one. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Caller {
    token: Arc<AccessToken>,
    presentation: Presentation,
    next_nonce: Option<Arc<str>>,
}

impl Caller {
    /// Only for a token whose signature (or whose issuer's word, when it was
    /// introspected) and claims have been checked, and that was presented so.
    pub(crate) fn new(token: Arc<AccessToken>, presentation: Presentation) -> Self {
        Self {
            token,
            presentation,
            next_nonce: None,
        }
    }

    pub(crate) fn with_next_nonce(mut self, nonce: Option<String>) -> Self {
        self.next_nonce = nonce.map(Into::into);
        self
    }

    /// What the answer has to carry in its `DPoP-Nonce` header (RFC 9449,
    /// section 8.2), if anything: the nonce that the caller uses is getting old.
    pub fn next_nonce(&self) -> Option<&str> {
        self.next_nonce.as_deref()
    }

    /// How the token came.
    pub fn presentation(&self) -> Presentation {
        self.presentation
    }

    /// The caller that the layer put into these extensions; `None` when the
    /// request did not pass the layer.
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}

impl Deref for Caller {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.token
    }
}
