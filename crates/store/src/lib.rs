//! Keeps sessions on disk: one private file each, replaced atomically, and their long-lived secrets in
//! the best place there is.
//!
//! # Files
//!
//! A [`FileStore`] is a directory of mode 0700 that holds one file of mode 0600 per [`Key`]. A file
//! is written under a temporary name, synced and renamed, so a reader sees the old record or the new
//! one and never half of either, whenever the writer dies. What is found on disk is not trusted:
//! symbolic links, other people's files, files that others can read, files with a second name, pipes
//! and oversized files are refused with an error that names the repairing command; a file that cannot
//! be understood is set aside so that a new login is never blocked by it; a file written by a newer
//! version is left alone.
//!
//! # Sessions
//!
//! A session has two parts. What every command reads (the access token, until when it is good, who
//! signed in) stands in the file. What only a renewal needs, and what would let a thief stay for weeks
//! (the refresh token, a client's secret, a private key), goes into a *vault*. A [`SessionStore`] keeps
//! the two together:
//!
//! - [`load`](SessionStore::load) reads the file and nothing else: the path of a cached token.
//! - [`open`](SessionStore::open) reads both parts, under the lock, before a renewal.
//! - [`update`](SessionStore::update) writes both parts; [`begin`](SessionStore::begin) is for a login,
//!   [`remove`](SessionStore::remove) for a logout, [`migrate`](SessionStore::migrate) for a change of
//!   mind.
//!
//! # Vaults
//!
//! A [`Vault`] takes secrets and answers with a [`Receipt`], which goes into the file. There are six
//! kinds ([`VaultKind`]); which one a session uses is written in its file, so that the choice for new
//! sessions can change without losing old ones.
//!
//! | kind | where the secrets are | what else is needed |
//! |---|---|---|
//! | [`keyring`](KeyringVault) | in the keyring of the operating system | the program `countersign-keyring` |
//! | [`keyring-key`](SealedVault::with_keyring_key) | in the file, sealed | the same: the key is in the keyring |
//! | [`kernel-key`](SealedVault::with_kernel_key) | in the file, sealed | Linux; a login after each restart |
//! | [`passphrase`](SealedVault::with_passphrase) | in the file, sealed | a person to ask at each renewal |
//! | [`file`](FileVault) | in the file | — |
//! | [`memory`](MemoryVault) | in the process that signed in | a login when the access token has expired |
//!
//! # What holds, whenever a process is killed
//!
//! Replacing the file is what makes a write count. Four vaults keep the secrets in the file itself, so
//! there the rename is all there is. Two keep them elsewhere, and there the order is: secrets first,
//! into a place that the present file does not lead to; then the file; then the old secrets are
//! forgotten. Whoever is killed before the rename leaves the old session whole. If it was a renewal,
//! the server has rotated the token by then, and the old one is spent: so a reader that finds secrets
//! one write ahead of the file, of the same login, takes those, and the next writer finishes what the
//! dead one began. Whoever is killed after the rename leaves the new session, and old secrets that the
//! next write overwrites or a logout removes.
//!
//! Secrets are bound to their place: to the name of the session, the login it comes from, the number of
//! the write, and the clear part of the file. A file that was edited, exchanged for another session's,
//! or (where the vault is outside) put back from a backup does not open; its refresh token is sent to
//! no server that somebody else wrote into it.
//!
//! # Not here
//!
//! What a record means, when it expires, waiting for a lock (an attempt is made or not; who waits, and
//! how long, is decided by the caller, who owns a clock), starting the program that speaks with the
//! keyring ([`KeyringPort`]), choosing a vault, networks of any kind. Nothing here reads a clock,
//! sleeps, or starts a thread or a process.

#[cfg(not(unix))]
compile_error!(
    "countersign-store relies on Unix owners and modes; other systems need their own store"
);

mod directory;
mod error;
mod file;
mod key;
mod lock;
mod secret;
mod sessions;
mod store;
mod vault;

pub use error::StoreError;
pub use key::{InvalidKey, Key};
pub use lock::{Lock, Purpose};
pub use secret::{NoRandomness, Random, SecretBytes};
pub use sessions::{
    Divided, FellBack, Loaded, Migrated, Opened, Origin, Removed, Saved, SessionStore, Vaults,
};
pub use store::{FileStore, Record};
pub use vault::{
    AskPassphrase, FileVault, Hardness, Keyring, KeyringPort, KeyringVault, MemoryVault,
    PassphraseFor, Place, PortError, Receipt, SealedVault, UnknownVault, Vault, VaultError,
    VaultKind, Withdrawn, wire,
};

/// The largest record, in bytes as written: far above any session, far below what could hurt.
pub const MAX_RECORD_BYTES: u64 = 1024 * 1024;

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
