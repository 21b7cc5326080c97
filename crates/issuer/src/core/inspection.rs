//! Tokens come back: what one says about its person (userinfo), whether one
//! is still good (RFC 7662), and that one is to end (RFC 7009).

use std::collections::BTreeSet;

use countersign_jose::{Algorithm, Claims, Timestamp, Unverified};
use countersign_oauth::ScopeSet;
use serde::Serialize;

use super::dpop::ProofRefused;
use super::refresh::RefreshToken;
use super::token::{ACCESS_TOKEN_TYPE, PersonClaims, grant_id};
use super::{
    Account, Audiences, Client, ClientAuthentication, ClientCredentials, Confirmation, Core,
    DpopProof, Error, Failure, Grant, GrantId, TokenType,
};
use crate::storage::{Records, StorageError};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

/// Why an access token does not open the userinfo endpoint (RFC 6750,
/// section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProblem {
    /// It is malformed, expired, revoked, or not ours.
    #[error("the access token is malformed, expired or revoked")]
    Invalid,
    /// It lacks the scope `openid`.
    #[error("the access token lacks the scope openid")]
    InsufficientScope,
    /// It is bound to a key (RFC 9449, section 7.1) and came without a proof or
    /// with that of another one.
    #[error("the access token is bound to a key that was not proved")]
    KeyNotProved,
    /// The `DPoP` proof beside it is not good; the text says why.
    #[error("{0}")]
    InvalidDpopProof(&'static str),
    /// The `DPoP` proof has to be made again, with a nonce of ours.
    #[error("the DPoP proof needs a nonce")]
    UseDpopNonce,
}

impl From<ProofRefused> for TokenProblem {
    fn from(refused: ProofRefused) -> Self {
        match refused {
            ProofRefused::Invalid(why) => Self::InvalidDpopProof(why),
            ProofRefused::NonceNeeded => Self::UseDpopNonce,
        }
    }
}

/// The answer of the userinfo endpoint (`OpenID` Connect Core 1.0, section 5.3.2).
#[derive(Debug)]
pub struct UserInfo {
    account: Account,
    scopes: ScopeSet,
}

impl Serialize for UserInfo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            sub: &'a str,
            #[serde(flatten)]
            person: PersonClaims<'a>,
        }
        let person = PersonClaims::new(&self.account, &self.scopes);
        Wire {
            sub: &self.account.id,
            person,
        }
        .serialize(serializer)
    }
}

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
}

/// An access token whose signature, type, issuer and time were right.
struct AccessToken {
    /// The login it came from; none for a client's own token.
    grant: Option<GrantId>,
    client_id: String,
    audiences: Vec<String>,
    scopes: ScopeSet,
    jti: String,
    /// The thumbprint of the key that it is bound to.
    key: Option<String>,
    acr: Option<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl Core {
    /// What an access token says about its person. Good for any of our access
    /// tokens with `openid`, whatever its audience: the issuer is a party to
    /// all of them. One that is bound to a key is good with a `proof` only.
    pub fn user_info(
        &self,
        access_token: &str,
        proof: Option<&DpopProof>,
        now: Timestamp,
    ) -> Result<Result<UserInfo, TokenProblem>, Error> {
        let Some(token) = self.read_access_token(access_token, now) else {
            return Ok(Err(TokenProblem::Invalid));
        };
        let account = match self.store.read(|records| live(records, &token, now))? {
            None => return Ok(Err(TokenProblem::Invalid)),
            Some(Holder::Person(_, account)) if token.scopes.contains("openid") => account,
            // A client's own token never has the scope: it is about nobody.
            Some(_) => return Ok(Err(TokenProblem::InsufficientScope)),
        };
        if let Err(problem) = self.holds_key(&token, access_token, proof, now) {
            return Ok(Err(problem));
        }
        Ok(Ok(UserInfo {
            account,
            scopes: token.scopes,
        }))
    }

    /// Whether a token comes from the holder of the key that it is bound to
    /// (RFC 9449, section 7.1); uses the proof up.
    fn holds_key(
        &self,
        token: &AccessToken,
        access_token: &str,
        proof: Option<&DpopProof>,
        now: Timestamp,
    ) -> Result<(), TokenProblem> {
        match (&token.key, proof) {
            (None, None) => Ok(()),
            // Whoever proves a key believes the token to be bound to it.
            (None, Some(_)) => Err(TokenProblem::Invalid),
            (Some(_), None) => Err(TokenProblem::KeyNotProved),
            (Some(key), Some(proof)) => {
                let proven = self.check_proof(proof, Some(access_token), now)?;
                if !proven.is(key) {
                    return Err(TokenProblem::KeyNotProved);
                }
                self.use_proof(proven, now)?;
                Ok(())
            }
        }
    }

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
            let found = self.store.read(|records| live(records, &token, now))?;
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
                auth_time: Some(grant.auth_time.as_secs()),
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
            Holder::Person(grant, account) => {
                (account.id, Some(account.username), Some(grant.auth_time))
            }
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
        }
    }

    /// Reads an access token of ours; `None` for anything else, an expired one
    /// included.
    fn read_access_token(&self, token: &str, now: Timestamp) -> Option<AccessToken> {
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
            issued_at: time("iat")?,
            expires_at,
        })
    }
}

/// Whom an access token speaks for.
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once a request, and most of them are people"
)]
enum Holder {
    /// A person, by a login.
    Person(Grant, Account),
    /// Its client itself.
    Client,
}

/// Whoever is behind an access token, if they are still there and the token
/// itself was not revoked.
fn live(
    records: &(impl Records + ?Sized),
    token: &AccessToken,
    now: Timestamp,
) -> Result<Option<Holder>, StorageError> {
    if records.token_is_revoked(&token.jti)? {
        return Ok(None);
    }
    let Some(grant) = &token.grant else {
        let client = records.client(&token.client_id)?;
        let acting = client.filter(|client| client.may_act_for_itself().is_ok());
        return Ok(acting.map(|_| Holder::Client));
    };
    let Some(grant) = records.grant(grant)?.filter(|grant| now < grant.expires_at) else {
        return Ok(None);
    };
    let account = records
        .account(&grant.account_id)?
        .filter(|account| !account.disabled);
    Ok(account.map(|account| Holder::Person(grant, account)))
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
        .any(|audience| own.contains(audience.as_str()))
}
