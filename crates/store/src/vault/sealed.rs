//! Vaults that seal the secrets and leave them in the session's file; what differs is the key.
//!
//! One file is replaced by one rename, so there is nothing to keep in step, and the key is written
//! once, when a person signs in. A keyring that is slow or gone on a later day can delay a renewal,
//! but never comes between a server that has rotated a token and the place where that is noted.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::seal::{Sealed, Shut, seal};
use super::{Place, Receipt, Vault, VaultError, VaultKind, Withdrawn};
use crate::secret::SealingKey;
use crate::{Key, Random, SecretBytes};

/// Where the key comes from.
pub(crate) trait KeySource: fmt::Debug + Send + Sync {
    fn kind(&self) -> VaultKind;

    /// Whether a key could be kept.
    fn probe(&self) -> Result<(), VaultError>;

    /// The key of a login, made if it has none yet, and how it is found again.
    fn for_sealing(&self, place: &Place<'_>) -> Result<(SealingKey, KeyNote), VaultError>;

    /// The key that the note tells of. `attempt` counts from zero.
    fn for_opening(&self, note: &KeyNote, attempt: u32) -> Result<SealingKey, VaultError>;

    /// The key was the right one.
    fn opened(&self, _note: &KeyNote, _key: &SealingKey) {}

    /// How often to try.
    fn attempts(&self) -> u32 {
        1
    }

    /// What it means that the key did not open what it should.
    fn other_key(&self) -> VaultError {
        VaultError::Missing { kind: self.kind() }
    }

    /// Forgets the keys of a session, except that of the login `keep`.
    fn forget(
        &self,
        store: &str,
        key: &Key,
        old: Option<&KeyNote>,
        keep: Option<&str>,
    ) -> Result<(), VaultError>;
}

/// How a key is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum KeyNote {
    /// It is made from a passphrase by Argon2id (RFC 9106), with these parameters.
    Argon2id {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        /// In base64.
        salt: String,
    },
    /// It is kept under this name.
    Named {
        /// In a keyring, the group of items.
        group: String,
        name: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    key: KeyNote,
    sealed: Sealed,
}

/// Keeps secrets in the session's file, sealed.
#[derive(Debug, Clone)]
pub struct SealedVault {
    source: Arc<dyn KeySource>,
    random: Arc<dyn Random>,
}

impl SealedVault {
    pub(crate) fn new(source: Arc<dyn KeySource>, random: Arc<dyn Random>) -> Self {
        Self { source, random }
    }
}

/// The note as text that is bound into the seal.
fn text(note: &KeyNote) -> Result<String, VaultError> {
    serde_json::to_string(note).map_err(|_| VaultError::Damaged { what: "key note" })
}

impl Vault for SealedVault {
    fn kind(&self) -> VaultKind {
        self.source.kind()
    }

    fn probe(&self) -> Result<(), VaultError> {
        self.source.probe()
    }

    fn deposit(&self, place: &Place<'_>, secrets: &SecretBytes) -> Result<Receipt, VaultError> {
        let (key, note) = self.source.for_sealing(place)?;
        let sealed = seal(&key, place, &text(&note)?, secrets, &*self.random)?;
        Receipt::of(&InFile { key: note, sealed })
    }

    fn withdraw(&self, place: &Place<'_>, receipt: &Receipt) -> Result<Withdrawn, VaultError> {
        let InFile { key: note, sealed } = receipt.read()?;
        let bound = text(&note)?;
        // Before anybody is asked for a passphrase that could not help.
        let whole = sealed.check_sum(&bound)?;
        for attempt in 0..self.source.attempts() {
            let key = self.source.for_opening(&note, attempt)?;
            match whole.open(&key, place, &bound) {
                Ok(secrets) => {
                    self.source.opened(&note, &key);
                    return Ok(Withdrawn {
                        secrets,
                        generation: place.generation,
                    });
                }
                Err(Shut::OtherKey) => {}
                Err(shut) => return Err(shut.into()),
            }
        }
        Err(self.source.other_key())
    }

    fn forget(
        &self,
        store: &str,
        key: &Key,
        old: Option<&Receipt>,
        keep: Option<&str>,
    ) -> Result<(), VaultError> {
        let old = old.and_then(|old| old.read::<InFile>().ok());
        self.source
            .forget(store, key, old.as_ref().map(|old| &old.key), keep)
    }
}
