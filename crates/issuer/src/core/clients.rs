//! Clients: which application is asking, and what it may ask for.

use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::{ScopeSet, Secret};
use url::Url;

use super::registration::{self, ClientRejected};
use super::{Audiences, Client, ClientAuthentication, Core, Error, GrantType, Refusal};

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
    /// The resource servers that it is.
    pub serves: Vec<String>,
    /// Where a browser may be sent back to with a code.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent on to after it was signed out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Whether its tokens are bound to a key of its own, always.
    pub dpop_bound: bool,
    /// Whether its authorization requests must be pushed.
    pub require_par: bool,
    /// The scopes it may have in its own name.
    pub scopes: ScopeSet,
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
            serves: Vec::new(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            dpop_bound: false,
            require_par: false,
            scopes: ScopeSet::new(),
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
    ) -> Result<Result<RegisteredClient, ClientRejected>, Error> {
        if let Err(rejected) = registration::check(&new, self.provider) {
            return Ok(Err(rejected));
        }
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
            serves: new.serves,
            redirect_uris: new.redirect_uris,
            post_logout_redirect_uris: new.post_logout_redirect_uris,
            dpop_bound: new.dpop_bound,
            require_par: new.require_par,
            scopes: new.scopes,
            signing_algorithm: new.signing_algorithm,
            created_at: now,
        };
        let added = client.clone();
        let added = self.store.write(move |records| {
            if records.account(&added.id)?.is_some() {
                return Ok(Err(ClientRejected::IdIsASubject));
            }
            records.put_client(&added).map(Ok)
        });
        Ok(added.await?.map(|()| RegisteredClient { client, secret }))
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
            serves: Vec::new(),
            redirect_uris: DEFAULT_REDIRECT_URIS.map(str::to_owned).to_vec(),
            post_logout_redirect_uris: Vec::new(),
            dpop_bound: false,
            require_par: false,
            scopes: ScopeSet::new(),
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
