//! What an authorization request waits for: a sign-in or a part of it, a
//! decision, or nothing
//! (`OpenID` Connect Core 1.0, sections 3.1.2.1 and 3.1.2.3).

use countersign_jose::Timestamp;

use super::authentication::Missing;
use super::{
    AuthorizationRequest, AuthorizationResponse, BrowserSession, ClientAuthentication, Core,
    Destination, Error, Refusal,
};

/// What a request waits for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Standing {
    /// Somebody has to sign in, or to do so again.
    SignIn,
    /// The person of this session has to prove a second factor.
    SecondFactor,
    /// The person of this session has to decide.
    Consent,
    /// No page may be shown, and none is needed: the person has consented to
    /// all of it before.
    Granted,
    /// It cannot be granted; the client is told.
    Answered(AuthorizationResponse),
}

impl Core {
    /// What a request waits for, from the browser of `session`.
    pub fn authorization_standing(
        &self,
        request: &AuthorizationRequest,
        session: Option<&BrowserSession>,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        let silent = request.is_silent();
        let (demands, asked_at) = (&request.asked.demands, request.begun.asked_at);
        let missing = match session {
            None => Some(Missing::SignIn),
            Some(session) => self.missing(demands, asked_at, session, now)?,
        };
        let Some(session) = session.filter(|_| missing != Some(Missing::SignIn)) else {
            return Ok(if silent {
                Standing::Answered(self.refusal_of(request, Refusal::LoginRequired))
            } else {
                Standing::SignIn
            });
        };
        if !request.asks_for(session) {
            // Somebody else has signed in for this request than the one it is
            // about (OpenID Connect Core 1.0, section 3.1.2.1, `id_token_hint`).
            return Ok(if silent || request.was_signed_in_for(session) {
                Standing::Answered(self.refusal_of(request, Refusal::LoginRequired))
            } else {
                Standing::SignIn
            });
        }
        match missing {
            Some(Missing::Unmet) => {
                let unmet = Refusal::UnmetAuthenticationRequirements;
                return Ok(Standing::Answered(self.refusal_of(request, unmet)));
            }
            Some(_) if silent => {
                let refusal = self.refusal_of(request, Refusal::LoginRequired);
                return Ok(Standing::Answered(refusal));
            }
            Some(_) => return Ok(Standing::SecondFactor),
            None => {}
        }
        if !silent {
            return Ok(Standing::Consent);
        }
        Ok(if self.consents(request, session, now)? {
            Standing::Granted
        } else {
            Standing::Answered(self.refusal_of(request, Refusal::ConsentRequired))
        })
    }

    /// Whether the person has consented already to what is asked silently: as
    /// long as a login lasts that was approved for this client with all of it.
    ///
    /// Only for a client that can prove who it is, and that is answered at a
    /// site: any program on a machine can pass for another one there (RFC 8252,
    /// section 8.6).
    fn consents(
        &self,
        request: &AuthorizationRequest,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let client = &request.client;
        let known = client.authentication != ClientAuthentication::Public
            && matches!(request.destination(), Destination::Site { .. });
        if !known {
            return Ok(false);
        }
        let grants = self
            .store
            .read(|records| records.grants_of(&session.account.id))?;
        let asked = &request.asked;
        Ok(grants.iter().any(|grant| {
            grant.client_id == client.id
                && now < grant.expires_at
                && asked.scopes.is_subset(&grant.scopes)
                && asked
                    .audiences
                    .iter()
                    .all(|audience| grant.audiences.contains(audience))
        }))
    }

    /// The name to begin a sign-in with: the one of the account that the
    /// request is about, or whatever the client believes.
    pub fn expected_username(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Option<String>, Error> {
        let account = match &request.asked.hinted_account {
            None => None,
            Some(id) => self.store.read(|records| records.account(id))?,
        };
        Ok(account
            .map(|account| account.username)
            .or_else(|| request.asked.login_hint.clone()))
    }
}

impl AuthorizationRequest {
    fn was_signed_in_for(&self, session: &BrowserSession) -> bool {
        session.authenticated_at >= self.begun.asked_at
    }

    /// Whether the request is about the account of `session`, or about any.
    fn asks_for(&self, session: &BrowserSession) -> bool {
        let hinted = self.asked.hinted_account.as_ref();
        hinted.is_none_or(|account_id| *account_id == session.account.id)
    }
}
