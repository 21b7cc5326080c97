//! The two texts that a client sends back: the `Step-Up` header field, a dictionary of RFC 8941 with
//! three members and no more, and the challenge in it. Both are read to the letter.
//!
//! It stands on the standard library alone, so that the fuzzer builds it without a TLS library. Not
//! responsible for whether a challenge is ours, nor for whether a password is right.

use std::fmt;

/// The longest header field that is looked at. Challenge, method and password need less.
pub(crate) const LONGEST_HEADER: usize = 1024;
/// The longest challenge.
pub(crate) const LONGEST_CHALLENGE: usize = 512;
/// The longest password: a Yubico OTP has at most 48 characters.
pub(crate) const LONGEST_OTP: usize = 64;
/// The longest name of a method.
const LONGEST_METHOD: usize = 32;

/// What every challenge of this form begins with.
pub(crate) const VERSION: &str = "v1";
/// 16 random bytes in base64url.
pub(crate) const NONCE: usize = 22;
/// 32 bytes of a MAC in base64url.
pub(crate) const MAC: usize = 43;
/// Digits of a time in milliseconds, enough until the year 5138.
const TIME: usize = 14;

/// Why a `Step-Up` header field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedStepUp {
    /// There are two of them, and nobody knows which one counts.
    #[error("the Step-Up header field is there twice")]
    Several,
    /// It is longer than any answer to a challenge.
    #[error("the Step-Up header field is too long")]
    TooLong,
    /// It is no dictionary of RFC 8941, or not written as it should be.
    #[error("the Step-Up header field is no dictionary")]
    Dictionary,
    /// A member is there twice. RFC 8941 would take the last one.
    #[error("the Step-Up header field has a member twice")]
    Twice,
    /// A member that nobody knows, or parameters of one.
    #[error("the Step-Up header field has a member that is not known")]
    Unknown,
    /// This member is missing.
    #[error("the Step-Up header field has no member `{0}`")]
    Missing(&'static str),
    /// This member is of another type, empty, too long, or has characters that it cannot have.
    #[error("the member `{0}` of the Step-Up header field is malformed")]
    Member(&'static str),
    /// The method is none that was asked for.
    #[error("the method in the Step-Up header field is none that was asked for")]
    Method,
}

/// A `Step-Up` header field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'h> {
    pub(crate) challenge: &'h str,
    pub(crate) method: &'h str,
    /// Letters and digits. Kept out of `Debug`.
    pub(crate) otp: &'h str,
}

impl<'h> Answer<'h> {
    /// Reads the field.
    pub(crate) fn parse(field: &'h [u8]) -> Result<Self, MalformedStepUp> {
        if field.len() > LONGEST_HEADER {
            return Err(MalformedStepUp::TooLong);
        }
        let text = std::str::from_utf8(field).ok();
        let text = text.filter(|text| text.is_ascii());
        // "strip any leading SP characters" and trailing ones (RFC 8941, section 4.2).
        let text = text.ok_or(MalformedStepUp::Dictionary)?.trim_matches(' ');
        let (mut challenge, mut method, mut otp) = (None, None, None);
        let mut rest = text;
        loop {
            let (key, value, after) = member(rest)?;
            let place = match key {
                "challenge" => &mut challenge,
                "method" => &mut method,
                "otp" => &mut otp,
                _ => return Err(MalformedStepUp::Unknown),
            };
            if place.replace(value).is_some() {
                return Err(MalformedStepUp::Twice);
            }
            let after = after.trim_start_matches([' ', '\t']);
            if after.is_empty() {
                break;
            }
            if after.starts_with(';') {
                return Err(MalformedStepUp::Unknown);
            }
            let next = after.strip_prefix(',').ok_or(MalformedStepUp::Dictionary)?;
            rest = next.trim_start_matches([' ', '\t']);
        }
        Ok(Self {
            challenge: string("challenge", challenge, LONGEST_CHALLENGE, is_unreserved)?,
            method: match method.ok_or(MalformedStepUp::Missing("method"))? {
                Value::Token(name) if name.len() <= LONGEST_METHOD => name,
                _ => return Err(MalformedStepUp::Member("method")),
            },
            otp: string("otp", otp, LONGEST_OTP, |byte| byte.is_ascii_alphanumeric())?,
        })
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("challenge", &self.challenge)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What a member can be here (RFC 8941, sections 3.3.3 and 3.3.4).
#[derive(Clone, Copy)]
enum Value<'h> {
    /// Between its quotes; nothing in it is escaped.
    String(&'h str),
    Token(&'h str),
}

/// A key, its value and what comes after.
fn member(text: &str) -> Result<(&str, Value<'_>, &str), MalformedStepUp> {
    let malformed = MalformedStepUp::Dictionary;
    let (key, rest) = text.split_once('=').ok_or(malformed)?;
    let mut letters = key.bytes();
    let first = letters.next().ok_or(malformed)?;
    let is_key = (first.is_ascii_lowercase() || first == b'*')
        && letters.all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        });
    if !is_key {
        return Err(malformed);
    }
    if let Some(rest) = rest.strip_prefix('"') {
        // Neither of the two that are escaped can stand in any of these members.
        let (inner, after) = rest.split_once('"').ok_or(malformed)?;
        if inner.bytes().any(|byte| !matches!(byte, 0x20..=0x7e)) || inner.contains('\\') {
            return Err(malformed);
        }
        return Ok((key, Value::String(inner), after));
    }
    let end = rest.bytes().position(|byte| !is_token(byte));
    let (token, after) = rest.split_at(end.unwrap_or(rest.len()));
    let first = token.bytes().next().ok_or(malformed)?;
    if !(first.is_ascii_alphabetic() || first == b'*') {
        return Err(malformed);
    }
    Ok((key, Value::Token(token), after))
}

fn string<'h>(
    name: &'static str,
    value: Option<Value<'h>>,
    longest: usize,
    is_fit: impl Fn(u8) -> bool,
) -> Result<&'h str, MalformedStepUp> {
    match value.ok_or(MalformedStepUp::Missing(name))? {
        Value::String(text)
            if !text.is_empty() && text.len() <= longest && text.bytes().all(is_fit) =>
        {
            Ok(text)
        }
        _ => Err(MalformedStepUp::Member(name)),
    }
}

