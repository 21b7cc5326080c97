//! Who the session was made as: what has to be kept to prove it again when the session is renewed.

use std::path::PathBuf;
use std::sync::Arc;

use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, SigningKey, base64url};
use countersign_oauth::preset::Preset;
use countersign_oauth::secret::exposed;
use countersign_oauth::{AssertionAudience, Client, ClientAuthentication, DpopKey};
use serde::{Deserialize, Serialize};

use super::Session;
use crate::{Error, Secret, client_key};

/// How the application proves to the server which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

/// Where the key of `private_key_jwt` is, and what it is called. The key itself stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
}

/// The key that the tokens are bound to (RFC 9449). It belongs to this session and goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BindingKey {
    algorithm: String,
    /// PKCS#8, in base64url.
    #[serde(with = "exposed")]
    pkcs8: Secret,
    /// The server may go back to tokens that are bound to nothing.
    #[serde(default)]
    or_bearer: bool,
}

impl BindingKey {
    pub(super) fn new(key: &DpopKey, or_bearer: bool) -> Self {
        let key = key.signing_key();
        Self {
            algorithm: key.algorithm().name().to_owned(),
            pkcs8: Secret::new(base64url::encode(key.to_pkcs8_der())),
            or_bearer,
        }
    }

    /// The key, ready to sign with.
    pub(crate) fn key(&self) -> Result<DpopKey, Error> {
        let damaged = || Error::Configuration {
            what: "key of the session",
            why: "it is damaged; sign in again".to_owned(),
        };
        let algorithm = Algorithm::from_name(&self.algorithm).ok_or_else(damaged)?;
        let der = base64url::decode(self.pkcs8.expose()).map_err(|_| damaged())?;
        let der = zeroize::Zeroizing::new(der);
        let key = SigningKey::from_pkcs8_der(algorithm, None, &der, ring::provider())
            .map_err(|_| damaged())?;
        let key = DpopKey::new(Arc::new(key));
        Ok(if self.or_bearer { key.or_bearer() } else { key })
    }
}

impl StoredMethod {
    /// The method, and the secret that goes with it.
    pub(super) fn of(client: &Client) -> (Self, Option<Secret>) {
        match &client.authentication {
            ClientAuthentication::SecretBasic(secret) => {
                (Self::ClientSecretBasic, Some(secret.clone()))
            }
            ClientAuthentication::SecretPost(secret) => {
                (Self::ClientSecretPost, Some(secret.clone()))
            }
            ClientAuthentication::PrivateKeyJwt(_) => (Self::PrivateKeyJwt, None),
            _ => (Self::None, None),
        }
    }
}

impl Session {
    /// The application as it signed in.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the file of its key has gone, or is no longer private.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let secret = || self.client_secret.clone();
        let authentication = match (self.client_authentication, &self.client_key) {
            (StoredMethod::ClientSecretBasic, _) => secret().map(ClientAuthentication::SecretBasic),
            (StoredMethod::ClientSecretPost, _) => secret().map(ClientAuthentication::SecretPost),
            (StoredMethod::PrivateKeyJwt, Some(file)) => {
                let audience = assertion_audience(self.known_preset());
                let key = client_key::load(&file.path, file.kid.as_deref(), audience)?;
                Some(ClientAuthentication::PrivateKeyJwt(key))
            }
            (StoredMethod::None | StoredMethod::PrivateKeyJwt, _) => None,
        };
        let authentication = authentication.unwrap_or(ClientAuthentication::None);
        let client = Client::new(self.client_id.as_str(), authentication);
        Ok(match self.binding_key()? {
            Some(key) => client.with_dpop(key),
            None => client,
        })
    }

    /// Whether the application proves itself with a secret, which a vault may hold.
    pub(crate) fn needs_secret(&self) -> bool {
        matches!(
            self.client_authentication,
            StoredMethod::ClientSecretBasic | StoredMethod::ClientSecretPost
        )
    }

    /// The key that the tokens are bound to, if they are.
    pub(crate) fn binding_key(&self) -> Result<Option<DpopKey>, Error> {
        self.binding().map(BindingKey::key).transpose()
    }

    /// The same, as it is kept.
    pub(crate) fn binding(&self) -> Option<&BindingKey> {
        self.dpop.as_ref()
    }

    /// What is known about the provider.
    pub(crate) fn known_preset(&self) -> Option<&'static Preset> {
        self.preset().and_then(Preset::by_name)
    }
}

/// Whom the provider wants assertions addressed to.
pub(crate) fn assertion_audience(preset: Option<&'static Preset>) -> AssertionAudience {
    preset.map_or(AssertionAudience::Issuer, |preset| {
        preset.quirks.assertion_audience
    })
}
