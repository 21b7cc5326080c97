//! What people have granted: listed and revoked by an administrator.
//!
//! Not responsible for revocation by a client (RFC 7009); that is `inspection`.

use countersign_jose::Timestamp;

use super::token::grant_id;
use super::{Core, Error, Grant};

impl Core {
    /// The grants of an account that go on, of every client, the oldest first; `None` when there is no
    /// such account.
    pub fn grants_of(&self, username: &str, now: Timestamp) -> Result<Option<Vec<Grant>>, Error> {
        let username = username.to_lowercase();
        let grants = self.store.read(|records| {
            let Some(account) = records.account_named(&username)? else {
                return Ok(None);
            };
            records.grants_of(&account.id).map(Some)
        })?;
        Ok(grants.map(|mut grants| {
            grants.retain(|grant| now < grant.expires_at);
            grants
        }))
    }

    /// Revokes one grant, by its `sid`: its access tokens are good no more, and none of its refresh tokens.
    /// Whether it was there.
    pub async fn revoke_grant(&self, sid: &str) -> Result<bool, Error> {
        let Some(id) = grant_id(sid) else {
            return Ok(false);
        };
        let removed = self.store.write(move |records| records.remove_grant(&id));
        Ok(removed.await?)
    }

    /// Revokes what an account has granted, to one client or to all, and leaves it signed in at its
    /// browsers; how many grants that were, or `None` when there is no such account.
    pub async fn revoke_grants_of(
        &self,
        username: &str,
        client_id: Option<&str>,
    ) -> Result<Option<usize>, Error> {
        let username = username.to_lowercase();
        let client_id = client_id.map(str::to_owned);
        let revoked = self.store.write(move |records| {
            let Some(account) = records.account_named(&username)? else {
                return Ok(None);
            };
            let mut revoked = 0;
            for grant in records.grants_of(&account.id)? {
                if client_id.as_ref().is_none_or(|id| *id == grant.client_id) {
                    revoked += usize::from(records.remove_grant(&grant.id)?);
                }
            }
            Ok(Some(revoked))
        });
        Ok(revoked.await?)
    }
}
