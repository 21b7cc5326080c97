//! What an API wants of a person whose token is good and whose sign-in is not enough for this request
//! (RFC 9470, section 3), or of a token whose scope is not (RFC 6750, section 3.1); and the one-time
//! passwords that it may want instead, or as well.
//!
//! Not responsible for: signing anybody in, nor for deciding what is enough.

mod answers;
mod otp;
mod password;

use std::fmt;
use std::time::Duration;

use countersign_jose::Timestamp;

use crate::challenge::{self, BearerChallenge};
use crate::text::printable;
use crate::{ErrorCode, ScopeSet};

pub use self::answers::{OtpAnswers, OtpFailed, OtpHeard};
pub use self::otp::{OtpChallenge, OtpDemand, OtpError, OtpMethod, OtpRefused};
pub use self::password::{NotOtp, OtpPassword};

/// The status that carries the challenge (RFC 9470, section 3).
const UNAUTHORIZED: u16 = 401;
/// The status for a token without the scope (RFC 6750, section 3.1).
const FORBIDDEN: u16 = 403;
/// An API that names more classes than this names none that a person could choose from.
const MAX_CLASSES: usize = 16;
/// Longer names are refused.
const MAX_CLASS: usize = 255;
/// How far the clocks of the authorization server, the API and this computer may be apart.
const LEEWAY: Duration = Duration::from_secs(60);

/// What the sign-in behind a token has to be (RFC 9470, section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepUp {
    /// The authentication context classes that will do, best first; any of them if empty.
    pub acr_values: Vec<String>,
    /// How long ago the person may have authenticated.
    pub max_age: Option<Duration>,
    /// The scope that the request needs as well, where the API says so. Who may have it is decided by a
    /// login that asks for it, not by the API that wants it.
    pub scope: Option<ScopeSet>,
}

/// An API asks for a stronger or fresher sign-in, and what it asks for cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}` {why}")]
pub struct UnreadableStepUp {
    /// Which parameter.
    pub parameter: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl StepUp {
    /// What somebody wants ahead of time.
    ///
    /// # Errors
    /// When one of the classes cannot be asked for.
    pub fn new(acr_values: &[String], max_age: Option<Duration>) -> Result<Self, UnreadableStepUp> {
        Ok(Self {
            acr_values: classes(acr_values.iter().flat_map(|text| text.split(' ')))?,
            max_age,
            scope: None,
        })
    }

    /// What an API's answer asks for, by its status and the values of its `WWW-Authenticate` fields;
    /// `None` for every other answer, also for one that asks for a one-time password alone
    /// ([`OtpDemand`]). Where it asks for both, the sign-in comes first: the challenge for a password
    /// belongs to the token that was sent.
    ///
    /// # Errors
    /// When it asks for something that cannot be read. Nothing is guessed: a demand that is read too
    /// mildly would only bring the same answer again.
    pub fn find<'a>(
        status: u16,
        www_authenticate: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, UnreadableStepUp> {
        if status != UNAUTHORIZED {
            return Ok(None);
        }
        match with_error(www_authenticate, &ErrorCode::InsufficientUserAuthentication) {
            Some(challenge) if !asks_for_otp_alone(&challenge) => Self::of(&challenge).map(Some),
            _ => Ok(None),
        }
    }

    fn of(challenge: &BearerChallenge) -> Result<Self, UnreadableStepUp> {
        let acr_values = match challenge.extra("acr_values") {
            None => Vec::new(),
            Some(text) => classes(text.split(' '))?,
        };
        Ok(Self {
            acr_values,
            max_age: challenge.extra("max_age").map(seconds).transpose()?,
            scope: challenge.scope.clone().filter(|scope| !scope.is_empty()),
        })
    }

    /// The age that is asked for. An API that does not say what it wants (both parameters are optional)
    /// can mean nothing but a sign-in that is made now.
    pub fn max_age_to_ask(&self) -> Option<Duration> {
        let unsaid = self.acr_values.is_empty() && self.max_age.is_none();
        self.max_age.or(unsaid.then_some(Duration::ZERO))
    }

    /// Whether a sign-in with this `acr` and `auth_time` is what is asked for, at `now`. What is not
    /// known is not enough.
    pub fn is_met(&self, acr: Option<&str>, auth_time: Option<Timestamp>, now: Timestamp) -> bool {
        let strong = self.acr_values.is_empty()
            || acr.is_some_and(|acr| self.acr_values.iter().any(|wanted| wanted == acr));
        let fresh = match (self.max_age_to_ask(), auth_time) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(age), Some(time)) => now.since(time) <= age.saturating_add(LEEWAY),
        };
        strong && fresh
    }
}

