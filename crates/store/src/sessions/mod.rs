//! Sessions in two parts: what every command reads, and what only a renewal needs.

mod divided;
mod envelope;
mod vaults;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};

use divided::{LoginName, divide};
use envelope::{Clear, Header, Read};

pub use divided::{Divided, Loaded, Migrated, Opened, Origin, Removed, Saved};
pub use vaults::{FellBack, Vaults};

use crate::file::Reserved;
use crate::vault::{Place, Receipt, Vault, Withdrawn};
use crate::{
    FileStore, Key, Lock, Purpose, Random, SecretBytes, StoreError, VaultError, VaultKind, hex,
};

/// A directory of sessions whose long-lived secrets are kept in a vault.
///
/// Reading a session for its access token ([`load`](Self::load)) is the reading of one file, whatever
/// the vault: nothing is unlocked, started or asked.
#[derive(Debug, Clone)]
pub struct SessionStore {
    files: FileStore,
    vaults: Vaults,
    random: Arc<dyn Random>,
}

impl SessionStore {
    /// The store in the directory `path`. Touches nothing.
    pub fn new(path: &Path, vaults: Vaults, random: Arc<dyn Random>) -> Self {
        Self {
            files: FileStore::open(path),
            vaults,
            random,
        }
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// A name for the directory: what is in a keyring must not be taken for that of another store.
    ///
    /// Made when it is needed. The first digest of a process finds out what the processor can do, and
    /// whoever reads a session for its access token should not wait for that.
    fn label(&self) -> String {
        let whole = digest(&SHA256, self.path().as_os_str().as_encoded_bytes());
        hex(whole.as_ref().get(..8).unwrap_or_default())
    }

    /// The path of the file that holds, or would hold, the session of `key`.
    pub fn path_of(&self, key: &Key) -> PathBuf {
        self.files.path_of(key)
    }

    /// The keys that have a session, sorted.
    pub fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.files.keys()
    }

    /// Tries once to take the lock of `key` for `purpose`; `None` when somebody else holds it.
    pub fn try_lock(&self, key: &Key, purpose: Purpose) -> Result<Option<Lock>, StoreError> {
        self.files.try_lock(key, purpose)
    }

    /// The note that a holder of the lock left last ([`Lock::leave_note`]).
    pub fn lock_note(&self, key: &Key, purpose: Purpose) -> Option<String> {
        self.files.lock_note(key, purpose)
    }

    /// Reads the clear part of a session: one file, no lock, no vault.
    ///
    /// # Errors
    /// As [`FileStore::load`].
    pub fn load<T: Divided>(&self, key: &Key) -> Result<Option<Loaded<T>>, StoreError> {
        self.files.load_with::<T, _>(key, envelope::clear::<T>)
    }

    /// Reads a session with its secrets. Writes nothing.
    ///
    /// Who means to [`update`](Self::update) what is opened holds the lock of the key from before this
    /// until after that.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`StoreError::Vault`] when the vault does not give the secrets
    /// back. The file stays as it is: its access token may still be good.
    pub fn open<T: Divided>(&self, key: &Key) -> Result<Option<Opened<T>>, StoreError> {
        let Some(read) = self.files.load_with::<T, _>(key, envelope::whole::<T>)? else {
            return Ok(None);
        };
        let Read {
            mut record,
            clear,
            header,
        } = read;
        let Some(header) = header else {
            // Written before secrets were kept apart: all of it stands in the record.
            return Ok(Some(Opened {
                record,
                origin: Origin::undivided(),
            }));
        };
        let clear = Clear::of(clear);
        let vault = self.vaults.find(header.kind()?)?;
        let login = header.login();
        let place = place(key, &login, header.generation, &clear);
        let Withdrawn {
            secrets,
            generation,
        } = vault.withdraw(&place, &header.receipt)?;
        let united = serde_json::from_slice(secrets.expose())
            .map_err(|_| VaultError::Damaged { what: "content" })?;
        record.unite(united);
        let unfinished = (generation > header.generation).then_some((clear.text, secrets));
        Ok(Some(Opened {
            record,
            origin: Origin {
                login: Some(login),
                file_generation: header.generation,
                generation,
                kind: vault.kind(),
                unfinished,
                reserved: None,
            },
        }))
    }

