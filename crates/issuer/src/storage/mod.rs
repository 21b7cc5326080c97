//! Where the issuer's records rest.
//!
//! A [`Storage`] runs an operation of the core as one transaction: everything
//! it reads is current, everything it writes is there for all or for nobody,
//! and its outcome is told only when it is durable. That makes "redeemed
//! exactly once" and "renewed exactly once" properties of the transaction, so
//! that the rules above it can be written as plain code.
//!
//! [`Memory`] forgets everything with the process; [`Sqlite`] keeps it in one
//! file. Both pass the same suite (`conformance`).
//!
//! Not responsible for any rule: a record is stored because it was handed in.

#[cfg(test)]
mod conformance;
mod memory;
mod sqlite;
mod table;

use std::error::Error as StdError;
use std::fmt;

use countersign_jose::Timestamp;
use tokio::sync::oneshot;

use crate::core::{
    Account, AuthorizationCode, Client, Device, DeviceState, Digest, Factor, FactorId, Grant,
    GrantId, PushedRequest, Rotation, Session, SetupLink,
};

pub use memory::Memory;
pub use sqlite::Sqlite;

/// What storage can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database refused an operation.
    #[error("the database failed")]
    Database(#[source] Box<dyn StdError + Send + Sync>),
    /// The file could not be made or opened.
    #[error("the database file cannot be used")]
    File(#[source] std::io::Error),
    /// A row does not hold what this version writes.
    #[error("the database holds a damaged {0} record")]
    Damaged(&'static str),
    /// The file was written by a newer version.
    #[error("the database has schema version {found}, this program knows up to {known}")]
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest version this program can read.
        known: u32,
    },
    /// A record with this key exists, or one that has to differ in it.
    #[error("a {0} with this name exists already")]
    Exists(&'static str),
    /// The transaction that this was part of could not be made durable.
    #[error("the database could not make the change durable")]
    NotDurable,
    /// The writer has ended.
    #[error("the storage has been closed")]
    Closed,
}

/// What can be looked up.
pub trait Records {
    /// The account with an identifier.
    fn account(&self, id: &str) -> Result<Option<Account>, StorageError>;
    /// The account with a user name.
    fn account_named(&self, username: &str) -> Result<Option<Account>, StorageError>;
    /// All accounts, by user name.
    fn accounts(&self) -> Result<Vec<Account>, StorageError>;

    /// The second factor, or the imported key, with an identifier.
    fn factor(&self, id: &FactorId) -> Result<Option<Factor>, StorageError>;
    /// The second factors that an account proves itself with, the oldest first.
    fn factors_of(&self, account_id: &str) -> Result<Vec<Factor>, StorageError>;
    /// The Yubikey with a public id, whoever has it.
    fn key(&self, public_id: &str) -> Result<Option<Factor>, StorageError>;
    /// All Yubikeys, by public id.
    fn keys(&self) -> Result<Vec<Factor>, StorageError>;
    /// How many recovery codes of an account were not used.
    fn recovery_codes_left(&self, account_id: &str) -> Result<u32, StorageError>;

    /// The client with an identifier.
    fn client(&self, id: &str) -> Result<Option<Client>, StorageError>;
    /// All clients, by identifier.
    fn clients(&self) -> Result<Vec<Client>, StorageError>;

    /// The device login of a device code's digest.
    fn device(&self, code: &Digest) -> Result<Option<Device>, StorageError>;
    /// The device login of a user code (eight letters).
    fn device_with_user_code(&self, user_code: &str) -> Result<Option<Device>, StorageError>;

    /// The authorization code with a digest.
    fn code(&self, code: &Digest) -> Result<Option<AuthorizationCode>, StorageError>;
    /// The pushed authorization request of a `request_uri`'s digest.
    fn pushed_request(&self, uri: &Digest) -> Result<Option<PushedRequest>, StorageError>;

    /// The grant with an identifier.
    fn grant(&self, id: &GrantId) -> Result<Option<Grant>, StorageError>;
    /// The grants of an account, of every client, the oldest first.
    fn grants_of(&self, account_id: &str) -> Result<Vec<Grant>, StorageError>;
    /// When any refresh token was last renewed.
    fn last_rotation(&self) -> Result<Option<Timestamp>, StorageError>;
    /// Whether an access token was revoked by its `jti`.
    fn token_is_revoked(&self, jti: &str) -> Result<bool, StorageError>;

    /// The browser session of a cookie's digest.
    fn session(&self, id: &Digest) -> Result<Option<Session>, StorageError>;
    /// The set-up link that waits to be used.
    fn setup_link(&self) -> Result<Option<SetupLink>, StorageError>;
}

/// What can be changed, inside a transaction.
pub trait Transaction: Records {
    /// Adds an account or replaces the one with its identifier;
    /// [`StorageError::Exists`] when another one has its user name.
    fn put_account(&mut self, account: &Account) -> Result<(), StorageError>;
    /// Removes an account with its factors, keys that were reserved for it,
    /// grants, codes and sessions; whether it was there.
    fn remove_account(&mut self, id: &str) -> Result<bool, StorageError>;
    /// Ends all grants, codes and sessions of an account, and denies the device
    /// logins that it has approved and nobody has redeemed.
    fn end_logins_of(&mut self, account_id: &str) -> Result<(), StorageError>;

    /// Ends all sessions of an account.
    fn end_sessions_of(&mut self, account_id: &str) -> Result<(), StorageError>;

    /// Adds a factor or replaces the one with its identifier;
    /// [`StorageError::Exists`] when another one has its public id.
    fn put_factor(&mut self, factor: &Factor) -> Result<(), StorageError>;
    /// Removes a factor; whether it was there.
    fn remove_factor(&mut self, id: &FactorId) -> Result<bool, StorageError>;
    /// Moves a factor forward to a position, as used `now`; whether it stood
    /// before it.
    fn advance_factor(
        &mut self,
        id: &FactorId,
        position: u64,
        now: Timestamp,
    ) -> Result<bool, StorageError>;
    /// Gives an account these recovery codes in place of those before.
    fn set_recovery_codes(
        &mut self,
        account_id: &str,
        codes: &[Digest],
    ) -> Result<(), StorageError>;
    /// Uses a recovery code of an account up; whether it was there.
    fn use_recovery_code(&mut self, account_id: &str, code: &Digest) -> Result<bool, StorageError>;

    /// Adds a client or replaces the one with its identifier.
    fn put_client(&mut self, client: &Client) -> Result<(), StorageError>;
    /// Removes a client with everything that was begun by it or granted to it;
    /// whether it was there.
    fn remove_client(&mut self, id: &str) -> Result<bool, StorageError>;

    /// Adds a device login; [`StorageError::Exists`] when its user code is in
    /// use.
    fn add_device(&mut self, device: &Device) -> Result<(), StorageError>;
    /// Changes the state of a device login.
    fn set_device_state(&mut self, code: &Digest, state: &DeviceState) -> Result<(), StorageError>;

    /// Adds an authorization code.
    fn add_code(&mut self, code: &AuthorizationCode) -> Result<(), StorageError>;
    /// Notes the grant that an authorization code was redeemed for.
    fn redeem_code(&mut self, code: &Digest, grant: &GrantId) -> Result<(), StorageError>;
    /// Adds a pushed authorization request.
    fn add_pushed_request(&mut self, request: &PushedRequest) -> Result<(), StorageError>;
    /// Removes a pushed authorization request; whether it was there.
    fn remove_pushed_request(&mut self, uri: &Digest) -> Result<bool, StorageError>;

    /// Adds a grant.
    fn add_grant(&mut self, grant: &Grant) -> Result<(), StorageError>;
    /// Makes another refresh token of a grant the current one. Apart from the
    /// rest of the row, because this is the write that happens most.
    fn rotate_grant(&mut self, id: &GrantId, rotation: Rotation) -> Result<(), StorageError>;
    /// Lets a grant end at another time.
    fn extend_grant(&mut self, id: &GrantId, until: Timestamp) -> Result<(), StorageError>;
    /// Removes a grant; whether it was there.
    fn remove_grant(&mut self, id: &GrantId) -> Result<bool, StorageError>;
    /// Remembers a revoked access token until it would have expired.
    fn revoke_token(&mut self, jti: &str, until: Timestamp) -> Result<(), StorageError>;
    /// Remembers a client assertion that was used; whether it was not known
    /// before.
    fn use_assertion(&mut self, id: &Digest, until: Timestamp) -> Result<bool, StorageError>;

    /// Adds a browser session.
    fn add_session(&mut self, session: &Session) -> Result<(), StorageError>;
    /// Lets a browser session end at another time.
    fn extend_session(&mut self, id: &Digest, until: Timestamp) -> Result<(), StorageError>;
    /// Removes a browser session.
    fn remove_session(&mut self, id: &Digest) -> Result<(), StorageError>;
    /// Replaces the set-up link; `None` removes it.
    fn set_setup_link(&mut self, link: Option<&SetupLink>) -> Result<(), StorageError>;

    /// Forgets at most `limit` records of each kind whose time was over before
    /// `now`; how many went.
    fn purge(&mut self, now: Timestamp, limit: u32) -> Result<u64, StorageError>;
}

/// One unit of work for a [`Storage`]: a closure of the core, as a rule.
pub trait Operation: Send {
    /// Does the work. An error undoes this operation alone.
    fn run(&mut self, records: &mut dyn Transaction) -> Result<(), StorageError>;
    /// Told once, when the work is durable or has failed.
    fn finish(self: Box<Self>, outcome: Result<(), StorageError>);
}

/// A place for records.
pub trait Storage: Send + Sync {
    /// Runs a look-up on committed records. Short: it may run on an async
    /// thread.
    fn read(
        &self,
        look: &mut dyn FnMut(&dyn Records) -> Result<(), StorageError>,
    ) -> Result<(), StorageError>;

    /// Runs an operation as a transaction, together with whatever else waits,
    /// and finishes it when the outcome is durable.
    fn submit(&self, operation: Box<dyn Operation>);
}

/// A [`Storage`] with typed results.
pub(crate) struct Store(Box<dyn Storage>);

impl Store {
    pub(crate) fn new(storage: Box<dyn Storage>) -> Self {
        Self(storage)
    }

    /// Looks something up.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&dyn Records) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut look = Some(look);
        let mut found = None;
        self.0.read(&mut |records| {
            if let Some(look) = look.take() {
                found = Some(look(records)?);
            }
            Ok(())
        })?;
        found.ok_or(StorageError::Closed)
    }

    /// Runs `work` in a transaction and waits until it is durable. `work`'s
    /// own outcome, a refusal for instance, is part of `T`: only an `Err`
    /// undoes what was written.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (sender, receiver) = oneshot::channel();
        self.0.submit(Box::new(Job {
            work: Some(work),
            done: None,
            sender,
        }));
        receiver.await.unwrap_or(Err(StorageError::Closed))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A closure on its way through a transaction.
struct Job<T, F> {
    work: Option<F>,
    done: Option<T>,
    sender: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, F> Operation for Job<T, F>
where
    T: Send,
    F: FnOnce(&mut dyn Transaction) -> Result<T, StorageError> + Send,
{
    fn run(&mut self, records: &mut dyn Transaction) -> Result<(), StorageError> {
        let work = self.work.take().ok_or(StorageError::Closed)?;
        self.done = Some(work(records)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), StorageError>) {
        let Self { done, sender, .. } = *self;
        let outcome = outcome.and_then(|()| done.ok_or(StorageError::Closed));
        // The requester may have gone away; its work stands all the same.
        let _ = sender.send(outcome);
    }
}
