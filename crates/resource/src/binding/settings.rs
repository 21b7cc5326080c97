//! What the validator's builder says about binding and memory.

use std::fmt;
use std::sync::Arc;

use super::{CertificateHeader, DpopPolicy, Revocation};
use crate::state::{SharedState, StateError};
use crate::{Validator, ValidatorBuilder};

/// What the validator's builder collects for [`Binding`](super::Binding).
#[derive(Default)]
pub(crate) struct BindingSettings {
    pub(super) dpop: DpopPolicy,
    pub(super) certificates: Option<CertificateHeader>,
    pub(super) state: Option<Arc<dyn SharedState>>,
    pub(super) danger_allow_without_state: bool,
}

impl ValidatorBuilder {
    /// How proofs of possession are checked (RFC 9449). Tokens that are bound to
    /// a key need one in any case; this says under which address requests come.
    pub fn dpop(mut self, policy: DpopPolicy) -> Self {
        self.offer_dpop(policy.offered());
        self.binding.dpop = policy;
        self
    }

    /// Takes the certificate of a TLS client (RFC 8705) from a header, when the
    /// request comes from a proxy that is named there.
    pub fn certificate_header(mut self, header: CertificateHeader) -> Self {
        self.binding.certificates = Some(header);
        self
    }

    /// What replicas share: which proofs were used, and what was revoked. A
    /// memory of this process alone unless given.
    pub fn state(mut self, state: Arc<dyn SharedState>) -> Self {
        self.binding.state = Some(state);
        self
    }

    /// Lets requests pass when the shared state is full or away: proofs may
    /// then be used twice, and revoked tokens are taken. Without this, what
    /// needs the state is answered with 503 meanwhile.
    pub fn danger_allow_without_state(mut self) -> Self {
        self.binding.danger_allow_without_state = true;
        self
    }
}

impl Validator {
    /// Stops taking what is revoked, here and at every replica that shares the
    /// state, whether the token is cached or not.
    ///
    /// # Errors
    ///
    /// [`StateError`] when it could not be noted: it is *not* revoked then.
    pub async fn revoke(&self, revocation: &Revocation) -> Result<(), StateError> {
        let (binding, now) = self.binding();
        binding.revoke(revocation, now).await
    }
}

impl fmt::Debug for BindingSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingSettings")
            .field("dpop", &self.dpop)
            .field("certificates", &self.certificates)
            .field(
                "danger_allow_without_state",
                &self.danger_allow_without_state,
            )
            .finish_non_exhaustive()
    }
}