    /// The same, and takes room on the disk for the [`update`](Self::update) that is to follow. A server
    /// that rotates its tokens forgets the old one when it is asked for a new one: whether that can be
    /// written down is found out before asking.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`StoreError::Io`] when the disk is full or cannot be written.
    pub fn open_for_update<T: Divided>(&self, key: &Key) -> Result<Option<Opened<T>>, StoreError> {
        let Some(mut opened) = self.open::<T>(key)? else {
            return Ok(None);
        };
        opened.origin.reserved = Some(Arc::new(self.files.reserve(key)?));
        Ok(Some(opened))
    }

    /// Finds out whether there is room on the disk for a new session, before anybody signs in.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk is full or cannot be written.
    pub fn check_room(&self, key: &Key) -> Result<(), StoreError> {
        self.files.reserve(key).map(drop)
    }

    /// Keeps the session of a new login, in the chosen vault, in place of whatever is there.
    ///
    /// # Errors
    /// When the file is not ours to replace or cannot be written, or no allowed vault takes the
    /// secrets. What was there is then still there.
    pub fn begin<T: Divided>(&self, key: &Key, record: &T) -> Result<Saved, StoreError> {
        self.files.check_replaceable(key)?;
        let old = self.header_of(key);
        let login = self.new_login()?;
        let (clear, secrets) = divide(record)?;
        let place = place(key, &login, 1, &clear);
        let Deposited {
            vault,
            receipt,
            fell_back,
        } = self.deposit(self.vaults.chosen(), &place, &secrets)?;
        let written = self.write::<T>(key, &clear, &place, &*vault, receipt.clone(), None);
        if let Err(error) = written {
            // The file may be in its place all the same: syncing the directory is the last thing that
            // can fail. Only a deposit that nothing leads to is taken back.
            let is_placed = match self.header_of(key) {
                Some(now) => now.login() == login,
                None => self.path_of(key).exists(),
            };
            if !is_placed {
                let old = old.as_ref().map(|old| old.login.as_str());
                let _ = vault.forget(&self.label(), key, Some(&receipt), old);
            }
            return Err(error);
        }
        let left_behind = self.tidy(key, old.as_ref(), &*vault, &login.id, fell_back.as_ref());
        Ok(Saved {
            origin: Origin::committed(&place, vault.kind()),
            fell_back,
            left_behind,
        })
    }

    /// Writes a session again that was opened, in the vault it came from.
    ///
    /// Should that vault fail, the secrets go where [`Vaults::or_else`] says: a server that rotates
    /// its tokens has already forgotten the old ones.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the file is no longer the one that was opened. Otherwise as
    /// [`begin`](Self::begin).
    pub fn update<T: Divided>(
        &self,
        key: &Key,
        origin: &Origin,
        record: &T,
    ) -> Result<Saved, StoreError> {
        let vault = self.vaults.find(origin.kind)?;
        self.replace(key, origin, record, vault, OnFailure::FallBack)
    }

    /// Moves the secrets of a session into the vault of another kind. Whoever is killed meanwhile
    /// leaves the session whole in one of the two; asked again, this takes up what is left to do.
    ///
    /// Whoever calls this holds the lock of the key. `None` when there is no session.
    ///
    /// # Errors
    /// When one vault does not give the secrets back or the other does not take them: then nothing has
    /// changed.
    pub fn migrate<T: Divided>(
        &self,
        key: &Key,
        to: VaultKind,
    ) -> Result<Option<Migrated>, StoreError> {
        let vault = self.vaults.find(to)?;
        let Some(opened) = self.open::<T>(key)? else {
            return Ok(None);
        };
        let from = opened.origin.kind;
        let is_done = from == to && opened.origin.login.is_some();
        let left_behind = if is_done {
            // A migration may have been killed before it was tidy.
            let forget = |other: &Arc<dyn Vault>| other.forget(&self.label(), key, None, None);
            let troubles = self.vaults.others(to).map(forget).filter_map(Result::err);
            troubles.into_iter().find(|trouble| !trouble.is_absent())
        } else {
            self.replace(
                key,
                &opened.origin,
                &opened.record,
                vault,
                OnFailure::GiveUp,
            )?
            .left_behind
        };
        Ok(Some(Migrated {
            from,
            moved: !is_done,
            left_behind,
        }))
    }

