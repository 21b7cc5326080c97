//! Proofs of possession at the resource server (RFC 9449, section 7).
//!
//! The twelve rules of section 4.3 are split in two: `jose::dpop` judges the
//! proof, and here stands what only the server knows: how many there are (rule
//! 1), which address the request had, which nonces are ours, and whether it was
//! used before.
//!
//! How old a proof is, its nonce says when it has one; the client's own `iat`
//! counts without. A proof that is sound but of the wrong age is answered with a
//! nonce, so that a client whose clock is off goes on with one request more.
//! The same answer gets a proof that may have been used before the memory
//! began, as after a restart.

use std::fmt;
use std::time::Duration;

use countersign_jose::dpop::{self, Expected, ProofError};
use countersign_jose::{Algorithm, Timestamp, crypto};
use url::Url;

use super::nonce::Nonces;
use super::quota::Quota;
use crate::state::{Claim, Key, SharedState, StateError};
use crate::{Error, Presented, Rejection};

/// How old a proof may be by its `iat`, and how far ahead of our clock.
const AGE: Duration = Duration::from_secs(60);
const AHEAD: Duration = Duration::from_secs(5);

/// How long a nonce is good.
const NONCE_AGE: Duration = Duration::from_secs(300);

/// About 170 requests a second, all of one client.
const DEFAULT_QUOTA: u32 = 10_000;

/// How proofs of possession are checked (RFC 9449).
#[must_use]
pub struct DpopPolicy {
    origin: Option<Url>,
    require_nonce: bool,
    nonce_key: Option<[u8; 32]>,
    algorithms: Vec<Algorithm>,
    quota: u32,
}

impl DpopPolicy {
    /// Proofs are checked where the origin is known from the request
    /// ([`Presented::origin`]), at most a minute old, and need no nonce except
    /// where their age cannot be judged otherwise.
    pub fn new() -> Self {
        Self {
            origin: None,
            require_nonce: false,
            nonce_key: None,
            algorithms: Algorithm::ALL.to_vec(),
            quota: DEFAULT_QUOTA,
        }
    }

    /// Says under which scheme, host and port callers reach this server. Paths
    /// come from the request; `Host` and forwarded headers are never asked.
    ///
    /// # Errors
    ///
    /// [`Error::Origin`] when it is no `http` or `https` URL with a host.
    pub fn origin(mut self, origin: &str) -> Result<Self, Error> {
        let url = Url::parse(origin).ok();
        let url = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        let printable = || countersign_oauth::text::printable(origin);
        self.origin = Some(url.ok_or_else(|| Error::Origin(printable()))?);
        Ok(self)
    }

    /// Takes no proof without a nonce of ours (section 9): then none can be made
    /// in advance. Costs each client one more request now and then.
    pub fn require_nonce(mut self) -> Self {
        self.require_nonce = true;
        self
    }

    /// The secret that nonces are made with, so that replicas take each other's
    /// and a restart takes those of before. A random one unless given.
    pub fn nonce_key(mut self, key: [u8; 32]) -> Self {
        self.nonce_key = Some(key);
        self
    }

    /// Takes only proofs that are signed so. All that `jose` knows unless
    /// narrowed; `none` and HMAC are not among them.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// How many proofs each key may use in a minute, at each replica: 10,000
    /// unless said otherwise.
    pub fn proofs_per_minute(mut self, limit: u32) -> Self {
        self.quota = limit;
        self
    }
}

impl DpopPolicy {
    /// The algorithms as a challenge lists them (section 7.1).
    pub(super) fn offered(&self) -> String {
        let names: Vec<_> = self.algorithms.iter().map(|a| a.name()).collect();
        names.join(" ")
    }
}

impl Default for DpopPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the key of the nonces.
impl fmt::Debug for DpopPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopPolicy")
            .field("origin", &self.origin.as_ref().map(Url::as_str))
            .field("require_nonce", &self.require_nonce)
            .field("algorithms", &self.algorithms)
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

/// A [`DpopPolicy`] at work.
pub(super) struct Dpop {
    origin: Option<Url>,
    require_nonce: bool,
    nonces: Nonces,
    algorithms: Vec<Algorithm>,
    quota: Quota,
}

/// A proof that is good and not used up yet.
#[derive(Debug)]
pub(super) struct UsedProof {
    thumbprint: String,
    key: Key,
    until: Timestamp,
    pub(super) next_nonce: Option<String>,
}

