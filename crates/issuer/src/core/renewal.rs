//! A login is renewed (RFC 6749, section 6; RFC 9700, section 4.14).
//!
//! What a presented token means is judged in [`super::refresh`]; here the
//! account and client are looked at again, and the outcome is written.

use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::ScopeSet;

use super::device::narrowed;
use super::dpop::same_key;
use super::refresh::{Presented, RefreshToken, judge};
use super::token::Subject;
use super::{
    Client, ClientCredentials, Core, Failure, Grant, GrantType, Lifetimes, Refusal, Tokens,
};
use crate::storage::{StorageError, Transaction};

const NOT_GOOD: Refusal =
    Refusal::InvalidGrant("this refresh token is unknown, expired or revoked");
const REUSED: Refusal =
    Refusal::InvalidGrant("this refresh token was used before; the login has been ended");

const OTHER_KEY: Refusal = Refusal::InvalidGrant("this refresh token is bound to another key");

/// The end of a login moves on in steps of this size, so that a renewal does
/// not have to touch the index of ends.
const STEP: Duration = Duration::from_secs(3_600);

/// A renewal, on its way into a transaction.
struct Renewal {
    token: RefreshToken,
    client: Client,
    key: Option<String>,
    scope: Option<ScopeSet>,
    resources: Vec<String>,
}

impl Core {
    /// Renews a login: an access token, and the refresh token that replaces
    /// the presented one.
    pub async fn refresh(
        &self,
        credentials: &ClientCredentials,
        refresh_token: &str,
        scope: Option<&str>,
        resources: &[String],
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let client = self.authenticated(credentials, now).await?;
        client.may_use(GrantType::RefreshToken)?;
        self.can_sign_for(&client)?;
        let proof = self.proven_key(&client, credentials, now)?;
        let token = RefreshToken::open(refresh_token, self.keys().token_key(), self.provider)
            .ok_or(NOT_GOOD)?;
        let key = self.use_key(proof, now)?;
        let scope = scope
            .map(ScopeSet::parse)
            .transpose()
            .map_err(|_| Refusal::InvalidScope)?;
        let renewal = Renewal {
            token,
            client,
            key,
            scope,
            resources: resources.to_vec(),
        };
        let lifetimes = self.lifetimes.clone();
        let resumed = self.resumed;
        let renewed = self.store.write(move |records| {
            let Some(grant) = records.grant(&renewal.token.grant)? else {
                return Ok(Err(NOT_GOOD));
            };
            let Some(rotation) = grant.rotation else {
                return Ok(Err(NOT_GOOD));
            };
            if grant.client_id != renewal.client.id || now >= grant.expires_at {
                return Ok(Err(NOT_GOOD));
            }
            // A copy without the key is no reuse: it ends no login.
            let bound = grant.dpop_jkt.as_ref();
            if let Err(refusal) = same_key(bound, renewal.key.as_ref(), OTHER_KEY) {
                return Ok(Err(refusal));
            }
            let account = records.account(&grant.account_id)?;
            let Some(account) = account.filter(|account| !account.disabled) else {
                records.remove_grant(&grant.id)?;
                return Ok(Err(NOT_GOOD));
            };
            let verdict = judge(rotation, renewal.token.generation, resumed, now);
            if verdict == Presented::Reused {
                records.remove_grant(&grant.id)?;
                return Ok(Err(REUSED));
            }
            // Before anything is rotated: a request that is refused for what
            // it asks leaves its token good.
            let scopes = match renewal.scope {
                None => grant.scopes.clone(),
                Some(asked) if asked.is_subset(&grant.scopes) => asked,
                Some(_) => return Ok(Err(Refusal::InvalidScope)),
            };
            let Some(audiences) = narrowed(&grant.audiences, &renewal.resources) else {
                return Ok(Err(Refusal::InvalidTarget));
            };
            let grant = match verdict {
                Presented::Current(next) => {
                    records.rotate_grant(&grant.id, next)?;
                    let grant = Grant {
                        rotation: Some(next),
                        ..grant
                    };
                    extend(records, grant, &lifetimes, now)?
                }
                _ => grant,
            };
            Ok(Ok(Subject {
                grant,
                account,
                client: renewal.client,
                scopes,
                audiences,
                nonce: None,
                key: renewal.key,
            }))
        });
        Ok(self.issue(&renewed.await??, now)?)
    }
}

/// Moves the end of a login on, never past the longest a login may last.
fn extend(
    records: &mut dyn Transaction,
    grant: Grant,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Grant, StorageError> {
    let end = (now + lifetimes.login_idle).min(grant.created_at + lifetimes.login);
    if end.since(grant.expires_at) < STEP {
        return Ok(grant);
    }
    records.extend_grant(&grant.id, end)?;
    Ok(Grant {
        expires_at: end,
        ..grant
    })
}
