//! Secrets in the keyring of the operating system.
//!
//! The keyring itself is not spoken with here. Buses hang, and their libraries start threads, so a
//! short-lived program of ours does it (`countersign-keyring`); whoever owns a clock starts that and
//! ends it when it takes too long. Here is what is said to it, and what its answers mean.
//!
//! **Two places that must agree.** A keyring and a file cannot be changed in one stroke, so the
//! deposits of one login take turns between two items. The file says which write it is of, and with
//! that which of the two is its own; a new deposit goes into the other one. Then the file is replaced,
//! and only that makes the new deposit count. Whoever dies before it leaves a file whose own item is
//! untouched, and beside it the item of a write that never finished: it belongs to the same login and
//! is exactly one write ahead. The server has long given out those tokens and will not take the old
//! ones again, so it is the newer item that is given back, and the session lives on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::{self, Operation, Outcome, Reply, Request, Trouble, Unlock};
use super::{Place, Receipt, Vault, VaultError, VaultKind, Withdrawn};
use crate::error::printable;
use crate::{Key, Random, SecretBytes};

/// Carries a request to the program that speaks with the keyring, and brings back its reply.
pub trait KeyringPort: fmt::Debug + Send + Sync {
    /// How long an exchange may take; a person who is asked for a password has longer.
    fn limit(&self, unlock: Unlock) -> Duration;

    /// Starts the program, hands it `request`, and reads its reply; ends it at the limit.
    fn exchange(&self, request: &SecretBytes, unlock: Unlock) -> Result<SecretBytes, PortError>;
}

/// Why there was no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortError {
    /// The program is not where it should be.
    NotInstalled,
    /// It was ended at the limit.
    TimedOut,
    /// It could not be started, or ended without a reply.
    Failed {
        /// What became of it.
        detail: String,
    },
}

impl PortError {
    /// What it means that there was no reply within `limit`.
    pub fn into_vault_error(self, limit: Duration) -> VaultError {
        match self {
            Self::NotInstalled => VaultError::NoProgram,
            Self::TimedOut => VaultError::TimedOut { limit },
            Self::Failed { detail } => VaultError::ProgramFailed {
                detail: printable(&detail),
            },
        }
    }
}

/// The keyring of the operating system, as one application uses it.
#[derive(Debug, Clone)]
pub struct Keyring {
    application: String,
    port: Arc<dyn KeyringPort>,
    unlock: Unlock,
    random: Arc<dyn Random>,
}

/// The item that [`Keyring::probe`] writes, reads and takes away.
const PROBE: &str = "probe";

impl Keyring {
    /// The keyring, reached through `port`. Nobody is asked to unlock it.
    pub fn new(application: &str, port: Arc<dyn KeyringPort>, random: Arc<dyn Random>) -> Self {
        Self {
            application: application.to_owned(),
            port,
            unlock: Unlock::Never,
            random,
        }
    }

