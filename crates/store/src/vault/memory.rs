//! A vault that ends with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Place, Receipt, Vault, VaultError, VaultKind, Withdrawn};
use crate::{Key, SecretBytes};

/// Keeps secrets in this process and in its clones, and nowhere else.
///
/// For machines on which nothing long-lived may rest. The access token still goes into the session's
/// file; once it has expired, a person signs in again.
#[derive(Debug, Clone, Default)]
pub struct MemoryVault {
    // A map that needs no random number to be made: most who have one never use it.
    kept: Arc<Mutex<BTreeMap<Slot, SecretBytes>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    store: String,
    key: Key,
    login: String,
    generation: u64,
}

/// That there is something to look for in the memory of this very process.
#[derive(Serialize, Deserialize)]
struct InMemory {
    process: u32,
}

impl MemoryVault {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<Slot, SecretBytes>> {
        // One insertion or removal at a time: whole even after a panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn of(place: &Place<'_>, generation: u64) -> Self {
        Self {
            store: place.store.to_owned(),
            key: place.key.clone(),
            login: place.login.to_owned(),
            generation,
        }
    }
}

impl Vault for MemoryVault {
    fn kind(&self) -> VaultKind {
        VaultKind::Memory
    }

    fn probe(&self) -> Result<(), VaultError> {
        Ok(())
    }

    fn deposit(&self, place: &Place<'_>, secrets: &SecretBytes) -> Result<Receipt, VaultError> {
        let mut kept = self.kept();
        // The one before stays, because the file still leads to it. Those before that are of no use.
        kept.retain(|slot, _| {
            (&slot.store, &slot.key, &slot.login)
                != (&place.store.to_owned(), place.key, &place.login.to_owned())
                || slot.generation + 1 >= place.generation
        });
        kept.insert(Slot::of(place, place.generation), secrets.clone());
        Receipt::of(&InMemory {
            process: std::process::id(),
        })
    }

    fn withdraw(&self, place: &Place<'_>, _receipt: &Receipt) -> Result<Withdrawn, VaultError> {
        let kept = self.kept();
        [place.generation + 1, place.generation]
            .into_iter()
            .find_map(|generation| {
                let secrets = kept.get(&Slot::of(place, generation))?.clone();
                Some(Withdrawn {
                    secrets,
                    generation,
                })
            })
            .ok_or(VaultError::Missing {
                kind: VaultKind::Memory,
            })
    }

    fn forget(
        &self,
        store: &str,
        key: &Key,
        _old: Option<&Receipt>,
        keep: Option<&str>,
    ) -> Result<(), VaultError> {
        self.kept().retain(|slot, _| {
            slot.store != store || slot.key != *key || keep == Some(slot.login.as_str())
        });
        Ok(())
    }
}
