//! The authorization server, as far as signing people in needs it: its endpoints, its keys, and the
//! exchanges of `countersign-oauth` with it.
//!
//! What it publishes is fetched when first needed and kept; a server that is down is not asked by every
//! visitor. Not responsible for access tokens, which the validator verifies with keys of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_console::Problem;
use countersign_jose::Verified;
use countersign_jose::{Algorithm, KeySet, SigningKey, Timestamp, crypto};
use countersign_oauth::{
    Client, ClientAuthentication, ClientKey, Discovery, Error, Flow, IdToken, Issuer, KeysFlow,
    Metadata, PendingAuthorization, Secret, TokenResponse, id_token,
};
use countersign_resource::{Connections, HttpClient};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::Mutex;

use crate::config::{self, ClientProof};
use crate::identity::check_private;
use crate::live::{read, read_secret};

/// How long what the server publishes is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How long nobody asks again after it could not be fetched, or after keys were fetched anew.
const REST: Duration = Duration::from_secs(5);

/// Why an exchange with the server came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Exchange(#[from] Error),
    /// It could not be reached a moment ago.
    #[error("the authorization server could not be reached a moment ago")]
    Resting,
}

impl Trouble {
    /// Whether another try, later, may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Exchange(error) => {
                error.is_retryable() || matches!(error, Error::NoMetadata { .. })
            }
            Self::Resting => true,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Exchange(error) => error.code(),
            Self::Resting => "issuer_resting",
        }
    }
}

#[derive(Debug)]
pub(super) struct Provider {
    issuer: Issuer,
    client_id: String,
    proof: Proof,
    http: HttpClient,
    known: Mutex<Known>,
}

#[derive(Debug)]
enum Proof {
    None,
    Secret(Secret),
    Key(ClientKey),
}

#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Instant)>,
    keys: Option<(Arc<KeySet>, Instant)>,
    failed: Option<Instant>,
}

impl Provider {
    pub(super) fn new(wanted: &config::SignIn, issuer: &config::Issuer) -> Result<Self, Problem> {
        let unusable = || Problem::new(format!("nobody can sign in at {}", issuer.url));
        let parsed = Issuer::parse(&issuer.url).map_err(|error| unusable().because(error))?;
        let added = issuer.ca_file.as_deref().map(read).transpose()?;
        let http = HttpClient::new(&parsed, added.as_slice(), Connections::Closed)
            .map_err(|error| unusable().because(error))?;
        let proof = match &wanted.proof {
            ClientProof::None => Proof::None,
            ClientProof::Secret(path) => Proof::Secret(Secret::new(read_secret(path)?)),
            ClientProof::Key { file, id } => Proof::Key(load_key(file, id.as_deref())?),
        };
        Ok(Self {
            issuer: parsed,
            client_id: wanted.client_id.clone(),
            proof,
            http,
            known: Mutex::default(),
        })
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The client, proving itself in the way that the server wants.
    pub(super) fn client(&self, metadata: &Metadata) -> Client {
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        let takes = |method: &str| methods.is_some_and(|all| all.iter().any(|it| it == method));
        let authentication = match &self.proof {
            Proof::None => ClientAuthentication::None,
            Proof::Secret(secret)
                if takes("client_secret_post") && !takes("client_secret_basic") =>
            {
                ClientAuthentication::SecretPost(secret.clone())
            }
            Proof::Secret(secret) => ClientAuthentication::SecretBasic(secret.clone()),
            Proof::Key(key) => ClientAuthentication::PrivateKeyJwt(key.clone()),
        };
        Client::new(&self.client_id, authentication)
    }

    pub(super) async fn drive<F: Flow>(&self, flow: F) -> Result<F::Output, Error> {
        self.http.drive(flow).await
    }

    /// What the server publishes about itself. One fetch serves everybody who waits.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Trouble> {
        let mut known = self.known.lock().await;
        if let Some((metadata, since)) = &known.metadata
            && since.elapsed() < KEPT
        {
            return Ok(Arc::clone(metadata));
        }
        let rests = known.failed.is_some_and(|since| since.elapsed() < REST);
        let fetched = if rests {
            Err(Trouble::Resting)
        } else {
            self.drive(Discovery::new(&self.issuer))
                .await
                .map_err(Trouble::from)
        };
        match (fetched, &known.metadata) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                known.metadata = Some((Arc::clone(&metadata), Instant::now()));
                known.failed = None;
                Ok(metadata)
            }
            (Err(trouble), before) => {
                // What was good an hour ago does until there is something newer.
                let before = before.as_ref().map(|(metadata, _)| Arc::clone(metadata));
                if !rests {
                    known.failed = Some(Instant::now());
                }
                before.ok_or(trouble)
            }
        }
    }

    /// Verifies the ID token of an answer to `pending`: who has signed in.
    pub(super) async fn verify(
        &self,
        metadata: &Metadata,
        pending: &PendingAuthorization,
        tokens: &TokenResponse,
        now: Timestamp,
    ) -> Result<Verified<IdToken>, Error> {
        let missing = || Error::IdToken(id_token::IdTokenError::Missing);
        let text = tokens.id_token.as_ref().ok_or_else(missing)?;
        let token = id_token::parse(text)?;
        let expected = pending.expected_id_token(tokens);
        let keys = self.keys(metadata, None).await?;
        match id_token::verify(&token, &keys, &expected, now) {
            Err(error) if error.may_be_stale_keys() => {
                let keys = self.keys(metadata, Some(&keys)).await?;
                id_token::verify(&token, &keys, &expected, now)
            }
            outcome => outcome,
        }
    }

    /// The server's keys; other ones than `stale`, if there are any and nobody has just looked.
    async fn keys(
        &self,
        metadata: &Metadata,
        stale: Option<&Arc<KeySet>>,
    ) -> Result<Arc<KeySet>, Error> {
        let mut known = self.known.lock().await;
        if let Some((keys, since)) = &known.keys {
            let is_stale = stale.is_some_and(|stale| Arc::ptr_eq(stale, keys));
            if since.elapsed() < if is_stale { REST } else { KEPT } {
                return Ok(Arc::clone(keys));
            }
        }
        let flow = KeysFlow::new(metadata, crypto::aws_lc::provider())?;
        let keys = Arc::new(self.drive(flow).await?.keys);
        known.keys = Some((Arc::clone(&keys), Instant::now()));
        Ok(keys)
    }
}

/// The key of `private_key_jwt`: PKCS#8 in PEM.
fn load_key(path: &std::path::Path, id: Option<&str>) -> Result<ClientKey, Problem> {
    check_private(path)?;
    let name = path.display();
    let der = PrivateKeyDer::from_pem_file(path).map_err(|error| {
        Problem::new(format!("{name} cannot be read as a key"))
            .because(error)
            .hint(format!(
                "make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}"
            ))
    })?;
    let kinds = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let provider = crypto::aws_lc::provider();
    let key = kinds.into_iter().find_map(|kind| {
        SigningKey::from_pkcs8_der(kind, id.map(str::to_owned), der.secret_der(), provider).ok()
    });
    let key =
        key.ok_or_else(|| Problem::new(format!("{name} is no key for ES256, EdDSA or RS256")))?;
    Ok(ClientKey::new(Arc::new(key)))
}