    /// Notes in the file of a session whether there are others beside it, so that who reads it learns that
    /// another may be meant. Later writes of the session keep the note; no vault is touched for it.
    ///
    /// Whoever calls this holds the lock of the key. `false` when there is no session.
    ///
    /// # Errors
    /// When the file cannot be understood, is not ours to replace, or cannot be written.
    pub fn mark(&self, key: &Key, has_others: bool) -> Result<bool, StoreError> {
        self.files.check_replaceable(key)?;
        let Some(bytes) = self.files.peek(key) else {
            return Ok(false);
        };
        if let Some(marked) = envelope::marked(&bytes, has_others)? {
            self.files.replace(key, &marked, None)?;
        }
        Ok(true)
    }

    /// Removes the session of `key`: its secrets from the vault, then its files.
    ///
    /// # Errors
    /// When the file is not removed. That the vault could not be reached is no error: see
    /// [`Removed::left_behind`].
    pub fn remove(&self, key: &Key) -> Result<Removed, StoreError> {
        let old = self.header_of(key);
        let left_behind = match &old {
            Some(old) => self.forget_old(key, Some(old), self.vaults.chosen().as_ref(), None),
            None => Ok(()),
        };
        Ok(Removed {
            existed: self.files.remove(key)?,
            left_behind: left_behind.err(),
        })
    }

    fn replace<T: Divided>(
        &self,
        key: &Key,
        origin: &Origin,
        record: &T,
        vault: Arc<dyn Vault>,
        on_failure: OnFailure,
    ) -> Result<Saved, StoreError> {
        self.files.check_replaceable(key)?;
        let (clear, secrets) = divide(record)?;
        let now = self.header_of(key);
        let known = now.as_ref().map(|now| (now.login(), now.generation));
        let expected = origin.login.clone();
        if known != expected.map(|login| (login, origin.file_generation)) {
            return Err(StoreError::Overtaken {
                path: self.path_of(key),
            });
        }
        self.finish::<T>(key, origin)?;
        let login = match &origin.login {
            Some(login) => login.clone(),
            None => self.new_login()?,
        };
        let place = place(key, &login, origin.generation + 1, &clear);
        let Deposited {
            vault,
            receipt,
            fell_back,
        } = match on_failure {
            OnFailure::FallBack => self.deposit(&vault, &place, &secrets)?,
            OnFailure::GiveUp => Deposited {
                receipt: vault.deposit(&place, &secrets)?,
                vault,
                fell_back: None,
            },
        };
        let reserved = origin.reserved.as_deref();
        self.write::<T>(key, &clear, &place, &*vault, receipt, reserved)?;
        // The one before in the same vault is overwritten in its turn. Another vault would keep it.
        let moved = now.filter(|now| now.kind() != Ok(vault.kind()));
        let left_behind = moved
            .and_then(|old| self.tidy(key, Some(&old), &*vault, &login.id, fell_back.as_ref()));
        Ok(Saved {
            origin: Origin::committed(&place, vault.kind()),
            fell_back,
            left_behind,
        })
    }

    /// Finishes a write that died between vault and file, so that the next deposit finds the item of
    /// an older write free to be overwritten.
    fn finish<T: Divided>(&self, key: &Key, origin: &Origin) -> Result<(), StoreError> {
        let (Some((text, secrets)), Some(login)) = (&origin.unfinished, &origin.login) else {
            return Ok(());
        };
        let vault = self.vaults.find(origin.kind)?;
        let clear = Clear::of(text.clone());
        let place = place(key, login, origin.generation, &clear);
        let receipt = vault.deposit(&place, secrets)?;
        self.write::<T>(key, &clear, &place, &*vault, receipt, None)
    }