/// `sf-token = ( ALPHA / "*" ) *( tchar / ":" / "/" )` (RFC 8941, section 3.3.4).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
}

/// What a challenge is made of: `unreserved` of RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

/// A challenge taken apart. Nothing of it is believed before its MAC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'c> {
    /// When it was made, in milliseconds since 1970.
    pub(crate) made: i64,
    /// Until when it is good, likewise.
    pub(crate) expires: i64,
    pub(crate) nonce: &'c str,
    pub(crate) mac: &'c str,
}

impl<'c> Parts<'c> {
    /// Reads `v1.<made>.<expires>.<nonce>.<mac>`; nothing when it is anything else.
    pub(crate) fn parse(challenge: &'c str) -> Option<Self> {
        let mut parts = challenge.split('.');
        let mut next = || parts.next();
        if next()? != VERSION {
            return None;
        }
        let parts_read = Self {
            made: time(next()?)?,
            expires: time(next()?)?,
            nonce: base64url(next()?, NONCE)?,
            mac: base64url(next()?, MAC)?,
        };
        parts.next().is_none().then_some(parts_read)
    }
}

/// A number that is written in one way only.
fn time(text: &str) -> Option<i64> {
    let is_one = !text.is_empty()
        && text.len() <= TIME
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_one)
}

