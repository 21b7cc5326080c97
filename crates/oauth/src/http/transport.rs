//! Why there was no answer.

use std::fmt;

use super::{MAX_BODY, without_query};
use crate::text::printable;

/// Why a request got no answer, in the driver's words.
///
/// The strings come from the driver's libraries, may quote the peer, and are filtered when shown.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, or no complete answer, within the time limit.
    Timeout,
    /// The connection could not be made: refused, unreachable, name not found.
    Connect {
        /// What the system said.
        reason: String,
    },
    /// A proxy on the way refused or could not connect.
    Proxy {
        /// What it said.
        reason: String,
    },
    /// The TLS handshake failed.
    Tls {
        /// What the TLS library said.
        reason: String,
    },
    /// The connection ended before the answer did.
    Closed,
    /// The answer was not HTTP.
    Malformed {
        /// What was wrong with it.
        reason: String,
    },
    /// The answer was larger than [`MAX_BODY`].
    TooLarge,
    /// The answer was a redirect, which is never followed.
    Redirect {
        /// Where to, if the server said.
        location: Option<String>,
    },
    /// The user or the program ended the wait.
    Interrupted,
}

impl TransportError {
    /// Whether the same request may succeed if sent again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout | Self::Connect { .. } | Self::Proxy { .. } | Self::Closed => true,
            Self::Tls { .. }
            | Self::Malformed { .. }
            | Self::TooLarge
            | Self::Redirect { .. }
            | Self::Interrupted => false,
        }
    }

    /// A stable name for scripts and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect { .. } => "connect_failed",
            Self::Proxy { .. } => "proxy_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Closed => "connection_closed",
            Self::Malformed { .. } => "malformed_http",
            Self::TooLarge => "response_too_large",
            Self::Redirect { .. } => "redirect_refused",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connect { reason } => write!(f, "cannot connect: {}", printable(reason)),
            Self::Proxy { reason } => write!(f, "the proxy failed: {}", printable(reason)),
            Self::Tls { reason } => write!(f, "TLS failed: {}", printable(reason)),
            Self::Closed => f.write_str("the connection was closed before the answer was complete"),
            Self::Malformed { reason } => {
                write!(f, "the answer is not HTTP: {}", printable(reason))
            }
            Self::TooLarge => write!(f, "the answer is larger than {MAX_BODY} bytes"),
            Self::Redirect { location: Some(to) } => {
                write!(
                    f,
                    "the answer is a redirect to {}",
                    printable(&without_query(to))
                )
            }
            Self::Redirect { location: None } => f.write_str("the answer is a redirect"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// As `Display`, with its code: the address of a redirect may hold a secret.
impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportError({}: {self})", self.code())
    }
}

impl std::error::Error for TransportError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transport_error_quotes_is_fit_for_a_terminal() {
        let location = Some("https://x.example/a?code=canary#canary\u{1b}[31m".to_owned());
        let error = TransportError::Redirect { location };
        assert_eq!(
            error.to_string(),
            "the answer is a redirect to https://x.example/a"
        );
        assert!(!format!("{error:?}").contains("canary"));
        let reason = "bad\r\n\u{1b}[2Jcertificate".to_owned();
        let shown = TransportError::Tls { reason }.to_string();
        assert_eq!(shown, "TLS failed: bad [2Jcertificate");
    }

    #[test]
    fn only_failures_that_may_pass_are_retryable() {
        let reason = String::new;
        assert!(TransportError::Timeout.is_retryable());
        assert!(TransportError::Closed.is_retryable());
        assert!(TransportError::Connect { reason: reason() }.is_retryable());
        assert!(!TransportError::Tls { reason: reason() }.is_retryable());
        assert!(!TransportError::TooLarge.is_retryable());
        assert!(!TransportError::Interrupted.is_retryable());
    }
}
