//! The `otpauth` address: what stands in the QR code of an enrolment.
//!
//! There is no RFC for it; this is the common part of what authenticators read ("Key Uri Format").
//!
//! Not responsible for: drawing the QR code.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{Digits, Hotp, Secret, Totp, WeakSecret};
use crate::crypto::Hash;
use crate::text::{is_visible, percent_decode, percent_encode};

const SCHEME: &str = "otpauth://";

/// The longest address that is read; honest ones have some 150 letters.
const MAX_URI: usize = 2048;

/// The longest issuer or account, in bytes: what still gives a QR code that phones can read.
const MAX_NAME: usize = 128;

/// A device that is to be enrolled: what it computes, and the names that its owner will see.
///
/// `Debug` shows the names and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    issuer: String,
    account: String,
    kind: Kind,
}

/// What a device computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Codes that follow the time.
    Totp(Totp),
    /// Codes that are counted, and the counter of the first one.
    Hotp(Hotp, u64),
}

impl Enrolment {
    /// Enrols an authenticator that follows the time.
    ///
    /// # Errors
    /// [`UriProblem::Name`] for names that cannot be written.
    pub fn totp(issuer: &str, account: &str, totp: Totp) -> Result<Self, UriProblem> {
        Self::new(issuer, account, Kind::Totp(totp))
    }

    /// Enrols a device that counts, from the counter of its first code.
    ///
    /// # Errors
    /// [`UriProblem::Name`] for names that cannot be written.
    pub fn hotp(issuer: &str, account: &str, hotp: Hotp, counter: u64) -> Result<Self, UriProblem> {
        Self::new(issuer, account, Kind::Hotp(hotp, counter))
    }

    fn new(issuer: &str, account: &str, kind: Kind) -> Result<Self, UriProblem> {
        if account.is_empty() || ![issuer, account].into_iter().all(is_name) {
            return Err(UriProblem::Name);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            account: account.to_owned(),
            kind,
        })
    }

    /// Who issued it. Empty if an address that was read does not say.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whose it is.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What it computes.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The TOTP, if it is one.
    pub fn as_totp(&self) -> Option<&Totp> {
        match &self.kind {
            Kind::Totp(totp) => Some(totp),
            Kind::Hotp(..) => None,
        }
    }

    /// The address. It holds the secret: show it once, as a QR code, and never log it.
    pub fn to_uri(&self) -> Zeroizing<String> {
        let (kind, (secret, hash, digits)) = match &self.kind {
            Kind::Totp(totp) => {
                let (secret, hash, digits, _) = totp.parts();
                ("totp", (secret, hash, digits))
            }
            Kind::Hotp(hotp, _) => ("hotp", hotp.parts()),
        };
        // All of it at once, so that no copy of the secret stays behind where the text grew.
        let mut uri = Zeroizing::new(String::with_capacity(MAX_URI));
        uri.push_str(SCHEME);
        uri.push_str(kind);
        uri.push('/');
        if !self.issuer.is_empty() {
            percent_encode(&self.issuer, &mut uri);
            uri.push(':');
        }
        percent_encode(&self.account, &mut uri);
        uri.push_str("?secret=");
        uri.push_str(&secret.to_base32());
        if !self.issuer.is_empty() {
            uri.push_str("&issuer=");
            percent_encode(&self.issuer, &mut uri);
        }
        // Writing to a string cannot fail.
        let _ = write!(uri, "&algorithm={}&digits={}", hash.name(), digits.count());
        let _ = match &self.kind {
            Kind::Totp(totp) => write!(uri, "&period={}", totp.parts().3),
            Kind::Hotp(_, counter) => write!(uri, "&counter={counter}"),
        };
        uri
    }

    /// Reads an address. Parameters that are not known are passed over, those that are may occur
    /// once.
    ///
    /// # Errors
    /// [`UriProblem`], which repeats nothing of the address.
    pub fn parse(uri: &str) -> Result<Self, UriProblem> {
        if uri.len() > MAX_URI {
            return Err(UriProblem::Form);
        }
        let (kind, rest) = uri
            .split_at_checked(SCHEME.len())
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME))
            .and_then(|(_, rest)| rest.split_once('/'))
            .ok_or(UriProblem::Form)?;
        let (label, query) = rest.split_once('?').ok_or(UriProblem::Form)?;
        let parameters = Parameters::parse(query)?;
        let (issuer, account) = names(label, parameters.issuer.as_deref())?;

        let secret = parameters.secret.as_ref().ok_or(UriProblem::Secret(None))?;
        let secret = Secret::from_base32(secret).map_err(|why| UriProblem::Secret(Some(why)))?;
        let hash = match parameters.algorithm.as_deref() {
            None => Hash::default(),
            Some(name) => Hash::ALL
                .into_iter()
                .find(|hash| hash.name().eq_ignore_ascii_case(name))
                .ok_or(UriProblem::Parameter("algorithm"))?,
        };
        let digits = match parameters.digits.as_deref() {
            None => Digits::default(),
            Some(text) => Digits::ALL
                .into_iter()
                .find(|digits| number(text) == u64::try_from(digits.count()).ok())
                .ok_or(UriProblem::Parameter("digits"))?,
        };
        let kind = if kind.eq_ignore_ascii_case("totp") {
            let mut totp = Totp::new(secret).hash(hash).digits(digits);
            if let Some(period) = &parameters.period {
                totp = number(period)
                    .and_then(|period| totp.period(period))
                    .ok_or(UriProblem::Parameter("period"))?;
            }
            Kind::Totp(totp)
        } else if kind.eq_ignore_ascii_case("hotp") {
            // "REQUIRED if type is hotp".
            let counter = parameters.counter.as_ref().and_then(|text| number(text));
            Kind::Hotp(
                Hotp::new(secret).hash(hash).digits(digits),
                counter.ok_or(UriProblem::Parameter("counter"))?,
            )
        } else {
            return Err(UriProblem::Kind);
        };
        Self::new(&issuer, &account, kind)
    }
}

