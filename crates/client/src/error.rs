//! What can go wrong, sorted by what the caller should do about it.

use std::time::Duration;

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

/// Why there is no token.
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
    /// Nobody approved the login in time.
    #[error("nobody approved the login in time")]
    LoginTimedOut,
    /// The person stopped the login.
    #[error("the login was stopped")]
    Cancelled,
    /// A name, address or certificate that was handed to this crate cannot be used.
    #[error("the {what} cannot be used: {why}")]
    Configuration {
        /// Which setting.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The session could not be read or written.
    #[error("the session could not be read or written")]
    Storage(#[source] StoreError),
    /// Another process held the lock of the session for too long.
    #[error("another process has been renewing this session for more than {} seconds", .waited.as_secs())]
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
            Self::LoginTimedOut => "login_timed_out",
            Self::Cancelled => "cancelled",
            Self::Configuration { .. } => "configuration",
            Self::Storage(source) => source.code(),
            Self::LockTimeout { .. } => "lock_timeout",
        }
    }

    /// What the person can do about it, best first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Storage(source) => source.hints(),
            _ => Vec::new(),
        }
    }

    /// What the command line exits with.
    pub fn exit_category(&self) -> ExitCategory {
        match self {
            Self::LoginRequired { .. } => ExitCategory::LoginRequired,
            Self::LoginTimedOut => ExitCategory::TimedOut,
            Self::Cancelled => ExitCategory::Interrupted,
            Self::Configuration { .. } => ExitCategory::Configuration,
            Self::Storage(_) | Self::LockTimeout { .. } => ExitCategory::Storage,
        }
    }

    /// Whether the same call may succeed later without anybody changing something.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::LockTimeout { .. })
    }
}
