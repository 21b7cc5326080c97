//! The keys of an issuer.
//!
//! Three of them: ES256, which signs by default; RS256, for clients that know
//! nothing else, made in the background because that takes long; and the key
//! that seals refresh tokens and forms. They rest together in one private
//! file (see [`crate::keyfile`]), apart from the database, so that a copy of
//! the database alone is worth nothing.

use std::fmt;
use std::sync::Arc;

use countersign_jose::{Algorithm, CryptoError, CryptoProvider, KeySet, SigningKey, base64url};
use serde_json::json;
use zeroize::Zeroizing;

use super::Error;

/// Why keys cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random(#[from] CryptoError),
    /// A key could not be made, or the stored one is damaged.
    #[error("a signing key cannot be made or read")]
    Signing(#[from] countersign_jose::Error),
}

/// The keys of an issuer, and what of them is public.
pub struct Keys {
    token_key: Zeroizing<[u8; 32]>,
    es256: Arc<SigningKey>,
    rs256: Option<Arc<SigningKey>>,
    published: PublishedKeys,
    verifying: KeySet,
    provider: &'static CryptoProvider,
}

/// The public keys as a JWK set (RFC 7517, section 5).
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    /// The document.
    pub json: String,
    /// Its `ETag`, with quotes.
    pub etag: String,
    /// The algorithms of its keys.
    pub algorithms: Vec<Algorithm>,
}

impl Keys {
    /// Fresh keys, without RS256.
    pub fn generate(provider: &'static CryptoProvider) -> Result<Self, KeyError> {
        let mut token_key = Zeroizing::new([0_u8; 32]);
        provider.fill_random(token_key.as_mut_slice())?;
        let es256 = Arc::new(SigningKey::generate(Algorithm::Es256, provider)?);
        Self::assemble(token_key, es256, None, provider)
    }

    /// The same keys and a fresh RSA key. Takes a second or so: not for an
    /// async thread.
    pub fn with_rs256(&self) -> Result<Self, KeyError> {
        let rs256 = Arc::new(SigningKey::generate(Algorithm::Rs256, self.provider)?);
        Self::assemble(
            self.token_key.clone(),
            Arc::clone(&self.es256),
            Some(rs256),
            self.provider,
        )
    }

    /// Puts stored keys together.
    pub(crate) fn assemble(
        token_key: Zeroizing<[u8; 32]>,
        es256: Arc<SigningKey>,
        rs256: Option<Arc<SigningKey>>,
        provider: &'static CryptoProvider,
    ) -> Result<Self, KeyError> {
        let all: Vec<&Arc<SigningKey>> = std::iter::once(&es256).chain(&rs256).collect();
        let jwks: Vec<_> = all.iter().map(|key| key.public_jwk()).collect();
        let json = json!({ "keys": jwks }).to_string();
        let published = PublishedKeys {
            etag: format!(
                "\"{}\"",
                base64url::encode(&provider.sha256(json.as_bytes()))
            ),
            algorithms: all.iter().map(|key| key.algorithm()).collect(),
            json,
        };
        let verifying = KeySet::from_json(published.json.as_bytes(), provider)?;
        Ok(Self {
            token_key,
            es256,
            rs256,
            published,
            verifying,
            provider,
        })
    }

    /// The public keys.
    pub fn published(&self) -> &PublishedKeys {
        &self.published
    }

    /// Whether clients that want RS256 can be served.
    pub fn has_rs256(&self) -> bool {
        self.rs256.is_some()
    }

    pub(crate) fn provider(&self) -> &'static CryptoProvider {
        self.provider
    }

    pub(crate) fn token_key(&self) -> &[u8] {
        self.token_key.as_slice()
    }

    pub(crate) fn es256(&self) -> &SigningKey {
        &self.es256
    }

    pub(crate) fn rs256(&self) -> Option<&SigningKey> {
        self.rs256.as_deref()
    }

    pub(super) fn verifying(&self) -> &KeySet {
        &self.verifying
    }

    /// The key that signs a client's tokens.
    pub(super) fn signing_key(&self, algorithm: Algorithm) -> Result<&SigningKey, Error> {
        match algorithm {
            Algorithm::Rs256 => self.rs256.as_deref().ok_or(Error::NoKey("RS256")),
            _ => Ok(&self.es256),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("algorithms", &self.published.algorithms)
            .finish_non_exhaustive()
    }
}