/// The known parameters of a query, decoded.
#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<Zeroizing<String>>,
    algorithm: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
    counter: Option<Zeroizing<String>>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, UriProblem> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (slot, name) = match name {
                "secret" => (&mut found.secret, "secret"),
                "issuer" => (&mut found.issuer, "issuer"),
                "algorithm" => (&mut found.algorithm, "algorithm"),
                "digits" => (&mut found.digits, "digits"),
                "period" => (&mut found.period, "period"),
                "counter" => (&mut found.counter, "counter"),
                _ => continue,
            };
            if slot.is_some() {
                return Err(UriProblem::Twice(name));
            }
            let value = percent_decode(value).ok_or(UriProblem::Parameter(name))?;
            *slot = Some(Zeroizing::new(value));
        }
        Ok(found)
    }
}

/// Issuer and account, from a label and the parameter that may say the issuer again.
fn names(label: &str, issuer: Option<&String>) -> Result<(String, String), UriProblem> {
    let label = percent_decode(label).ok_or(UriProblem::Name)?;
    let (prefix, account) = match label.split_once(':') {
        Some((prefix, account)) => (Some(prefix), account.trim_start_matches(' ')),
        None => (None, label.as_str()),
    };
    match (prefix, issuer) {
        (Some(prefix), Some(issuer)) if prefix != issuer => Err(UriProblem::Issuers),
        (prefix, issuer) => Ok((
            prefix
                .or(issuer.map(String::as_str))
                .unwrap_or("")
                .to_owned(),
            account.to_owned(),
        )),
    }
}

/// What can stand in a label and be told apart there again.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && !name.contains(':')
        && name.trim() == name
        && name.chars().all(is_visible)
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Why an address was not read or cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriProblem {
    /// Not an address of this kind.
    #[error("expected otpauth://totp/… or otpauth://hotp/… with a secret, of at most 2048 letters")]
    Form,
    /// Neither `totp` nor `hotp`.
    #[error("the kind of device is neither totp nor hotp")]
    Kind,
    /// A name that is missing, too long, or cannot be written.
    #[error("issuer and account have up to 128 visible letters, no colon, no blanks at either end")]
    Name,
    /// The issuer is said twice and differently.
    #[error("the issuer in front of the account is not the one among the parameters")]
    Issuers,
    /// The secret is missing, or not one to rely on.
    #[error("the secret is missing or cannot be used")]
    Secret(#[source] Option<WeakSecret>),
    /// A parameter has a value that does not exist.
    #[error("the parameter `{0}` is missing or has a value that cannot be used")]
    Parameter(&'static str),
    /// A parameter stands there twice.
    #[error("the parameter `{0}` stands there twice")]
    Twice(&'static str),
}
