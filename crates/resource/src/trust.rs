//! One authorization server that is trusted, and what its tokens must be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::Algorithm;
use countersign_oauth::Issuer;

use crate::introspection::{AskIssuer, IntrospectToken, IntrospectionPolicy, Introspector};
use crate::issuer_keys::IssuerKeys;
use crate::keys::KeyCache;
use crate::token::Rules;
use crate::{Clock, Error, FetchKeys, TokenProfile};

/// How long keys are trusted beyond their life while the issuer is down.
const DEFAULT_STALENESS: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_STALENESS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An issuer whose tokens are taken, with keys, audiences, algorithms and a
/// token profile of its own.
///
/// The first one is made by [`Validator::builder`](crate::Validator::builder);
/// others are added with [`ValidatorBuilder::trust`](crate::ValidatorBuilder::trust).
#[must_use]
pub struct Trust {
    issuer: String,
    audiences: Vec<String>,
    profile: TokenProfile,
    algorithms: Vec<Algorithm>,
    longest_staleness: Duration,
    pub(crate) ca_certificates: Vec<Vec<u8>>,
    fetcher: Option<Box<dyn FetchKeys>>,
    key_file: Option<PathBuf>,
    introspection: Option<IntrospectionPolicy>,
}

impl Trust {
    /// Trusts this issuer (RFC 8414, section 2), exactly as it writes its own
    /// name.
    pub fn issuer(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: Vec::new(),
            profile: TokenProfile::default(),
            algorithms: Algorithm::ALL.to_vec(),
            longest_staleness: DEFAULT_STALENESS,
            ca_certificates: Vec::new(),
            fetcher: None,
            key_file: None,
            introspection: None,
        }
    }

    /// Takes tokens whose `aud` has this value (RFC 9068, section 4). Needed at
    /// least once; when given more than once, any of them will do.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// What the issuer's access tokens look like, if not as RFC 9068 has it.
    pub fn profile(mut self, profile: TokenProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Takes only these signatures. All that `jose` knows unless narrowed: what
    /// a key may verify is fixed by the key, so a token cannot choose among them.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
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

    /// Keeps the last good keys in this file, so that a restart while the
    /// issuer is down begins with them; they age as if there had been none. The
    /// directory has to be there, and nobody else may write to it: who writes
    /// the file decides which tokens are good.
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// Asks the issuer about tokens that say nothing by themselves (RFC 7662).
    /// Of several issuers only one may be asked: to ask them all about a token
    /// would show it to those that it is not from.
    pub fn introspection(mut self, policy: IntrospectionPolicy) -> Self {
        self.introspection = Some(policy);
        self
    }

    /// Gets the keys in another way than from the issuer's metadata.
    pub fn key_fetcher(mut self, fetcher: impl FetchKeys) -> Self {
        self.fetcher = Some(Box::new(fetcher));
        self
    }

    /// Checks the configuration. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Issuer`], [`Error::NoAudience`], [`Error::NoAlgorithm`],
    /// [`Error::CaCertificate`] or [`Error::Tls`].
    pub(crate) fn build(
        self,
        leeway: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Trusted, Option<Arc<Introspector>>), Error> {
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(Error::NoAudience);
        }
        if self.algorithms.is_empty() {
            return Err(Error::NoAlgorithm);
        }
        let issuer = Issuer::parse(&self.issuer).map_err(Error::Issuer)?;
        let name: Arc<str> = issuer.as_str().into();
        let fetcher = match self.fetcher {
            Some(fetcher) => fetcher,
            None => Box::new(IssuerKeys::new(issuer.clone(), &self.ca_certificates)?),
        };
        let mut keys = KeyCache::new(fetcher, Arc::clone(clock), self.longest_staleness);
        if let Some(path) = self.key_file {
            keys = keys.kept_in(path, name.to_string());
        }
        let rules = Rules {
            issuer: name,
            audiences: self.audiences,
            shape: self.profile.shape(),
            leeway,
        };
        let introspector = match self.introspection {
            None => None,
            Some(mut policy) => {
                let asker: Box<dyn IntrospectToken> = match policy.asker.take() {
                    Some(asker) => asker,
                    None => Box::new(AskIssuer::new(
                        issuer,
                        &policy,
                        &self.ca_certificates,
                        Arc::clone(clock),
                    )?),
                };
                let introspector =
                    Introspector::new(&policy, asker, rules.clone(), Arc::clone(clock))?;
                Some(Arc::new(introspector))
            }
        };
        let trusted = Trusted {
            rules,
            algorithms: self.algorithms,
            keys: Arc::new(keys),
        };
        Ok((trusted, introspector))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A [`Trust`] at work.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) rules: Rules,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) keys: Arc<KeyCache>,
}
