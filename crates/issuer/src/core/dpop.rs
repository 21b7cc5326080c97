//! Proofs that a request comes from the holder of a key (RFC 9449).
//!
//! A proof is checked first and used up later, when the rest of its request has
//! turned out to be worth it: so nobody can fill the memory of used proofs
//! without holding something that we gave out.
//!
//! How old a proof is, its nonce says when it has one; the client's own `iat`
//! counts without. A proof that is sound but of the wrong age is answered with
//! a nonce, so that a client whose clock is off goes on with one request more.

use std::time::Duration;

use countersign_jose::dpop::{self, Expected, ProofError};
use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::Secret;

use super::replay::Seen;
use super::{Client, ClientAuthentication, ClientCredentials, Core, Digest, Refusal, nonce};

/// The algorithms a proof may be signed with: all that there are. The key is
/// the client's own choice, and so is its strength.
pub const DPOP_ALGORITHMS: [Algorithm; 10] = Algorithm::ALL;

/// How old a proof may be by its `iat`, and how far ahead of our clock.
const AGE: Duration = Duration::from_secs(60);
const AHEAD: Duration = Duration::from_secs(5);
/// How long a nonce is good.
const NONCE_AGE: Duration = Duration::from_secs(300);

/// The `DPoP` header of a request, and what the request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// The proof itself.
    pub jwt: Secret,
    /// The method of the request.
    pub htm: &'static str,
    /// The URL of the request, as the configured issuer has it.
    pub htu: String,
}

/// Why a proof is not accepted (RFC 9449, sections 5 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProofRefused {
    /// `invalid_dpop_proof`; the text says why.
    Invalid(&'static str),
    /// `use_dpop_nonce`: another one, with a nonce of ours.
    NonceNeeded,
}

impl From<ProofRefused> for Refusal {
    fn from(refused: ProofRefused) -> Self {
        match refused {
            ProofRefused::Invalid(why) => Self::InvalidDpopProof(why),
            ProofRefused::NonceNeeded => Self::UseDpopNonce,
        }
    }
}

/// A key whose possession was proved by a proof that is not used up yet.
#[derive(Clone, Debug)]
pub(super) struct Proven {
    thumbprint: String,
    id: Digest,
    dated: Timestamp,
    until: Timestamp,
}

impl Proven {
    /// The key's thumbprint (RFC 7638).
    pub(super) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether this is the key with a thumbprint.
    pub(super) fn is(&self, bound: &str) -> bool {
        self.thumbprint == bound
    }
}

impl Core {
    /// Lets the issuer serve from `start` on: proofs that were made before may
    /// have been used at a process that is gone.
    #[must_use]
    pub fn serving_since(self, start: Timestamp) -> Self {
        self.replays.begin_at(start);
        self
    }

    /// A nonce for the next proof of whoever reads it.
    pub fn dpop_nonce(&self, now: Timestamp) -> String {
        nonce::make(now, self.keys().token_key(), self.provider)
    }

    /// Whether proofs without a nonce of ours are refused.
    pub fn requires_dpop_nonce(&self) -> bool {
        self.require_dpop_nonce
    }

