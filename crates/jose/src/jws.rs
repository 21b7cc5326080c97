//! The compact serialisation of JWS (RFC 7515, section 7.1).
//!
//! A header is read here and its rules are enforced; what the payload means is not this module's
//! business. The JSON serialisations do not exist here: a token has one form.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::error::{Error, Part, printable};
use crate::json::{self, Node};
use crate::jwk::{KeySet, VerifyingKey};
use crate::{Algorithm, base64url};

/// The longest token in bytes. Servers refuse longer header fields anyway.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;

/// How many keys are tried for a token that names none. Each try costs as much as a verification,
/// and whoever sends junk should not choose how many there are.
pub const MAX_CANDIDATES: usize = 4;

/// The protected header of a token (RFC 7515, section 4), as far as it may be believed before the
/// signature is checked: it only picks the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    carries_key: bool,
}

impl Header {
    /// Reads the JSON text of a header.
    ///
    /// Refuses `crit` with any value, because no extension is understood here and RFC 7515, section
    /// 4.1.11 asks for exactly that; `b64` for the same reason (RFC 7797); an `alg` that is not an
    /// [`Algorithm`]; and members named twice. `jwk`, `jku`, `x5c` and `x5u` are ignored: a token
    /// does not choose the key it is checked with (RFC 8725, section 3.10).
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let document = json::parse_borrowed(json, MAX_TOKEN_LEN).map_err(|source| Error::Json {
            part: Part::Header,
            source,
        })?;
        let find = |member| document.member(member);
        for member in ["crit", "b64"] {
            if find(member).is_some() {
                return Err(Error::UnsupportedExtension { member });
            }
        }
        let text = |member| match find(member) {
            None => Ok(None),
            Some(Node::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::HeaderMember { member }),
        };
        let name = text("alg")?.ok_or(Error::HeaderMember { member: "alg" })?;
        let algorithm = Algorithm::from_name(name).ok_or_else(|| Error::UnsupportedAlgorithm {
            name: printable(name),
        })?;
        let mut key_members = ["jwk", "jku", "x5c", "x5u"].into_iter();
        Ok(Self {
            algorithm,
            kid: text("kid")?.map(str::to_owned),
            typ: text("typ")?.map(str::to_owned),
            carries_key: key_members.any(|member| find(member).is_some()),
        })
    }

    /// The `alg` of the token.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` of the token: text from outside.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The `typ` of the token as it stands; to compare it, use [`Header::is_type`].
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether `typ` is this media type. Case does not matter, nor does a leading `application/`
    /// (RFC 7515, section 4.1.9).
    pub fn is_type(&self, expected: &str) -> bool {
        self.typ()
            .is_some_and(|typ| subtype(typ).eq_ignore_ascii_case(subtype(expected)))
    }

    /// Whether the token came with a key or the address of one (`jwk`, `jku`, `x5c`, `x5u`). It
    /// was ignored; honest issuers have little reason to send it, so it is worth counting.
    pub fn carries_key(&self) -> bool {
        self.carries_key
    }
}

/// A media type without the `application/` that `typ` may leave out; one with parameters or another
/// slash keeps it, as RFC 7515, section 4.1.9 asks.
fn subtype(typ: &str) -> &str {
    match typ.split_at_checked("application/".len()) {
        Some((prefix, rest))
            if prefix.eq_ignore_ascii_case("application/") && !rest.contains('/') =>
        {
            rest
        }
        _ => typ,
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("alg", &self.algorithm.name())
            .field("kid", &self.kid)
            .field("typ", &self.typ)
            .finish_non_exhaustive()
    }
}

/// Headers that were read before, so that a server reads the few that its issuers write once.
///
/// Only headers of tokens that were verified belong in it; what strangers write would fill it.
#[derive(Default)]
pub struct HeaderMemo(RwLock<Vec<KnownHeader>>);

/// A segment, and the header that it holds.
type KnownHeader = (Box<[u8]>, Arc<Header>);

