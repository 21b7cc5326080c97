//! A key made from a passphrase.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::sealed::{KeyNote, KeySource};
use super::{Place, SealedVault, VaultError, VaultKind};
use crate::secret::SealingKey;
use crate::{Key, Random, SecretBytes};

/// Why a passphrase is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassphraseFor {
    /// To seal something with it: have it typed twice, because a slip of the hand locks the person out.
    Sealing,
    /// To open what it has sealed.
    Opening {
        /// How often it has been wrong already.
        failed: u32,
    },
}

/// Asks a person for the passphrase.
pub trait AskPassphrase: Send + Sync {
    /// What the person typed; `None` when nobody can be asked, or the person would not say.
    fn ask(&self, why: PassphraseFor) -> Option<SecretBytes>;
}

/// How much work it is to try a passphrase (Argon2id, RFC 9106). Each file says with what it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardness {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Hardness {
    /// 64 MiB and three passes, the second recommendation of RFC 9106, section 4, with one lane: a
    /// program that lives for a moment gains nothing from threads.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
        }
    }
}

/// No file makes us work harder than this: a gigabyte, and passes that end.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 32;
const MOST_LANES: u32 = 16;
const SALT_LENGTH: usize = 16;
/// How often a person may mistype.
const ATTEMPTS: u32 = 3;

/// A passphrase that is asked for when it is needed, once a process.
struct Passphrase {
    ask: Arc<dyn AskPassphrase>,
    hardness: Hardness,
    random: Arc<dyn Random>,
    /// What was typed last.
    typed: Mutex<Option<SecretBytes>>,
    /// The key that sealed or opened something last, and what it was made with.
    proven: Mutex<Option<(KeyNote, SealingKey)>>,
}

impl SealedVault {
    /// Seals with a key made from a passphrase, which `ask` is asked for when it is needed.
    pub fn with_passphrase(
        ask: Arc<dyn AskPassphrase>,
        hardness: Hardness,
        random: Arc<dyn Random>,
    ) -> Self {
        let source = Passphrase {
            ask,
            hardness,
            random: Arc::clone(&random),
            typed: Mutex::new(None),
            proven: Mutex::new(None),
        };
        Self::new(Arc::new(source), random)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase")
            .field("hardness", &self.hardness)
            .finish_non_exhaustive()
    }
}

impl Passphrase {
    fn ask(&self, why: PassphraseFor) -> Result<SecretBytes, VaultError> {
        self.ask.ask(why).ok_or(VaultError::NoPassphrase)
    }

    fn sealing_key(&self) -> Result<(SealingKey, KeyNote), VaultError> {
        // The passphrase that has just opened a session seals it again. Every seal has a key of its
        // own made from this one, so it may serve any number of times.
        if let Some((note, key)) = locked(&self.proven).clone() {
            return Ok((key, note));
        }
        let mut salt = [0; SALT_LENGTH];
        self.random.fill(&mut salt)?;
        let note = KeyNote::Argon2id {
            memory_kib: self.hardness.memory_kib,
            passes: self.hardness.passes,
            lanes: 1,
            salt: STANDARD.encode(salt),
        };
        let passphrase = self.ask(PassphraseFor::Sealing)?;
        let key = stretch(&passphrase, &note)?;
        *locked(&self.typed) = Some(passphrase);
        *locked(&self.proven) = Some((note.clone(), key.clone()));
        Ok((key, note))
    }
}

/// What is behind it is replaced whole or not at all, and so is whole even after a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key that Argon2id makes of a passphrase.
fn stretch(passphrase: &SecretBytes, note: &KeyNote) -> Result<SealingKey, VaultError> {
    let damaged = || VaultError::Damaged { what: "key note" };
    let KeyNote::Argon2id {
        memory_kib,
        passes,
        lanes,
        salt,
    } = note
    else {
        return Err(damaged());
    };
    if *memory_kib > MOST_MEMORY_KIB || *passes > MOST_PASSES || *lanes > MOST_LANES {
        return Err(damaged());
    }
    let salt = STANDARD.decode(salt).map_err(|_| damaged())?;
    let params = Params::new(*memory_kib, *passes, *lanes, Some(SealingKey::LENGTH))
        .map_err(|_| damaged())?;
    let mut key = [0; SealingKey::LENGTH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose(), &salt, &mut key)
        .map_err(|_| damaged())?;
    Ok(SealingKey::new(key))
}

impl KeySource for Passphrase {
    fn kind(&self) -> VaultKind {
        VaultKind::Passphrase
    }

    fn probe(&self) -> Result<(), VaultError> {
        // Somebody who is about to sign in is asked now, and not after it has been approved.
        self.sealing_key().map(drop)
    }

    fn for_sealing(&self, _place: &Place<'_>) -> Result<(SealingKey, KeyNote), VaultError> {
        self.sealing_key()
    }

    fn for_opening(&self, note: &KeyNote, attempt: u32) -> Result<SealingKey, VaultError> {
        if attempt == 0 {
            if let Some((made_with, key)) = locked(&self.proven).clone()
                && made_with == *note
            {
                return Ok(key);
            }
            // As a rule a person has one passphrase for all sessions.
            if let Some(passphrase) = locked(&self.typed).clone() {
                return stretch(&passphrase, note);
            }
        }
        let passphrase = self.ask(PassphraseFor::Opening { failed: attempt })?;
        let key = stretch(&passphrase, note)?;
        *locked(&self.typed) = Some(passphrase);
        Ok(key)
    }

    fn opened(&self, note: &KeyNote, key: &SealingKey) {
        *locked(&self.proven) = Some((note.clone(), key.clone()));
    }

    fn attempts(&self) -> u32 {
        ATTEMPTS
    }

    fn other_key(&self) -> VaultError {
        *locked(&self.typed) = None;
        VaultError::WrongPassphrase
    }

    fn forget(
        &self,
        _store: &str,
        _key: &Key,
        _old: Option<&KeyNote>,
        _keep: Option<&str>,
    ) -> Result<(), VaultError> {
        Ok(())
    }
}
