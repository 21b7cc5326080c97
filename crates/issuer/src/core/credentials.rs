//! Who is asking: what a request shows of its client, and whether it proves it
//! (RFC 6749, section 2.3).

use countersign_jose::{Timestamp, constant_time_eq};
use countersign_oauth::Secret;

use super::assertion::{self, Assertion};
use super::{Client, ClientAuthentication, Core, Digest, DpopProof, Failure, Refusal};

/// What a request shows of its client: who it says it is, what is to prove
/// that, and the key that it holds, if it shows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    id: String,
    presented: Presented,
    dpop: Option<DpopProof>,
}

/// What is to prove who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Presented {
    /// Nothing: enough for a public client.
    Nothing,
    /// The `client_secret`.
    Secret(Secret),
    /// A `client_assertion`.
    Assertion(Assertion),
}

impl ClientCredentials {
    /// A client that only gives its name.
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            presented: Presented::Nothing,
            dpop: None,
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
            dpop: None,
        }
    }

    /// A client with a `client_assertion` (RFC 7523, section 2.2). Its
    /// `client_id` may be left out of the request: the assertion says it as well.
    /// `token_endpoint` is the address that older clients name as the audience.
    pub fn with_assertion(
        id: Option<&str>,
        jwt: Secret,
        token_endpoint: String,
    ) -> Result<Self, Refusal> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => assertion::claimed_client(jwt.expose()).ok_or(Refusal::InvalidClient)?,
        };
        let assertion = Assertion {
            jwt,
            token_endpoint,
        };
        Ok(Self {
            id,
            presented: Presented::Assertion(assertion),
            dpop: None,
        })
    }

    /// The same client with the `DPoP` header of its request.
    #[must_use]
    pub fn with_dpop(self, dpop: Option<DpopProof>) -> Self {
        Self { dpop, ..self }
    }

    pub(super) fn dpop(&self) -> Option<&DpopProof> {
        self.dpop.as_ref()
    }

    /// The `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Core {
    /// The client behind credentials. An assertion is used up.
    pub(super) async fn authenticated(
        &self,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> Result<Client, Failure> {
        let client = self
            .store
            .read(|records| records.client(&credentials.id))?
            .ok_or(Refusal::InvalidClient)?;
        match (&client.authentication, &credentials.presented) {
            (ClientAuthentication::Public, Presented::Nothing) => Ok(client),
            (ClientAuthentication::Secret(expected), Presented::Secret(secret)) => {
                let digest: Digest = self.digest(secret.expose());
                if constant_time_eq(&digest, expected) {
                    Ok(client)
                } else {
                    Err(Refusal::InvalidClient.into())
                }
            }
            (ClientAuthentication::PrivateKeyJwt(jwks), Presented::Assertion(assertion)) => {
                self.accept_assertion(&client.id, jwks, assertion, now)
                    .await?;
                Ok(client)
            }
            // Also a public client that sends a secret: it believes to be
            // another one.
            _ => Err(Refusal::InvalidClient.into()),
        }
    }
}
