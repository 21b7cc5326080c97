//! What an API says that wants a one-time password with this request (`docs/step-up.md`).
//!
//! Not responsible for: what is typed ([`OtpPassword`]), nor for how often ([`OtpAnswers`]).
//!
//! [`OtpPassword`]: super::OtpPassword
//! [`OtpAnswers`]: super::OtpAnswers

use std::fmt;
use std::time::Duration;

use super::{FORBIDDEN, UNAUTHORIZED, UnreadableStepUp, challenges};
use crate::challenge::BearerChallenge;
use crate::http::seconds_to_wait;
use crate::text::printable;
use crate::{ErrorCode, Secret};

/// The status of an API that takes no password of this person for a while.
const TOO_MANY_REQUESTS: u16 = 429;
/// The status of one that cannot check any.
const SERVICE_UNAVAILABLE: u16 = 503;
/// Longer challenges are refused. They come back in a header of the request.
const MAX_CHALLENGE: usize = 512;
/// The longest text for people.
const MAX_ACTION: usize = 128;
/// An API that names more methods than this names none that a person could choose from.
const MAX_METHODS: usize = 16;
/// Nobody is waited for longer, whatever an API says.
const MAX_LIFE: Duration = Duration::from_secs(3600);

/// How a one-time password is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtpMethod {
    /// A Yubikey that is touched, and types it (Yubico OTP).
    Yubikey,
    /// An authenticator that shows it (RFC 6238).
    Totp,
}

impl OtpMethod {
    /// Reads the word on the wire. `None` for a method that is not known here.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "yubikey" => Some(Self::Yubikey),
            "totp" => Some(Self::Totp),
            _ => None,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yubikey => "yubikey",
            Self::Totp => "totp",
        }
    }
}

/// Why an API does not take a password, or none at all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtpError {
    /// It is not right.
    Wrong,
    /// It is right, and was used before.
    Replayed,
    /// It, or what it answers, is too old.
    Expired,
    /// Too many were wrong.
    Locked,
    /// The person has no device that is known to the API.
    NoDevice,
    /// The API cannot check any at the moment.
    Unavailable,
    /// Something that is not known here, fit to print.
    Other(String),
}

impl OtpError {
    fn from_name(name: &str) -> Self {
        match name {
            "wrong_otp" => Self::Wrong,
            "replayed_otp" => Self::Replayed,
            "expired" => Self::Expired,
            "locked" => Self::Locked,
            "no_device" => Self::NoDevice,
            "unavailable" => Self::Unavailable,
            other => Self::Other(printable(other)),
        }
    }

    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wrong => "otp_wrong",
            Self::Replayed => "otp_replayed",
            Self::Expired => "otp_expired",
            Self::Locked => "otp_locked",
            Self::NoDevice => "otp_no_device",
            Self::Unavailable => "otp_unavailable",
            Self::Other(_) => "otp_refused",
        }
    }

    /// Whether another password may do, if there is a challenge for it.
    fn passes(&self) -> bool {
        matches!(self, Self::Wrong | Self::Replayed | Self::Expired)
    }
}

impl fmt::Display for OtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong => "the one-time password is wrong",
            Self::Replayed => "the one-time password was used before",
            Self::Expired => "the one-time password came too late",
            Self::Locked => "too many one-time passwords were wrong, and none is taken for a while",
            Self::NoDevice => {
                "the API knows no device of this person that makes one-time passwords"
            }
            Self::Unavailable => "the API cannot check one-time passwords at the moment",
            Self::Other(word) => {
                return write!(f, "the API takes no one-time password: `{word}`");
            }
        })
    }
}

/// A password that is wanted, for one request.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtpChallenge {
    /// What goes back with the password, as it came.
    pub(super) challenge: Secret,
    /// What will do, best first: at least one.
    pub methods: Vec<OtpMethod>,
    /// How long the challenge is good for.
    pub expires_in: Duration,
    /// What the API calls the request. It is the API's word alone, and fit to print.
    pub action: Option<String>,
    /// Why the password before did not do.
    pub error: Option<OtpError>,
}

/// It goes with the password and to nobody else.
impl fmt::Debug for OtpChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpChallenge")
            .field("methods", &self.methods)
            .field("expires_in", &self.expires_in)
            .field("action", &self.action)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// No password helps now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtpRefused {
    /// Why.
    pub error: OtpError,
    /// How long that lasts, where the API says so.
    pub retry_after: Option<Duration>,
}

