//! Errors that say more than the one they hold: what else could be done, or what a provider means.
//!
//! Both read like the error they hold, so that whoever does not know them loses nothing.

use std::fmt;

use countersign_oauth::preset::Meaning;
use countersign_oauth::text::printable;
use countersign_oauth::{OtpError, OtpFailed, Refusal, StepUp};

use super::{Error, ExitCategory};
use crate::SignIn;

/// A way to sign in that turned out to be closed, and those that may be open.
///
/// Reads like the error that closed it; the ways are for whoever knows what to type for them.
#[derive(Debug)]
pub struct AnotherWay {
    /// The way that was tried.
    pub tried: SignIn,
    /// What closed it.
    pub error: Error,
    /// The others, best first. Never empty.
    pub others: Vec<SignIn>,
}

impl fmt::Display for AnotherWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for AnotherWay {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // It reads like the error itself, which would otherwise be told twice.
        self.error.source()
    }
}

/// A refusal, and what the provider means by it.
///
/// Reads like the refusal; the meaning is the first cause, and the remedy the hint.
#[derive(Debug)]
pub struct Explained {
    error: Error,
    why: Why,
}

/// What a provider means by an error, as the cause of it.
#[derive(Debug)]
struct Why {
    meaning: Meaning,
    /// What the server itself said.
    refusal: Option<Refusal>,
}

impl Explained {
    pub(crate) fn new(error: Error, meaning: Meaning) -> Self {
        let refusal = match &error {
            Error::Exchange(exchange) => exchange.refusal().cloned(),
            _ => None,
        };
        let why = Why { meaning, refusal };
        Self { error, why }
    }

    /// The refusal.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// What it means, as a sentence.
    pub fn sentence(&self) -> &'static str {
        self.why.meaning.sentence
    }

    /// What to do about it, as a sentence.
    pub fn remedy(&self) -> &'static str {
        self.why.meaning.remedy
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning.sentence.trim_end_matches('.'))
    }
}

impl std::error::Error for Why {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let refusal = self.refusal.as_ref()?;
        Some(refusal)
    }
}

/// Why a session cannot have a token for another API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoOtherApi {
    /// The provider has no way. What to do instead, as a sentence.
    Provider(&'static str),
    /// There is nothing to ask with.
    NoRefreshToken,
}

impl NoOtherApi {
    /// What to do instead.
    pub fn instead(self) -> &'static str {
        match self {
            Self::Provider(instead) => instead,
            Self::NoRefreshToken => {
                "sign in with the scope offline_access, or for this API as well"
            }
        }
    }
}

impl fmt::Display for NoOtherApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider(_) => "the provider gives a login the tokens of one API",
            Self::NoRefreshToken => "it has no refresh token",
        })
    }
}

impl std::error::Error for NoOtherApi {}

/// What was not given, and why not.
///
/// The first line is what was asked for; the error beneath is its cause.
#[derive(Debug)]
pub struct NotGiven {
    what: String,
    error: Error,
}

impl NotGiven {
    pub(crate) fn new(what: &str, error: Error) -> Self {
        Self {
            what: printable(what),
            error,
        }
    }

    /// What the server said, or did.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for NotGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for NotGiven {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Why nobody signed in as an API asks for it, or confirmed a request as it does.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotSteppedUp {
    /// The session is that of a client that signed in as itself.
    NoPerson,
    /// The authorization server let the person sign in in another way, or did not ask them anew.
    NotReached {
        /// What was asked for.
        wanted: StepUp,
        /// What the new sign-in is instead.
        error: Error,
    },
    /// The API got no one-time password that it takes.
    Otp(OtpFailed),
    /// Nobody typed a one-time password: there is nobody to ask, or they would not say.
    NothingTyped,
    /// The person stopped it instead of typing a one-time password.
    Stopped,
}

impl NotSteppedUp {
    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPerson => "step_up_no_person",
            Self::NotReached { .. } => "step_up_not_reached",
            Self::Otp(failed) => failed.code(),
            Self::NothingTyped => "otp_not_typed",
            Self::Stopped => "cancelled",
        }
    }

    /// What to do instead.
    pub fn instead(&self) -> &'static str {
        const AGAIN: &str = "send the request once more";
        match self {
            Self::NoPerson => "sign in as a person, under another profile",
            Self::NotReached { .. } => {
                "how people sign in is set up at the authorization server: ask who runs it"
            }
            Self::Otp(OtpFailed::Refused(refused)) => of_refusal(&refused.error),
            Self::Otp(OtpFailed::TooOften(error)) => of_refusal(error),
            Self::Otp(OtpFailed::Ignored | OtpFailed::Unreadable(_)) => {
                "ask who runs the API, and mention `otp_challenge`"
            }
            Self::NothingTyped | Self::Stopped | Self::Otp(_) => AGAIN,
        }
    }

    /// What the command line exits with.
    pub fn exit_category(&self) -> ExitCategory {
        match self {
            Self::Otp(OtpFailed::TimedOut) => ExitCategory::TimedOut,
            Self::Stopped => ExitCategory::Interrupted,
            _ => ExitCategory::StepUp,
        }
    }
}

/// What helps against it.
fn of_refusal(error: &OtpError) -> &'static str {
    match error {
        OtpError::Wrong | OtpError::Replayed | OtpError::Expired => {
            "take the key or the authenticator that is registered with this API, and try again"
        }
        OtpError::NoDevice => {
            "ask who runs the API to register a Yubikey or an authenticator for you"
        }
        OtpError::Locked | OtpError::Unavailable => "try again later",
        _ => "ask who runs the API",
    }
}

impl fmt::Display for NotSteppedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPerson => {
                f.write_str("this client signed in as itself, and the API asks for a person")
            }
            Self::NotReached { wanted, .. } => write!(f, "what came of it is not {wanted}"),
            Self::Otp(failed) => failed.fmt(f),
            Self::NothingTyped => f.write_str("nobody typed a one-time password"),
            Self::Stopped => f.write_str("the request was stopped"),
        }
    }
}

impl std::error::Error for NotSteppedUp {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotReached { error, .. } => Some(error),
            Self::Otp(OtpFailed::Unreadable(error)) => Some(error),
            _ => None,
        }
    }
}
