//! What a sign-in was, and what a request asks of the one behind it: `acr`,
//! `amr`, `auth_time` (`OpenID` Connect Core 1.0, section 2), `acr_values` and
//! `max_age` (section 3.1.2.1; RFC 9470, section 4).
//!
//! There are two classes: the password alone, and the password with something
//! that the person has. Whatever has no place in these two words is not told.

use std::time::Duration;

use countersign_jose::Timestamp;
use serde_json::Value;

use super::{BrowserSession, Core, Error, Refusal};

/// The `acr` of a sign-in by password: a single factor.
pub const ACR_PASSWORD: &str = "1";
/// The `acr` of a sign-in with a second factor, unless it is configured.
pub const ACR_MULTI_FACTOR: &str = "mfa";

/// What somebody proved beside the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// An authenticator's code (RFC 6238).
    Totp,
    /// A Yubikey's one-time password.
    Yubikey,
    /// One of the codes that were written down for the day when both are lost.
    RecoveryCode,
}

impl SecondFactor {
    const ALL: [Self; 3] = [Self::Totp, Self::Yubikey, Self::RecoveryCode];

    /// The name that it rests under.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Yubikey => "yubikey",
            Self::RecoveryCode => "recovery_code",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|factor| factor.name() == name)
    }
}

/// A second factor that was proved, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Which.
    pub factor: SecondFactor,
    /// When.
    pub at: Timestamp,
}

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The `auth_time`: the oldest of what it rests on, so that no part of it
    /// is older than it says.
    pub at: Timestamp,
    /// What was proved beside the password.
    pub second: Option<SecondFactor>,
}

impl Authentication {
    pub(super) fn class(self) -> Class {
        match self.second {
            None => Class::Password,
            Some(_) => Class::MultiFactor,
        }
    }

    /// The `amr` (RFC 8176, section 2). A Yubikey's secret never leaves it,
    /// which is what `hwk` says.
    pub(super) fn methods(self) -> &'static [&'static str] {
        match self.second {
            None => &["pwd"],
            Some(SecondFactor::Totp) => &["pwd", "otp", "mfa"],
            Some(SecondFactor::Yubikey) => &["pwd", "otp", "hwk", "mfa"],
            // No device made it.
            Some(SecondFactor::RecoveryCode) => &["pwd", "mfa"],
        }
    }

    /// What of it is told to a client that asked for these classes. One that
    /// asked for the password alone does not know a word for more, and would
    /// refuse an `acr` that it did not ask for.
    pub(super) fn told_to(self, demands: &Demands) -> Self {
        let password_only = !demands.classes.is_empty()
            && demands
                .classes
                .iter()
                .all(|class| *class == Class::Password);
        Self {
            second: self.second.filter(|_| !password_only),
            ..self
        }
    }
}

/// A class of sign-ins: what an `acr` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// By password.
    Password,
    /// By password and something that the person has.
    MultiFactor,
}

impl Class {
    /// The name that it rests under; the wire's name is configured.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::MultiFactor => "multi_factor",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Password, Self::MultiFactor]
            .into_iter()
            .find(|class| class.name() == name)
    }
}

/// What a request asks of the sign-in behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// The classes that will do, best first; empty for any.
    pub classes: Vec<Class>,
    /// How long ago the sign-in may have been. Zero asks for one that is made
    /// for this request, as `prompt=login` does.
    pub max_age: Option<Duration>,
}

/// What a person still has to do before they can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Sign in, or do so again.
    SignIn,
    /// Prove a second factor; the password was proved already.
    SecondFactor,
    /// Nothing that they could do now: the request asks for a second factor,
    /// and they have none.
    Unmet,
}

/// When a second factor is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactorPolicy {
    /// At every sign-in of whoever has one.
    #[default]
    WhenEnrolled,
    /// At every sign-in; whoever has none sets one up first.
    Required,
    /// When an application asks for it.
    OnRequest,
    /// Never: there are none.
    Off,
}

impl Core {
    /// The `acr` values there are, the weakest first.
    pub fn acr_values(&self) -> Vec<&str> {
        match self.second_factor {
            SecondFactorPolicy::Off => vec![ACR_PASSWORD],
            _ => vec![ACR_PASSWORD, &self.mfa_acr],
        }
    }