    /// The key that a client proves to hold; `None` when it does not use
    /// `DPoP` and need not.
    pub(super) fn proven_key(
        &self,
        client: &Client,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> Result<Option<Proven>, Refusal> {
        match credentials.dpop() {
            Some(proof) => Ok(Some(self.check_proof(proof, None, now)?)),
            None if client.dpop_bound => Err(NO_PROOF),
            None => Ok(None),
        }
    }

    /// Checks a proof (RFC 9449, section 4.3), and that it belongs to an access
    /// token, if there is one.
    pub(super) fn check_proof(
        &self,
        proof: &DpopProof,
        access_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Proven, ProofRefused> {
        let mut expected = Expected::new(proof.htm, &proof.htu);
        expected.access_token = access_token;
        expected.algorithms = &DPOP_ALGORITHMS;
        // Its age is judged below, where a nonce counts as well.
        expected.max_age = Duration::MAX;
        expected.leeway = Duration::MAX;
        let verified = dpop::verify(proof.jwt.expose(), &expected, self.provider, now)
            .map_err(|error| ProofRefused::Invalid(what_is_wrong(&error)))?;
        let (dated, until) = match verified.nonce() {
            Some(nonce) => self.dated_by_nonce(nonce, now),
            None if self.require_dpop_nonce => None,
            None => dated_by_client(verified.iat(), now),
        }
        .ok_or(ProofRefused::NonceNeeded)?;
        let id = format!("{}\0{}", verified.thumbprint(), verified.jti());
        Ok(Proven {
            id: self.digest(&id),
            thumbprint: verified.thumbprint().to_owned(),
            dated,
            until,
        })
    }

    /// Uses the proof of a client up, if there is one.
    pub(super) fn use_key(
        &self,
        proven: Option<Proven>,
        now: Timestamp,
    ) -> Result<Option<String>, Refusal> {
        Ok(match proven {
            Some(proven) => Some(self.use_proof(proven, now)?),
            None => None,
        })
    }

    /// Uses a proof up; the thumbprint of its key.
    pub(super) fn use_proof(&self, proven: Proven, now: Timestamp) -> Result<String, ProofRefused> {
        let Proven {
            thumbprint,
            id,
            dated,
            until,
        } = proven;
        match self.replays.use_once(id, dated, until, now) {
            Seen::Never => Ok(thumbprint),
            Seen::Before => Err(ProofRefused::Invalid("the DPoP proof was used before")),
            Seen::Unknowable => Err(ProofRefused::NonceNeeded),
        }
    }

    /// When a proof can have been used for the first time, and when for the
    /// last, by its nonce.
    fn dated_by_nonce(&self, nonce: &str, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let made = nonce::made_at(nonce, self.keys().token_key(), self.provider)?;
        // From the future only when our clock was set back.
        let good = made <= now + AHEAD && now <= made + NONCE_AGE;
        good.then_some((made, made + NONCE_AGE))
    }
}

/// The same by the client's clock, which may be as far ahead as we tolerate.
fn dated_by_client(iat: Timestamp, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let good = iat <= now + AHEAD && now <= iat + AGE;
    good.then_some((iat - AHEAD, iat + AGE))
}

/// What a client is told that has to prove a key and does not.
const NO_PROOF: Refusal =
    Refusal::InvalidDpopProof("the DPoP header is missing, and tokens here are bound to a key");

/// Whether a key is the one that a code or a login is bound to, if it is bound;
/// `other` refuses another one.
pub(super) fn same_key(
    bound: Option<&String>,
    key: Option<&String>,
    other: Refusal,
) -> Result<(), Refusal> {
    match (bound, key) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(NO_PROOF),
        (Some(bound), Some(key)) if bound == key => Ok(()),
        (Some(_), Some(_)) => Err(other),
    }
}

/// The key that a login's refresh tokens are bound to. Those of a client that
/// authenticates are bound to that already (RFC 9449, section 5).
pub(super) fn bound_to(client: &Client, key: Option<&String>) -> Option<String> {
    match client.authentication {
        ClientAuthentication::Public => key.cloned(),
        ClientAuthentication::Secret(_) | ClientAuthentication::PrivateKeyJwt(_) => None,
    }
}

fn what_is_wrong(error: &ProofError) -> &'static str {
    match error {
        ProofError::WrongType => "the DPoP header is not of the type dpop+jwt",
        ProofError::KeyMissing => "the DPoP proof shows no key",
        ProofError::Key(_) => "the key of the DPoP proof is private or cannot be used",
        ProofError::Identifier => "the jti of the DPoP proof is empty or too long",
        ProofError::Method => "the htm of the DPoP proof is another method",
        ProofError::Address => "the htu of the DPoP proof is not the URL of this endpoint",
        ProofError::AccessToken => "the ath of the DPoP proof is not the access token's",
        ProofError::Claim(_) => "a claim of the DPoP proof is missing or malformed",
        _ => "the DPoP proof is malformed or its signature is wrong",
    }
}
