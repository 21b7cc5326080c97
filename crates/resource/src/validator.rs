//! The validator: one issuer, one API, and what a token must be to pass.
//!
//! Not responsible for where the token was found in the request, nor for the
//! answer to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Algorithm, Header, KeySet, Unverified, Verified};
use countersign_oauth::text::printable;
use countersign_oauth::{Issuer, ScopeSet};

use crate::issuer_keys::IssuerKeys;
use crate::keys::KeyCache;
use crate::token::Rules;
use crate::{AccessToken, Clock, Error, FetchKeys, KeyStatus, Rejection, SystemClock};

/// The clocks of two well-kept machines differ by less.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

/// How long keys are trusted beyond their life while the issuer is down.
const DEFAULT_STALENESS: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_STALENESS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Every signature that `jose` knows is good for an access token. What a key
/// may verify is fixed by the key, so a token cannot choose among these.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

/// Decides whether an access token may be used at this API.
///
/// Cloning is cheap, and clones share the keys. Must be used inside a Tokio
/// runtime, because keys are fetched in a task of their own.
#[derive(Clone)]
pub struct Validator {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Rules,
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
}

impl Validator {
    /// Begins a validator for tokens of this issuer (RFC 8414, section 2),
    /// exactly as it writes its own name.
    pub fn builder(issuer: impl Into<String>) -> ValidatorBuilder {
        ValidatorBuilder {
            issuer: issuer.into(),
            audiences: Vec::new(),
            required_scopes: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            longest_staleness: DEFAULT_STALENESS,
            ca_certificates: Vec::new(),
            fetcher: None,
            clock: None,
        }
    }

    /// Verifies a token and checks it against every rule (RFC 9068, section 4).
    ///
    /// The checks go from cheap to expensive, and nothing is sent for a token
    /// that cannot be good: only a well-formed access token that claims our
    /// issuer, and whose key is not known, can lead to a fetch, and that under
    /// a cooldown. Waits for at most one fetch of the keys.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] that says which rule the token breaks.
    pub async fn validate(&self, token: &str) -> Result<Verified<AccessToken>, Rejection> {
        let Inner { rules, keys, clock } = &*self.inner;
        let token = Unverified::<AccessToken>::parse(token).map_err(Rejection::of_token)?;
        if !token.header().is_type("at+jwt") {
            return Err(Rejection::WrongType {
                found: printable(token.header().typ().unwrap_or_default()),
            });
        }
        // Not yet believed, only good enough to refuse early; it is compared
        // again among the verified claims.
        let issuer = token.unverified_issuer().map_err(Rejection::of_token)?;
        if issuer != rules.issuer.as_str() {
            return Err(rules.wrong_issuer(issuer));
        }
        let keys = keys.holding(|keys| knows(keys, token.header())).await?;
        token
            .verify(&keys, ALGORITHMS)
            .map_err(Rejection::of_token)?
            .check(|_, claims| rules.check(claims, clock.now()))
    }

    /// Fetches the keys now, if there are none: a service that does this before
    /// it listens keeps its first caller from waiting.
    ///
    /// # Errors
    ///
    /// [`Rejection::KeysUnavailable`]. It is safe to listen all the same: the
    /// keys are fetched again when a token comes.
    pub async fn load_keys(&self) -> Result<(), Rejection> {
        self.inner.keys.holding(|_| true).await.map(|_| ())
    }

    /// What is known of the keys, for a readiness check.
    pub fn key_status(&self) -> KeyStatus {
        self.inner.keys.status()
    }
}

/// Whether the set says anything about the key that a header names; if it does,
/// a newer set would say the same.
fn knows(keys: &KeySet, header: &Header) -> bool {
    match header.kid() {
        Some(kid) => {
            keys.keys().iter().any(|key| key.kid() == Some(kid))
                || keys.skipped().iter().any(|key| key.kid() == Some(kid))
        }
        None => keys.candidates(None, header.algorithm()).next().is_some(),
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator")
            .field("rules", &self.inner.rules)
            .field("keys", &self.inner.keys)
            .finish_non_exhaustive()
    }
}

/// A validator being put together; see [`Validator::builder`].
#[must_use]
pub struct ValidatorBuilder {
    issuer: String,
    audiences: Vec<String>,
    required_scopes: Vec<String>,
    leeway: Duration,
    longest_staleness: Duration,
    ca_certificates: Vec<Vec<u8>>,
    fetcher: Option<Box<dyn FetchKeys>>,
    clock: Option<Arc<dyn Clock>>,
}

impl ValidatorBuilder {
    /// Accepts tokens whose `aud` has this value (RFC 9068, section 4). Needed
    /// at least once; when given more than once, any of them will do.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Asks for this scope in every token; when given more than once, for all
    /// of them.
    pub fn required_scope(mut self, scope: impl Into<String>) -> Self {
        self.required_scopes.push(scope.into());
        self
    }

    /// How far the issuer's clock and ours may be apart: 60 seconds unless said
    /// otherwise, 300 at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How long keys are trusted beyond their life while no newer ones can be
    /// fetched: 24 hours unless said otherwise, 7 days at most. Longer means
    /// that an outage of the issuer is felt later, and so is the withdrawal of
    /// a key during one.
    pub fn longest_staleness(mut self, staleness: Duration) -> Self {
        self.longest_staleness = staleness.min(LONGEST_STALENESS);
        self
    }

    /// Trusts these certificates (PEM, one or several) for TLS to the issuer,
    /// besides those of the platform.
    pub fn add_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates.push(pem.into());
        self
    }

    /// Gets the keys in another way than from the issuer's metadata.
    pub fn key_fetcher(mut self, fetcher: impl FetchKeys) -> Self {
        self.fetcher = Some(Box::new(fetcher));
        self
    }

    /// Takes the time from this clock, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks the configuration and builds the validator. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Issuer`], [`Error::NoAudience`], [`Error::Scope`],
    /// [`Error::Leeway`], [`Error::CaCertificate`] or [`Error::Tls`].
    pub fn build(self) -> Result<Validator, Error> {
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(Error::NoAudience);
        }
        let issuer = Issuer::parse(&self.issuer).map_err(Error::Issuer)?;
        let mut required_scope = ScopeSet::new();
        for scope in self.required_scopes {
            required_scope.insert(scope).map_err(Error::Scope)?;
        }
        if self.leeway > LONGEST_LEEWAY {
            return Err(Error::Leeway(self.leeway.as_secs()));
        }
        let clock = self
            .clock
            .unwrap_or_else(|| Arc::new(SystemClock::default()));
        let fetcher = match self.fetcher {
            Some(fetcher) => fetcher,
            None => Box::new(IssuerKeys::new(issuer.clone(), &self.ca_certificates)?),
        };
        let keys = KeyCache::new(fetcher, Arc::clone(&clock), self.longest_staleness);
        Ok(Validator {
            inner: Arc::new(Inner {
                rules: Rules {
                    issuer,
                    audiences: self.audiences,
                    required_scope,
                    leeway: self.leeway,
                },
                keys: Arc::new(keys),
                clock,
            }),
        })
    }
}

impl fmt::Debug for ValidatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorBuilder")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .field("required_scopes", &self.required_scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
