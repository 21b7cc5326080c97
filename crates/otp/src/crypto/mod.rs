//! HMAC as a value that is passed in, as in the other crates of the house.
//!
//! A [`Crypto`] stands for a library: *ring* for clients, AWS-LC for servers. There is no
//! process-wide default, because a workspace build unites the features of all its crates.
//!
//! Not responsible for: AES. Neither library gives out the bare block that a Yubico OTP is (*ring*
//! not at all), so that one comes from the crate `aes` for both. No cryptography is implemented
//! here.

#[cfg(feature = "aws-lc-rs")]
pub mod aws_lc;
#[cfg(feature = "ring")]
pub mod ring;

use std::fmt;

/// The hash inside of an HMAC.
///
/// SHA-1 is what the validation protocol and most authenticators use. What is known against it
/// (collisions) does not concern HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, 20 bytes.
    #[default]
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Hash {
    /// Every hash there is.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name in an `otpauth` address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// The length of its output in bytes, which is also what a secret for it should have (RFC 6238,
    /// section 5.1).
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A cryptographic library, ready to use.
///
/// Get one from `ring::provider` or `aws_lc::provider`.
#[derive(Clone, Copy)]
pub struct Crypto {
    name: &'static str,
    hmac: fn(Hash, &[u8], &[u8]) -> Vec<u8>,
}

impl Crypto {
    /// The name of the library: `ring` or `aws-lc-rs`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// HMAC of `data` (RFC 2104).
    pub fn hmac(&self, hash: Hash, key: &[u8], data: &[u8]) -> Vec<u8> {
        (self.hmac)(hash, key, data)
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Crypto").field(&self.name).finish()
    }
}

/// Compares in a time that depends on the lengths alone.
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
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
        assert!(!constant_time_eq(b"abc", b"bbc"));
        assert!(!constant_time_eq(b"abc", b"ab"));
    }
}
