//! When an issuer is asked about tokens, and as whom.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Algorithm, SigningKey, crypto};
use countersign_oauth::{AssertionAudience, Client, ClientAuthentication, ClientKey, Secret};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use super::IntrospectToken;
use crate::Error;

const DEFAULT_HORIZON: Duration = Duration::from_secs(60);
const LONGEST_HORIZON: Duration = Duration::from_secs(10 * 60);
const DEFAULT_CAPACITY: usize = 10_000;

/// How an issuer is asked about its tokens (RFC 7662); see
/// [`Trust::introspection`](crate::Trust::introspection).
#[must_use]
pub struct IntrospectionPolicy {
    pub(super) client: Client,
    pub(super) endpoint: Option<String>,
    pub(super) horizon: Duration,
    pub(super) capacity: usize,
    pub(super) jwt_too: bool,
    pub(crate) asker: Option<Box<dyn IntrospectToken>>,
}

impl IntrospectionPolicy {
    /// Asks as this client, which authenticates with a secret
    /// (`client_secret_basic`).
    pub fn secret_basic(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        let secret = Secret::new(secret.into());
        Self::as_client(client_id, ClientAuthentication::SecretBasic(secret))
    }

    /// Asks as this client, which signs who it is (`private_key_jwt`) with the
    /// key in `pkcs8_pem`, for the issuer. `kid` is the name under which the key
    /// is registered; its thumbprint, unless given.
    ///
    /// # Errors
    ///
    /// [`Error::ClientKey`] when the key cannot sign with this algorithm.
    pub fn private_key_jwt(
        client_id: impl Into<String>,
        algorithm: Algorithm,
        kid: Option<String>,
        pkcs8_pem: &[u8],
    ) -> Result<Self, Error> {
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| Error::ClientKey(error);
        let der = PrivatePkcs8KeyDer::from_pem_slice(pkcs8_pem).map_err(|e| unusable(e.into()))?;
        let der = der.secret_pkcs8_der();
        let key = SigningKey::from_pkcs8_der(algorithm, kid, der, crypto::aws_lc::provider())
            .map_err(|error| unusable(error.into()))?;
        let key = ClientKey::new(Arc::new(key));
        Ok(Self::as_client(
            client_id,
            ClientAuthentication::PrivateKeyJwt(key),
        ))
    }

    /// Signs for the address that is asked, at issuers that take nothing else
    /// (Okta).
    pub fn assertion_for_endpoint(mut self) -> Self {
        if let ClientAuthentication::PrivateKeyJwt(key) = &self.client.authentication {
            let key = key.clone().audience(AssertionAudience::Endpoint);
            self.client.authentication = ClientAuthentication::PrivateKeyJwt(key);
        }
        self
    }

    /// Asks at this address instead of the one in the issuer's metadata, which
    /// are then not asked for.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// How long an answer is kept, which is how late a revocation is noticed:
    /// 60 seconds unless said otherwise, ten minutes at most.
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.horizon = horizon.min(LONGEST_HORIZON);
        self
    }

    /// How many answers are kept, of good and of bad tokens each: 10,000 unless
    /// said otherwise.
    pub fn capacity(mut self, answers: usize) -> Self {
        self.capacity = answers;
        self
    }

    /// Asks about JWTs as well, after they were verified: then a revocation is
    /// noticed before they expire, and an outage of the issuer is felt at once.
    pub fn jwt_too(mut self) -> Self {
        self.jwt_too = true;
        self
    }

    /// Asks in another way than over HTTP.
    pub fn asker(mut self, asker: impl IntrospectToken) -> Self {
        self.asker = Some(Box::new(asker));
        self
    }

    fn as_client(client_id: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self {
            client: Client::new(client_id, authentication),
            endpoint: None,
            horizon: DEFAULT_HORIZON,
            capacity: DEFAULT_CAPACITY,
            jwt_too: false,
            asker: None,
        }
    }
}

impl fmt::Debug for IntrospectionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionPolicy")
            .field("client", &self.client)
            .field("endpoint", &self.endpoint)
            .field("horizon", &self.horizon)
            .field("jwt_too", &self.jwt_too)
            .finish_non_exhaustive()
    }
}
