//! Whether a token is used by whom it was given to, and whether it still may be.
//!
//! A token that names a key or a certificate (`cnf`, RFC 7800) is worth nothing
//! without proof of everything that it names, and one that names nothing is not
//! made better by a proof. Here proofs are checked first and used up last, when
//! the rest of the request has turned out to be good: so a request that fails
//! burns no proof, and nobody fills the memory of used proofs without a token
//! of ours.
//!
//! Not responsible for the token itself, nor for what its holder may do.

mod certificate;
mod dpop;
mod logout;
mod nonce;
mod quota;
mod revocation;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::Timestamp;

pub use certificate::{CertificateForm, CertificateHeader};
pub use dpop::DpopPolicy;
pub use revocation::Revocation;
pub(crate) use settings::BindingSettings;

use crate::credentials::{Credentials, Scheme};
use crate::state::{SharedState, StateError};
use crate::{AccessToken, Confirmation, Error, Presentation, Presented, Rejection};
use dpop::{Dpop, UsedProof};

/// When a memory that cannot answer is asked again.
const STATE_RETRY: Duration = Duration::from_secs(5);

/// What remembers, and how proofs are checked.
pub(crate) struct Binding {
    dpop: Dpop,
    certificates: Option<CertificateHeader>,
    state: Arc<dyn SharedState>,
    danger_allow_without_state: bool,
}

/// What a request has proved beside its token, and what has to be used up for it.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) presentation: Presentation,
    proof: Option<UsedProof>,
}

impl Binding {
    pub(crate) fn new(settings: BindingSettings, now: Timestamp) -> Result<Self, Error> {
        let state = settings
            .state
            .unwrap_or_else(|| Arc::new(crate::state::MemoryState::new(now)));
        Ok(Self {
            dpop: Dpop::new(settings.dpop)?,
            certificates: settings.certificates,
            state,
            danger_allow_without_state: settings.danger_allow_without_state,
        })
    }

    /// Checks that whoever sent the request holds everything that the token is
    /// bound to. Uses nothing up.
    pub(crate) fn prove(
        &self,
        request: &Presented<'_>,
        credentials: &Credentials<'_>,
        bound_to: Option<&Confirmation>,
        now: Timestamp,
    ) -> Result<Proven, Rejection> {
        let Some(bound_to) = bound_to else {
            return match credentials.scheme {
                Scheme::Bearer => Ok(Proven::nothing(Presentation::Bearer)),
                // Whoever stole a plain token could make a proof with any key
                // (RFC 9449, section 7.1).
                Scheme::Dpop => Err(Rejection::NotSenderConstrained),
            };
        };
        if bound_to.unprovable {
            return Err(Rejection::SenderConstrained);
        }
        if let Some(digest) = &bound_to.certificate {
            certificate::check(digest, request, self.certificates.as_ref())?;
        }
        match (&bound_to.dpop_key, credentials.scheme) {
            // Section 7.1: such a token is not to be taken as a bearer token.
            (Some(_), Scheme::Bearer) => Err(Rejection::SenderConstrained),
            (Some(jkt), Scheme::Dpop) => {
                let since = self.state.remembers_since();
                let proof = self
                    .dpop
                    .check(request, credentials.token, jkt, since, now)?;
                Ok(Proven {
                    presentation: Presentation::Dpop,
                    proof: Some(proof),
                })
            }
            (None, Scheme::Bearer) => Ok(Proven::nothing(Presentation::Certificate)),
            (None, Scheme::Dpop) => Err(Rejection::NotSenderConstrained),
        }
    }

    /// Uses up what the request has proved; the very last step. Gives the nonce
    /// for the next proof, if it is time for one.
    pub(crate) async fn use_up(
        &self,
        proven: Proven,
        now: Timestamp,
    ) -> Result<Option<String>, Rejection> {
        let Some(proof) = proven.proof else {
            return Ok(None);
        };
        match self.dpop.use_up(&proof, &*self.state, now).await {
            Ok(outcome) => outcome?,
            Err(_) => self.without_state()?,
        }
        Ok(proof.next_nonce)
    }

    /// Refuses a token that was revoked, whether it is cached or not.
    pub(crate) async fn not_revoked(
        &self,
        token: &str,
        claims: &AccessToken,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        if self.state.denies_nothing() {
            return Ok(());
        }
        let keys = revocation::keys_of(token, claims);
        let issued_at = Some(claims.issued_at());
        let denied = match self.state.denied_now(&keys, issued_at, now) {
            Some(denied) => denied,
            None => match self.state.denied(&keys, issued_at, now).await {
                Ok(denied) => denied,
                Err(_) => return self.without_state(),
            },
        };
        if denied {
            return Err(Rejection::Revoked);
        }
        Ok(())
    }

    /// Notes a revocation. From then on no replica that shares the state takes
    /// what it names.
    pub(crate) async fn revoke(
        &self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let until = revocation.until(now);
        let noted = self
            .state
            .deny(&revocation.key, revocation.issued, until, now);
        noted.await
    }

    fn without_state(&self) -> Result<(), Rejection> {
        if self.danger_allow_without_state {
            Ok(())
        } else {
            Err(Rejection::StateUnavailable {
                retry_after: STATE_RETRY,
            })
        }
    }
}

impl Proven {
    fn nothing(presentation: Presentation) -> Self {
        Self {
            presentation,
            proof: None,
        }
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("dpop", &self.dpop)
            .field("certificates", &self.certificates)
            .field(
                "danger_allow_without_state",
                &self.danger_allow_without_state,
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
