//! What is looked up and changed, in SQL.

use std::time::Duration;

use countersign_jose::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, params};

use super::failed;
use super::rows::{
    List, Millis, account, client, code, device, factor, grant, pushed_request, session,
    state_columns, time,
};
use crate::core::{
    Account, Audiences, AuthorizationCode, Client, ClientAuthentication, Device, DeviceState,
    Digest, Factor, FactorId, Grant, GrantId, PushedRequest, Rotation, SecondFactor, Session,
    SetupLink,
};
use crate::storage::{Records, StorageError, Transaction};

/// The records behind a connection.
pub(super) struct Rows<'a>(pub(super) &'a Connection);

impl Rows<'_> {
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StorageError> {
        let find = || {
            self.0
                .prepare_cached(sql)?
                .query_row(params, read)
                .optional()
        };
        find().map_err(failed)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StorageError> {
        let mut statement = self.0.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(params, read).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.0.prepare_cached(sql)?.execute(params)
    }

    /// Changes rows; how many.
    pub(super) fn change(&self, sql: &str, params: impl Params) -> Result<usize, StorageError> {
        self.execute(sql, params).map_err(failed)
    }

    /// Adds a row of a kind whose keys must be free.
    pub(super) fn add(
        &self,
        kind: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<(), StorageError> {
        match self.execute(sql, params) {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(StorageError::Exists(kind))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Records for Rows<'_> {
    fn account(&self, id: &str) -> Result<Option<Account>, StorageError> {
        self.one("SELECT * FROM accounts WHERE id = ?", [id], account)
    }

    fn account_named(&self, username: &str) -> Result<Option<Account>, StorageError> {
        self.one(
            "SELECT * FROM accounts WHERE username = ?",
            [username],
            account,
        )
    }

    fn accounts(&self) -> Result<Vec<Account>, StorageError> {
        self.all("SELECT * FROM accounts ORDER BY username", [], account)
    }

    fn factor(&self, id: &FactorId) -> Result<Option<Factor>, StorageError> {
        self.one("SELECT * FROM factors WHERE id = ?", [id], factor)
    }

    fn factors_of(&self, account_id: &str) -> Result<Vec<Factor>, StorageError> {
        self.all(
            "SELECT * FROM factors WHERE account_id = ? AND enrolled ORDER BY since, id",
            [account_id],
            factor,
        )
    }

    fn key(&self, public_id: &str) -> Result<Option<Factor>, StorageError> {
        self.one(
            "SELECT * FROM factors WHERE public_id = ?",
            [public_id],
            factor,
        )
    }

    fn keys(&self) -> Result<Vec<Factor>, StorageError> {
        self.all(
            "SELECT * FROM factors WHERE public_id IS NOT NULL ORDER BY public_id",
            [],
            factor,
        )
    }

    fn recovery_codes_left(&self, account_id: &str) -> Result<u32, StorageError> {
        let left = self.one(
            "SELECT count(*) FROM recovery_codes WHERE account_id = ?",
            [account_id],
            |row| row.get(0),
        )?;
        Ok(left.unwrap_or(0))
    }

    fn client(&self, id: &str) -> Result<Option<Client>, StorageError> {
        self.one("SELECT * FROM clients WHERE id = ?", [id], client)
    }

    fn clients(&self) -> Result<Vec<Client>, StorageError> {
        self.all("SELECT * FROM clients ORDER BY id", [], client)
    }

    fn device(&self, code: &Digest) -> Result<Option<Device>, StorageError> {
        self.one("SELECT * FROM devices WHERE code = ?", [code], device)
    }

    fn device_with_user_code(&self, user_code: &str) -> Result<Option<Device>, StorageError> {
        self.one(
            "SELECT * FROM devices WHERE user_code = ?",
            [user_code],
            device,
        )
    }

    fn code(&self, digest: &Digest) -> Result<Option<AuthorizationCode>, StorageError> {
        self.one("SELECT * FROM codes WHERE code = ?", [digest], code)
    }

    fn pushed_request(&self, uri: &Digest) -> Result<Option<PushedRequest>, StorageError> {
        self.one(
            "SELECT * FROM pushed_requests WHERE uri = ?",
            [uri],
            pushed_request,
        )
    }

    fn grant(&self, id: &GrantId) -> Result<Option<Grant>, StorageError> {
        self.one("SELECT * FROM grants WHERE id = ?", [id], grant)
    }

    fn grants_of(&self, account_id: &str) -> Result<Vec<Grant>, StorageError> {
        self.all(
            "SELECT * FROM grants WHERE account_id = ? ORDER BY created_at, id",
            [account_id],
            grant,
        )
    }

    fn last_rotation(&self) -> Result<Option<Timestamp>, StorageError> {
        let last = self.one("SELECT max(rotated_at) FROM grants", [], |row| row.get(0))?;
        Ok(last.flatten().map(|Millis(at)| at))
    }

    fn token_is_revoked(&self, jti: &str) -> Result<bool, StorageError> {
        let row = self.one("SELECT 1 FROM revoked_tokens WHERE jti = ?", [jti], |_| {
            Ok(())
        })?;
        Ok(row.is_some())
    }

    fn session(&self, id: &Digest) -> Result<Option<Session>, StorageError> {
        self.one("SELECT * FROM sessions WHERE id = ?", [id], session)
    }

    fn setup_link(&self) -> Result<Option<SetupLink>, StorageError> {
        self.one("SELECT * FROM setup_link", [], |row| {
            Ok(SetupLink {
                token: row.get("token")?,
                expires_at: time(row, "expires_at")?,
            })
        })
    }
}

impl Transaction for Rows<'_> {
    fn put_account(&mut self, account: &Account) -> Result<(), StorageError> {
        // Not REPLACE, which would also remove another account of that name.
        self.add(
            "user",
            "INSERT INTO accounts
             (id, username, name, email, groups, password, disabled, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET username = excluded.username, name = excluded.name,
             email = excluded.email, groups = excluded.groups, password = excluded.password,
             disabled = excluded.disabled",
            params![
                account.id,
                account.username,
                account.name,
                account.email,
                List(account.groups.clone()),
                account.password.0,
                account.disabled,
                Millis(account.created_at),
            ],
        )
    }

    fn remove_account(&mut self, id: &str) -> Result<bool, StorageError> {
        self.end_logins_of(id)?;
        self.change("DELETE FROM factors WHERE account_id = ?", [id])?;
        self.change("DELETE FROM recovery_codes WHERE account_id = ?", [id])?;
        Ok(self.change("DELETE FROM accounts WHERE id = ?", [id])? > 0)
    }

    fn end_logins_of(&mut self, account_id: &str) -> Result<(), StorageError> {
        self.change("DELETE FROM grants WHERE account_id = ?", [account_id])?;
        self.change("DELETE FROM codes WHERE account_id = ?", [account_id])?;
        self.end_sessions_of(account_id)?;
        // Only an approved one has an account.
        self.change(
            "UPDATE devices SET state = 'denied', account_id = NULL, auth_time = NULL,
             second_factor = NULL
             WHERE account_id = ?",
            [account_id],
        )?;
        Ok(())
    }

    fn end_sessions_of(&mut self, account_id: &str) -> Result<(), StorageError> {
        self.change("DELETE FROM sessions WHERE account_id = ?", [account_id])?;
        Ok(())
    }

    fn put_factor(&mut self, factor: &Factor) -> Result<(), StorageError> {
        self.write_factor(factor)
    }

    fn remove_factor(&mut self, id: &FactorId) -> Result<bool, StorageError> {
        Ok(self.change("DELETE FROM factors WHERE id = ?", [id])? > 0)
    }

    fn advance_factor(
        &mut self,
        id: &FactorId,
        position: u64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.move_factor(id, position, now)
    }

    fn set_recovery_codes(
        &mut self,
        account_id: &str,
        codes: &[Digest],
    ) -> Result<(), StorageError> {
        self.replace_recovery_codes(account_id, codes)
    }

    fn use_recovery_code(&mut self, account_id: &str, code: &Digest) -> Result<bool, StorageError> {
        let used = self.change(
            "DELETE FROM recovery_codes WHERE account_id = ? AND code = ?",
            params![account_id, code],
        )?;
        Ok(used > 0)
    }

    fn put_client(&mut self, client: &Client) -> Result<(), StorageError> {
        let (secret, jwks) = match &client.authentication {
            ClientAuthentication::Public => (None, None),
            ClientAuthentication::Secret(digest) => (Some(digest), None),
            ClientAuthentication::PrivateKeyJwt(jwks) => (None, Some(jwks)),
        };
        let audiences = match &client.audiences {
            Audiences::Any => None,
            Audiences::Listed(list) => Some(List(list.clone())),
        };
        let grant_types = client
            .grant_types
            .iter()
            .map(|grant| grant.name().to_owned())
            .collect();
        self.change(
            "INSERT OR REPLACE INTO clients
             (id, name, secret, jwks, grant_types, audiences, serves, redirect_uris,
              post_logout_redirect_uris, dpop_bound, require_par, scopes, signing_algorithm,
              created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                client.id,
                client.name,
                secret,
                jwks,
                List(grant_types),
                audiences,
                List(client.serves.clone()),
                List(client.redirect_uris.clone()),
                List(client.post_logout_redirect_uris.clone()),
                client.dpop_bound,
                client.require_par,
                client.scopes.to_string(),
                client.signing_algorithm.name(),
                Millis(client.created_at),
            ],
        )?;
        Ok(())
    }

    fn remove_client(&mut self, id: &str) -> Result<bool, StorageError> {
        self.change("DELETE FROM devices WHERE client_id = ?", [id])?;
        self.change("DELETE FROM grants WHERE client_id = ?", [id])?;
        self.change("DELETE FROM codes WHERE client_id = ?", [id])?;
        self.change("DELETE FROM pushed_requests WHERE client_id = ?", [id])?;
        Ok(self.change("DELETE FROM clients WHERE id = ?", [id])? > 0)
    }

    fn add_device(&mut self, device: &Device) -> Result<(), StorageError> {
        let (state, account_id, auth_time, second_factor) = state_columns(&device.state);
        let classes = device.demands.classes.iter();
        let classes = classes.map(|class| class.name().to_owned()).collect();
        self.add(
            "device login",
            "INSERT INTO devices
             (code, user_code, client_id, scopes, audiences, requested_from, claimed_host,
              claimed_command, created_at, expires_at, classes, max_age, state, account_id,
              auth_time, second_factor)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                device.code,
                device.user_code,
                device.client_id,
                device.scopes.to_string(),
                List(device.audiences.clone()),
                device.requested_from.map(|address| address.to_string()),
                device.claimed_host,
                device.claimed_command,
                Millis(device.created_at),
                Millis(device.expires_at),
                List(classes),
                device.demands.max_age.map(seconds),
                state,
                account_id,
                auth_time,
                second_factor,
            ],
        )
    }

    fn set_device_state(&mut self, code: &Digest, state: &DeviceState) -> Result<(), StorageError> {
        let (state, account_id, auth_time, second_factor) = state_columns(state);
        self.change(
            "UPDATE devices SET state = ?, account_id = ?, auth_time = ?, second_factor = ?
             WHERE code = ?",
            params![state, account_id, auth_time, second_factor, code],
        )?;
        Ok(())
    }

    fn add_code(&mut self, code: &AuthorizationCode) -> Result<(), StorageError> {
        self.add(
            "code",
            "INSERT INTO codes
             (code, client_id, redirect_uri, code_challenge, nonce, scopes, audiences, account_id,
              auth_time, second_factor, dpop_jkt, expires_at, redeemed_as)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                code.code,
                code.client_id,
                code.redirect_uri,
                code.code_challenge,
                code.nonce,
                code.scopes.to_string(),
                List(code.audiences.clone()),
                code.account_id,
                Millis(code.authentication.at),
                code.authentication.second.map(SecondFactor::name),
                code.dpop_jkt,
                Millis(code.expires_at),
                code.redeemed_as,
            ],
        )
    }

    fn redeem_code(&mut self, code: &Digest, grant: &GrantId) -> Result<(), StorageError> {
        self.change(
            "UPDATE codes SET redeemed_as = ? WHERE code = ?",
            params![grant, code],
        )?;
        Ok(())
    }

    fn add_pushed_request(&mut self, request: &PushedRequest) -> Result<(), StorageError> {
        self.add(
            "pushed request",
            "INSERT INTO pushed_requests (uri, client_id, parameters, expires_at)
             VALUES (?, ?, ?, ?)",
            params![
                request.uri,
                request.client_id,
                request.parameters,
                Millis(request.expires_at),
            ],
        )
    }

    fn remove_pushed_request(&mut self, uri: &Digest) -> Result<bool, StorageError> {
        Ok(self.change("DELETE FROM pushed_requests WHERE uri = ?", [uri])? > 0)
    }

    fn add_grant(&mut self, grant: &Grant) -> Result<(), StorageError> {
        self.add(
            "grant",
            "INSERT INTO grants
             (id, account_id, client_id, scopes, audiences, auth_time, second_factor, created_at,
              expires_at, generation, rotated_at, dpop_jkt)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                grant.id,
                grant.account_id,
                grant.client_id,
                grant.scopes.to_string(),
                List(grant.audiences.clone()),
                Millis(grant.authentication.at),
                grant.authentication.second.map(SecondFactor::name),
                Millis(grant.created_at),
                Millis(grant.expires_at),
                grant.rotation.map(|rotation| rotation.generation),
                grant.rotation.map(|rotation| Millis(rotation.rotated_at)),
                grant.dpop_jkt,
            ],
        )
    }

    fn rotate_grant(&mut self, id: &GrantId, rotation: Rotation) -> Result<(), StorageError> {
        self.change(
            "UPDATE grants SET generation = ?, rotated_at = ? WHERE id = ?",
            params![rotation.generation, Millis(rotation.rotated_at), id],
        )?;
        Ok(())
    }

    fn extend_grant(&mut self, id: &GrantId, until: Timestamp) -> Result<(), StorageError> {
        self.change(
            "UPDATE grants SET expires_at = ? WHERE id = ?",
            params![Millis(until), id],
        )?;
        Ok(())
    }

    fn remove_grant(&mut self, id: &GrantId) -> Result<bool, StorageError> {
        Ok(self.change("DELETE FROM grants WHERE id = ?", [id])? > 0)
    }

    fn revoke_token(&mut self, jti: &str, until: Timestamp) -> Result<(), StorageError> {
        self.change(
            "INSERT OR REPLACE INTO revoked_tokens (jti, until) VALUES (?, ?)",
            params![jti, Millis(until)],
        )?;
        Ok(())
    }

    fn use_assertion(&mut self, id: &Digest, until: Timestamp) -> Result<bool, StorageError> {
        let added = self.change(
            "INSERT OR IGNORE INTO used_assertions (id, until) VALUES (?, ?)",
            params![id, Millis(until)],
        )?;
        Ok(added > 0)
    }

    fn add_session(&mut self, session: &Session) -> Result<(), StorageError> {
        self.change(
            "INSERT INTO sessions
             (id, account_id, authenticated_at, second_factor, second_at, is_halfway, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                session.id,
                session.account_id,
                Millis(session.authenticated_at),
                session.second.map(|proven| proven.factor.name()),
                session.second.map(|proven| Millis(proven.at)),
                session.is_halfway,
                Millis(session.expires_at),
            ],
        )?;
        Ok(())
    }

    fn extend_session(&mut self, id: &Digest, until: Timestamp) -> Result<(), StorageError> {
        self.change(
            "UPDATE sessions SET expires_at = ? WHERE id = ?",
            params![Millis(until), id],
        )?;
        Ok(())
    }

    fn remove_session(&mut self, id: &Digest) -> Result<(), StorageError> {
        self.change("DELETE FROM sessions WHERE id = ?", [id])?;
        Ok(())
    }

    fn set_setup_link(&mut self, link: Option<&SetupLink>) -> Result<(), StorageError> {
        self.change("DELETE FROM setup_link", [])?;
        if let Some(link) = link {
            self.change(
                "INSERT INTO setup_link (one, token, expires_at) VALUES (1, ?, ?)",
                params![link.token, Millis(link.expires_at)],
            )?;
        }
        Ok(())
    }

    fn purge(&mut self, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
        self.forget(now, limit)
    }
}

/// An age as a column; it was read from 32 bits.
fn seconds(age: Duration) -> u32 {
    u32::try_from(age.as_secs()).unwrap_or(u32::MAX)
}
