//! Cryptography as a value that is passed in.
//!
//! A [`CryptoProvider`] stands for a library: *ring* for clients (it starts at once and never
//! aborts the process), AWS-LC for servers (faster at RSA, makes RSA keys, knows P-521). There is
//! no process-wide default. A workspace build unites the features of all its crates, and a default
//! would then depend on who else was compiled.
//!
//! No cryptography is implemented here: this module chooses parameters and passes bytes on.

#[cfg(feature = "aws-lc-rs")]
pub mod aws_lc;
#[cfg(feature = "ring")]
pub mod ring;

use std::fmt;

use zeroize::Zeroizing;

use crate::Algorithm;
use crate::error::{CryptoError, KeyProblem};
use crate::jwk::PublicKey;

/// A cryptographic library, ready to use.
///
/// Get one from [`ring::provider`] or [`aws_lc::provider`] and pass it on; it is a plain
/// `&'static` value.
#[derive(Clone, Copy)]
pub struct CryptoProvider {
    backend: &'static dyn Backend,
}

impl CryptoProvider {
    /// The name of the library: `ring` or `aws-lc-rs`.
    pub fn name(&self) -> &'static str {
        self.backend.name()
    }

    /// SHA-256 of `data`.
    pub fn sha256(&self, data: &[u8]) -> [u8; 32] {
        self.backend.sha256(data)
    }

    /// The digest that belongs to `algorithm`, which is what `at_hash` and `c_hash` are made of
    /// (OpenID Connect Core, section 3.1.3.6). For `EdDSA` that is SHA-512, the hash inside
    /// Ed25519.
    pub fn digest_of(&self, algorithm: Algorithm, data: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => {
                self.backend.sha256(data).to_vec()
            }
            Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => {
                self.backend.sha384(data).to_vec()
            }
            Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::Es512 | Algorithm::EdDsa => {
                self.backend.sha512(data).to_vec()
            }
        }
    }

    /// HMAC-SHA-256 of `data` (RFC 2104), for values that we issue and read back ourselves. Tokens
    /// are never authenticated this way.
    pub fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32] {
        self.backend.hmac_sha256(key, data)
    }

    /// Fills `bytes` from the operating system's random source.
    pub fn fill_random(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        self.backend.fill_random(bytes)
    }

    pub(crate) fn verifier(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
    ) -> Result<Box<dyn Verifier>, KeyProblem> {
        self.backend.verifier(algorithm, key)
    }

    pub(crate) fn generate_pkcs8(
        &self,
        algorithm: Algorithm,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.backend.generate_pkcs8(algorithm)
    }

    pub(crate) fn signer(
        &self,
        algorithm: Algorithm,
        pkcs8: &[u8],
    ) -> Result<Box<dyn Signer>, KeyProblem> {
        self.backend.signer(algorithm, pkcs8)
    }
}

impl fmt::Debug for CryptoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CryptoProvider").field(&self.name()).finish()
    }
}

/// What a library has to offer. Private, so that nobody can plug in a weaker one.
pub(crate) trait Backend: Send + Sync {
    fn name(&self) -> &'static str;
    fn sha256(&self, data: &[u8]) -> [u8; 32];
    fn sha384(&self, data: &[u8]) -> [u8; 48];
    fn sha512(&self, data: &[u8]) -> [u8; 64];
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32];
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), CryptoError>;

    /// Parses `key` for `algorithm`. The caller has matched their types and checked the sizes of
    /// RSA numbers; whether a point is on its curve is for the library to say.
    fn verifier(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
    ) -> Result<Box<dyn Verifier>, KeyProblem>;

    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    fn signer(&self, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Box<dyn Signer>, KeyProblem>;
}

/// A public key, parsed for one algorithm.
pub(crate) trait Verifier: Send + Sync {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// A private key, parsed for one algorithm.
pub(crate) trait Signer: Send + Sync {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError>;
    fn public_key(&self) -> Option<PublicKey>;
}

/// A digest as an array. Its length follows from the algorithm that the caller names beside it.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
fn fixed<const N: usize>(digest: &[u8]) -> [u8; N] {
    digest
        .try_into()
        .expect("a digest has the length of its algorithm")
}

/// Compares two secrets in a time that depends on their lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    // Without the barrier the compiler may turn the loop into one that stops early.
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_means_same_length_and_same_bytes() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"ab"));
        assert!(!constant_time_eq(b"abc", b"bbc"));
    }
}
