//! The two parts of a session, and what is said about them.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::envelope::Clear;
use super::vaults::FellBack;
use crate::file::Reserved;
use crate::vault::Place;
use crate::{Record, SecretBytes, StoreError, VaultError, VaultKind};

/// A record with a part that only a vault may keep.
///
/// The division is by how long a secret lives and who needs it: an access token is read by every
/// command and is worth nothing tomorrow; a refresh token, a client's secret or a private key is read
/// once in a while and is worth a great deal.
pub trait Divided: Record {
    /// The part for the vault.
    type Secrets: Serialize + DeserializeOwned;

    /// The part that may stand in the file, and the part that may not; `None` when this value was read
    /// without its secrets, and so has none to save.
    fn divide(&self) -> Option<(Self, Self::Secrets)>;

    /// Puts back what [`divide`](Self::divide) took out.
    fn unite(&mut self, secrets: Self::Secrets);
}

/// Both parts of a record, as bytes.
pub(super) fn divide<T: Divided>(record: &T) -> Result<(Clear, SecretBytes), StoreError> {
    let (clear, secrets) = record.divide().ok_or(StoreError::WithoutSecrets)?;
    let secrets = json(&secrets)?;
    Ok((Clear::of(json(&clear)?), SecretBytes::new(secrets.to_vec())))
}

fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    // Room at once: a vector that grows leaves unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer(&mut *bytes, value).map_err(|_| StoreError::NotSerializable)?;
    Ok(bytes)
}

/// The clear part of a session.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The record, without its secrets.
    pub record: T,
    /// Where the secrets are; `None` when this version does not know the place.
    pub kept_in: Option<VaultKind>,
    /// Whether [`mark`](crate::SessionStore::mark) has been told that there are others beside it.
    pub has_others: bool,
}

/// A whole session.
#[derive(Debug)]
pub struct Opened<T> {
    /// The record with its secrets.
    pub record: T,
    /// What an update needs to know of it.
    pub origin: Origin,
}

/// Which write of which login something was read from. An update says with it what it replaces.
#[derive(Debug, Clone)]
pub struct Origin {
    /// `None` for a file that was written before secrets were kept apart.
    pub(super) login: Option<LoginName>,
    pub(super) file_generation: u64,
    /// That of the secrets: one more than that of the file when a write died in between.
    pub(super) generation: u64,
    pub(super) kind: VaultKind,
    /// Then, the clear part as it stands in the file, and the secrets.
    pub(super) unfinished: Option<(Zeroizing<Vec<u8>>, SecretBytes)>,
    /// Room on the disk for the update.
    pub(super) reserved: Option<Arc<Reserved>>,
}

/// Which login, of which store: what a vault knows a session by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoginName {
    pub(super) store: String,
    pub(super) id: String,
}

impl Origin {
    pub(super) fn undivided() -> Self {
        Self {
            login: None,
            file_generation: 0,
            generation: 0,
            kind: VaultKind::File,
            unfinished: None,
            reserved: None,
        }
    }

    pub(super) fn committed(place: &Place<'_>, kind: VaultKind) -> Self {
        Self {
            login: Some(LoginName {
                store: place.store.to_owned(),
                id: place.login.to_owned(),
            }),
            file_generation: place.generation,
            generation: place.generation,
            kind,
            unfinished: None,
            reserved: None,
        }
    }

    /// Where the secrets are.
    pub fn kept_in(&self) -> VaultKind {
        self.kind
    }

    /// Whether the secrets are newer than the file, because a writer died between vault and file.
    pub fn is_recovered(&self) -> bool {
        self.unfinished.is_some()
    }
}

/// What became of a write.
#[derive(Debug)]
pub struct Saved {
    /// What the next update needs to know.
    pub origin: Origin,
    /// Why the secrets are not where they should be.
    pub fell_back: Option<FellBack>,
    /// What kept an older copy of secrets from being forgotten.
    pub left_behind: Option<VaultError>,
}

/// What became of a removal.
#[derive(Debug)]
pub struct Removed {
    /// Whether there was a session.
    pub existed: bool,
    /// What kept its secrets from being forgotten. They are no longer of use to this program, but are
    /// still somewhere.
    pub left_behind: Option<VaultError>,
}

/// What became of a migration.
#[derive(Debug)]
pub struct Migrated {
    /// Where the secrets were.
    pub from: VaultKind,
    /// `false` when they were there already.
    pub moved: bool,
    /// What kept an older copy of secrets from being forgotten.
    pub left_behind: Option<VaultError>,
}