/// What an API says about one-time passwords in its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtpDemand {
    /// It wants one.
    Password(OtpChallenge),
    /// It wants one, and takes none now.
    Refused(OtpRefused),
}

impl OtpDemand {
    /// What an API's answer says, by its status, the values of its `WWW-Authenticate` fields and its
    /// `Retry-After`; `None` for every other answer.
    ///
    /// # Errors
    /// When it asks for something that cannot be read, or for two things. Nothing is guessed: what is
    /// typed is good once.
    pub fn find<'a>(
        status: u16,
        www_authenticate: impl IntoIterator<Item = &'a str>,
        retry_after: Option<&str>,
    ) -> Result<Option<Self>, UnreadableStepUp> {
        if ![
            UNAUTHORIZED,
            FORBIDDEN,
            TOO_MANY_REQUESTS,
            SERVICE_UNAVAILABLE,
        ]
        .contains(&status)
        {
            return Ok(None);
        }
        let mut about_it = challenges(www_authenticate).filter(is_about_otp);
        let Some(challenge) = about_it.next() else {
            return Ok(None);
        };
        let text = challenge.extra("otp_challenge");
        // A server may say the same under both schemes.
        if about_it.any(|other| other.extra("otp_challenge") != text) {
            return Err(unreadable("otp_challenge", "is there twice"));
        }
        let error = challenge.extra("otp_error").map(OtpError::from_name);
        let asks = status == UNAUTHORIZED
            && challenge.error == Some(ErrorCode::InsufficientUserAuthentication)
            && error.as_ref().is_none_or(OtpError::passes);
        match (text, error) {
            (Some(text), error) if asks => {
                let wanted = OtpChallenge {
                    challenge: challenge_text(text)?,
                    methods: methods(challenge.extra("otp_methods"))?,
                    expires_in: life(challenge.extra("otp_expires_in"))?,
                    action: challenge.extra("otp_action").map(action).transpose()?,
                    error,
                };
                Ok(Some(Self::Password(wanted)))
            }
            (_, Some(error)) => Ok(Some(Self::Refused(OtpRefused {
                error,
                retry_after: retry_after.and_then(seconds_to_wait),
            }))),
            (_, None) => Ok(None),
        }
    }
}

/// Whether a challenge is one of this kind.
pub(super) fn is_about_otp(challenge: &BearerChallenge) -> bool {
    challenge.extra("otp_challenge").is_some() || challenge.extra("otp_error").is_some()
}

fn unreadable(parameter: &'static str, why: &'static str) -> UnreadableStepUp {
    UnreadableStepUp { parameter, why }
}

fn challenge_text(text: &str) -> Result<Secret, UnreadableStepUp> {
    let wrong = |why| Err(unreadable("otp_challenge", why));
    // What can stand between quotes as it is.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    if !(1..=MAX_CHALLENGE).contains(&text.len()) {
        return wrong("is empty or too long");
    }
    if !text.bytes().all(plain) {
        return wrong("has characters that it may not have");
    }
    Ok(Secret::new(text))
}

/// The methods that are known here; the words that are not are for other programs.
fn methods(text: Option<&str>) -> Result<Vec<OtpMethod>, UnreadableStepUp> {
    let wrong = |why| Err(unreadable("otp_methods", why));
    let Some(text) = text else {
        return wrong("is not there");
    };
    let mut methods = Vec::new();
    let mut count = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        count += 1;
        if count > MAX_METHODS {
            return wrong("has too many words");
        }
        match OtpMethod::from_name(word) {
            Some(method) if !methods.contains(&method) => methods.push(method),
            _ => {}
        }
    }
    if methods.is_empty() {
        return wrong("names no method that is known here");
    }
    Ok(methods)
}

fn life(text: Option<&str>) -> Result<Duration, UnreadableStepUp> {
    let wrong = |why| unreadable("otp_expires_in", why);
    let text = text.ok_or(wrong("is not there"))?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse::<u32>().ok().filter(|_| digits);
    let seconds = seconds.ok_or(wrong("is not a number of seconds"))?;
    if seconds == 0 {
        return Err(wrong("leaves no time"));
    }
    Ok(Duration::from_secs(seconds.into()).min(MAX_LIFE))
}

fn action(text: &str) -> Result<String, UnreadableStepUp> {
    let plain = |b: u8| (b' '..=b'~').contains(&b);
    if text.len() > MAX_ACTION || !text.bytes().all(plain) {
        return Err(unreadable("otp_action", "is too long or not plain ASCII"));
    }
    Ok(printable(text))
}
