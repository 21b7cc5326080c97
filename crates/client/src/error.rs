//! What can go wrong, sorted by what the caller should do about it.

mod more;

use std::io;
use std::time::Duration;

use countersign_oauth::text::printable;
use countersign_oauth::{Endpoint, Error as ExchangeError, ErrorCode, Refusal, TransportError};
use countersign_store::StoreError;

pub use self::more::{AnotherWay, Explained, NoOtherApi, NotGiven, NotSteppedUp};
use crate::{Obstacle, OtherPerson, SignIn};

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
    /// The refresh token is no longer where it was kept, or does not belong to the session.
    SecretsLost,
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
        LoginRequired::SecretsLost => "the refresh token of the session is lost",
    })]
    LoginRequired {
        /// The session's name.
        session: String,
        /// Why.
        reason: LoginRequired,
    },
    /// Nobody approved the login within the time limit of the caller.
    #[error("nobody approved the login within {} s", .limit.as_secs())]
    LoginTimedOut {
        /// The caller's limit.
        limit: Duration,
    },
    /// The person stopped the login.
    #[error("the login was stopped")]
    Cancelled,
    /// Nothing of what could be done here would sign anybody in.
    #[error("there is no way to sign in here: {}", listed(.closed))]
    NoWayToSignIn {
        /// The ways that were looked at, and what keeps each of them closed.
        closed: Vec<(SignIn, Obstacle)>,
    },
    /// The way to sign in that was asked for is not open here.
    #[error("no {}: {obstacle}", .flow.text())]
    WayClosed {
        /// The way.
        flow: SignIn,
        /// What keeps it closed.
        obstacle: Obstacle,
    },
    /// A way to sign in turned out to be closed, and another may be open.
    #[error(transparent)]
    AnotherWay(Box<AnotherWay>),
    /// The server refused, and what its provider means by that is known.
    #[error(transparent)]
    Explained(Box<Explained>),
    /// The session cannot have a token for another API.
    #[error("no token for {} can be had with this session", printable(.target))]
    OtherApi {
        /// The API. Not filtered for printing.
        target: String,
        /// Why not.
        #[source]
        why: NoOtherApi,
    },
    /// The server gives no token for another API, or does not exchange one. The session goes on.
    #[error(transparent)]
    NotGiven(Box<NotGiven>),
    /// Nobody could sign in as an API asks for it, or who did has not come as far; or a request was not
    /// confirmed as it asks for it. The session is as it was.
    #[error(transparent)]
    NotSteppedUp(#[from] Box<NotSteppedUp>),
    /// All the ports that the browser may come back to are in use by other programs.
    #[error("the {} in use by another program", ports_are(.ports))]
    PortsInUse {
        /// The ports.
        ports: Vec<u16>,
    },
    /// The listener that the browser comes back to could not be set up.
    #[error("cannot listen on this computer for the browser to come back")]
    Listener(#[source] io::Error),
    /// Somebody else has signed in than was to.
    #[error(transparent)]
    OtherPerson(#[from] Box<OtherPerson>),
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
    /// The server has renewed the session, and what it gave could not be kept. It may not take the old
    /// refresh token again.
    #[error("the session was renewed at the server, and could not be kept here")]
    NotKept(#[source] StoreError),
    /// A logout has revoked the tokens of the session, and could not remove it from this computer.
    #[error("the session is revoked at the server, and could not be removed here")]
    NotRemoved(#[source] StoreError),
    /// Another process held the lock of the session for too long.
    #[error("another process has been busy with this session for {} s", .waited.as_secs())]
    LockTimeout {
        /// How long this process waited.
        waited: Duration,
    },
    /// While this call waited, another one tried to renew the session, and the server could not be asked.
    #[error("the session could not be renewed")]
    NotRenewed(#[source] TriedBefore),
}

/// Why a renewal was not tried a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another call has just tried, and the server is out of reach or out of order")]
pub struct TriedBefore;

impl Error {
    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LoginRequired { .. } => "login_required",
            Self::LoginTimedOut { .. } => "login_timed_out",
            Self::Cancelled => "cancelled",
            Self::NoWayToSignIn { .. } => "no_way_to_sign_in",
            Self::WayClosed { .. } => "way_closed",
            Self::AnotherWay(closed) => closed.error.code(),
            Self::Explained(explained) => explained.error().code(),
            Self::OtherApi { .. } => "no_other_api",
            Self::NotGiven(refused) => refused.error().code(),
            Self::NotSteppedUp(failed) => failed.code(),
            Self::PortsInUse { .. } => "port_in_use",
            Self::Listener(_) => "listener_failed",
            Self::OtherPerson(_) => "other_person",
            Self::Configuration { .. } => "configuration",
            Self::Exchange(source) => source.code(),
            Self::Token(source) => source.code(),
            Self::ForeignToken { .. } => "foreign_token",
            Self::Storage(source) | Self::NotKept(source) | Self::NotRemoved(source) => {
                source.code()
            }
            Self::LockTimeout { .. } => "lock_timeout",
            Self::NotRenewed(_) => "not_renewed",
        }
    }

    /// What the person can do about it, best first.
    ///
    /// How to sign in is not among them: only the program knows what its command is called.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Exchange(source) => source.hints(),
            Self::Token(source) => source.hints(),
            Self::Storage(source) | Self::NotKept(source) | Self::NotRemoved(source) => {
                source.hints()
            }
            Self::AnotherWay(closed) => closed.error.hints(),
            // The provider's own remedy is better than any that fits them all.
            Self::Explained(explained) => vec![explained.remedy().to_owned()],
            Self::OtherApi { why, .. } => vec![why.instead().to_owned()],
            Self::NotGiven(refused) => refused.error().hints(),
            Self::PortsInUse { .. } => vec![
                "end the program that has the port, or register another port at the provider"
                    .to_owned(),
            ],
            Self::NotSteppedUp(failed) => vec![failed.instead().to_owned()],
            Self::LockTimeout { .. } => {
                vec!["see which process is still running, or try again in a moment".to_owned()]
            }
            Self::LoginRequired { .. }
            | Self::LoginTimedOut { .. }
            | Self::Cancelled
            | Self::NoWayToSignIn { .. }
            | Self::WayClosed { .. }
            | Self::Listener(_)
            | Self::OtherPerson(_)
            | Self::ForeignToken { .. }
            | Self::NotRenewed(_)
            | Self::Configuration { .. } => Vec::new(),
        }
    }

    /// What the command line exits with.
    pub fn exit_category(&self) -> ExitCategory {
        match self {
            Self::LoginRequired { .. } => ExitCategory::LoginRequired,
            Self::LoginTimedOut { .. } => ExitCategory::TimedOut,
            Self::Cancelled => ExitCategory::Interrupted,
            Self::NoWayToSignIn { closed } => {
                let mut obstacles = closed.iter().map(|(_, obstacle)| *obstacle);
                closed_category(obstacles.any(Obstacle::is_of_the_place))
            }
            Self::WayClosed { obstacle, .. } => closed_category(obstacle.is_of_the_place()),
            Self::AnotherWay(closed) => closed.error.exit_category(),
            Self::OtherPerson(_) => ExitCategory::Denied,
            Self::NotSteppedUp(failed) => failed.exit_category(),
            Self::Explained(explained) => explained.error().exit_category(),
            // Signing in again would change nothing: the session is good.
            Self::NotGiven(refused) => match refused.error().exit_category() {
                ExitCategory::LoginRequired => ExitCategory::Configuration,
                category => category,
            },
            Self::OtherApi { .. } | Self::PortsInUse { .. } | Self::Configuration { .. } => {
                ExitCategory::Configuration
            }
            Self::Exchange(source) => exchange_category(source),
            Self::Listener(_) | Self::Token(_) | Self::ForeignToken { .. } => ExitCategory::Failure,
            Self::Storage(_)
            | Self::NotKept(_)
            | Self::NotRemoved(_)
            | Self::LockTimeout { .. } => ExitCategory::Storage,
            Self::NotRenewed(_) => ExitCategory::Unreachable,
        }
    }

    /// What the server said, if it was the server that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Exchange(error) => error.refusal(),
            Self::AnotherWay(closed) => closed.error.refusal(),
            Self::Explained(explained) => explained.error().refusal(),
            Self::NotGiven(refused) => refused.error().refusal(),
            _ => None,
        }
    }

    /// How long the server asked to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Exchange(error) => error.retry_after(),
            Self::Explained(explained) => explained.error().retry_after(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anybody changing something.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::LockTimeout { .. } | Self::NotRenewed(_) => true,
            Self::AnotherWay(closed) => closed.error.is_retryable(),
            Self::Explained(explained) => explained.error().is_retryable(),
            Self::NotGiven(refused) => refused.error().is_retryable(),
            Self::Exchange(source) => source.is_retryable(),
            Self::Storage(source) | Self::NotRemoved(source) => source.is_retryable(),
            _ => false,
        }
    }
}

/// "browser (this is a remote session), device (the server does not offer it)".
fn listed(closed: &[(SignIn, Obstacle)]) -> String {
    let each = closed
        .iter()
        .map(|(way, obstacle)| format!("{way} ({obstacle})"));
    each.collect::<Vec<_>>().join(", ")
}

/// "port 6363 is", "ports 6363, 6364 are".
fn ports_are(ports: &[u16]) -> String {
    let (noun, verb) = if ports.len() == 1 {
        ("port", "is")
    } else {
        ("ports", "are")
    };
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    format!("{noun} {} {verb}", ports.join(", "))
}

/// Somewhere else, with somebody to answer, it may well work.
fn closed_category(by_the_place: bool) -> ExitCategory {
    if by_the_place {
        ExitCategory::LoginRequired
    } else {
        ExitCategory::Configuration
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
        | ExchangeError::InvalidRedirectUri { .. }
        | ExchangeError::PublicClient
        | ExchangeError::DpopAlgorithm { .. }
        | ExchangeError::InsecureOverride { .. } => ExitCategory::Configuration,
        _ => ExitCategory::Failure,
    }
}

/// What a server publishes about itself is set up by somebody, not said in passing.
fn is_published(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Discovery | Endpoint::Keys)
}
