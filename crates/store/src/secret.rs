//! Bytes that must not be printed, and where random ones come from.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Bytes that whoever holds them may use. Wiped when dropped; `Debug` shows stars.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes ownership of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves. Every use of them is found by searching for this name.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// A source of random bytes that nobody can guess: in programs, the operating system's.
///
/// It is an argument, like the time elsewhere in this house, so that a test can fail on purpose where
/// a real source never does.
pub trait Random: fmt::Debug + Send + Sync {
    /// Fills `bytes`, or fails. There is no third way: half a key is no key.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The source of random bytes failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// 32 bytes that seal something.
pub(crate) struct SealingKey([u8; Self::LENGTH]);

impl SealingKey {
    pub(crate) const LENGTH: usize = 32;

    pub(crate) fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// A key that was read from somewhere; `None` when it has another length.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn random(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut key = Self([0; Self::LENGTH]);
        random.fill(&mut key.0)?;
        Ok(key)
    }

    pub(crate) fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl Clone for SealingKey {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
