//! An access token that comes back: read, and whom it speaks for.

use countersign_jose::{Algorithm, Claims, Timestamp, Unverified};
use countersign_oauth::ScopeSet;

use super::token::{ACCESS_TOKEN_TYPE, grant_id};
use super::{Account, Actor, Core, Grant, GrantId, GrantType};
use crate::storage::{Records, StorageError};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

/// An access token whose signature, type, issuer and time were right.
pub(super) struct AccessToken {
    /// The login it came from; none for a client's own token.
    pub(super) grant: Option<GrantId>,
    pub(super) client_id: String,
    pub(super) audiences: Vec<String>,
    pub(super) scopes: ScopeSet,
    pub(super) jti: String,
    /// The thumbprint of the key that it is bound to.
    pub(super) key: Option<String>,
    pub(super) acr: Option<String>,
    /// Who acts with it, if it was exchanged.
    pub(super) act: Option<Actor>,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// Whom an access token speaks for.
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once a request, and most of them are people"
)]
pub(super) enum Holder {
    /// A person, by a login.
    Person(Grant, Account),
    /// Its client itself.
    Client,
}

impl Core {
    /// Reads an access token of ours; `None` for anything else, an expired one
    /// included.
    pub(super) fn read_access_token(&self, token: &str, now: Timestamp) -> Option<AccessToken> {
        let unverified = Unverified::<Claims>::parse(token).ok()?;
        if !unverified.header().is_type(ACCESS_TOKEN_TYPE) {
            return None;
        }
        let claims = unverified
            .verify(self.keys().verifying(), &ALGORITHMS)
            .ok()?;
        let text = |name: &str| claims.str(name).ok()?;
        let time = |name: &str| claims.numeric_date(name).ok()?;
        if text("iss")? != self.issuer.as_str() {
            return None;
        }
        let expires_at = time("exp").filter(|exp| now < *exp)?;
        let grant = match claims.str("sid").ok()? {
            Some(sid) => Some(grant_id(sid)?),
            None => None,
        };
        let key = match claims.get("cnf") {
            // Any other binding would be one that nobody here can check.
            Some(cnf) => Some(cnf.get("jkt")?.as_str()?.to_owned()),
            None => None,
        };
        let act = match claims.get("act") {
            Some(act) => Some(Actor::read(act)?),
            None => None,
        };
        Some(AccessToken {
            grant,
            client_id: text("client_id")?.to_owned(),
            audiences: claims
                .string_or_array("aud")
                .ok()?
                .into_iter()
                .map(str::to_owned)
                .collect(),
            scopes: ScopeSet::parse(claims.str("scope").ok()?.unwrap_or_default()).ok()?,
            jti: text("jti")?.to_owned(),
            key,
            acr: text("acr").map(str::to_owned),
            act,
            issued_at: time("iat")?,
            expires_at,
        })
    }
}

impl AccessToken {
    /// Whoever is behind the token, if they are still there and it was not
    /// revoked itself.
    pub(super) fn holder(
        &self,
        records: &(impl Records + ?Sized),
        now: Timestamp,
    ) -> Result<Option<Holder>, StorageError> {
        if records.token_is_revoked(&self.jti)? {
            return Ok(None);
        }
        let Some(grant) = &self.grant else {
            let client = records.client(&self.client_id)?;
            let acting = client.filter(|client| client.may_act_for_itself().is_ok());
            return Ok(acting.map(|_| Holder::Client));
        };
        let Some(grant) = records.grant(grant)?.filter(|grant| now < grant.expires_at) else {
            return Ok(None);
        };
        if grant.client_id != self.client_id {
            // Exchanged: good as long as whoever has it may do that.
            let client = records.client(&self.client_id)?;
            if client.is_none_or(|client| client.may_use(GrantType::TokenExchange).is_err()) {
                return Ok(None);
            }
        }
        let account = records
            .account(&grant.account_id)?
            .filter(|account| !account.disabled);
        Ok(account.map(|account| Holder::Person(grant, account)))
    }
}
