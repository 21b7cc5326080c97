//! What can go wrong, as data.
//!
//! This module does not decide what a caller tells the outside world: a resource server maps
//! [`Error::code`] to a challenge, a CLI to a hint.

use std::fmt;

use crate::Algorithm;
use crate::base64url::InvalidBase64Url;
use crate::json::JsonError;

/// The part of a compact serialisation or key that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The protected header of a token.
    Header,
    /// The payload of a token.
    Payload,
    /// The signature of a token.
    Signature,
    /// A JWK set document.
    KeySet,
    /// A single JWK.
    Key,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "token header",
            Self::Payload => "token payload",
            Self::Signature => "token signature",
            Self::KeySet => "key set",
            Self::Key => "key",
        })
    }
}

/// Why a token, key or key set was refused.
///
/// No message contains a token, a signature or private key material. Names that came from
/// outside are cut to 64 characters, and everything but printable ASCII in them is replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token is longer than [`crate::jws::MAX_TOKEN_LEN`].
    #[error("token is {length} bytes long, more than the {limit} allowed")]
    TokenTooLarge {
        /// Length of the token in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The token does not have three segments separated by dots (RFC 7515, section 7.1).
    #[error("token is not three segments separated by dots")]
    NotCompact,
    /// A segment is not strict base64url (RFC 7515, section 2).
    #[error("{part} cannot be decoded")]
    Base64Url {
        /// Which segment.
        part: Part,
        /// The decoder's complaint.
        #[source]
        source: InvalidBase64Url,
    },
    /// A part is not the strict JSON object that was expected.
    #[error("{part} is not acceptable JSON")]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        #[source]
        source: JsonError,
    },
    /// A header member is missing or has the wrong type (RFC 7515, section 4.1).
    #[error("header member `{member}` is missing or has the wrong type")]
    HeaderMember {
        /// Name of the member.
        member: &'static str,
    },
    /// The header asks for an extension, and none is understood here: `crit` (RFC 7515, section
    /// 4.1.11) or `b64` (RFC 7797, section 3).
    #[error("header member `{member}` asks for an extension that is not supported")]
    UnsupportedExtension {
        /// Name of the member.
        member: &'static str,
    },
    /// `alg` names something that is not an [`Algorithm`], such as `none` or an HMAC.
    #[error("signature algorithm {name} is not supported")]
    UnsupportedAlgorithm {
        /// The name, made safe to print.
        name: String,
    },
    /// `alg` is a known algorithm that the caller does not allow here.
    #[error("signature algorithm {algorithm} is not allowed here")]
    AlgorithmNotAllowed {
        /// The algorithm of the token.
        algorithm: Algorithm,
    },
    /// No key of the set has the token's `kid`; the key set may be out of date.
    #[error("no key with id {} in the key set", .kid.as_deref().unwrap_or("(none given)"))]
    UnknownKey {
        /// The `kid` of the token, made safe to print.
        kid: Option<String>,
    },
    /// The key with the token's `kid` may not be used with the token's `alg` (RFC 8725, section
    /// 3.1).
    #[error("the key of this token may not be used with {algorithm}")]
    AlgorithmMismatch {
        /// The algorithm of the token.
        algorithm: Algorithm,
    },
    /// The token names no key and too many keys of the set would fit.
    #[error("token has no `kid` and {candidates} keys would fit")]
    AmbiguousKey {
        /// How many keys would fit.
        candidates: usize,
    },
    /// The signature is not the key's signature over these bytes.
    #[error("signature does not verify")]
    BadSignature,
    /// A claim is not there.
    #[error("claim `{name}` is missing")]
    ClaimMissing {
        /// Name of the claim.
        name: String,
    },
    /// A claim has another type than its specification says, or a value out of range.
    #[error("claim `{name}` is not {expected}")]
    ClaimType {
        /// Name of the claim.
        name: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// The claims do not have the form that the caller asked for.
    #[error("claims do not have the expected form")]
    ClaimsMismatch,
    /// The key set holds more than [`crate::jwk::MAX_KEYS`] keys.
    #[error("key set holds {count} keys, more than the {limit} allowed")]
    TooManyKeys {
        /// Number of keys in the set.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The document has no `keys` array (RFC 7517, section 5).
    #[error("key set has no `keys` array")]
    NotAKeySet,
    /// A key cannot be used.
    #[error("key cannot be used")]
    Key(#[source] KeyProblem),
    /// The crypto provider failed.
    #[error("crypto provider failed")]
    Crypto(
        #[source]
        #[from]
        CryptoError,
    ),
    /// The claims to sign do not serialise to a JSON object.
    #[error("claims to sign are not a JSON object")]
    NotAnObject,
}

impl Error {
    /// A short name of the kind of error that stays the same from release to release.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TokenTooLarge { .. } => "jose_token_too_large",
            Self::NotCompact => "jose_not_compact",
            Self::Base64Url { .. } => "jose_base64url",
            Self::Json { .. } => "jose_json",
            Self::HeaderMember { .. } => "jose_header_member",
            Self::UnsupportedExtension { .. } => "jose_unsupported_extension",
            Self::UnsupportedAlgorithm { .. } => "jose_unsupported_algorithm",
            Self::AlgorithmNotAllowed { .. } => "jose_algorithm_not_allowed",
            Self::UnknownKey { .. } => "jose_unknown_key",
            Self::AlgorithmMismatch { .. } => "jose_algorithm_mismatch",
            Self::AmbiguousKey { .. } => "jose_ambiguous_key",
            Self::BadSignature => "jose_bad_signature",
            Self::ClaimMissing { .. } => "jose_claim_missing",
            Self::ClaimType { .. } => "jose_claim_type",
            Self::ClaimsMismatch => "jose_claims_mismatch",
            Self::TooManyKeys { .. } => "jose_too_many_keys",
            Self::NotAKeySet => "jose_not_a_key_set",
            Self::Key(_) => "jose_key",
            Self::Crypto(_) => "jose_crypto",
            Self::NotAnObject => "jose_not_an_object",
        }
    }

    /// What somebody could do about it, one sentence each; often nothing.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::AlgorithmNotAllowed { algorithm } => vec![format!(
                "allow {algorithm} for this issuer, or let the issuer sign with an allowed one"
            )],
            Self::UnknownKey { .. } => vec![
                "the issuer may have rotated its keys: fetch its key set again".to_owned(),
                "check that the token comes from the issuer whose keys these are".to_owned(),
            ],
            Self::Crypto(CryptoError::Unsupported {
                provider: "ring", ..
            }) => {
                vec!["build with the feature `aws-lc-rs` and pass its provider".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether a newer key set from the same issuer could turn this into success. Only then is a
    /// refetch worth its cost.
    pub fn may_be_stale_keys(&self) -> bool {
        matches!(self, Self::UnknownKey { .. })
    }
}

/// Why a key cannot be used. In a key set such a key is skipped and reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The key is not a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// The key names a member twice.
    #[error("a member is named twice")]
    DuplicateMember,
    /// A member is missing or malformed.
    #[error("member `{0}` is missing or malformed")]
    Member(&'static str),
    /// The key holds a private or symmetric part, which has no place in a published key.
    #[error("holds the private member `{0}`")]
    PrivateMember(&'static str),
    /// `use` or `key_ops` say that it is not for verifying signatures (RFC 7517, sections 4.2 and
    /// 4.3).
    #[error("`{0}` says that it is not for verifying signatures")]
    NotForVerifying(&'static str),
    /// `alg` names an algorithm that is not supported, or not for this type of key.
    #[error("algorithm {0} is not supported for this type of key")]
    Algorithm(String),
    /// `kty` or `crv` are not known here.
    #[error("key type or curve {0} is not supported")]
    Type(String),
    /// The crypto provider does not offer this algorithm.
    #[error("{algorithm} is not supported by {provider}")]
    Provider {
        /// The algorithm that would be needed.
        algorithm: Algorithm,
        /// Name of the provider.
        provider: &'static str,
    },
    /// An RSA modulus of another length than 2048 to 8192 bits.
    #[error("RSA modulus of {0} bits is not between 2048 and 8192")]
    RsaModulus(usize),
    /// An RSA exponent that is even, smaller than 3 or longer than 33 bits.
    #[error("RSA exponent is not an odd number from 3 to 2^33 - 1")]
    RsaExponent,
    /// An RSA modulus that was made by the faulty generator of CVE-2017-15361.
    #[error("RSA modulus was made by a broken generator (CVE-2017-15361)")]
    RsaWeakModulus,
    /// The coordinates are not a point of the curve, or the provider refuses the key.
    #[error("not a valid public key")]
    NotAPublicKey,
    /// Another key of the set has the same `kid`.
    #[error("another key of the set has the same `kid`")]
    DuplicateKeyId,
    /// Private key bytes that are not PKCS#8 for the algorithm.
    #[error("not a PKCS#8 private key for {0}")]
    Pkcs8(Algorithm),
}

impl KeyProblem {
    /// A short name of the problem that stays the same from release to release, for counting.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::DuplicateMember => "duplicate_member",
            Self::Member(_) => "member",
            Self::PrivateMember(_) => "private_member",
            Self::NotForVerifying(_) => "not_for_verifying",
            Self::Algorithm(_) => "algorithm",
            Self::Type(_) => "type",
            Self::Provider { .. } => "provider",
            Self::RsaModulus(_) => "rsa_modulus",
            Self::RsaExponent => "rsa_exponent",
            Self::RsaWeakModulus => "rsa_weak_modulus",
            Self::NotAPublicKey => "not_a_public_key",
            Self::DuplicateKeyId => "duplicate_kid",
            Self::Pkcs8(_) => "pkcs8",
        }
    }
}

/// The crypto provider could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The operating system gave no random bytes.
    #[error("the operating system's random source failed")]
    Random,
    /// The provider does not offer the operation.
    #[error("{provider} does not support {operation}")]
    Unsupported {
        /// Name of the provider.
        provider: &'static str,
        /// What was asked for.
        operation: &'static str,
    },
    /// The provider failed to make a key.
    #[error("key generation failed")]
    KeyGeneration,
    /// The provider failed to sign.
    #[error("signing failed")]
    Signing,
}