fn base64url(text: &str, length: usize) -> Option<&str> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (text.len() == length && text.bytes().all(is_fit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTP: &str = "ccccccbchvthlivuitriujjifivbvtrjkjfirllluurj";

    fn read(field: &str) -> Result<(&str, &str, &str), MalformedStepUp> {
        Answer::parse(field.as_bytes()).map(|it| (it.challenge, it.method, it.otp))
    }

    #[test]
    fn the_three_members_are_read_in_any_order() {
        for field in [
            "challenge=\"v1.a~b\", method=yubikey, otp=\"abc\"",
            "otp=\"abc\",method=yubikey,challenge=\"v1.a~b\"",
            "  method=yubikey \t,\t otp=\"abc\",challenge=\"v1.a~b\"  ",
        ] {
            assert_eq!(read(field), Ok(("v1.a~b", "yubikey", "abc")), "{field}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_its_name() {
        use MalformedStepUp::{Dictionary, Member, Missing, TooLong, Twice, Unknown};
        let long = |length: usize| "c".repeat(length);
        for (field, problem) in [
            ("", Dictionary),
            (" ", Dictionary),
            ("challenge", Dictionary),
            ("challenge=", Dictionary),
            ("=\"a\"", Dictionary),
            ("challenge=\"a", Dictionary),
            ("challenge=\"a\" method=totp", Dictionary),
            ("challenge=\"a\",", Dictionary),
            ("challenge=\"a\",,method=totp", Dictionary),
            ("challenge=\"a\\\"b\", method=totp, otp=\"1\"", Dictionary),
            ("Challenge=\"a\", method=totp, otp=\"1\"", Dictionary),
            ("challenge =\"a\", method=totp, otp=\"1\"", Dictionary),
            ("challenge= \"a\", method=totp, otp=\"1\"", Dictionary),
            ("\tchallenge=\"a\", method=totp, otp=\"1\"", Dictionary),
            ("challenge=\"ä\", method=totp, otp=\"1\"", Dictionary),
            ("challenge=\"a\", method=1, otp=\"1\"", Dictionary),
            ("challenge=(\"a\"), method=totp, otp=\"1\"", Dictionary),
            ("challenge=\"a\", challenge=\"a\", method=totp", Twice),
            ("challenge=\"a\", otp=\"1\", method=totp, x=1", Dictionary),
            ("challenge=\"a\", otp=\"1\", method=totp, x=a", Unknown),
            ("challenge=\"a\";p=b, otp=\"1\", method=totp", Unknown),
            ("challenge=\"a\", otp=\"1\", method=totp;p", Unknown),
            ("method=totp, otp=\"1\"", Missing("challenge")),
            ("challenge=\"a\", otp=\"1\"", Missing("method")),
            ("challenge=\"a\", method=totp", Missing("otp")),
            ("challenge=a, method=totp, otp=\"1\"", Member("challenge")),
            (
                "challenge=\"\", method=totp, otp=\"1\"",
                Member("challenge"),
            ),
            (
                "challenge=\"a b\", method=totp, otp=\"1\"",
                Member("challenge"),
            ),
            (
                "challenge=\"a\", method=\"totp\", otp=\"1\"",
                Member("method"),
            ),
            ("challenge=\"a\", method=totp, otp=abc", Member("otp")),
            ("challenge=\"a\", method=totp, otp=\"\"", Member("otp")),
            ("challenge=\"a\", method=totp, otp=\"1 2\"", Member("otp")),
        ] {
            assert_eq!(read(field), Err(problem), "{field}");
        }
        let with = |challenge: &str, method: &str, otp: &str| {
            let field = format!("challenge=\"{challenge}\", method={method}, otp=\"{otp}\"");
            Answer::parse(field.as_bytes()).map(|_| ())
        };
        assert_eq!(with(&long(512), &long(32), &long(64)), Ok(()));
        assert_eq!(with(&long(513), "totp", "1"), Err(Member("challenge")));
        assert_eq!(with("a", &long(33), "1"), Err(Member("method")));
        assert_eq!(with("a", "totp", &long(65)), Err(Member("otp")));
        assert_eq!(with(&long(1025), "totp", "1"), Err(TooLong));
        assert_eq!(Answer::parse(b"otp=\"\xff\""), Err(Dictionary));
    }

    #[test]
    fn a_password_is_not_shown() {
        let field = format!("challenge=\"a\", method=yubikey, otp=\"{OTP}\"");
        let answer = Answer::parse(field.as_bytes()).unwrap();
        assert!(!format!("{answer:?}").contains(OTP));
    }

    #[test]
    fn a_challenge_is_written_in_one_way_only() {
        let (nonce, mac) = ("n".repeat(NONCE), "m".repeat(MAC));
        let challenge = |made: &str, expires: &str| format!("v1.{made}.{expires}.{nonce}.{mac}");
        let good = challenge("1795219200000", "1795219260000");
        let parts = Parts::parse(&good).unwrap();
        assert_eq!(
            (parts.made, parts.expires),
            (1_795_219_200_000, 1_795_219_260_000)
        );
        assert_eq!((parts.nonce, parts.mac), (&*nonce, &*mac));
        for bad in [
            String::new(),
            good.replacen("v1", "v2", 1),
            format!("{good}."),
            format!("{good}.x"),
            good.replace('m', "+"),
            good.replacen('n', "", 1),
            challenge("01795219200000", "1795219260000"),
            challenge("+795219200000", "1795219260000"),
            challenge("-1", "1"),
            challenge("", "1"),
            challenge("999999999999999", "1"),
        ] {
            assert_eq!(Parts::parse(&bad), None, "{bad}");
        }
    }
}
