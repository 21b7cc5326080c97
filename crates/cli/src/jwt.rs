//! Takes a signed JWT apart to show it. Believes nothing and checks nothing: that is the client's
//! business, with the keys of the server.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The readable parts of a token.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl Decoded {
    /// `None` when it is not a JWS in compact form (RFC 7515, section 7.1) with a JSON object inside.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let object = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_apart_and_anything_else_is_not() {
        // {"alg":"none"} and {"a":1}
        let decoded = Decoded::parse("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.").unwrap();
        assert_eq!(
            (&decoded.header["alg"], &decoded.claims["a"]),
            (&"none".into(), &1.into())
        );
        for text in [
            "",
            "opaque",
            "a.b.c",
            "eyJhIjoxfQ.eyJhIjoxfQ",
            "e30.e30.x.y.z",
            "MQ.MQ.x",
        ] {
            assert!(Decoded::parse(text).is_none(), "{text}");
        }
    }
}
