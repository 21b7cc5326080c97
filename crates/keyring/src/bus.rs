//! The Secret Service of freedesktop.org, which gnome-keyring and others offer on the session bus.

use std::collections::HashMap;

use countersign_store::SecretBytes;
use countersign_store::wire::{Trouble, Unlock};
use secret_service::blocking::{Collection, Item, SecretService};
use secret_service::{EncryptionType, Error};

use crate::backend::Backend;

/// The service sets no limit; the bus does, far above this.
const LARGEST: usize = 1024 * 1024;

/// The names of the attributes that items are found by.
const APPLICATION: &str = "application";
const GROUP: &str = "group";
const NAME: &str = "name";

/// An open connection to the service.
pub(crate) struct Service {
    connection: SecretService<'static>,
    application: String,
    unlock: Unlock,
}

/// Connects to the service. What passes over the bus is encrypted, because the user's other programs
/// may listen there.
pub(crate) fn open(application: &str, unlock: Unlock) -> Result<Service, Trouble> {
    let connection = SecretService::connect(EncryptionType::Dh).map_err(not_reached)?;
    Ok(Service {
        connection,
        application: application.to_owned(),
        unlock,
    })
}

impl Service {
    /// The items with these attributes, unlocked.
    fn find(&self, group: &str, name: Option<&str>) -> Result<Vec<Item<'_>>, Trouble> {
        let mut attributes = HashMap::from([(APPLICATION, &*self.application), (GROUP, group)]);
        attributes.extend(name.map(|name| (NAME, name)));
        let found = self.connection.search_items(attributes).map_err(failed)?;
        let mut items = found.unlocked;
        if !found.locked.is_empty() {
            if self.unlock == Unlock::Never {
                return Err(Trouble::Locked);
            }
            for item in found.locked {
                item.unlock().map_err(failed)?;
                items.push(item);
            }
        }
        Ok(items)
    }

    /// Where new items go, unlocked. Made, after the person has chosen a password for it, where there
    /// is none yet.
    fn collection(&self) -> Result<Collection<'_>, Trouble> {
        let collection = match self.connection.get_default_collection() {
            Ok(collection) => collection,
            Err(Error::NoResult) if self.unlock == Unlock::Ask => self
                .connection
                .create_collection("Default", "default")
                .map_err(failed)?,
            Err(Error::NoResult) => return Err(Trouble::Locked),
            Err(error) => return Err(failed(error)),
        };
        if collection.is_locked().map_err(failed)? {
            match self.unlock {
                Unlock::Ask => collection.unlock().map_err(failed)?,
                Unlock::Never => return Err(Trouble::Locked),
            }
        }
        Ok(collection)
    }
}

impl Backend for Service {
    fn largest(&self) -> usize {
        LARGEST
    }

    fn read(&self, group: &str, name: &str) -> Result<Option<SecretBytes>, Trouble> {
        // Two collections may each have such an item, if the default one was changed in between.
        let items = self.find(group, Some(name))?;
        let newest = items
            .iter()
            .max_by_key(|item| item.get_modified().unwrap_or_default());
        let secret = newest.map(Item::get_secret).transpose().map_err(failed)?;
        Ok(secret.map(SecretBytes::new))
    }

    fn write(
        &self,
        group: &str,
        name: &str,
        label: &str,
        value: &SecretBytes,
    ) -> Result<(), Trouble> {
        let attributes = HashMap::from([
            (APPLICATION, &*self.application),
            (GROUP, group),
            (NAME, name),
        ]);
        self.collection()?
            .create_item(
                label,
                attributes,
                value.expose(),
                true,
                "application/octet-stream",
            )
            .map(drop)
            .map_err(failed)
    }

    fn remove(&self, group: &str, name: &str) -> Result<(), Trouble> {
        for item in self.find(group, Some(name))? {
            item.delete().map_err(failed)?;
        }
        Ok(())
    }

    fn names(&self, group: &str) -> Result<Vec<String>, Trouble> {
        let name_of = |item: Item<'_>| {
            let attributes = item.get_attributes().map_err(failed)?;
            Ok(attributes.get(NAME).cloned())
        };
        let names = self.find(group, None)?.into_iter().map(name_of);
        names.filter_map(Result::transpose).collect()
    }
}

/// Why there is no connection.
fn not_reached(error: Error) -> Trouble {
    match error {
        // The crate knows a missing socket; whatever else keeps a socket from being one is the same
        // to whoever reads the message.
        Error::Unavailable => Trouble::NoBus,
        Error::Zbus(error) if is_about_the_bus(&error.to_string()) => Trouble::NoBus,
        error => failed(error),
    }
}

fn is_about_the_bus(message: &str) -> bool {
    ["I/O error", "address", "handshake"]
        .iter()
        .any(|word| message.contains(word))
}

fn failed(error: Error) -> Trouble {
    match error {
        Error::Locked => Trouble::Locked,
        Error::Prompt | Error::PromptDisconnected => Trouble::Dismissed,
        Error::Unavailable => Trouble::NoService,
        error => {
            let detail = error.to_string();
            let nobody = ["ServiceUnknown", "NameHasNoOwner", "Spawn"];
            if nobody.iter().any(|name| detail.contains(name)) {
                Trouble::NoService
            } else if detail.contains("IsLocked") {
                Trouble::Locked
            } else {
                Trouble::Other { detail }
            }
        }
    }
}