/// A name from outside in a form that is safe to print: at most 64 characters of printable ASCII.
pub(crate) fn printable(text: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    let mut out: String = text.chars().take(64).map(safe).collect();
    if text.chars().nth(64).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::error::Error as _;

    use super::*;

    fn one_of_each() -> Vec<Error> {
        let (member, algorithm) = ("alg", Algorithm::Es256);
        let text = || "name".to_owned();
        vec![
            Error::TokenTooLarge {
                length: 2,
                limit: 1,
            },
            Error::NotCompact,
            Error::Base64Url {
                part: Part::Header,
                source: InvalidBase64Url,
            },
            Error::Json {
                part: Part::Payload,
                source: JsonError::TooDeep,
            },
            Error::HeaderMember { member },
            Error::UnsupportedExtension { member },
            Error::UnsupportedAlgorithm { name: text() },
            Error::AlgorithmNotAllowed { algorithm },
            Error::UnknownKey { kid: Some(text()) },
            Error::AlgorithmMismatch { algorithm },
            Error::AmbiguousKey { candidates: 5 },
            Error::BadSignature,
            Error::ClaimMissing { name: text() },
            Error::ClaimType {
                name: text(),
                expected: "a string",
            },
            Error::ClaimsMismatch,
            Error::TooManyKeys {
                count: 65,
                limit: 64,
            },
            Error::NotAKeySet,
            Error::Key(KeyProblem::RsaExponent),
            Error::Crypto(CryptoError::Random),
            Error::NotAnObject,
        ]
    }

    #[test]
    fn every_error_has_a_code_of_its_own_and_a_line_without_its_source() {
        let errors = one_of_each();
        let codes: BTreeSet<&str> = errors.iter().map(Error::code).collect();
        assert_eq!(codes.len(), errors.len());
        for error in errors {
            let line = error.to_string();
            assert!(
                !line.is_empty() && !line.contains('\n') && !line.ends_with('.'),
                "{line}"
            );
            assert!(line.starts_with(|c: char| c.is_ascii_lowercase()), "{line}");
            if let Some(source) = error.source() {
                assert!(!line.contains(&source.to_string()), "{line}");
            }
            assert_eq!(
                error.may_be_stale_keys(),
                error.code() == "jose_unknown_key"
            );
        }
    }

    #[test]
    fn names_from_outside_are_cut_and_cannot_steer_a_terminal() {
        assert_eq!(printable("kid-1 a/b"), "kid-1 a/b");
        assert_eq!(printable("a\x1b[2J\u{202e}\r\n\u{e9}"), "a?[2J????");
        assert_eq!(printable(&"k".repeat(64)), "k".repeat(64));
        assert_eq!(printable(&"k".repeat(65)), format!("{}...", "k".repeat(64)));
    }
}
