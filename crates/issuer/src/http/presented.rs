//! An access token as it comes with a request.

use countersign_oauth::Secret;

/// The authentication scheme of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449, section 7.1.
    Dpop,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// An access token and how it was presented.
#[derive(Debug)]
pub(super) struct Presented {
    pub(super) scheme: Scheme,
    pub(super) token: Secret,
}

impl Presented {
    /// Reads an `Authorization` header; `None` when it is of another scheme.
    pub(super) fn in_header(header: &str) -> Option<Self> {
        let (name, token) = header.split_once(' ')?;
        let scheme = [Scheme::Bearer, Scheme::Dpop]
            .into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(name))?;
        Some(Self {
            scheme,
            token: Secret::new(token.trim()),
        })
    }

    /// A token in a form, which only bearers may put there.
    pub(super) fn in_form(token: &str) -> Self {
        Self {
            scheme: Scheme::Bearer,
            token: Secret::new(token),
        }
    }
}
