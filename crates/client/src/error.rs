//! What can go wrong, sorted by what the caller should do about it.

use std::time::Duration;

use countersign_oauth::{Endpoint, Error as ExchangeError, ErrorCode, TransportError};
use countersign_store::StoreError;

/// What the command line exits with; other programs can use it to decide what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitCategory {
    /// Something failed that none of the others describes (1).
    Failure,
    /// The program was called wrongly (2).
    Usage,
    /// The server cannot be reached or is out of order; trying later may help (3).
    Unreachable,
    /// Nobody is signed in, or the session has ended: a person must log in (4).
    LoginRequired,
    /// The person, or the server, said no (5).
    Denied,
    /// Nobody approved the login in time (6).
    TimedOut,
    /// Configuration, discovery, keys or TLS: an administrator must look at it (7).
    Configuration,
    /// The action asks for a stronger or fresher login (8).
    StepUp,
    /// The session could not be read, written or locked (9).
    Storage,
    /// The person stopped it (130).
    Interrupted,
}

impl ExitCategory {
    /// The exit code of the command line.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::LoginRequired => 4,
            Self::Denied => 5,
            Self::TimedOut => 6,
            Self::Configuration => 7,
            Self::StepUp => 8,
            Self::Storage => 9,
            Self::Interrupted => 130,
        }
    }
}

/// Why a person must sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginRequired {
    /// There is no session of this name.
    NoSession,
    /// The access token has expired and there is no refresh token.
    Expired,
    /// The server no longer accepts the refresh token.
    Rejected,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A person must sign in.
    #[error("{}", match .reason {
        LoginRequired::NoSession => "nobody is signed in",
        LoginRequired::Expired => "the session has expired",
        LoginRequired::Rejected => "the session has ended at the server",
    })]
    LoginRequired {
        /// The session's name.
        session: String,
        /// Why.
        reason: LoginRequired,
    },
    /// Nobody approved the login within the time limit of the caller.
    #[error("nobody approved the login within {} seconds", .limit.as_secs())]
    LoginTimedOut {
        /// The caller's limit.
        limit: Duration,
    },
    /// The person stopped the login.
    #[error("the login was stopped")]
    Cancelled,
    /// Something that was handed to this crate cannot be used.
    #[error("the {what} cannot be used: {why}")]
    Configuration {
        /// Which setting.
        what: &'static str,
        /// What is wrong with it. Not filtered for printing.
        why: String,
    },
    /// The exchange with the authorization server failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// A token cannot be verified.
    #[error("the token cannot be verified")]
    Token(#[source] countersign_jose::Error),
    /// A token was issued by another server than the one whose keys it was checked with.
    #[error("issued by {}, expected {expected}", .received.as_deref().unwrap_or("nobody"))]
    ForeignToken {
        /// The issuer that was asked.
        expected: String,
        /// What the token says, fit to print.
        received: Option<String>,
    },
    /// The session could not be read or written.
    #[error("the session could not be read or written")]
    Storage(#[source] StoreError),
    /// Another process held the lock of the session for too long.
    #[error("another process has been busy with this session for {} seconds", .waited.as_secs())]
    LockTimeout {
        /// How long this process waited.
        waited: Duration,
    },
}

impl Error {
    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LoginRequired { .. } => "login_required",
            Self::LoginTimedOut { .. } => "login_timed_out",
            Self::Cancelled => "cancelled",
            Self::Configuration { .. } => "configuration",
            Self::Exchange(source) => source.code(),
            Self::Token(source) => source.code(),
            Self::ForeignToken { .. } => "foreign_token",
            Self::Storage(source) => source.code(),
            Self::LockTimeout { .. } => "lock_timeout",
        }
    }

    /// What the person can do about it, best first.
    ///
    /// How to sign in is not among them: only the program knows what its command is called.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Exchange(source) => source.hints(),
            Self::Token(source) => source.hints(),
            Self::Storage(source) => source.hints(),
            Self::LockTimeout { .. } => {
                vec!["see which process is still running, or try again in a moment".to_owned()]
            }
            Self::LoginRequired { .. }
            | Self::LoginTimedOut { .. }
            | Self::Cancelled
            | Self::ForeignToken { .. }
            | Self::Configuration { .. } => Vec::new(),
        }
    }

    /// What the command line exits with.
    pub fn exit_category(&self) -> ExitCategory {
        match self {
            Self::LoginRequired { .. } => ExitCategory::LoginRequired,
            Self::LoginTimedOut { .. } => ExitCategory::TimedOut,
            Self::Cancelled => ExitCategory::Interrupted,
            Self::Configuration { .. } => ExitCategory::Configuration,
            Self::Exchange(source) => exchange_category(source),
            Self::Token(_) | Self::ForeignToken { .. } => ExitCategory::Failure,
            Self::Storage(_) | Self::LockTimeout { .. } => ExitCategory::Storage,
        }
    }

    /// Whether the same call may succeed later without anybody changing something.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::LockTimeout { .. } => true,
            Self::Exchange(source) => source.is_retryable(),
            Self::Storage(source) => source.is_retryable(),
            _ => false,
        }
    }
}

fn exchange_category(error: &ExchangeError) -> ExitCategory {
    match error {
        ExchangeError::AccessDenied(_) => ExitCategory::Denied,
        ExchangeError::DeviceCodeExpired { .. } => ExitCategory::TimedOut,
        ExchangeError::RefreshRejected(_) => ExitCategory::LoginRequired,
        ExchangeError::Unavailable { .. } => ExitCategory::Unreachable,
        ExchangeError::Transport { endpoint, source } => match source {
            TransportError::Timeout
            | TransportError::Connect { .. }
            | TransportError::Proxy { .. }
            | TransportError::Closed => ExitCategory::Unreachable,
            TransportError::Tls { .. } | TransportError::Redirect { .. } => {
                ExitCategory::Configuration
            }
            TransportError::Interrupted => ExitCategory::Interrupted,
            _ if is_published(*endpoint) => ExitCategory::Configuration,
            _ => ExitCategory::Failure,
        },
        ExchangeError::Refused(refusal) if is_published(refusal.endpoint) => {
            ExitCategory::Configuration
        }
        ExchangeError::Refused(refusal) => match &refusal.code {
            Some(
                ErrorCode::InvalidClient
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::InvalidScope
                | ErrorCode::InvalidTarget,
            ) => ExitCategory::Configuration,
            Some(ErrorCode::InvalidToken) => ExitCategory::LoginRequired,
            Some(ErrorCode::InsufficientUserAuthentication) => ExitCategory::StepUp,
            _ => ExitCategory::Failure,
        },
        ExchangeError::PeerMisbehaved { endpoint, .. } if is_published(*endpoint) => {
            ExitCategory::Configuration
        }
        ExchangeError::Keys(_)
        | ExchangeError::NoMetadata { .. }
        | ExchangeError::EndpointMissing(_)
        | ExchangeError::InvalidIssuer(_)
        | ExchangeError::InsecureOverride { .. } => ExitCategory::Configuration,
        _ => ExitCategory::Failure,
    }
}

/// What a server publishes about itself is set up by somebody, not said in passing.
fn is_published(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Discovery | Endpoint::Keys)
}
