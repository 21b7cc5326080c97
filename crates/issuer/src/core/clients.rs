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

/// Where the default client is sent back to: its own machine, at any port (see
/// `core::redirect`). By name, too, because some programs know no other way.
const DEFAULT_REDIRECT_URIS: [&str; 6] = [
    "http://127.0.0.1/",
    "http://127.0.0.1/callback",
    "http://[::1]/",
    "http://[::1]/callback",
    "http://localhost/",
    "http://localhost/callback",
];

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
    /// How it is to prove who it is.
    pub authentication: NewAuthentication,
    /// The grant types it may use.
    pub grant_types: Vec<GrantType>,
    /// The resource servers it may ask tokens for.
    pub audiences: Audiences,
    /// Where a browser may be sent back to with a code.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent on to after it was signed out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Whether its tokens are bound to a key of its own, always.
    pub dpop_bound: bool,
    /// Whether its authorization requests must be pushed.
    pub require_par: bool,
    /// The algorithm its tokens are signed with: ES256 or RS256.
    pub signing_algorithm: Algorithm,
}

impl NewClient {
    /// A public client that may do nothing yet, to be given what it needs.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            authentication: NewAuthentication::Public,
            grant_types: Vec::new(),
            audiences: Audiences::Listed(Vec::new()),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            dpop_bound: false,
            require_par: false,
            signing_algorithm: Algorithm::Es256,
        }
    }
}

/// How a client to be added is to prove who it is.
#[derive(Clone, Debug)]
pub enum NewAuthentication {
    /// Not at all.
    Public,
    /// By a secret that is made now and told once.
    Secret,
    /// By assertions, verified with this JWK set.
    PrivateKeyJwt(String),
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
        let (authentication, secret) = match new.authentication {
            NewAuthentication::Public => (ClientAuthentication::Public, None),
            NewAuthentication::Secret => {
                let secret = self.random_secret()?;
                let digest = self.digest(secret.expose());
                (ClientAuthentication::Secret(digest), Some(secret))
            }
            NewAuthentication::PrivateKeyJwt(jwks) => {
                (ClientAuthentication::PrivateKeyJwt(jwks), None)
            }
        };
        let client = Client {
            id: new.id,
            name: new.name,
            authentication,
            grant_types: new.grant_types,
            audiences: new.audiences,
            redirect_uris: new.redirect_uris,
            post_logout_redirect_uris: new.post_logout_redirect_uris,
            dpop_bound: new.dpop_bound,
            require_par: new.require_par,
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
            grant_types: GrantType::FOR_PEOPLE.to_vec(),
            audiences: Audiences::Any,
            redirect_uris: DEFAULT_REDIRECT_URIS.map(str::to_owned).to_vec(),
            post_logout_redirect_uris: Vec::new(),
            dpop_bound: false,
            require_par: false,
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
