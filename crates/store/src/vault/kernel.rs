//! A key that the Linux kernel keeps: never on a disk, gone when the machine restarts.
//!
//! The calls are those of keyutils. Only ones that write into a buffer of ours with a length of ours
//! are used.

use std::sync::Arc;

use super::{SealedVault, VaultError, VaultKind};
use crate::Random;

impl SealedVault {
    /// Seals with a key that the kernel keeps in the user's keyring, in the name of `application`,
    /// one for each login. After a restart of the machine, a person signs in again.
    pub fn with_kernel_key(application: &str, random: Arc<dyn Random>) -> Self {
        #[cfg(target_os = "linux")]
        let source = linux::KernelKey::new(application, Arc::clone(&random));
        #[cfg(not(target_os = "linux"))]
        let source = elsewhere::KernelKey::new(application);
        Self::new(Arc::new(source), random)
    }
}

fn unsupported(detail: Option<String>) -> VaultError {
    VaultError::Unsupported {
        kind: VaultKind::KernelKey,
        detail,
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Arc;

    use linux_keyutils::{KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
    use zeroize::Zeroizing;

    use super::unsupported;
    use crate::secret::SealingKey;
    use crate::vault::sealed::{KeyNote, KeySource};
    use crate::vault::{Place, VaultError, VaultKind};
    use crate::{Key, Random};

    #[derive(Debug)]
    pub(super) struct KernelKey {
        application: String,
        random: Arc<dyn Random>,
    }

    impl KernelKey {
        pub(super) fn new(application: &str, random: Arc<dyn Random>) -> Self {
            Self {
                application: application.to_owned(),
                random,
            }
        }

        /// What the key is called in the kernel.
        fn description(&self, group: &str, name: &str) -> String {
            format!("{}:{group}:{name}", self.application)
        }

        fn read(&self, group: &str, name: &str) -> Result<Option<SealingKey>, VaultError> {
            let found = users()?.search(&self.description(group, name));
            let key = match found {
                Ok(key) => key,
                Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => {
                    return Ok(None);
                }
                Err(error) => return Err(refused(error)),
            };
            // One more, so that a longer one is noticed.
            let mut bytes = Zeroizing::new([0; SealingKey::LENGTH + 1]);
            let length = key.read(&mut *bytes).map_err(refused)?;
            bytes
                .get(..length)
                .and_then(SealingKey::from_slice)
                .map(Some)
                .ok_or(VaultError::Damaged {
                    what: "the key in the kernel",
                })
        }

        /// Adds a key that every process of this user may read, whatever session it is of.
        fn add(&self, group: &str, name: &str, key: &SealingKey) -> Result<(), VaultError> {
            // Permissions can be set by whoever possesses a key, and a process possesses what is in
            // its own keyring, but not always what is in its user's.
            let own =
                KeyRing::from_special_id(KeyRingIdentifier::Process, true).map_err(refused)?;
            let added = own
                .add_key(&self.description(group, name), key.expose())
                .map_err(refused)?;
            let permissions = KeyPermissionsBuilder::builder()
                .posessor(Permission::ALL)
                .user(Permission::ALL)
                .build();
            added.set_perms(permissions).map_err(refused)?;
            users()?.link_key(added).map_err(refused)?;
            own.unlink_key(added).map_err(refused)
        }

        fn remove(&self, group: &str, name: &str) -> Result<(), VaultError> {
            match users()?.search(&self.description(group, name)) {
                Ok(key) => key.invalidate().map_err(refused),
                Err(_) => Ok(()),
            }
        }
    }

    /// The keyring that all processes of the user share.
    fn users() -> Result<KeyRing, VaultError> {
        KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(refused)
    }

    /// Containers as a rule forbid these calls.
    fn refused(error: KeyError) -> VaultError {
        unsupported(Some(format!("the kernel said {error}")))
    }

    fn group(store: &str, key: &Key) -> String {
        format!("{store}/{key}")
    }

    impl KeySource for KernelKey {
        fn kind(&self) -> VaultKind {
            VaultKind::KernelKey
        }

        fn probe(&self) -> Result<(), VaultError> {
            let key = SealingKey::random(&*self.random)?;
            let name = crate::hex(SealingKey::random(&*self.random)?.expose());
            self.add("probe", &name, &key)?;
            let read = self.read("probe", &name);
            self.remove("probe", &name)?;
            match read? {
                Some(kept) if kept.expose() == key.expose() => Ok(()),
                _ => Err(VaultError::Unfaithful),
            }
        }

        fn for_sealing(&self, place: &Place<'_>) -> Result<(SealingKey, KeyNote), VaultError> {
            let (group, name) = (group(place.store, place.key), place.login);
            let kept = self.read(&group, name)?;
            let key = if let Some(key) = kept {
                key
            } else {
                let key = SealingKey::random(&*self.random)?;
                self.add(&group, name, &key)?;
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
            _store: &str,
            _key: &Key,
            old: Option<&KeyNote>,
            keep: Option<&str>,
        ) -> Result<(), VaultError> {
            match old {
                Some(KeyNote::Named { group, name }) if keep != Some(name.as_str()) => {
                    self.remove(group, name)
                }
                // A key that no file tells of is of no use to anybody, and goes with the machine.
                _ => Ok(()),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::unsupported;
    use crate::Key;
    use crate::secret::SealingKey;
    use crate::vault::sealed::{KeyNote, KeySource};
    use crate::vault::{Place, VaultError, VaultKind};

    #[derive(Debug)]
    pub(super) struct KernelKey;

    impl KernelKey {
        pub(super) fn new(_application: &str) -> Self {
            Self
        }
    }

    impl KeySource for KernelKey {
        fn kind(&self) -> VaultKind {
            VaultKind::KernelKey
        }

        fn probe(&self) -> Result<(), VaultError> {
            Err(unsupported(None))
        }

        fn for_sealing(&self, _place: &Place<'_>) -> Result<(SealingKey, KeyNote), VaultError> {
            Err(unsupported(None))
        }

        fn for_opening(&self, _note: &KeyNote, _attempt: u32) -> Result<SealingKey, VaultError> {
            Err(unsupported(None))
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
}
