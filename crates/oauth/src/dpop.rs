//! The key that tokens are bound to, and the proofs made with it (RFC 9449).
//!
//! Not responsible for: keeping the key, and for checking proofs (`countersign_jose::dpop`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_jose::dpop::Proof;
use countersign_jose::{Algorithm, CryptoProvider, SigningKey, Timestamp};
use url::Url;

use crate::http::bare;
use crate::text::printable;
use crate::{Error, HttpResponse, Metadata, Secret};

/// How many servers' nonces are kept. A client talks to an authorization server and a few resource
/// servers.
const MAX_SERVERS: usize = 16;
/// The longest nonce that is taken. It comes back in every request.
const MAX_NONCE: usize = 512;

/// A client's key for DPoP (RFC 9449), and the nonces that servers gave for it.
///
/// A client with such a key sends a proof with every request, and insists on tokens that are bound to
/// the key: one that is not, and could be used by whoever steals it, is refused unless
/// [`or_bearer`](Self::or_bearer) says otherwise. Clones share the nonces, so that a demand for one is
/// answered once and not at every endpoint (section 8.2).
#[derive(Clone)]
pub struct DpopKey {
    key: Arc<SigningKey>,
    nonces: Arc<Mutex<Vec<Nonce>>>,
    bearer: Bearer,
}

/// What becomes of a token that is not bound to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearer {
    Refuse,
    Accept,
}

/// The latest nonce of one server.
struct Nonce {
    origin: url::Origin,
    value: String,
}

impl DpopKey {
    /// Uses this key.
    pub fn new(key: Arc<SigningKey>) -> Self {
        Self {
            key,
            nonces: Arc::default(),
            bearer: Bearer::Refuse,
        }
    }

    /// Makes a key for an algorithm that the server takes (`dpop_signing_alg_values_supported`; RFC
    /// 9449, section 5.1): ES256 if it does, and if it does not say.
    ///
    /// # Errors
    /// [`Error::DpopAlgorithm`] if the server takes none that this project can sign with,
    /// [`Error::Crypto`] if the provider cannot make the key.
    pub fn generate(metadata: &Metadata, provider: &'static CryptoProvider) -> Result<Self, Error> {
        let offered = metadata.dpop_signing_alg_values_supported.as_deref();
        let takes = |algorithm: &Algorithm| {
            offered.is_none_or(|names| {
                let mut names = names.iter();
                names.any(|name| Algorithm::from_name(name) == Some(*algorithm))
            })
        };
        let algorithm = SigningKey::ALGORITHMS.into_iter().find(takes);
        let algorithm = algorithm.ok_or_else(|| Error::DpopAlgorithm {
            offered: offered
                .unwrap_or_default()
                .iter()
                .map(|n| printable(n))
                .collect(),
        })?;
        let key = SigningKey::generate(algorithm, provider).map_err(Error::Crypto)?;
        Ok(Self::new(Arc::new(key)))
    }

    /// Accepts tokens that are not bound to the key as well, from servers that bind when they can.
    #[must_use]
    pub fn or_bearer(mut self) -> Self {
        self.bearer = Bearer::Accept;
        self
    }

    pub(crate) fn accepts_bearer(&self) -> bool {
        self.bearer == Bearer::Accept
    }

    /// The key itself, to be kept beside the session.
    pub fn signing_key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// The thumbprint of the key (RFC 7638), which a token that is bound to it holds as `jkt`.
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }

    /// A proof for one request: the value of its `DPoP` header (RFC 9449, section 4.1). It holds the latest
    /// nonce of the server that `url` belongs to, and the hash of the access token that goes along.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the provider fails.
    pub fn proof(
        &self,
        method: &str,
        url: &Url,
        access_token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Secret, Error> {
        let nonce = self.nonce(url);
        let proof = Proof {
            htm: method,
            htu: &bare(url),
            access_token: access_token.map(Secret::expose),
            nonce: nonce.as_deref(),
        };
        proof
            .sign(&self.key, now)
            .map(Secret::new)
            .map_err(Error::Crypto)
    }

    /// Keeps the nonce that the answer to a request to `url` brings for the next proofs (RFC 9449,
    /// section 8.2). Says whether it brought one that can be used.
    pub fn learn(&self, url: &Url, response: &HttpResponse) -> bool {
        let mut values = response.headers_named("dpop-nonce");
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        if !is_nonce(value) {
            return false;
        }
        let origin = url.origin();
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.retain(|nonce| nonce.origin != origin);
        if nonces.len() == MAX_SERVERS {
            nonces.remove(0);
        }
        nonces.push(Nonce {
            origin,
            value: value.to_owned(),
        });
        true
    }

    fn nonce(&self, url: &Url) -> Option<String> {
        let origin = url.origin();
        let nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let nonce = nonces.iter().find(|nonce| nonce.origin == origin)?;
        Some(nonce.value.clone())
    }
}

/// `1*NQCHAR` (RFC 9449, section 8.1; RFC 6749, appendix A).
fn is_nonce(text: &str) -> bool {
    (1..=MAX_NONCE).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

/// The same key with the same demand; the nonces come and go.
impl PartialEq for DpopKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint() == other.thumbprint() && self.bearer == other.bearer
    }
}

impl Eq for DpopKey {}

/// Shows the thumbprint, which is public.
impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey")
            .field("thumbprint", &self.thumbprint())
            .field("bearer", &self.bearer)
            .finish_non_exhaustive()
    }
}
