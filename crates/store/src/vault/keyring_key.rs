//! A key in the keyring of the operating system: one for each login, written once.

use std::sync::Arc;

use super::sealed::{KeyNote, KeySource};
use super::{Keyring, Place, SealedVault, VaultError, VaultKind};
use crate::secret::SealingKey;
use crate::{Key, Random, SecretBytes};

#[derive(Debug)]
struct KeyringKey {
    keyring: Keyring,
    random: Arc<dyn Random>,
}

impl SealedVault {
    /// Seals with a key that is kept in `keyring`, one for each login.
    pub fn with_keyring_key(keyring: Keyring, random: Arc<dyn Random>) -> Self {
        let source = KeyringKey {
            keyring,
            random: Arc::clone(&random),
        };
        Self::new(Arc::new(source), random)
    }
}

fn group(store: &str, key: &Key) -> String {
    format!("key/{store}/{key}")
}

impl KeyringKey {
    fn read(&self, group: &str, name: &str) -> Result<Option<SealingKey>, VaultError> {
        let [value] = self.keyring.read(group, [name])?;
        let Some(value) = value else { return Ok(None) };
        SealingKey::from_slice(value.expose())
            .map(Some)
            .ok_or(VaultError::Damaged {
                what: "the key in the keyring",
            })
    }
}

impl KeySource for KeyringKey {
    fn kind(&self) -> VaultKind {
        VaultKind::KeyringKey
    }

    fn probe(&self) -> Result<(), VaultError> {
        self.keyring.probe()
    }

    fn for_sealing(&self, place: &Place<'_>) -> Result<(SealingKey, KeyNote), VaultError> {
        let (group, name) = (group(place.store, place.key), place.login);
        let kept = self.read(&group, name)?;
        let key = if let Some(key) = kept {
            key
        } else {
            let key = SealingKey::random(&*self.random)?;
            let label = format!(
                "{}: key of session {}",
                self.keyring.application(),
                place.key
            );
            let value = SecretBytes::new(key.expose().to_vec());
            self.keyring.write_and_check(&group, name, label, &value)?;
            key
        };
        let name = name.to_owned();
        Ok((key, KeyNote::Named { group, name }))
    }

    fn for_opening(&self, note: &KeyNote, _attempt: u32) -> Result<SealingKey, VaultError> {
        let KeyNote::Named { group, name } = note else {
            return Err(VaultError::Damaged { what: "key note" });
        };
        self.read(group, name)?
            .ok_or(VaultError::Missing { kind: self.kind() })
    }

    fn forget(
        &self,
        store: &str,
        key: &Key,
        old: Option<&KeyNote>,
        keep: Option<&str>,
    ) -> Result<(), VaultError> {
        let mut groups = vec![group(store, key)];
        if let Some(KeyNote::Named { group, .. }) = old
            && !groups.contains(group)
        {
            groups.push(group.clone());
        }
        self.keyring.clear(&groups, keep)
    }
}
