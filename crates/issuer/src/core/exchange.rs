//! One access token is exchanged for another (RFC 8693).
//!
//! Two things are done here and nothing else.
//!
//! * A client *narrows* a token of its own: fewer scopes, fewer of the audiences
//!   that the token has. Any copy of a public client could ask, so the result is
//!   never good where the token was not.
//! * A service *passes a call on*: it was given a token that is meant for it, and
//!   gets one in the same person's name for another service that it was
//!   registered to call. That is delegation, never impersonation (section 1.1):
//!   `act` says who is acting, and who was before.
//!
//! Either way the new token belongs to the login that the old one came from and
//! ends with it, lasts no longer than the old one, says no more about the person,
//! and comes without a refresh token. Whatever is wrong with a token is
//! `invalid_request` (section 2.2.2).

use countersign_jose::Timestamp;
use countersign_oauth::{ScopeSet, Secret, TokenTypeId};
use serde::Serialize;
use serde_json::Value;

use super::access_token::{AccessToken, Holder};
use super::device::narrowed;
use super::dpop::same_key;
use super::own_tokens::own_audiences;
use super::token::Delegated;
use super::{
    Client, ClientAuthentication, ClientCredentials, Core, Failure, GrantType, Refusal, Tokens,
};

/// How many may act one for the other: more is a loop, or a design to be
/// looked at.
const MOST_ACTORS: usize = 4;

const SUBJECT_TYPE: Refusal =
    Refusal::InvalidRequest("subject_token_type has to be that of an access token");
const ACTOR_TYPE: Refusal =
    Refusal::InvalidRequest("actor_token_type has to be that of an access token");
const REQUESTED_TYPE: Refusal =
    Refusal::InvalidRequest("requested_token_type can only be that of an access token");
const ACTOR_PAIR: Refusal =
    Refusal::InvalidRequest("actor_token and actor_token_type belong together");
const SUBJECT: Refusal = Refusal::InvalidRequest(
    "subject_token is not an access token of this server that is still good, or is about no person",
);
const FOREIGN: Refusal =
    Refusal::InvalidRequest("subject_token is neither this client's own nor meant for it");
const ACTOR: Refusal =
    Refusal::InvalidRequest("actor_token is not a good one that this client has in its own name");
const OTHER_KEY: Refusal = Refusal::InvalidRequest("subject_token is bound to another key");
const TOO_MANY: Refusal = Refusal::InvalidRequest("too many are acting for one another already");

/// Who acts for the person, and for whom that one does (RFC 8693, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The client's identifier.
    pub sub: String,
    /// Who acted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

impl Actor {
    /// Reads an `act` claim of ours; `None` when it is none.
    pub(super) fn read(claim: &Value) -> Option<Self> {
        Some(Self {
            sub: claim.get("sub")?.as_str()?.to_owned(),
            act: match claim.get("act") {
                Some(earlier) => Some(Box::new(Self::read(earlier)?)),
                None => None,
            },
        })
    }

    fn count(&self) -> usize {
        1 + self.act.as_ref().map_or(0, |earlier| earlier.count())
    }
}

/// A token exchange request (RFC 8693, section 2.1).
#[derive(Clone, Debug)]
pub struct ExchangeRequest {
    /// Who asks.
    pub credentials: ClientCredentials,
    /// The `subject_token`.
    pub subject_token: Secret,
    /// The `subject_token_type`.
    pub subject_token_type: String,
    /// The `actor_token`.
    pub actor_token: Option<Secret>,
    /// The `actor_token_type`.
    pub actor_token_type: Option<String>,
    /// The `requested_token_type`.
    pub requested_token_type: Option<String>,
    /// The `scope`.
    pub scope: Option<String>,
    /// The `resource` parameters.
    pub resources: Vec<String>,
    /// The `audience` parameters.
    pub audiences: Vec<String>,
}

