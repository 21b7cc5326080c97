//! Where the long-lived secrets of a session are kept: the vaults, and what is common to them.

mod error;
mod file;
mod kernel;
mod keyring;
mod keyring_key;
mod memory;
mod passphrase;
mod receipt;
mod seal;
mod sealed;
pub mod wire;

use std::fmt;
use std::str::FromStr;

pub use error::VaultError;
pub use file::FileVault;
pub use keyring::{Keyring, KeyringPort, KeyringVault, PortError};
pub use memory::MemoryVault;
pub use passphrase::{AskPassphrase, Hardness, PassphraseFor};
pub use receipt::Receipt;
pub use sealed::SealedVault;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Key, SecretBytes};

/// The kinds of vault there are. Their words stand in configuration files, flags and session files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VaultKind {
    /// `keyring`: in the keyring of the operating system.
    Keyring,
    /// `keyring-key`: in the session's file, sealed with a key that is in the keyring.
    KeyringKey,
    /// `kernel-key`: in the session's file, sealed with a key that the kernel keeps until the machine
    /// restarts. Linux alone has that.
    KernelKey,
    /// `passphrase`: in the session's file, sealed with a key made from a passphrase.
    Passphrase,
    /// `file`: in the session's file, as private as the file is and no more.
    File,
    /// `memory`: nowhere but in the process that signed in; the session ends with the access token.
    Memory,
}

impl VaultKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Keyring,
        Self::KeyringKey,
        Self::KernelKey,
        Self::Passphrase,
        Self::File,
        Self::Memory,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::KeyringKey => "keyring-key",
            Self::KernelKey => "kernel-key",
            Self::Passphrase => "passphrase",
            Self::File => "file",
            Self::Memory => "memory",
        }
    }

    /// Where the secrets are, for a person: "the refresh token is …".
    pub fn place(self) -> &'static str {
        match self {
            Self::Keyring => "in the system's keyring",
            Self::KeyringKey => "in the session file, sealed with a key from the system's keyring",
            Self::KernelKey => "in the session file, sealed with a key that the kernel keeps",
            Self::Passphrase => "in the session file, sealed with your passphrase",
            Self::File => "in the session file, readable by you alone",
            Self::Memory => "in the memory of the program that signed in",
        }
    }
}

impl fmt::Display for VaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no kind of vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a place for secrets; there are: keyring, keyring-key, kernel-key, passphrase, file, memory"
)]
pub struct UnknownVault;

impl FromStr for VaultKind {
    type Err = UnknownVault;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let named = |kind: &Self| kind.as_str() == word;
        Self::ALL.into_iter().find(named).ok_or(UnknownVault)
    }
}

impl Serialize for VaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for VaultKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

/// What a deposit belongs to. A vault binds the secrets to all of it, so that neither they nor the
/// file beside them can be exchanged for those of another session or of another day.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// A name for the directory of the store.
    pub store: &'a str,
    /// The session's name.
    pub key: &'a Key,
    /// Which login the session comes from: drawn at random when a person signed in.
    pub login: &'a str,
    /// Counts the writes of one login.
    pub generation: u64,
    /// The SHA-256 of the part of the session that stands in its file in the clear.
    pub clear: &'a [u8; 32],
}

/// Secrets that a vault gave back.
#[derive(Debug)]
pub struct Withdrawn {
    /// The secrets.
    pub secrets: SecretBytes,
    /// Of which write they are: that of the file, or the one after it, whose writer died between
    /// vault and file.
    pub generation: u64,
}

/// A place for long-lived secrets.
///
/// A vault takes secrets and answers with a [`Receipt`], which goes into the session's file. Writing
/// that file is what makes a deposit count, so a vault keeps one promise above all: **a deposit never
/// touches what the receipt before it leads to.** A writer that dies in between then leaves a file
/// whose receipt is still good.
pub trait Vault: fmt::Debug + Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> VaultKind;

    /// Finds out whether a deposit would work, by making one, reading it again and taking it away.
    fn probe(&self) -> Result<(), VaultError>;

    /// Keeps `secrets`, which are JSON. On return they survive whatever this kind of vault survives.
    fn deposit(&self, place: &Place<'_>, secrets: &SecretBytes) -> Result<Receipt, VaultError>;

    /// Gives back what `receipt` leads to, or what the same login deposited in the one write after
    /// it. Writes nothing.
    fn withdraw(&self, place: &Place<'_>, receipt: &Receipt) -> Result<Withdrawn, VaultError>;

    /// Forgets what `old` leads to, and whatever else it holds for this session of this store, other
    /// than what belongs to the login `keep`.
    fn forget(
        &self,
        store: &str,
        key: &Key,
        old: Option<&Receipt>,
        keep: Option<&str>,
    ) -> Result<(), VaultError>;
}
