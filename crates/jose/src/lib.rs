//! Strict JWS, JWT and JWK: signatures, keys and claims, without I/O.
//!
//! This crate opens no socket, reads no clock and knows nothing of OAuth. It answers one question:
//! did a holder of one of these keys sign exactly these claims?

#![cfg_attr(
    not(any(feature = "ring", feature = "aws-lc-rs")),
    allow(dead_code, reason = "without a provider only the types are of use")
)]

pub mod base64url;
pub mod crypto;
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
pub use claims::Claims;
pub use crypto::{CryptoProvider, constant_time_eq};
pub use error::{CryptoError, Error, KeyProblem, Part};
pub use json::JsonError;
pub use jwk::{KeySet, SkippedKey, VerifyingKey};
pub use jws::{Header, Jws};
pub use jwt::{Unverified, Verified};
pub use signing::SigningKey;
pub use timestamp::Timestamp;