impl ExchangeRequest {
    /// What can be said of the request before anything is looked up.
    fn check(&self) -> Result<(), Refusal> {
        let is_access_token = |kind: &str| kind == TokenTypeId::ACCESS_TOKEN.as_str();
        if !is_access_token(&self.subject_token_type) {
            return Err(SUBJECT_TYPE);
        }
        match (&self.actor_token, &self.actor_token_type) {
            (None, None) => {}
            (Some(_), Some(kind)) if is_access_token(kind) => {}
            (Some(_), Some(_)) => return Err(ACTOR_TYPE),
            _ => return Err(ACTOR_PAIR),
        }
        let requested = self.requested_token_type.as_deref();
        requested
            .is_none_or(is_access_token)
            .then_some(())
            .ok_or(REQUESTED_TYPE)
    }
}

/// What a client is to the token that it presents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// The token was issued to it.
    Own,
    /// The token is meant for it.
    Addressed,
}

impl Core {
    /// Exchanges a token for one that is good for less, or for another service.
    pub async fn exchange(
        &self,
        request: ExchangeRequest,
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let client = self.authenticated(&request.credentials, now).await?;
        client.may_use(GrantType::TokenExchange)?;
        self.can_sign_for(&client)?;
        request.check()?;
        let proof = self.proven_key(&client, &request.credentials, now)?;
        let read = |token: &Secret| self.read_access_token(token.expose(), now);
        let subject = read(&request.subject_token).ok_or(SUBJECT)?;
        let actor = match &request.actor_token {
            None => None,
            Some(token) => Some(read(token).ok_or(ACTOR)?),
        };
        let holders = self.store.read(|records| {
            let of_actor = match &actor {
                None => None,
                Some(actor) => actor.holder(records, now)?,
            };
            Ok((subject.holder(records, now)?, of_actor))
        })?;
        let (Some(Holder::Person(grant, account)), of_actor) = holders else {
            return Err(SUBJECT.into());
        };
        if let Some(actor) = &actor {
            // In its own name, that is: nobody acts as somebody else.
            let is_own = actor.client_id == client.id && matches!(of_actor, Some(Holder::Client));
            is_own.then_some(()).ok_or(ACTOR)?;
        }
        let relation = relation(&client, &subject).ok_or(FOREIGN)?;
        let audiences = match relation {
            Relation::Own => {
                let asked = client.audiences_of_request(&request.resources, &request.audiences)?;
                narrowed(&subject.audiences, &asked).ok_or(Refusal::InvalidTarget)?
            }
            Relation::Addressed => own_audiences(&client, &request.resources, &request.audiences)?,
        };
        let scopes = scopes(&subject, request.scope.as_deref())?;
        let act = match relation {
            Relation::Own if actor.is_none() => subject.act.clone(),
            _ => Some(Actor {
                sub: client.id.clone(),
                act: subject.act.clone().map(Box::new),
            }),
        };
        if act.as_ref().is_some_and(|act| act.count() > MOST_ACTORS) {
            return Err(TOO_MANY.into());
        }
        let key = self.use_key(proof, now)?;
        if relation == Relation::Own {
            // A service cannot hold the key of whoever has called it; the call
            // has proved that key to the service.
            same_key(subject.key.as_ref(), key.as_ref(), OTHER_KEY)?;
        }
        let delegated = Delegated {
            grant,
            account,
            client,
            scopes,
            audiences,
            act,
            key,
            until: subject.expires_at,
        };
        Ok(self.issue_delegated(&delegated, now)?)
    }
}

fn relation(client: &Client, subject: &AccessToken) -> Option<Relation> {
    if subject.client_id == client.id {
        return Some(Relation::Own);
    }
    let is_meant = client.authentication != ClientAuthentication::Public
        && subject
            .audiences
            .iter()
            .any(|audience| client.serves.contains(audience));
    is_meant.then_some(Relation::Addressed)
}

/// What the token may do, or what is asked for of that. What is for a client
/// with a login of its own is never among it.
fn scopes(subject: &AccessToken, asked: Option<&str>) -> Result<ScopeSet, Refusal> {
    let of_logins = ScopeSet::parse("openid offline_access").map_err(|_| Refusal::InvalidScope)?;
    let Some(asked) = asked else {
        return Ok(subject.scopes.difference(&of_logins));
    };
    let asked = ScopeSet::parse(asked).map_err(|_| Refusal::InvalidScope)?;
    if asked.is_subset(&subject.scopes) {
        Ok(asked.difference(&of_logins))
    } else {
        Err(Refusal::InvalidScope)
    }
}