impl Dpop {
    pub(super) fn new(policy: DpopPolicy) -> Result<Self, Error> {
        if policy.algorithms.is_empty() {
            return Err(Error::NoAlgorithm);
        }
        Ok(Self {
            origin: policy.origin,
            require_nonce: policy.require_nonce,
            nonces: Nonces::new(policy.nonce_key)?,
            algorithms: policy.algorithms,
            quota: Quota::new(policy.quota),
        })
    }

    /// Checks the proof of a request for a token that is bound to `jkt`.
    pub(super) fn check(
        &self,
        request: &Presented<'_>,
        token: &str,
        jkt: &str,
        remembers_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<UsedProof, Rejection> {
        let proof = the_proof(request).map_err(Rejection::InvalidProof)?;
        let request = request.origin(request.origin.or(self.origin.as_ref()));
        let address = request
            .address()
            .ok_or(Rejection::InvalidProof(ProofError::Address))?;
        let mut expected = Expected::new(request.method.as_str(), &address);
        expected.access_token = Some(token);
        expected.thumbprint = Some(jkt);
        expected.algorithms = &self.algorithms;
        // Its age is judged below, where a nonce counts as well.
        expected.max_age = Duration::MAX;
        expected.leeway = Duration::MAX;
        let proof = dpop::verify(proof, &expected, crypto::aws_lc::provider(), now)
            .map_err(Rejection::InvalidProof)?;
        let dated = match proof.nonce() {
            Some(nonce) => self.dated_by_nonce(nonce, now),
            None if self.require_nonce => None,
            None => dated_by_client(proof.iat(), now),
        };
        // What may have been used before there was a memory of it has to be made
        // anew.
        let dated = dated.filter(|dated| remembers_since.is_none_or(|since| dated.from >= since));
        let Some(Dated { from, until }) = dated else {
            return Err(Rejection::ProofNonce {
                nonce: self.nonces.make(now),
            });
        };
        // A client that uses nonces gets the next one before this one is old
        // (section 8.2).
        let next_nonce =
            (proof.nonce().is_some() && now >= from + NONCE_AGE / 2).then(|| self.nonces.make(now));
        Ok(UsedProof {
            key: Key::new(
                "dpop-proof",
                &[proof.thumbprint().as_bytes(), proof.jti().as_bytes()],
            ),
            thumbprint: proof.thumbprint().to_owned(),
            until,
            next_nonce,
        })
    }

    /// Uses a proof up. The outer error is the memory's.
    pub(super) async fn use_up(
        &self,
        proof: &UsedProof,
        state: &dyn SharedState,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, StateError> {
        if let Err(retry_after) = self.quota.take(&proof.thumbprint, now) {
            return Ok(Err(Rejection::TooManyProofs { retry_after }));
        }
        Ok(match state.claim(&proof.key, proof.until, now).await? {
            Claim::First => Ok(()),
            Claim::Again => {
                self.quota.give_back(&proof.thumbprint);
                Err(Rejection::ProofReplayed)
            }
        })
    }

    fn dated_by_nonce(&self, nonce: &str, now: Timestamp) -> Option<Dated> {
        let made = self.nonces.made_at(nonce)?;
        // From the future only when our clock was set back, or a replica's is
        // ahead.
        let good = made <= now + AHEAD && now < made + NONCE_AGE;
        good.then_some(Dated {
            from: made,
            until: made + NONCE_AGE,
        })
    }
}

/// When a proof can have been used for the first time, and when no longer.
struct Dated {
    from: Timestamp,
    until: Timestamp,
}

/// By the client's clock, which may be as far ahead as we tolerate.
fn dated_by_client(iat: Timestamp, now: Timestamp) -> Option<Dated> {
    let good = iat <= now + AHEAD && now < iat + AGE;
    good.then_some(Dated {
        from: iat - AHEAD,
        until: iat + AGE,
    })
}

/// "There is not more than one DPoP HTTP request header field" (section 4.3,
/// rule 1). A list of two in one field is no proof either, and fails later.
fn the_proof<'a>(request: &Presented<'a>) -> Result<&'a str, ProofError> {
    let mut values = request.headers.get_all("dpop").iter();
    match (values.next(), values.next()) {
        (None, _) => Err(ProofError::Absent),
        (Some(_), Some(_)) => Err(ProofError::Several),
        (Some(proof), None) => proof
            .to_str()
            .map_err(|_| ProofError::Token(countersign_jose::Error::NotCompact)),
    }
}

impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop")
            .field("origin", &self.origin.as_ref().map(Url::as_str))
            .field("require_nonce", &self.require_nonce)
            .finish_non_exhaustive()
    }
}
