//! What tokens say.
//!
//! Access tokens are JWTs of type `at+jwt` (RFC 9068); ID tokens follow
//! `OpenID` Connect Core 1.0, section 2. Both are signed after the transaction
//! that entitles to them is durable: a signature that nobody gets is no loss,
//! a token without a record would be one.

use std::time::Duration;

use countersign_jose::{Timestamp, base64url};
use countersign_oauth::{ScopeSet, Secret, TokenTypeId};
use serde::Serialize;

use super::refresh::RefreshToken;
use super::{Account, Actor, Client, Core, Error, Grant, GrantId};

/// The `typ` of an access token (RFC 9068, section 2.1).
pub(super) const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// The `typ` of an ID token.
pub(super) const ID_TOKEN_TYPE: &str = "JWT";

/// The scopes with a meaning to the issuer itself.
pub const SCOPES: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];

/// How an access token is to be presented (RFC 6749, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// By whoever bears it (RFC 6750).
    Bearer,
    /// With proofs by the key that it is bound to (RFC 9449).
    Dpop,
}

impl TokenType {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// The type of a token that is bound to this key.
    pub(super) fn of(key: Option<&String>) -> Self {
        match key {
            Some(_) => Self::Dpop,
            None => Self::Bearer,
        }
    }
}

/// The key that a token is bound to: the `cnf` claim (RFC 9449, section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// The thumbprint of the key.
    pub jkt: String,
}

/// A successful token response (RFC 6749, section 5.1).
#[derive(Debug)]
pub struct Tokens {
    /// The `access_token`.
    pub access_token: Secret,
    /// How it is to be presented.
    pub token_type: TokenType,
    /// Its lifetime.
    pub expires_in: Duration,
    /// The `refresh_token`, when `offline_access` was granted.
    pub refresh_token: Option<Secret>,
    /// The `id_token`, when `openid` was granted.
    pub id_token: Option<Secret>,
    /// The `scope` of the access token.
    pub scope: String,
    /// The `issued_token_type`, of an exchange alone (RFC 8693, section 2.2.1).
    pub issued_token_type: Option<TokenTypeId>,
}

/// Whom and what an answer's tokens are about.
pub(super) struct Subject {
    pub(super) grant: Grant,
    pub(super) account: Account,
    pub(super) client: Client,
    /// The scopes of this access token: all that were granted, or fewer.
    pub(super) scopes: ScopeSet,
    /// The audiences of this access token; empty for the issuer itself.
    pub(super) audiences: Vec<String>,
    /// The `nonce` of the authorization request. Only the first ID token
    /// repeats it (`OpenID` Connect Core 1.0, section 12.2).
    pub(super) nonce: Option<String>,
    /// The thumbprint of the key that this access token is bound to.
    pub(super) key: Option<String>,
}

/// Whom and what an exchanged token is about.
pub(super) struct Delegated {
    /// The login of the token that it was exchanged for.
    pub(super) grant: Grant,
    pub(super) account: Account,
    pub(super) client: Client,
    pub(super) scopes: ScopeSet,
    pub(super) audiences: Vec<String>,
    pub(super) act: Option<Actor>,
    pub(super) key: Option<String>,
    /// When the token that it was exchanged for ends.
    pub(super) until: Timestamp,
}

/// The claims about a person that scopes give access to (`OpenID` Connect Core
/// 1.0, section 5.4; `groups` as in RFC 9068, section 2.2.3.1).
#[derive(Debug, Serialize)]
pub(super) struct PersonClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<&'a [String]>,
}

impl<'a> PersonClaims<'a> {
    pub(super) fn new(account: &'a Account, scopes: &ScopeSet) -> Self {
        let profile = scopes.contains("profile");
        Self {
            name: account.name.as_deref().filter(|_| profile),
            preferred_username: profile.then_some(account.username.as_str()),
            email: account
                .email
                .as_deref()
                .filter(|_| scopes.contains("email")),
            groups: scopes
                .contains("groups")
                .then_some(account.groups.as_slice()),
        }
    }
}

