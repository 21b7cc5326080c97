//! The value of `x-amzn-oidc-data`, taken apart as strictly as a token.
//!
//! It differs from a JWS (RFC 7515) in one thing: its three parts may be padded
//! with `=`. The signature is over the text as it was received, so nothing here
//! is ever written anew.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use countersign_jose::jws::MAX_TOKEN_LEN;
use countersign_jose::{self as jose, Algorithm, Claims, Part, Timestamp, json};

use crate::{AccessToken, Rejection};

/// Padded or not; spare bits and other characters are refused.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false),
);

pub(super) struct SignedHeader<'t> {
    signing_input: &'t str,
    header: Claims,
    claims: Claims,
    signature: Vec<u8>,
    kid: KeyId,
}

/// The name of a key: a UUID in lower case, which goes into an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyId([u8; 36]);

impl KeyId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 36] = text.as_bytes().try_into().ok()?;
        let fits = |(place, byte): (usize, &u8)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        bytes.iter().enumerate().all(fits).then_some(Self(bytes))
    }

    pub(super) fn as_str(&self) -> &str {
        // Only ASCII gets in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<'t> SignedHeader<'t> {
    /// Takes the value apart. Refuses every algorithm but ES256, extensions, and
    /// a name of a key that is no UUID.
    pub(super) fn parse(text: &'t str) -> Result<Self, Rejection> {
        if text.len() > MAX_TOKEN_LEN {
            return Err(malformed(jose::Error::TokenTooLarge {
                length: text.len(),
                limit: MAX_TOKEN_LEN,
            }));
        }
        let not_compact = || malformed(jose::Error::NotCompact);
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(not_compact)?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(not_compact)?;
        if payload.contains('.') {
            return Err(not_compact());
        }
        let header = object(header, Part::Header)?;
        for member in ["crit", "b64"] {
            if header.contains(member) {
                return Err(malformed(jose::Error::UnsupportedExtension { member }));
            }
        }
        let alg = text_of(&header, "alg")?;
        if Algorithm::from_name(alg) != Some(Algorithm::Es256) {
            return Err(malformed(jose::Error::UnsupportedAlgorithm {
                name: countersign_oauth::text::printable(alg),
            }));
        }
        let kid = KeyId::parse(text_of(&header, "kid")?);
        Ok(Self {
            signing_input,
            claims: object(payload, Part::Payload)?,
            signature: decode(signature, Part::Signature)?,
            kid: kid.ok_or(Rejection::MalformedClaim("kid"))?,
            header,
        })
    }

    /// The bytes under the signature, as they were received.
    pub(super) fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn kid(&self) -> KeyId {
        self.kid
    }

    pub(super) fn signer(&self) -> Result<&str, Rejection> {
        text_of(&self.header, "signer")
    }

    pub(super) fn client(&self) -> Result<&str, Rejection> {
        text_of(&self.header, "client")
    }

    /// `iss` of the header, and that of the claims, where it may be missing.
    pub(super) fn issuers(&self) -> Result<impl Iterator<Item = &str>, Rejection> {
        let of_claims = self.claims.str("iss");
        let of_claims = of_claims.map_err(|_| Rejection::MalformedClaim("iss"))?;
        let of_header = text_of(&self.header, "iss")?;
        Ok(std::iter::once(of_header).chain(of_claims))
    }

    /// The earlier of both ends; the header's has to be there.
    pub(super) fn expires_at(&self) -> Result<Timestamp, Rejection> {
        let date = |claims: &Claims| {
            let date = claims.numeric_date("exp");
            date.map_err(|_| Rejection::MalformedClaim("exp"))
        };
        let of_header = date(&self.header)?.ok_or(Rejection::MissingClaim("exp"))?;
        Ok(date(&self.claims)?.map_or(of_header, |end| end.min(of_header)))
    }

    /// The person, after the signature and everything else was checked.
    pub(super) fn into_token(self, issuer: &Arc<str>) -> Result<AccessToken, Rejection> {
        let expires_at = self.expires_at()?;
        text_of(&self.claims, "sub")?;
        AccessToken::of_load_balancer(self.claims, issuer, expires_at)
    }
}

fn object(segment: &str, part: Part) -> Result<Claims, Rejection> {
    let bytes = decode(segment, part)?;
    json::parse(&bytes, MAX_TOKEN_LEN)
        .map_err(|source| malformed(jose::Error::Json { part, source }))
}

fn decode(segment: &str, part: Part) -> Result<Vec<u8>, Rejection> {
    let invalid = || {
        malformed(jose::Error::Base64Url {
            part,
            source: jose::base64url::InvalidBase64Url,
        })
    };
    BASE64.decode(segment).map_err(|_| invalid())
}

/// A member that must be there, a string, and not empty.
fn text_of<'c>(claims: &'c Claims, name: &'static str) -> Result<&'c str, Rejection> {
    match claims.str(name) {
        Ok(Some("")) | Err(_) => Err(Rejection::MalformedClaim(name)),
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Rejection::MissingClaim(name)),
    }
}

fn malformed(error: jose::Error) -> Rejection {
    Rejection::MalformedToken(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = r#"{"alg":"ES256","kid":"b5e8ef2c-5b0e-4b8f-9c53-0a9a2a2f7d11",
        "iss":"i","client":"c","signer":"s","exp":1795000000}"#;

    /// Everything that can be read before the signature, as often as it parses.
    fn read(text: &str) -> bool {
        let Ok(header) = SignedHeader::parse(text) else {
            return false;
        };
        let (input, rest) = text.split_at(header.signing_input().len());
        assert_eq!(header.signing_input(), input.as_bytes());
        assert!(rest.starts_with('.') && !rest[1..].contains('.'));
        let _ = (header.signer(), header.client(), header.kid());
        let _ = header.issuers().map(Iterator::count);
        let _ = header.expires_at();
        let _ = header.into_token(&"i".into());
        true
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            read(&text);
        }

        #[test]
        fn no_part_panics_and_a_signature_is_judged_by_the_key_alone(part: Vec<u8>) {
            let (any, good) = (BASE64.encode(part), BASE64.encode(HEADER));
            read(&format!("{any}.e30=.AAAA"));
            read(&format!("{good}.{any}.AAAA"));
            let read = read(&format!("{good}.eyJzdWIiOiJhZGEifQ==.{any}"));
            prop_assert!(read);
        }

        #[test]
        fn the_name_of_a_key_is_a_uuid_and_survives(text in "[0-9a-f-]{34,38}|\\PC{0,40}") {
            let form = |(n, c): (usize, char)| match n {
                8 | 13 | 18 | 23 => c == '-',
                _ => c.is_ascii_digit() || ('a'..='f').contains(&c),
            };
            let is_uuid = text.len() == 36 && text.chars().enumerate().all(form);
            let read = KeyId::parse(&text);
            prop_assert_eq!(read.as_ref().map(KeyId::as_str), is_uuid.then_some(&*text));
        }
    }
}