    /// Puts secrets into `vault`, or into the one to fall back to.
    fn deposit(
        &self,
        vault: &Arc<dyn Vault>,
        place: &Place<'_>,
        secrets: &SecretBytes,
    ) -> Result<Deposited, StoreError> {
        let why = match vault.deposit(place, secrets) {
            Ok(receipt) => {
                return Ok(Deposited {
                    vault: Arc::clone(vault),
                    receipt,
                    fell_back: None,
                });
            }
            Err(why) => why,
        };
        let Some(other) = self.vaults.fallback_of(vault.kind()) else {
            return Err(why.into());
        };
        let receipt = other.deposit(place, secrets)?;
        Ok(Deposited {
            vault: other,
            receipt,
            fell_back: Some(FellBack {
                kind: vault.kind(),
                why,
            }),
        })
    }

    fn write<T: Divided>(
        &self,
        key: &Key,
        clear: &Clear,
        place: &Place<'_>,
        vault: &dyn Vault,
        receipt: Receipt,
        reserved: Option<&Reserved>,
    ) -> Result<(), StoreError> {
        let header = Header {
            vault: vault.kind().as_str().to_owned(),
            store: place.store.to_owned(),
            login: place.login.to_owned(),
            generation: place.generation,
            receipt,
        };
        let marked = self.files.peek(key);
        let marked = marked.is_some_and(|bytes| envelope::has_others(&bytes));
        let bytes = envelope::bytes(T::VERSION, &clear.text, &header, marked)?;
        self.files.replace(key, &bytes, reserved)
    }

    /// After a write: forgets what is of no use any more. Answers what kept it from that.
    fn tidy(
        &self,
        key: &Key,
        old: Option<&Header>,
        now: &dyn Vault,
        login: &str,
        fell_back: Option<&FellBack>,
    ) -> Option<VaultError> {
        let old_kind = old.and_then(|old| old.kind().ok());
        match fell_back {
            // It has just shown that it does not answer, and is not waited for a second time.
            Some(failed) if old_kind == Some(failed.kind) => Some(failed.why.clone()),
            _ => self.forget_old(key, old, now, Some(login)).err(),
        }
    }

    /// Forgets what an old file led to, and what killed writers left in the vault now in use.
    fn forget_old(
        &self,
        key: &Key,
        old: Option<&Header>,
        now: &dyn Vault,
        keep: Option<&str>,
    ) -> Result<(), VaultError> {
        let old_kind = old.and_then(|old| old.kind().ok());
        let is_same = old_kind == Some(now.kind());
        let receipt = old.filter(|_| is_same).map(|old| &old.receipt);
        let swept = now.forget(&self.label(), key, receipt, keep);
        if let (Some(old), Some(kind), false) = (old, old_kind, is_same) {
            self.vaults
                .find(kind)?
                .forget(&self.label(), key, Some(&old.receipt), None)?;
        }
        swept
    }

    /// A name for a login that no other has.
    fn new_login(&self) -> Result<LoginName, VaultError> {
        let mut drawn = [0; 16];
        self.random.fill(&mut drawn)?;
        Ok(LoginName {
            store: self.label(),
            id: hex(&drawn),
        })
    }

    /// What the file says of its secrets, if it is there and can be understood. Sets nothing aside.
    fn header_of(&self, key: &Key) -> Option<Header> {
        self.files
            .peek(key)
            .and_then(|bytes| envelope::header(&bytes))
    }
}

fn place<'a>(key: &'a Key, login: &'a LoginName, generation: u64, clear: &'a Clear) -> Place<'a> {
    Place {
        store: &login.store,
        key,
        login: &login.id,
        generation,
        clear: &clear.digest,
    }
}

/// Secrets in a vault that no file leads to yet.
struct Deposited {
    vault: Arc<dyn Vault>,
    receipt: Receipt,
    fell_back: Option<FellBack>,
}

/// What to do when the vault does not take the secrets.
#[derive(Debug, Clone, Copy)]
enum OnFailure {
    FallBack,
    GiveUp,
}