    /// Lets the keyring ask for a password when it is locked: a person is there.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.unlock = Unlock::Ask;
        self
    }

    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    /// Writes an item, reads it again and takes it away. What did not survive that would not have
    /// kept a session either.
    pub(crate) fn probe(&self) -> Result<(), VaultError> {
        let mut drawn = [0; 16];
        self.random.fill(&mut drawn)?;
        let value = SecretBytes::new(drawn.to_vec());
        // A group of its own for each probe: two at a time do not see each other's.
        let group = format!("{PROBE}/{}", crate::hex(&drawn));
        let label = format!("{}: a test that may be removed", self.application);
        let written = self.write_and_check(&group, PROBE, label, &value);
        if let Err(VaultError::TimedOut { .. }) = written {
            // It would be waited for a second time, to remove what is probably not there.
            return written;
        }
        let cleared = self.run(vec![Operation::Clear { group, keep: None }]);
        written.and(cleared.map(|_| ()))
    }

    /// Writes an item and compares what the keyring then has with what it was given.
    pub(crate) fn write_and_check(
        &self,
        group: &str,
        name: &str,
        label: String,
        value: &SecretBytes,
    ) -> Result<(), VaultError> {
        let outcomes = self.run(vec![
            Operation::Write {
                group: group.to_owned(),
                name: name.to_owned(),
                label,
                value: value.clone(),
            },
            read(group, name),
        ])?;
        match outcomes.as_slice() {
            [Outcome::Done, Outcome::Value(kept)] if kept.expose() == value.expose() => Ok(()),
            _ => Err(VaultError::Unfaithful),
        }
    }

    /// Reads items of one group in one go.
    pub(crate) fn read<const N: usize>(
        &self,
        group: &str,
        names: [&str; N],
    ) -> Result<[Option<SecretBytes>; N], VaultError> {
        let outcomes = self.run(names.iter().map(|name| read(group, name)).collect())?;
        let values: Vec<Option<SecretBytes>> = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Value(value) => Ok(Some(value)),
                Outcome::Absent => Ok(None),
                Outcome::Done | Outcome::Failed(_) => Err(nonsense()),
            })
            .collect::<Result<_, _>>()?;
        values.try_into().map_err(|_| nonsense())
    }

    /// Removes the items of these groups, except those whose names begin with `keep`.
    pub(crate) fn clear(&self, groups: &[String], keep: Option<&str>) -> Result<(), VaultError> {
        let clear = |group: &String| Operation::Clear {
            group: group.clone(),
            keep: keep.map(str::to_owned),
        };
        self.run(groups.iter().map(clear).collect()).map(|_| ())
    }

    /// Carries out operations. Nobody is asked anything unless the keyring is really locked: one that
    /// hangs would otherwise be waited for as long as a person needs to type a password.
    fn run(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>, VaultError> {
        let mut request = Request {
            version: wire::VERSION,
            application: self.application.clone(),
            unlock: Unlock::Never,
            limit_ms: 0,
            operations,
        };
        match (self.run_once(&mut request, Unlock::Never), self.unlock) {
            (Err(VaultError::Locked), Unlock::Ask) => self.run_once(&mut request, Unlock::Ask),
            (outcomes, _) => outcomes,
        }
    }

    fn run_once(&self, request: &mut Request, unlock: Unlock) -> Result<Vec<Outcome>, VaultError> {
        let limit = self.port.limit(unlock);
        request.unlock = unlock;
        request.limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let asked = serde_json::to_vec(request).map_err(|_| nonsense())?;
        let reply = self
            .port
            .exchange(&SecretBytes::new(asked), unlock)
            .map_err(|error| error.into_vault_error(limit))?;
        let reply: Reply = serde_json::from_slice(reply.expose()).map_err(|_| nonsense())?;
        if reply.version != wire::VERSION {
            return Err(VaultError::ProgramFailed {
                detail: format!("it is of another version, {}", reply.version),
            });
        }
        let mut outcomes = reply.outcomes;
        let last = outcomes.pop_if(|outcome| matches!(outcome, Outcome::Failed(_)));
        if let Some(Outcome::Failed(trouble)) = last {
            return Err(failed(trouble));
        }
        if outcomes.len() == request.operations.len() {
            Ok(outcomes)
        } else {
            Err(nonsense())
        }
    }
}

fn read(group: &str, name: &str) -> Operation {
    Operation::Read {
        group: group.to_owned(),
        name: name.to_owned(),
    }
}

fn nonsense() -> VaultError {
    VaultError::ProgramFailed {
        detail: "its answer cannot be understood".to_owned(),
    }
}

fn failed(trouble: Trouble) -> VaultError {
    match trouble {
        Trouble::NoBus => VaultError::NoBus,
        Trouble::NoService => VaultError::NoService,
        Trouble::Locked => VaultError::Locked,
        Trouble::Dismissed => VaultError::Dismissed,
        Trouble::Damaged => VaultError::Damaged {
            what: "a piece is missing from the keyring",
        },
        Trouble::TooLarge { size, limit } => VaultError::TooLarge { size, limit },
        Trouble::Other { detail } => VaultError::Refused {
            detail: printable(&detail),
        },
    }
}

/// Keeps the secrets themselves in the keyring, and in the file only where they are.
#[derive(Debug, Clone)]
pub struct KeyringVault {
    keyring: Keyring,
}