#[derive(Serialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: OneOrMany<'a>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// Who acts for the person, if not the person's own client (RFC 8693,
    /// section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Actor>,
    /// Absent from what a client gets in its own name.
    #[serde(flatten)]
    login: Option<LoginClaims<'a>>,
}

/// What an access token says about the login it came from.
#[derive(Serialize)]
struct LoginClaims<'a> {
    /// The login this token belongs to: revoking that ends this.
    sid: &'a str,
    auth_time: i64,
    acr: &'a str,
    amr: &'a [&'a str],
    /// So that an API can greet, log and decide without asking us each time
    /// (RFC 9068, section 2.2.2); only what the granted scopes give access to.
    #[serde(flatten)]
    person: &'a PersonClaims<'a>,
}

#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    auth_time: i64,
    acr: &'a str,
    amr: &'a [&'a str],
    at_hash: &'a str,
    /// The login that this came from, as in the access token.
    sid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(flatten)]
    person: PersonClaims<'a>,
}

/// One audience is written as a string, which every reader understands.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(&'a [String]),
}

impl Core {
    /// Whether an answer to this client could be signed: asked before a
    /// transaction that would use up what the client has presented.
    pub(super) fn can_sign_for(&self, client: &Client) -> Result<(), Error> {
        self.keys().signing_key(client.signing_algorithm).map(drop)
    }

    /// Signs the tokens of an answer.
    pub(super) fn issue(&self, subject: &Subject, now: Timestamp) -> Result<Tokens, Error> {
        let Subject {
            grant,
            account,
            client,
            scopes,
            audiences,
            nonce,
            key: bound_key,
        } = subject;
        let keys = self.keys();
        let key = keys.signing_key(client.signing_algorithm)?;
        let scope = scopes.to_string();
        let sid = grant.sid();
        let mut jti = [0_u8; 16];
        self.provider.fill_random(&mut jti)?;
        let person = PersonClaims::new(account, scopes);
        let exp = now + self.lifetimes.access_token;
        let access_token = key.sign(
            ACCESS_TOKEN_TYPE,
            &AccessTokenClaims {
                iss: self.issuer.as_str(),
                sub: &account.id,
                aud: self.audience(audiences),
                client_id: &client.id,
                scope: &scope,
                iat: now.as_secs(),
                exp: exp.as_secs(),
                jti: &base64url::encode(&jti),
                cnf: confirmation(bound_key.as_ref()),
                act: None,
                login: Some(LoginClaims {
                    sid: &sid,
                    auth_time: grant.authentication.at.as_secs(),
                    acr: self.acr(grant.authentication),
                    amr: grant.authentication.methods(),
                    person: &person,
                }),
            },
        )?;
        let id_token = if scopes.contains("openid") {
            let claims = IdTokenClaims {
                iss: self.issuer.as_str(),
                sub: &account.id,
                aud: &client.id,
                iat: now.as_secs(),
                exp: exp.as_secs(),
                auth_time: grant.authentication.at.as_secs(),
                acr: self.acr(grant.authentication),
                amr: grant.authentication.methods(),
                at_hash: &self.at_hash(&access_token),
                sid: &sid,
                nonce: nonce.as_deref(),
                person,
            };
            Some(Secret::from(key.sign(ID_TOKEN_TYPE, &claims)?))
        } else {
            None
        };
        let refresh_token = grant.rotation.map(|rotation| {
            let token = RefreshToken {
                grant: grant.id,
                generation: rotation.generation,
            };
            token.seal(keys.token_key(), self.provider)
        });
        Ok(Tokens {
            access_token: Secret::from(access_token),
            expires_in: self.lifetimes.access_token,
            token_type: TokenType::of(bound_key.as_ref()),
            refresh_token,
            id_token,
            scope,
            issued_token_type: None,
        })
    }

