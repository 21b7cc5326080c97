//! A client gets a token in its own name (RFC 6749, section 4.4).
//!
//! Nobody approves such a token, so what it may say is fixed when the client is
//! registered: its scopes and its audiences. There is no login behind it, no
//! refresh token and no record; it ends with its time, by revocation, or with
//! its client.

use countersign_jose::Timestamp;
use countersign_oauth::ScopeSet;

use super::{Audiences, Client, ClientCredentials, Core, Failure, GrantType, Refusal, Tokens};

impl Core {
    /// Gives a client a token in its own name. Its subject is the client itself
    /// (RFC 9068, section 2.2).
    pub async fn client_credentials(
        &self,
        credentials: &ClientCredentials,
        scope: Option<&str>,
        resources: &[String],
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let client = self.authenticated(credentials, now).await?;
        client.may_act_for_itself()?;
        let proof = self.proven_key(&client, credentials, now)?;
        let scopes = own_scopes(&client, scope)?;
        let audiences = own_audiences(&client, resources, audiences)?;
        let key = self.use_key(proof, now)?;
        Ok(self.issue_to_client(&client, &scopes, &audiences, key.as_ref(), now)?)
    }
}

impl Client {
    /// Whether the client may get tokens in its own name.
    pub(super) fn may_act_for_itself(&self) -> Result<(), Refusal> {
        self.may_use(GrantType::ClientCredentials)
    }
}

/// All that the client has, or what it asks for of that (RFC 6749, section
/// 3.3). Scopes about a person are never among them.
fn own_scopes(client: &Client, asked: Option<&str>) -> Result<ScopeSet, Refusal> {
    let Some(asked) = asked else {
        return Ok(client.scopes.clone());
    };
    let asked = ScopeSet::parse(asked).map_err(|_| Refusal::InvalidScope)?;
    if asked.is_subset(&client.scopes) {
        Ok(asked)
    } else {
        Err(Refusal::InvalidScope)
    }
}

/// What the client asks for, or else its one audience (RFC 9068, section 3). A
/// client with several has to say which: a token that is good at all of them
/// could be passed on by any.
pub(super) fn own_audiences(
    client: &Client,
    resources: &[String],
    audiences: &[String],
) -> Result<Vec<String>, Refusal> {
    let asked = client.audiences_of_request(resources, audiences)?;
    match &client.audiences {
        _ if !asked.is_empty() => Ok(asked),
        Audiences::Listed(list) if list.len() > 1 => Err(Refusal::InvalidTarget),
        Audiences::Listed(list) => Ok(list.clone()),
        Audiences::Any => Ok(Vec::new()),
    }
}
