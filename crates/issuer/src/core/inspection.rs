//! Tokens come back: whether one is still good (RFC 7662), and that one is to
//! end (RFC 7009).

use std::collections::BTreeSet;

use countersign_jose::Timestamp;
use serde::Serialize;

use super::access_token::{AccessToken, Holder};
use super::refresh::RefreshToken;
use super::{
    Actor, Audiences, Client, ClientAuthentication, ClientCredentials, Confirmation, Core, Failure,
    TokenType,
};

/// The answer of the introspection endpoint (RFC 7662, section 2.2).
#[derive(Debug, Default, Serialize)]
pub struct Introspection {
    /// Whether the token is good, for the one who asks.
    pub active: bool,
    /// Its scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client it was given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The person's user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `Bearer` or `DPoP` for an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// The key that it is bound to (RFC 9449, section 6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// When it ends, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The resource servers it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// The issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// When the person had given the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How the person had signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Who acts for the person (RFC 8693, section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

impl Core {
    /// Whether a token is good. A public client is told about its own tokens;
    /// a confidential one also about those that are meant for it.
    pub async fn introspect(
        &self,
        credentials: &ClientCredentials,
        token: &str,
        now: Timestamp,
    ) -> Result<Introspection, Failure> {
        let client = self.authenticated(credentials, now).await?;
        if let Some(token) = self.read_access_token(token, now) {
            let found = self.store.read(|records| token.holder(records, now))?;
            let found = found.filter(|_| may_see(&client, &token.client_id, &token.audiences));
            return Ok(found.map_or_else(Introspection::default, |holder| {
                self.active_access_token(token, holder)
            }));
        }
        let token = RefreshToken::open(token, self.keys().token_key(), self.provider);
        let Some(token) = token else {
            return Ok(Introspection::default());
        };
        let found = self.store.read(|records| {
            let Some(grant) = records.grant(&token.grant)? else {
                return Ok(None);
            };
            let account = records.account(&grant.account_id)?;
            Ok(account.map(|account| (grant, account)))
        })?;
        // A replaced token is told as dead even in its grace: nobody should
        // begin to use it.
        let found = found.filter(|(grant, account)| {
            let current = grant.rotation.map(|rotation| rotation.generation);
            current == Some(token.generation)
                && now < grant.expires_at
                && !account.disabled
                && grant.client_id == client.id
        });
        Ok(
            found.map_or_else(Introspection::default, |(grant, account)| Introspection {
                active: true,
                scope: Some(grant.scopes.to_string()),
                client_id: Some(grant.client_id),
                username: Some(account.username),
                exp: Some(grant.expires_at.as_secs()),
                iat: grant.rotation.map(|rotation| rotation.rotated_at.as_secs()),
                sub: Some(account.id),
                iss: Some(self.issuer.as_str().to_owned()),
                auth_time: Some(grant.authentication.at.as_secs()),
                acr: Some(self.acr(grant.authentication).to_owned()),
                ..Introspection::default()
            }),
        )
    }

    /// Ends a token. A refresh token ends its whole login; an access token
    /// ends alone, so that a client may drop an old one. A token that is
    /// unknown or another client's is left as it is, and nobody is told
    /// (RFC 7009, section 2.2).
    pub async fn revoke(
        &self,
        credentials: &ClientCredentials,
        token: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let client = self.authenticated(credentials, now).await?;
        let refresh = RefreshToken::open(token, self.keys().token_key(), self.provider);
        if let Some(refresh) = refresh {
            // Any generation: whoever hands in an old one wants the login over.
            let ended = self.store.write(move |records| {
                let grant = records.grant(&refresh.grant)?;
                if grant.is_some_and(|grant| grant.client_id == client.id) {
                    records.remove_grant(&refresh.grant)?;
                }
                Ok(())
            });
            return Ok(ended.await?);
        }
        let access = self.read_access_token(token, now);
        if let Some(access) = access.filter(|access| access.client_id == client.id) {
            let ended = self
                .store
                .write(move |records| records.revoke_token(&access.jti, access.expires_at));
            ended.await?;
        }
        Ok(())
    }

    fn active_access_token(&self, token: AccessToken, holder: Holder) -> Introspection {
        let (sub, username, auth_time) = match holder {
            Holder::Person(grant, account) => (
                account.id,
                Some(account.username),
                Some(grant.authentication.at),
            ),
            Holder::Client => (token.client_id.clone(), None, None),
        };
        Introspection {
            active: true,
            scope: Some(token.scopes.to_string()),
            client_id: Some(token.client_id),
            username,
            token_type: Some(TokenType::of(token.key.as_ref()).name()),
            cnf: token.key.map(|jkt| Confirmation { jkt }),
            exp: Some(token.expires_at.as_secs()),
            iat: Some(token.issued_at.as_secs()),
            sub: Some(sub),
            aud: token.audiences,
            iss: Some(self.issuer.as_str().to_owned()),
            jti: Some(token.jti),
            auth_time: auth_time.map(Timestamp::as_secs),
            acr: token.acr,
            act: token.act,
        }
    }
}

/// Whether a client may be told about a token (RFC 7662, section 4).
fn may_see(client: &Client, token_client: &str, token_audiences: &[String]) -> bool {
    if client.id == token_client {
        return true;
    }
    if client.authentication == ClientAuthentication::Public {
        return false;
    }
    let own: BTreeSet<&str> = match &client.audiences {
        Audiences::Any => BTreeSet::from([client.id.as_str()]),
        Audiences::Listed(list) => list
            .iter()
            .map(String::as_str)
            .chain([client.id.as_str()])
            .collect(),
    };
    token_audiences
        .iter()
        .any(|audience| own.contains(audience.as_str()) || client.serves.contains(audience))
}