    /// Signs the one token that a client gets in its own name.
    pub(super) fn issue_to_client(
        &self,
        client: &Client,
        scopes: &ScopeSet,
        audiences: &[String],
        bound_key: Option<&String>,
        now: Timestamp,
    ) -> Result<Tokens, Error> {
        let keys = self.keys();
        let key = keys.signing_key(client.signing_algorithm)?;
        let scope = scopes.to_string();
        let mut jti = [0_u8; 16];
        self.provider.fill_random(&mut jti)?;
        let access_token = key.sign(
            ACCESS_TOKEN_TYPE,
            &AccessTokenClaims {
                iss: self.issuer.as_str(),
                sub: &client.id,
                aud: self.audience(audiences),
                client_id: &client.id,
                scope: &scope,
                iat: now.as_secs(),
                exp: (now + self.lifetimes.access_token).as_secs(),
                jti: &base64url::encode(&jti),
                cnf: confirmation(bound_key),
                act: None,
                login: None,
            },
        )?;
        Ok(Tokens {
            access_token: Secret::from(access_token),
            expires_in: self.lifetimes.access_token,
            token_type: TokenType::of(bound_key),
            refresh_token: None,
            id_token: None,
            scope,
            issued_token_type: None,
        })
    }

    /// Signs the one token that another was exchanged for. It lasts no longer
    /// than that one: otherwise a token could be renewed without a refresh
    /// token, for ever.
    pub(super) fn issue_delegated(
        &self,
        delegated: &Delegated,
        now: Timestamp,
    ) -> Result<Tokens, Error> {
        let Delegated {
            grant,
            account,
            client,
            scopes,
            ..
        } = delegated;
        let keys = self.keys();
        let key = keys.signing_key(client.signing_algorithm)?;
        let scope = scopes.to_string();
        let mut jti = [0_u8; 16];
        self.provider.fill_random(&mut jti)?;
        let exp = delegated.until.min(now + self.lifetimes.access_token);
        let access_token = key.sign(
            ACCESS_TOKEN_TYPE,
            &AccessTokenClaims {
                iss: self.issuer.as_str(),
                sub: &account.id,
                aud: self.audience(&delegated.audiences),
                client_id: &client.id,
                scope: &scope,
                iat: now.as_secs(),
                exp: exp.as_secs(),
                jti: &base64url::encode(&jti),
                cnf: confirmation(delegated.key.as_ref()),
                act: delegated.act.as_ref(),
                login: Some(LoginClaims {
                    sid: &grant.sid(),
                    auth_time: grant.authentication.at.as_secs(),
                    acr: self.acr(grant.authentication),
                    amr: grant.authentication.methods(),
                    person: &PersonClaims::new(account, scopes),
                }),
            },
        )?;
        Ok(Tokens {
            access_token: Secret::from(access_token),
            expires_in: exp.since(now),
            token_type: TokenType::of(delegated.key.as_ref()),
            refresh_token: None,
            id_token: None,
            scope,
            issued_token_type: Some(TokenTypeId::ACCESS_TOKEN),
        })
    }

    /// The `aud` of an access token. Without a resource in the request it is
    /// the default one, here the issuer (RFC 9068, section 3).
    fn audience<'a>(&'a self, audiences: &'a [String]) -> OneOrMany<'a> {
        match audiences {
            [] => OneOrMany::One(self.issuer.as_str()),
            [one] => OneOrMany::One(one),
            many => OneOrMany::Many(many),
        }
    }

    /// The left half of the access token's hash (`OpenID` Connect Core 1.0,
    /// section 3.1.3.6). Both of our algorithms hash with SHA-256.
    fn at_hash(&self, access_token: &str) -> String {
        let hash = self.provider.sha256(access_token.as_bytes());
        let (left, _) = hash.split_at(hash.len() / 2);
        base64url::encode(left)
    }
}

fn confirmation(key: Option<&String>) -> Option<Confirmation> {
    key.cloned().map(|jkt| Confirmation { jkt })
}

impl Grant {
    /// What its tokens call it, and administrators.
    pub fn sid(&self) -> String {
        base64url::encode(&self.id)
    }
}

/// The grant of a `sid`.
pub(super) fn grant_id(sid: &str) -> Option<GrantId> {
    base64url::decode(sid).ok()?.try_into().ok()
}
