//! The keyrings of macOS (Keychain) and Windows (Credential Manager).
//!
//! What is particular to a system is where the store comes from and how large an item may be; the rest
//! is the same, and is tested over a store in memory. On those systems themselves it has not been run.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_store::SecretBytes;
use countersign_store::wire::Trouble;
use keyring_core::api::CredentialStore;
use keyring_core::{Entry, Error};

use crate::backend::Backend;

/// A keyring with items named by two texts, a service and a user.
pub(crate) struct Native {
    store: Arc<CredentialStore>,
    application: String,
    largest: usize,
}

/// The Keychain takes more; but nobody needs more in one piece.
#[cfg(target_os = "macos")]
pub(crate) fn open(application: &str) -> Result<Native, Trouble> {
    let store = apple_native_keyring_store::keychain::Store::new().map_err(failed)?;
    Ok(Native::new(store, application, 16 * 1024))
}

/// `CRED_MAX_CREDENTIAL_BLOB_SIZE` is 5 × 512 bytes.
#[cfg(windows)]
pub(crate) fn open(application: &str) -> Result<Native, Trouble> {
    let store = windows_native_keyring_store::Store::new().map_err(failed)?;
    Ok(Native::new(store, application, 2560))
}

impl Native {
    fn new(store: Arc<CredentialStore>, application: &str, largest: usize) -> Self {
        Self {
            store,
            application: application.to_owned(),
            largest,
        }
    }

    /// The service of a group's items. A space cannot be part of a group, so no two groups share one.
    fn service(&self, group: &str) -> String {
        format!("{} {group}", self.application)
    }

    fn entry(&self, group: &str, name: &str) -> Result<Entry, Trouble> {
        let service = self.service(group);
        self.store.build(&service, name, None).map_err(failed)
    }

    /// How this system is asked for the items of a service. What it finds too much is left out later.
    fn search(service: &str) -> HashMap<&str, &str> {
        if cfg!(windows) {
            HashMap::new()
        } else {
            HashMap::from([("service", service)])
        }
    }
}

impl Backend for Native {
    fn largest(&self) -> usize {
        self.largest
    }

    fn read(&self, group: &str, name: &str) -> Result<Option<SecretBytes>, Trouble> {
        match self.entry(group, name)?.get_secret() {
            Ok(secret) => Ok(Some(SecretBytes::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(
        &self,
        group: &str,
        name: &str,
        _label: &str,
        value: &SecretBytes,
    ) -> Result<(), Trouble> {
        self.entry(group, name)?
            .set_secret(value.expose())
            .map_err(failed)
    }

    fn remove(&self, group: &str, name: &str) -> Result<(), Trouble> {
        match self.entry(group, name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn names(&self, group: &str) -> Result<Vec<String>, Trouble> {
        let service = self.service(group);
        let found = match self.store.search(&Self::search(&service)) {
            Ok(found) => found,
            Err(Error::NoEntry) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let named = found.iter().filter_map(Entry::get_specifiers);
        let ours = named.filter(|(its, _)| *its == service);
        Ok(ours.map(|(_, user)| user).collect())
    }
}

fn failed(error: Error) -> Trouble {
    match error {
        Error::NoStorageAccess(_) => Trouble::Locked,
        Error::TooLong(_, limit) => Trouble::TooLarge {
            size: 0,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        },
        // These carry what was read.
        Error::BadEncoding(_) | Error::BadDataFormat(..) => Trouble::Damaged,
        error => Trouble::Other {
            detail: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces;

    fn keyring() -> Native {
        Native::new(keyring_core::mock::Store::new().unwrap(), "rsctl", 2560)
    }

    #[test]
    fn items_are_written_read_listed_and_removed() {
        let keyring = keyring();
        assert!(keyring.read("g", "a").unwrap().is_none());
        let value = SecretBytes::new(vec![0, 255, 10, 13]);
        for (group, name) in [("g", "a"), ("g", "b"), ("g2", "a")] {
            keyring.write(group, name, "", &value).unwrap();
        }
        let read = keyring.read("g", "a").unwrap().unwrap();
        assert_eq!(read.expose(), value.expose());
        let mut names = keyring.names("g").unwrap();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        keyring.remove("g", "a").unwrap();
        keyring.remove("g", "a").unwrap();
        assert!(keyring.read("g", "a").unwrap().is_none());
        assert!(keyring.read("g2", "a").unwrap().is_some());
    }

    #[test]
    fn large_values_go_into_several_items() {
        let keyring = keyring();
        let value = SecretBytes::new(vec![7; 10_000]);
        pieces::write(&keyring, "g", "a", "", &value).unwrap();
        assert_eq!(keyring.names("g").unwrap().len(), 4);
        let read = pieces::read(&keyring, "g", "a").unwrap().unwrap();
        assert_eq!(read.expose(), value.expose());
    }
}
