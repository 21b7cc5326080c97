//! A one-time password that a person typed, and the header that it travels in (RFC 8941).
//!
//! Not responsible for: whether it is right, and for keyboards that turn letters into others.

use std::fmt;

use super::{OtpChallenge, OtpMethod};
use crate::Secret;

/// The letters that a Yubikey types, on most keyboards.
const MODHEX: &[u8] = b"cbdefghijklnrtuv";
/// More than a person types.
const MAX_TYPED: usize = 256;

/// A password as it goes into a request, well-formed and not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpPassword {
    method: OtpMethod,
    text: Secret,
}

impl OtpPassword {
    /// Takes exactly a password: the 32 to 48 letters of a Yubikey, usually 44, or six to eight digits.
    ///
    /// # Errors
    /// [`NotOtp`], which does not repeat the text.
    pub fn new(method: OtpMethod, text: &str) -> Result<Self, NotOtp> {
        let fits = match method {
            OtpMethod::Yubikey => {
                (32..=48).contains(&text.len()) && text.bytes().all(|b| MODHEX.contains(&b))
            }
            OtpMethod::Totp => {
                (6..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
            }
        };
        if !fits {
            return Err(NotOtp {
                wanted: vec![method],
            });
        }
        Ok(Self {
            method,
            text: Secret::new(text),
        })
    }

    /// Takes what a person typed into a line, and recognises which of `methods` it is by. Blanks are
    /// taken out, because authenticators show `123 456`, and capital letters count as small ones,
    /// because Caps Lock may be on.
    ///
    /// # Errors
    /// [`NotOtp`], which does not repeat the text.
    pub fn typed(line: &str, methods: &[OtpMethod]) -> Result<Self, NotOtp> {
        let none = || NotOtp {
            wanted: methods.to_vec(),
        };
        if line.len() > MAX_TYPED {
            return Err(none());
        }
        // With its final size at once, so that no copy stays behind where it grew.
        let mut plain = String::with_capacity(line.len());
        let letters = line
            .chars()
            .filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n'));
        plain.extend(letters.map(|c| c.to_ascii_lowercase()));
        let plain = Secret::new(plain);
        let found = methods
            .iter()
            .find_map(|method| Self::new(*method, plain.expose()).ok());
        found.ok_or_else(none)
    }

    /// How it was made.
    pub fn method(&self) -> OtpMethod {
        self.method
    }

    /// The value of the `Step-Up` header that answers `challenge`: a dictionary (RFC 8941, section
    /// 3.2). None of the three has a character that would have to be escaped.
    pub(super) fn header(&self, challenge: &OtpChallenge) -> Secret {
        Secret::new(format!(
            "challenge=\"{}\", method={}, otp=\"{}\"",
            challenge.challenge.expose(),
            self.method.as_str(),
            self.text.expose()
        ))
    }
}

/// What was typed is no one-time password of the kinds that are asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotOtp {
    wanted: Vec<OtpMethod>,
}

impl fmt::Display for NotOtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |method| self.wanted.contains(&method);
        f.write_str(match (has(OtpMethod::Yubikey), has(OtpMethod::Totp)) {
            (true, true) => "a Yubikey types 44 letters, an authenticator shows six digits",
            (true, false) => "a Yubikey types 44 letters",
            _ => "an authenticator shows six to eight digits",
        })
    }
}