    /// The `acr` of a sign-in.
    pub(super) fn acr(&self, authentication: Authentication) -> &str {
        match authentication.class() {
            Class::Password => ACR_PASSWORD,
            Class::MultiFactor => &self.mfa_acr,
        }
    }

    /// What `acr_values` (or an essential `acr`), `max_age` and `prompt=login`
    /// ask for. A request that names classes asks for one of them: an access
    /// token with another is of no use to who asked (RFC 9470, section 5).
    pub(super) fn demands(
        &self,
        acr_values: Option<&str>,
        max_age: Option<&str>,
        sign_in_anew: bool,
    ) -> Result<Demands, Refusal> {
        let asked: Vec<&str> = acr_values
            .unwrap_or_default()
            .split_ascii_whitespace()
            .collect();
        let mut classes = Vec::new();
        for class in asked.iter().filter_map(|name| self.class_named(name)) {
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        if classes.is_empty() && !asked.is_empty() {
            return Err(Refusal::UnmetAuthenticationRequirements);
        }
        let max_age = max_age.map(seconds).transpose()?;
        Ok(Demands {
            classes,
            max_age: if sign_in_anew {
                Some(Duration::ZERO)
            } else {
                max_age
            },
        })
    }

    fn class_named(&self, name: &str) -> Option<Class> {
        let multi_factor = self.second_factor != SecondFactorPolicy::Off && name == self.mfa_acr;
        if multi_factor {
            return Some(Class::MultiFactor);
        }
        (name == ACR_PASSWORD).then_some(Class::Password)
    }

    /// What is missing in the sign-in of `session` for a request that arrived
    /// then.
    pub(super) fn missing(
        &self,
        demands: &Demands,
        asked_at: Timestamp,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<Option<Missing>, Error> {
        if !demands.accept_age_of(session, asked_at, now) {
            return Ok(Some(Missing::SignIn));
        }
        if session.second.is_some() || demands.classes.is_empty() {
            return Ok(None);
        }
        let can_prove = demands.classes.contains(&Class::MultiFactor)
            && self.has_second_factor(&session.account.id)?;
        let best = demands
            .classes
            .iter()
            .find(|class| **class == Class::Password || can_prove);
        Ok(match best {
            Some(Class::Password) => None,
            Some(Class::MultiFactor) => Some(Missing::SecondFactor),
            None => Some(Missing::Unmet),
        })
    }
}

impl Demands {
    /// Whether a sign-in is recent enough. One that was made for this request
    /// always is, or whoever types slowly would be asked again and again.
    fn accept_age_of(&self, session: &BrowserSession, asked_at: Timestamp, now: Timestamp) -> bool {
        let young = match self.max_age {
            None => true,
            // As `prompt=login` (OpenID Connect Core 1.0, section 3.1.2.1).
            Some(max_age) if max_age.is_zero() => false,
            Some(max_age) => now.since(session.authenticated_at) <= max_age,
        };
        young || session.authenticated_at >= asked_at
    }
}

/// The classes of an essential `acr` of the ID token, in the form of
/// `acr_values` (`OpenID` Connect Core 1.0, sections 5.5 and 5.5.1.1). Whatever
/// else is in `claims` is not asked of the sign-in.
pub(super) fn essential_acr(claims: &str) -> Result<Option<String>, Refusal> {
    const MALFORMED: Refusal = Refusal::InvalidRequest("claims is malformed");
    let claims: Value = serde_json::from_str(claims).map_err(|_| MALFORMED)?;
    let Some(acr) = claims.pointer("/id_token/acr") else {
        return Ok(None);
    };
    if acr.get("essential") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let one = acr.get("value").map(std::slice::from_ref);
    let several = acr.get("values").and_then(Value::as_array);
    let named = one.or(several.map(Vec::as_slice)).unwrap_or_default();
    let named: Option<Vec<&str>> = named.iter().map(Value::as_str).collect();
    let named = named.ok_or(MALFORMED)?;
    // Without values, any class does (section 5.5.1).
    Ok((!named.is_empty()).then(|| named.join(" ")))
}

fn seconds(text: &str) -> Result<Duration, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u32>()
        .ok()
        .filter(|_| digits)
        .map(|seconds| Duration::from_secs(seconds.into()))
        .ok_or(Refusal::InvalidRequest(
            "max_age is not a number of seconds",
        ))
}