impl fmt::Display for StepUp {
    /// In words, as the end of "it asks for", fit to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<String> = self
            .acr_values
            .iter()
            .map(|class| format!("`{class}`"))
            .collect();
        let by = if classes.is_empty() {
            String::new()
        } else {
            format!(" by {}", classes.join(" or "))
        };
        let age = match self.max_age_to_ask() {
            None => String::new(),
            Some(age) if age.is_zero() => ", made now".to_owned(),
            Some(age) => format!(", made at most {} s ago", age.as_secs()),
        };
        f.write_str(&printable(&format!("a sign-in{by}{age}")))
    }
}

/// The scope that an API's answer says is missing (RFC 6750, section 3.1).
pub fn missing_scope<'a>(
    status: u16,
    www_authenticate: impl IntoIterator<Item = &'a str>,
) -> Option<ScopeSet> {
    if status != FORBIDDEN {
        return None;
    }
    let challenge = with_error(www_authenticate, &ErrorCode::InsufficientScope)?;
    challenge.scope.filter(|scope| !scope.is_empty())
}

/// Whether an API wants a proof with its own nonce (RFC 9449, section 9): the request is worth another
/// try with the one that came along.
pub fn wants_dpop_nonce<'a>(
    status: u16,
    www_authenticate: impl IntoIterator<Item = &'a str>,
) -> bool {
    status == UNAUTHORIZED && with_error(www_authenticate, &ErrorCode::UseDpopNonce).is_some()
}

/// Whether nothing is said of a sign-in.
fn asks_for_otp_alone(challenge: &BearerChallenge) -> bool {
    otp::is_about_otp(challenge)
        && challenge.extra("acr_values").is_none()
        && challenge.extra("max_age").is_none()
}

/// The first challenge with this error.
fn with_error<'a>(
    values: impl IntoIterator<Item = &'a str>,
    error: &ErrorCode,
) -> Option<BearerChallenge> {
    challenges(values).find(|challenge| challenge.error.as_ref() == Some(error))
}

/// The challenges of the two schemes that know these errors (RFC 9449, section 7.1).
fn challenges<'a>(
    values: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = BearerChallenge> {
    values
        .into_iter()
        .filter_map(|value| challenge::parse(value).ok())
        .flatten()
        .filter(|challenge| challenge.is("Bearer") || challenge.is("DPoP"))
        .map(BearerChallenge::from)
}

fn classes<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<String>, UnreadableStepUp> {
    let wrong = |why| UnreadableStepUp {
        parameter: "acr_values",
        why,
    };
    let mut classes: Vec<String> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        // They are repeated to the authorization server, and shown.
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'`');
        if word.len() > MAX_CLASS || !word.bytes().all(plain) {
            return Err(wrong("has a name that is too long or not plain ASCII"));
        }
        if classes.iter().any(|known| known == word) {
            continue;
        }
        if classes.len() == MAX_CLASSES {
            return Err(wrong("has too many names"));
        }
        classes.push(word.to_owned());
    }
    Ok(classes)
}

fn seconds(text: &str) -> Result<Duration, UnreadableStepUp> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<u32>().ok().filter(|_| digits);
    let seconds = number.ok_or(UnreadableStepUp {
        parameter: "max_age",
        why: "is not a number of seconds",
    })?;
    Ok(Duration::from_secs(seconds.into()))
}
