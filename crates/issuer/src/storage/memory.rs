//! Records that are gone with the process.

use std::sync::{PoisonError, RwLock};

use countersign_jose::Timestamp;

use super::table::Table;
use super::{Operation, Records, Storage, StorageError, Transaction};
use crate::core::{
    Account, AuthorizationCode, Client, Device, DeviceState, Digest, Factor, FactorId, Grant,
    GrantId, PushedRequest, Rotation, Session, SetupLink,
};

/// Storage for tests and for a server that need not remember: one lock, and
/// every operation a transaction that is undone when it fails.
#[derive(Debug)]
pub struct Memory(RwLock<Tables>);

impl Memory {
    /// Nothing stored yet.
    pub fn new() -> Self {
        Self(RwLock::new(Tables {
            accounts: Table::new(),
            factors: Table::new(),
            recovery_codes: Table::new(),
            clients: Table::new(),
            devices: Table::new(),
            user_codes: Table::new(),
            codes: Table::new(),
            pushed_requests: Table::new(),
            grants: Table::new(),
            revoked_tokens: Table::new(),
            used_assertions: Table::new(),
            sessions: Table::new(),
            setup_link: Table::new(),
        }))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for Memory {
    fn read(
        &self,
        look: &mut dyn FnMut(&dyn Records) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        look(&*self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn submit(&self, mut operation: Box<dyn Operation>) {
        let outcome = {
            let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let outcome = operation.run(&mut *tables);
            match outcome {
                Ok(()) => tables.each(|table| table.commit()),
                Err(_) => tables.each(|table| table.roll_back()),
            }
            outcome
        };
        operation.finish(outcome);
    }
}

#[derive(Debug)]
struct Tables {
    accounts: Table<String, Account>,
    factors: Table<FactorId, Factor>,
    recovery_codes: Table<String, Vec<Digest>>,
    clients: Table<String, Client>,
    devices: Table<Digest, Device>,
    /// The second key of `devices`.
    user_codes: Table<String, Digest>,
    codes: Table<Digest, AuthorizationCode>,
    pushed_requests: Table<Digest, PushedRequest>,
    grants: Table<GrantId, Grant>,
    revoked_tokens: Table<String, Timestamp>,
    used_assertions: Table<Digest, Timestamp>,
    sessions: Table<Digest, Session>,
    /// One row at most.
    setup_link: Table<(), SetupLink>,
}

/// What all tables can do, whatever they hold.
trait Undo {
    fn commit(&mut self);
    fn roll_back(&mut self);
}

impl<K: Clone + Eq + std::hash::Hash, V> Undo for Table<K, V> {
    fn commit(&mut self) {
        Table::commit(self);
    }

    fn roll_back(&mut self) {
        Table::roll_back(self);
    }
}

impl Tables {
    fn each(&mut self, mut act: impl FnMut(&mut dyn Undo)) {
        act(&mut self.accounts);
        act(&mut self.factors);
        act(&mut self.recovery_codes);
        act(&mut self.clients);
        act(&mut self.devices);
        act(&mut self.user_codes);
        act(&mut self.codes);
        act(&mut self.pushed_requests);
        act(&mut self.grants);
        act(&mut self.revoked_tokens);
        act(&mut self.used_assertions);
        act(&mut self.sessions);
        act(&mut self.setup_link);
    }

    fn remove_devices(&mut self, limit: usize, over: impl Fn(&Device) -> bool) -> u64 {
        let codes: Vec<(Digest, String)> = self
            .devices
            .rows()
            .filter(|device| over(device))
            .map(|device| (device.code, device.user_code.clone()))
            .take(limit)
            .collect();
        for (code, user_code) in &codes {
            self.devices.remove(code);
            self.user_codes.remove(user_code);
        }
        codes.len() as u64
    }
}

impl Records for Tables {
    fn account(&self, id: &str) -> Result<Option<Account>, StorageError> {
        Ok(self.accounts.row(id).cloned())
    }

    fn account_named(&self, username: &str) -> Result<Option<Account>, StorageError> {
        Ok(self
            .accounts
            .rows()
            .find(|account| account.username == username)
            .cloned())
    }

    fn accounts(&self) -> Result<Vec<Account>, StorageError> {
        let mut accounts: Vec<Account> = self.accounts.rows().cloned().collect();
        accounts.sort_by(|a, b| a.username.cmp(&b.username));
        Ok(accounts)
    }

    fn factor(&self, id: &FactorId) -> Result<Option<Factor>, StorageError> {
        Ok(self.factors.row(id).cloned())
    }

    fn factors_of(&self, account_id: &str) -> Result<Vec<Factor>, StorageError> {
        let mut factors: Vec<Factor> = self
            .factors
            .rows()
            .filter(|factor| {
                factor.holder.is_enrolled() && factor.holder.account_id() == Some(account_id)
            })
            .cloned()
            .collect();
        factors.sort_by_key(|factor| (factor.since, factor.id));
        Ok(factors)
    }

    fn key(&self, public_id: &str) -> Result<Option<Factor>, StorageError> {
        Ok(self
            .factors
            .rows()
            .find(|factor| factor.kind.public_id() == Some(public_id))
            .cloned())
    }

    fn keys(&self) -> Result<Vec<Factor>, StorageError> {
        let keys = self.factors.rows();
        let mut keys: Vec<Factor> = keys
            .filter(|factor| factor.kind.public_id().is_some())
            .cloned()
            .collect();
        keys.sort_by(|a, b| a.kind.public_id().cmp(&b.kind.public_id()));
        Ok(keys)
    }

    fn recovery_codes_left(&self, account_id: &str) -> Result<u32, StorageError> {
        let codes = self.recovery_codes.row(account_id).map_or(0, Vec::len);
        Ok(u32::try_from(codes).unwrap_or(u32::MAX))
    }

    fn client(&self, id: &str) -> Result<Option<Client>, StorageError> {
        Ok(self.clients.row(id).cloned())
    }

    fn clients(&self) -> Result<Vec<Client>, StorageError> {
        let mut clients: Vec<Client> = self.clients.rows().cloned().collect();
        clients.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(clients)
    }

    fn device(&self, code: &Digest) -> Result<Option<Device>, StorageError> {
        Ok(self.devices.row(code).cloned())
    }

    fn device_with_user_code(&self, user_code: &str) -> Result<Option<Device>, StorageError> {
        Ok(self
            .user_codes
            .row(user_code)
            .and_then(|code| self.devices.row(code))
            .cloned())
    }

    fn code(&self, code: &Digest) -> Result<Option<AuthorizationCode>, StorageError> {
        Ok(self.codes.row(code).cloned())
    }

    fn pushed_request(&self, uri: &Digest) -> Result<Option<PushedRequest>, StorageError> {
        Ok(self.pushed_requests.row(uri).cloned())
    }

    fn grant(&self, id: &GrantId) -> Result<Option<Grant>, StorageError> {
        Ok(self.grants.row(id).cloned())
    }

    fn grants_of(&self, account_id: &str) -> Result<Vec<Grant>, StorageError> {
        let mut grants: Vec<Grant> = self
            .grants
            .rows()
            .filter(|grant| grant.account_id == account_id)
            .cloned()
            .collect();
        grants.sort_by_key(|grant| (grant.created_at, grant.id));
        Ok(grants)
    }

    fn last_rotation(&self) -> Result<Option<Timestamp>, StorageError> {
        let rotations = self.grants.rows().filter_map(|grant| grant.rotation);
        Ok(rotations.map(|rotation| rotation.rotated_at).max())
    }

    fn token_is_revoked(&self, jti: &str) -> Result<bool, StorageError> {
        Ok(self.revoked_tokens.row(jti).is_some())
    }

    fn session(&self, id: &Digest) -> Result<Option<Session>, StorageError> {
        Ok(self.sessions.row(id).cloned())
    }

    fn setup_link(&self) -> Result<Option<SetupLink>, StorageError> {
        Ok(self.setup_link.row(&()).cloned())
    }
}

impl Transaction for Tables {
    fn put_account(&mut self, account: &Account) -> Result<(), StorageError> {
        let taken = self
            .accounts
            .rows()
            .any(|other| other.username == account.username && other.id != account.id);
        if taken {
            return Err(StorageError::Exists("user"));
        }
        self.accounts.put(account.id.clone(), account.clone());
        Ok(())
    }

    fn remove_account(&mut self, id: &str) -> Result<bool, StorageError> {
        self.end_logins_of(id)?;
        self.factors
            .remove_where(usize::MAX, |factor| factor.holder.account_id() == Some(id));
        self.recovery_codes.remove(&id.to_owned());
        Ok(self.accounts.remove(&id.to_owned()))
    }

    fn end_logins_of(&mut self, account_id: &str) -> Result<(), StorageError> {
        self.grants
            .remove_where(usize::MAX, |grant| grant.account_id == account_id);
        self.codes
            .remove_where(usize::MAX, |code| code.account_id == account_id);
        self.end_sessions_of(account_id)?;
        let approved: Vec<Digest> = self
            .devices
            .rows()
            .filter(|device| device.is_approved_by(account_id))
            .map(|device| device.code)
            .collect();
        for code in approved {
            self.set_device_state(&code, &DeviceState::Denied)?;
        }
        Ok(())
    }

    fn end_sessions_of(&mut self, account_id: &str) -> Result<(), StorageError> {
        self.sessions
            .remove_where(usize::MAX, |session| session.account_id == account_id);
        Ok(())
    }

    fn put_factor(&mut self, factor: &Factor) -> Result<(), StorageError> {
        let public_id = factor.kind.public_id();
        let taken = public_id.is_some()
            && self
                .factors
                .rows()
                .any(|other| other.kind.public_id() == public_id && other.id != factor.id);
        if taken {
            return Err(StorageError::Exists("key"));
        }
        self.factors.put(factor.id, factor.clone());
        Ok(())
    }

    fn remove_factor(&mut self, id: &FactorId) -> Result<bool, StorageError> {
        Ok(self.factors.remove(id))
    }

    fn advance_factor(
        &mut self,
        id: &FactorId,
        position: u64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let before = self
            .factors
            .row(id)
            .filter(|factor| factor.position < Some(position));
        let Some(factor) = before.cloned() else {
            return Ok(false);
        };
        let advanced = Factor {
            position: Some(position),
            used_at: Some(now),
            ..factor
        };
        self.factors.put(*id, advanced);
        Ok(true)
    }

    fn set_recovery_codes(
        &mut self,
        account_id: &str,
        codes: &[Digest],
    ) -> Result<(), StorageError> {
        self.recovery_codes
            .put(account_id.to_owned(), codes.to_vec());
        Ok(())
    }

    fn use_recovery_code(&mut self, account_id: &str, code: &Digest) -> Result<bool, StorageError> {
        let Some(codes) = self.recovery_codes.row(account_id) else {
            return Ok(false);
        };
        let left: Vec<Digest> = codes.iter().filter(|it| *it != code).copied().collect();
        let used = left.len() < codes.len();
        self.recovery_codes.put(account_id.to_owned(), left);
        Ok(used)
    }

    fn put_client(&mut self, client: &Client) -> Result<(), StorageError> {
        self.clients.put(client.id.clone(), client.clone());
        Ok(())
    }

    fn remove_client(&mut self, id: &str) -> Result<bool, StorageError> {
        self.remove_devices(usize::MAX, |device| device.client_id == id);
        self.grants
            .remove_where(usize::MAX, |grant| grant.client_id == id);
        self.codes
            .remove_where(usize::MAX, |code| code.client_id == id);
        self.pushed_requests
            .remove_where(usize::MAX, |request| request.client_id == id);
        Ok(self.clients.remove(&id.to_owned()))
    }

    fn add_device(&mut self, device: &Device) -> Result<(), StorageError> {
        if self.user_codes.row(&device.user_code).is_some() {
            return Err(StorageError::Exists("device login"));
        }
        self.user_codes.put(device.user_code.clone(), device.code);
        self.devices.put(device.code, device.clone());
        Ok(())
    }

    fn set_device_state(&mut self, code: &Digest, state: &DeviceState) -> Result<(), StorageError> {
        if let Some(device) = self.devices.row(code).cloned() {
            self.devices.put(
                *code,
                Device {
                    state: state.clone(),
                    ..device
                },
            );
        }
        Ok(())
    }

    fn add_code(&mut self, code: &AuthorizationCode) -> Result<(), StorageError> {
        self.codes.put(code.code, code.clone());
        Ok(())
    }

    fn redeem_code(&mut self, code: &Digest, grant: &GrantId) -> Result<(), StorageError> {
        if let Some(found) = self.codes.row(code).cloned() {
            let redeemed = AuthorizationCode {
                redeemed_as: Some(*grant),
                ..found
            };
            self.codes.put(*code, redeemed);
        }
        Ok(())
    }

    fn add_pushed_request(&mut self, request: &PushedRequest) -> Result<(), StorageError> {
        self.pushed_requests.put(request.uri, request.clone());
        Ok(())
    }

    fn remove_pushed_request(&mut self, uri: &Digest) -> Result<bool, StorageError> {
        Ok(self.pushed_requests.remove(uri))
    }

    fn add_grant(&mut self, grant: &Grant) -> Result<(), StorageError> {
        self.grants.put(grant.id, grant.clone());
        Ok(())
    }

    fn rotate_grant(&mut self, id: &GrantId, rotation: Rotation) -> Result<(), StorageError> {
        if let Some(grant) = self.grants.row(id).cloned() {
            self.grants.put(
                *id,
                Grant {
                    rotation: Some(rotation),
                    ..grant
                },
            );
        }
        Ok(())
    }

    fn extend_grant(&mut self, id: &GrantId, until: Timestamp) -> Result<(), StorageError> {
        if let Some(grant) = self.grants.row(id).cloned() {
            self.grants.put(
                *id,
                Grant {
                    expires_at: until,
                    ..grant
                },
            );
        }
        Ok(())
    }

    fn remove_grant(&mut self, id: &GrantId) -> Result<bool, StorageError> {
        Ok(self.grants.remove(id))
    }

    fn revoke_token(&mut self, jti: &str, until: Timestamp) -> Result<(), StorageError> {
        self.revoked_tokens.put(jti.to_owned(), until);
        Ok(())
    }

    fn use_assertion(&mut self, id: &Digest, until: Timestamp) -> Result<bool, StorageError> {
        if self.used_assertions.row(id).is_some() {
            return Ok(false);
        }
        self.used_assertions.put(*id, until);
        Ok(true)
    }

    fn add_session(&mut self, session: &Session) -> Result<(), StorageError> {
        self.sessions.put(session.id, session.clone());
        Ok(())
    }

    fn extend_session(&mut self, id: &Digest, until: Timestamp) -> Result<(), StorageError> {
        if let Some(session) = self.sessions.row(id).cloned() {
            let extended = Session {
                expires_at: until,
                ..session
            };
            self.sessions.put(*id, extended);
        }
        Ok(())
    }

    fn remove_session(&mut self, id: &Digest) -> Result<(), StorageError> {
        self.sessions.remove(id);
        Ok(())
    }

    fn set_setup_link(&mut self, link: Option<&SetupLink>) -> Result<(), StorageError> {
        match link {
            Some(link) => self.setup_link.put((), link.clone()),
            None => {
                self.setup_link.remove(&());
            }
        }
        Ok(())
    }

    fn purge(&mut self, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
        let limit = limit as usize;
        Ok(
            self.remove_devices(limit, |device| device.is_forgotten(now))
                + self
                    .codes
                    .remove_where(limit, |code| code.is_forgotten(now))
                + self
                    .pushed_requests
                    .remove_where(limit, |request| request.is_forgotten(now))
                + self
                    .grants
                    .remove_where(limit, |grant| grant.expires_at < now)
                + self
                    .revoked_tokens
                    .remove_where(limit, |until| *until < now)
                + self
                    .used_assertions
                    .remove_where(limit, |until| *until < now)
                + self
                    .sessions
                    .remove_where(limit, |session| session.expires_at < now)
                + self
                    .setup_link
                    .remove_where(limit, |link| link.expires_at < now),
        )
    }
}
