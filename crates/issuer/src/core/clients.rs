//! Clients: which application is asking, and what it may ask for.

use countersign_jose::{Algorithm, Timestamp, constant_time_eq};
use countersign_oauth::Secret;
use url::Url;

use super::{
    Audiences, Client, ClientAuthentication, Core, Digest, Error, Failure, GrantType, Refusal,
};

/// The longest `resource` or `audience`, in bytes, and the most in a request.
const LONGEST_AUDIENCE: usize = 512;
const MOST_AUDIENCES: usize = 8;

/// What a request shows of its client: who it says it is, and what is to prove
/// that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    id: String,
    presented: Presented,
}

/// What is to prove who a client is (RFC 6749, section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Presented {
    /// Nothing: enough for a public client.
    Nothing,
    /// The `client_secret`.
    Secret(Secret),
}

impl ClientCredentials {
    /// A client that only gives its name.
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            presented: Presented::Nothing,
        }
    }

    /// A client with its `client_secret`. An empty one is none.
    pub fn with_secret(id: impl Into<String>, secret: Secret) -> Self {
        let presented = if secret.expose().is_empty() {
            Presented::Nothing
        } else {
            Presented::Secret(secret)
        };
        Self {
            id: id.into(),
            presented,
        }
    }

    /// The `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A client to be added.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// The `client_id`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Whether it gets a secret.
    pub confidential: bool,
    /// The grant types it may use.
    pub grant_types: Vec<GrantType>,
    /// The resource servers it may ask tokens for.
    pub audiences: Audiences,
    /// The algorithm its tokens are signed with: ES256 or RS256.
    pub signing_algorithm: Algorithm,
}

/// A client that was added.
#[derive(Debug)]
pub struct RegisteredClient {
    /// The client.
    pub client: Client,
    /// Its secret, told this once.
    pub secret: Option<Secret>,
}

impl Core {
    /// Adds a client, or replaces the one with its identifier and its secret.
    pub async fn put_client(
        &self,
        new: NewClient,
        now: Timestamp,
    ) -> Result<RegisteredClient, Error> {
        let secret = if new.confidential {
            Some(self.random_secret()?)
        } else {
            None
        };
        let client = Client {
            id: new.id,
            name: new.name,
            authentication: match &secret {
                Some(secret) => ClientAuthentication::Secret(self.digest(secret.expose())),
                None => ClientAuthentication::Public,
            },
            grant_types: new.grant_types,
            audiences: new.audiences,
            signing_algorithm: new.signing_algorithm,
            created_at: now,
        };
        let added = client.clone();
        self.store
            .write(move |records| records.put_client(&added))
            .await?;
        Ok(RegisteredClient { client, secret })
    }

    /// Adds the public client `cli` unless there is any client: what makes a
    /// fresh issuer usable without set-up.
    pub async fn ensure_default_client(&self, now: Timestamp) -> Result<(), Error> {
        let client = Client {
            id: "cli".to_owned(),
            name: "Countersign CLI (development)".to_owned(),
            authentication: ClientAuthentication::Public,
            grant_types: GrantType::ALL.to_vec(),
            audiences: Audiences::Any,
            signing_algorithm: Algorithm::Es256,
            created_at: now,
        };
        let ensured = self.store.write(move |records| {
            if records.clients()?.is_empty() {
                records.put_client(&client)?;
            }
            Ok(())
        });
        Ok(ensured.await?)
    }

    /// The client with an identifier.
    pub fn client(&self, id: &str) -> Result<Option<Client>, Error> {
        Ok(self.store.read(|records| records.client(id))?)
    }

    /// All clients, by identifier.
    pub fn clients(&self) -> Result<Vec<Client>, Error> {
        Ok(self.store.read(|records| records.clients())?)
    }

    /// Removes a client with everything it was granted; whether it was there.
    pub async fn remove_client(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        Ok(self
            .store
            .write(move |records| records.remove_client(&id))
            .await?)
    }

    /// The client behind credentials (RFC 6749, section 2.3).
    pub(super) fn authenticated(&self, credentials: &ClientCredentials) -> Result<Client, Failure> {
        let client = self
            .store
            .read(|records| records.client(&credentials.id))?
            .ok_or(Refusal::InvalidClient)?;
        let proven = match (&client.authentication, &credentials.presented) {
            (ClientAuthentication::Public, Presented::Nothing) => true,
            (ClientAuthentication::Secret(expected), Presented::Secret(secret)) => {
                let digest: Digest = self.digest(secret.expose());
                constant_time_eq(&digest, expected)
            }
            // Also a public client that sends a secret: it believes to be
            // another one.
            _ => false,
        };
        if proven {
            Ok(client)
        } else {
            Err(Refusal::InvalidClient.into())
        }
    }
}

impl Client {
    /// Whether the client may use a grant type.
    pub(super) fn may_use(&self, grant_type: GrantType) -> Result<(), Refusal> {
        if self.grant_types.contains(&grant_type) {
            Ok(())
        } else {
            Err(Refusal::UnauthorizedClient)
        }
    }

    /// The audiences of a request, each once, if the client may ask for all of
    /// them. `resources` must be absolute URIs without fragment (RFC 8707,
    /// section 2); `audiences`, the older way to ask, may be any name.
    pub(super) fn audiences_of_request(
        &self,
        resources: &[String],
        audiences: &[String],
    ) -> Result<Vec<String>, Refusal> {
        if resources.len() + audiences.len() > MOST_AUDIENCES {
            return Err(Refusal::InvalidTarget);
        }
        let is_uri =
            |resource: &String| Url::parse(resource).is_ok_and(|url| url.fragment().is_none());
        if !resources.iter().all(is_uri) {
            return Err(Refusal::InvalidTarget);
        }
        let mut asked: Vec<String> = Vec::new();
        for audience in resources.iter().chain(audiences) {
            let is_sound = !audience.is_empty()
                && audience.len() <= LONGEST_AUDIENCE
                && audience.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_sound || !self.audiences.allow(audience) {
                return Err(Refusal::InvalidTarget);
            }
            if !asked.contains(audience) {
                asked.push(audience.clone());
            }
        }
        Ok(asked)
    }
}