/// What an item holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deposit {
    session: String,
    login: String,
    generation: u64,
    /// Of the clear part of the file this was written for, in hexadecimal.
    clear: String,
    #[serde(with = "secret_text")]
    secrets: SecretBytes,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InKeyring {
    group: String,
}

impl KeyringVault {
    /// A vault in `keyring`.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }
}

fn group(store: &str, key: &Key) -> String {
    format!("secrets/{store}/{key}")
}

/// The item of a write: neighbours in time never share one.
fn slot(login: &str, generation: u64) -> String {
    format!(
        "{login}.{}",
        if generation.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        }
    )
}

fn understand(value: &SecretBytes) -> Result<Deposit, VaultError> {
    serde_json::from_slice(value.expose()).map_err(|_| VaultError::Damaged {
        what: "an item of the keyring",
    })
}

impl Vault for KeyringVault {
    fn kind(&self) -> VaultKind {
        VaultKind::Keyring
    }

    fn probe(&self) -> Result<(), VaultError> {
        self.keyring.probe()
    }

    fn deposit(&self, place: &Place<'_>, secrets: &SecretBytes) -> Result<Receipt, VaultError> {
        let deposit = Deposit {
            session: place.key.to_string(),
            login: place.login.to_owned(),
            generation: place.generation,
            clear: crate::hex(place.clear),
            secrets: secrets.clone(),
        };
        let value = serde_json::to_vec(&deposit).map_err(|_| nonsense())?;
        let group = group(place.store, place.key);
        let label = format!("{}: session {}", self.keyring.application, place.key);
        self.keyring.write_and_check(
            &group,
            &slot(place.login, place.generation),
            label,
            &SecretBytes::new(value),
        )?;
        Receipt::of(&InKeyring { group })
    }

    fn withdraw(&self, place: &Place<'_>, receipt: &Receipt) -> Result<Withdrawn, VaultError> {
        let InKeyring { group } = receipt.read()?;
        let [own, other] = self.keyring.read(
            &group,
            [
                &slot(place.login, place.generation),
                &slot(place.login, place.generation + 1),
            ],
        )?;
        let own = understand(&own.ok_or(VaultError::Missing {
            kind: VaultKind::Keyring,
        })?)?;
        // Of the write that the file is of, or of one so much later that its turn came again.
        let is_ours = own.session == place.key.as_str() && own.login == place.login;
        if !is_ours || own.generation < place.generation {
            return Err(VaultError::Misplaced);
        }
        if own.generation > place.generation {
            return Err(VaultError::RolledBack {
                file: place.generation,
                vault: own.generation,
            });
        }
        if own.clear != crate::hex(place.clear) {
            return Err(VaultError::Misplaced);
        }
        // Damage there is that of a write that did not finish.
        let next = other.and_then(|other| understand(&other).ok());
        let next =
            next.filter(|next| next.login == place.login && next.generation > own.generation);
        match next {
            Some(next) if next.generation > place.generation + 1 => Err(VaultError::RolledBack {
                file: place.generation,
                vault: next.generation,
            }),
            Some(next) => Ok(withdrawn(next)),
            None => Ok(withdrawn(own)),
        }
    }

    fn forget(
        &self,
        store: &str,
        key: &Key,
        old: Option<&Receipt>,
        keep: Option<&str>,
    ) -> Result<(), VaultError> {
        let mut groups = vec![group(store, key)];
        // A store that was moved to another directory left its items under the old name.
        if let Some(Ok(old)) = old.map(Receipt::read::<InKeyring>)
            && !groups.contains(&old.group)
        {
            groups.push(old.group);
        }
        self.keyring.clear(&groups, keep)
    }
}

fn withdrawn(deposit: Deposit) -> Withdrawn {
    Withdrawn {
        secrets: deposit.secrets,
        generation: deposit.generation,
    }
}

/// The secrets are JSON, and so text.
mod secret_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::SecretBytes;

    pub(super) fn serialize<S: Serializer>(
        secrets: &SecretBytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(secrets.expose()).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecretBytes, D::Error> {
        String::deserialize(deserializer).map(|text| SecretBytes::new(text.into_bytes()))
    }
}
