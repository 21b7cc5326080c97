//! A person whom a load balancer has signed in, in the place of a token.

use std::sync::Arc;

use countersign_jose::{Claims, Timestamp};

use super::{AccessToken, date};
use crate::Rejection;
use crate::profile::ANSWER_OF_BALANCER;

impl AccessToken {
    /// Of claims that the load balancer has signed, and that were checked.
    ///
    /// They do not say when they were made, so they count as old when a subject
    /// is revoked; and they give no scope, whatever a claim of that name says:
    /// that would be the person's word about themselves.
    pub(crate) fn of_load_balancer(
        claims: Claims,
        issuer: &Arc<str>,
        expires_at: Timestamp,
    ) -> Result<Self, Rejection> {
        for claim in ["acr", "sid"] {
            claims
                .str(claim)
                .map_err(|_| Rejection::MalformedClaim(claim))?;
        }
        Ok(Self {
            issuer: Some(Arc::clone(issuer)),
            shape: &ANSWER_OF_BALANCER,
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at,
            auth_time: date(&claims, "auth_time")?,
            confirmation: None,
            claims,
        })
    }
}
