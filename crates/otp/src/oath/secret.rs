//! The secret that an authenticator and its service share.

use std::fmt;

use zeroize::Zeroizing;

use super::base32;
use crate::crypto::constant_time_eq;

/// "The length of the shared secret MUST be at least 128 bits" (RFC 4226, section 4, R6).
const MIN: usize = 16;

/// Longer than any block of the hashes: more would be hashed before use.
const MAX: usize = 128;

/// A shared secret. Wiped when dropped; `Debug` shows four stars.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A new secret from bytes that the caller's random source made just now. "This document
    /// RECOMMENDs a shared secret length of 160 bits" (RFC 4226, section 4, R6): 20 bytes, and the
    /// length of the hash for others than SHA-1 (RFC 6238, section 5.1).
    pub fn from_random<const N: usize>(random: [u8; N]) -> Self {
        const { assert!(N >= MIN && N <= MAX, "a secret has 16 to 128 bytes") }
        let random = Zeroizing::new(random);
        Self(Zeroizing::new(random.to_vec()))
    }

    /// A secret that exists already.
    ///
    /// # Errors
    /// [`WeakSecret`] if it has fewer than 16 bytes or more than 128.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeakSecret> {
        if (MIN..=MAX).contains(&bytes.len()) {
            Ok(Self(Zeroizing::new(bytes.to_vec())))
        } else {
            Err(WeakSecret::Length)
        }
    }

    /// A secret in Base32, with letters of either case and with or without padding.
    ///
    /// # Errors
    /// [`WeakSecret`], which repeats nothing of the text.
    pub fn from_base32(text: &str) -> Result<Self, WeakSecret> {
        Self::from_bytes(&base32::decode(text).ok_or(WeakSecret::Base32)?)
    }

    /// The secret in Base32 without padding, for those who cannot scan a QR code.
    pub fn to_base32(&self) -> Zeroizing<String> {
        base32::encode(&self.0)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// In a time that depends on the lengths alone.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for Secret {}

/// The text or the bytes are no secret to rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeakSecret {
    /// Fewer than 16 bytes, or more than 128.
    #[error("a shared secret has 16 to 128 bytes (RFC 4226, section 4, R6)")]
    Length,
    /// Not Base32.
    #[error("the shared secret is not Base32 (RFC 4648, section 6)")]
    Base32,
}
