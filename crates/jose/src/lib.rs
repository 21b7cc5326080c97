//! Strict JWS, JWT and JWK: signatures, keys and claims, without I/O.
//!
//! This crate answers one question: did the holder of one of these keys sign exactly these claims?
//! It opens no socket, reads no clock, and knows nothing of OAuth. Fetching keys, comparing issuer,
//! audience and lifetime, and telling the world about a refusal all happen above it.
//!
//! ```
//! # #[cfg(feature = "ring")] {
//! use countersign_jose::{Algorithm, KeySet, SigningKey, Unverified, crypto};
//! use serde_json::json;
//!
//! // The issuer makes a key, publishes its public half, and signs.
//! let key = SigningKey::generate(Algorithm::Es256, crypto::ring::provider())?;
//! let published = json!({ "keys": [key.public_jwk()] }).to_string();
//! let token = key.sign("at+jwt", &json!({ "iss": "https://login.example", "sub": "ada" }))?;
//!
//! // The other side reads the keys once, and then checks tokens.
//! let keys = KeySet::from_json(published.as_bytes(), crypto::ring::provider())?;
//! let token: Unverified<'_> = Unverified::parse(&token)?;
//! let claims = token.verify(&keys, &[Algorithm::Es256])?;
//! assert_eq!(claims.str("sub")?, Some("ada"));
//! # }
//! # Ok::<(), countersign_jose::Error>(())
//! ```
//!
//! # What holds
//!
//! - [`Algorithm`] has no `none` and no HMAC, so neither can be accepted by mistake.
//! - A [`VerifyingKey`] carries the algorithms it may verify; the `alg` of a token must be one of
//!   them, and one that the caller allows as well (RFC 8725, section 3.1).
//! - [`Unverified`] has no claims to read. Only verification makes a [`Verified`].
//! - Everything from outside is read strictly and in one way only: three segments, base64url without
//!   padding or spare bits, JSON without members named twice, and limits on every length.
//! - A claim of the wrong type is an error and never counts as absent ([`Claims`]).
//! - One unusable key does not spoil a [`KeySet`]; it is skipped, and the reason can be asked for.
//! - No input makes anything here panic.
//!
//! # What is left out on purpose
//!
//! Encryption (JWE), the JSON serialisations, detached payloads, `b64` and every other critical
//! extension, and keys inside of tokens (`jwk`, `jku`, `x5c`, `x5u`), which are ignored. The one
//! exception is [`dpop`], whose proofs show a key in order to prove that they hold it.
//!
//! # Features
//!
//! `ring` (default) and `aws-lc-rs` each bring a [`CryptoProvider`]; see [`crypto`] for which to
//! take. Without either, the types and the claims are still there for crates that only pass them on.

#![cfg_attr(
    not(any(feature = "ring", feature = "aws-lc-rs")),
    allow(dead_code, reason = "without a provider only the types are of use")
)]

pub mod base64url;
pub mod crypto;
pub mod dpop;
pub mod json;
pub mod jwk;
pub mod jws;

mod algorithm;
mod claims;
mod error;
mod jwt;
mod signing;
mod timestamp;

pub use algorithm::Algorithm;
pub use claims::{Claim, Claims};
pub use crypto::{CryptoProvider, constant_time_eq};
pub use error::{CryptoError, Error, KeyProblem, Part};
pub use json::JsonError;
pub use jwk::{KeySet, SkippedKey, VerifyingKey};
pub use jws::{Header, Jws};
pub use jwt::{Unverified, Verified};
pub use signing::SigningKey;
pub use timestamp::Timestamp;