/// Issuers write one header for each key, and have few keys at a time.
const MAX_KNOWN_HEADERS: usize = 32;

impl HeaderMemo {
    fn get(&self, segment: &[u8]) -> Option<Arc<Header>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut known = known.iter();
        let (_, header) = known.find(|(known, _)| **known == *segment)?;
        Some(Arc::clone(header))
    }

    /// Keeps a header that is read from this segment; when there is no room, it starts anew.
    pub(crate) fn keep(&self, segment: &[u8], header: &Arc<Header>) {
        if self.get(segment).is_some() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN_HEADERS {
            known.clear();
        }
        known.push((segment.into(), Arc::clone(header)));
    }
}

impl fmt::Debug for HeaderMemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("HeaderMemo")
            .field("headers", &known.len())
            .finish()
    }
}

/// A token in compact serialisation whose shape is sound and whose signature is not yet checked.
///
/// For signed claims use [`crate::Unverified`]; this type is for payloads of any kind.
pub struct Jws<'t> {
    signing_input: &'t str,
    header: Arc<Header>,
    /// Whether the header came from a memo.
    was_known: bool,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Takes a token apart: at most [`MAX_TOKEN_LEN`] bytes, exactly three segments, each strict
    /// base64url, and a header that [`Header::from_json`] takes.
    pub fn parse(token: &'t str) -> Result<Self, Error> {
        Self::read(token, None)
    }

    /// As [`Jws::parse`], for a header that may have been read before.
    pub(crate) fn read(token: &'t str, memo: Option<&HeaderMemo>) -> Result<Self, Error> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(Error::TokenTooLarge {
                length: token.len(),
                limit: MAX_TOKEN_LEN,
            });
        }
        let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(Error::NotCompact);
        };
        let part = |range| token.get(range).ok_or(Error::NotCompact);
        let header = part(0..first)?;
        let payload = part(first + 1..second)?;
        let signature = part(second + 1..token.len())?;
        let signing_input = part(0..second)?;
        let known = memo.and_then(|memo| memo.get(header.as_bytes()));
        let was_known = known.is_some();
        let header = match known {
            Some(known) => known,
            None => Arc::new(Header::from_json(&decode(header, Part::Header)?)?),
        };
        Ok(Self {
            signing_input,
            header,
            was_known,
            payload: decode(payload, Part::Payload)?,
            signature: decode(signature, Part::Signature)?,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn shared_header(&self) -> Arc<Header> {
        Arc::clone(&self.header)
    }

    /// The payload as whoever wrote the token put it there, which is nothing to be believed. It is
    /// no longer in here afterwards.
    pub(crate) fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }

    /// Lets `memo` know the header, unless it does.
    pub(crate) fn remember_header(&self, memo: &HeaderMemo) {
        if let Some((segment, _)) = self.signing_input.split_once('.')
            && !self.was_known
        {
            memo.keep(segment.as_bytes(), &self.header);
        }
    }

    /// Checks the signature and gives the payload.
    ///
    /// The algorithm of the header must be among `allowed`. The key is the one with the header's
    /// `kid`, and it must be allowed to verify this algorithm. Without a `kid`, up to
    /// [`MAX_CANDIDATES`] keys that could have made the signature are tried.
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<&[u8], Error> {
        let header = &*self.header;
        let algorithm = header.algorithm;
        if !allowed.contains(&algorithm) {
            return Err(Error::AlgorithmNotAllowed { algorithm });
        }
        let candidates = keys.candidates(header.kid(), algorithm).count();
        if candidates == 0 {
            return Err(no_candidate(header, keys));
        }
        if candidates > MAX_CANDIDATES {
            return Err(Error::AmbiguousKey { candidates });
        }
        let mut keys = keys.candidates(header.kid(), algorithm);
        if keys.any(|key| self.is_signed_by(key).is_ok()) {
            Ok(&self.payload)
        } else {
            Err(Error::BadSignature)
        }
    }

    /// Checks the signature with one key that is known to be the right one, and gives the payload.
    pub(crate) fn verify_with(&self, key: &VerifyingKey) -> Result<&[u8], Error> {
        self.is_signed_by(key)?;
        Ok(&self.payload)
    }

    /// The one place where the signature of a token is accepted.
    fn is_signed_by(&self, key: &VerifyingKey) -> Result<(), Error> {
        let message = self.signing_input.as_bytes();
        key.verify(self.header.algorithm, message, &self.signature)
    }
}

impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws")
            .field("header", self.header())
            .finish_non_exhaustive()
    }
}

fn decode(segment: &str, part: Part) -> Result<Vec<u8>, Error> {
    base64url::decode(segment).map_err(|source| Error::Base64Url { part, source })
}

/// Why no key fits, as exactly as possible: only an unknown key is worth another fetch.
fn no_candidate(header: &Header, keys: &KeySet) -> Error {
    let Some(kid) = header.kid() else {
        return Error::UnknownKey { kid: None };
    };
    if keys.keys().iter().any(|key| key.kid() == Some(kid)) {
        return Error::AlgorithmMismatch {
            algorithm: header.algorithm,
        };
    }
    match keys
        .skipped()
        .iter()
        .find(|skipped| skipped.kid() == Some(kid))
    {
        Some(skipped) => Error::Key(skipped.problem().clone()),
        None => Error::UnknownKey {
            kid: Some(printable(kid)),
        },
    }
}

/// How a header says which key signed.
#[derive(Serialize)]
pub(crate) enum NamedBy<'k> {
    /// By its id.
    #[serde(rename = "kid")]
    Id(&'k str),
    /// By itself.
    #[serde(rename = "jwk")]
    Key(serde_json::Value),
}

/// Writes `header.payload`, the input of the signature (RFC 7515, section 5.1).
pub(crate) fn signing_input(
    algorithm: Algorithm,
    typ: &str,
    key: &NamedBy<'_>,
    payload: &[u8],
) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Out<'h> {
        alg: &'static str,
        typ: &'h str,
        #[serde(flatten)]
        key: &'h NamedBy<'h>,
    }
    let header = serde_json::to_vec(&Out {
        alg: algorithm.name(),
        typ,
        key,
    })
    .map_err(|_| Error::NotAnObject)?;
    let mut out = base64url::encode(&header);
    out.push('.');
    out.push_str(&base64url::encode(payload));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_known_is_the_same_header_and_few_are_kept() {
        let token = |kid: usize| {
            let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
            format!("{}.e30.AA", base64url::encode(header.as_bytes()))
        };
        let memo = HeaderMemo::default();
        for kid in 0..100 {
            let token = token(kid);
            let first = Jws::read(&token, Some(&memo)).unwrap();
            let segment = token.split('.').next().unwrap();
            memo.keep(segment.as_bytes(), &first.header);
            let again = Jws::read(&token, Some(&memo)).unwrap();
            assert!(Arc::ptr_eq(&first.header, &again.header));
            assert_eq!(again.payload, b"{}");
            assert_eq!(again.header().kid(), Some(&*kid.to_string()));
            assert!(memo.0.read().unwrap().len() <= MAX_KNOWN_HEADERS);
        }
    }

    #[test]
    fn types_are_compared_without_case_and_prefix() {
        let is = |typ: &str, expected: &str| {
            let header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
            Header::from_json(header.as_bytes())
                .unwrap()
                .is_type(expected)
        };
        for typ in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/At+JWT",
        ] {
            assert!(is(typ, "at+jwt") && is(typ, "application/at+jwt"), "{typ}");
        }
        for typ in [
            "",
            "jwt",
            "at+jwt ",
            "application/",
            "application/x/at+jwt",
            "text/at+jwt",
        ] {
            assert!(!is(typ, "at+jwt"), "{typ}");
        }
        let without = Header::from_json(br#"{"alg":"ES256"}"#).unwrap();
        assert!(!without.is_type("") && !without.is_type("at+jwt"));
    }
}
