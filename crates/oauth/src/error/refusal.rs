//! What a server says when it says no.

use std::fmt;

use super::{Endpoint, redact};
use crate::challenge::BearerChallenge;
use crate::text::printable;
use crate::{ErrorCode, HttpResponse, Secret};

/// What a server said when it refused, in its own words made fit to print.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which part of the server.
    pub endpoint: Endpoint,
    /// The status of the answer; 302 for one that came through the browser.
    pub status: u16,
    /// `error`, unless the answer had none.
    pub code: Option<ErrorCode>,
    /// `error_description`, or the start of a body that was not an error answer.
    pub description: Option<String>,
    /// `error_uri`.
    pub uri: Option<String>,
    /// Whether it may have been said by another server: the answer came through the browser without
    /// the `iss` that this server promises (RFC 9207, section 2.4).
    pub unverified: bool,
}

impl Refusal {
    /// What a server said on a way of its own, such as a page: its texts are made fit to print.
    pub fn new(endpoint: Endpoint, status: u16, code: &str, description: Option<&str>) -> Self {
        let fit = |text: &str| Some(printable(text)).filter(|text| !text.is_empty());
        Self {
            endpoint,
            status,
            code: fit(code).map(|code| ErrorCode::from_name(&code)),
            description: description.and_then(fit),
            uri: None,
            unverified: false,
        }
    }

    pub(crate) fn redact(&mut self, secrets: &[Secret]) {
        let code = match &mut self.code {
            Some(ErrorCode::Other(name)) => Some(name),
            _ => None,
        };
        for text in [code, self.description.as_mut(), self.uri.as_mut()]
            .into_iter()
            .flatten()
        {
            *text = redact::without_tokens(text);
            for secret in secrets {
                *text = redact::without(text, secret);
            }
        }
    }

    /// Completes a refusal that had no error in its body with what its challenge says.
    pub(crate) fn with_challenge(mut self, response: &HttpResponse) -> Self {
        let values = || response.headers_named("www-authenticate");
        let said = |challenge: &BearerChallenge| challenge.error.is_some();
        let challenge = BearerChallenge::find(values())
            .filter(said)
            .or_else(|| BearerChallenge::find_of("DPoP", values()));
        if let Some(challenge) = challenge {
            self.code = challenge.error.or(self.code);
            let description = challenge.error_description.map(|text| printable(&text));
            self.description = description.or(self.description);
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "the server answered `{code}`")?,
            None => write!(
                f,
                "the server answered {} without an error code",
                self.status
            )?,
        }
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        if let Some(uri) = &self.uri {
            write!(f, " (see {uri})")?;
        }
        if self.unverified {
            f.write_str(" (it is not certain that this server said it)")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
