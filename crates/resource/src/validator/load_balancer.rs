//! People whom a load balancer has signed in, remembered like tokens.
//!
//! A browser comes with the same header at each request until the load balancer makes a new one, some
//! minutes later. What is compared before the signature is settled by the text and the configuration,
//! so a header that comes again has to be compared with the time and with the keys alone.
//!
//! Not responsible for where a header may come from, nor for revocation: both are asked each time.

use std::sync::Arc;

use countersign_jose::jws::MAX_TOKEN_LEN;

use super::Validator;
use crate::alb::Balancer;
use crate::token_cache::{Digest, Junk, Known, TokenCache, VerifiedBy};
use crate::{AccessToken, Rejection};

impl Validator {
    /// The person in the header of this load balancer.
    pub(super) async fn person(
        &self,
        balancer: &Balancer,
        text: &str,
    ) -> Result<Arc<AccessToken>, Rejection> {
        let cache = self.inner.cache.as_ref();
        let Some(cache) = cache.filter(|_| text.len() <= MAX_TOKEN_LEN) else {
            let verified = balancer.verify(text).await;
            return verified.map(|(person, _)| person).map_err(|(bad, _)| bad);
        };
        let digest = Digest::of(text);
        if let Some(verdict) = remembered(balancer, cache, &digest) {
            return verdict;
        }
        let epoch = cache.epoch();
        let by = |key| VerifiedBy::LoadBalancer { key };
        match balancer.verify(text).await {
            Ok((person, key)) => {
                let now = self.inner.clock.now();
                cache.keep(digest, Arc::clone(&person), by(key), epoch, now);
                Ok(person)
            }
            Err((rejection, key)) => {
                if let (Some(junk), Some(key)) = (Junk::of(&rejection), key) {
                    cache.keep_junk(digest, junk, by(key));
                }
                Err(rejection)
            }
        }
    }
}

/// What is known of a header that came before, as long as its key is there.
fn remembered(
    balancer: &Balancer,
    cache: &TokenCache,
    digest: &Digest,
) -> Option<Result<Arc<AccessToken>, Rejection>> {
    match cache.get(digest)? {
        Known::Good(person, VerifiedBy::LoadBalancer { key }) => {
            let is_good = balancer.is_current(&person) && balancer.has_key(key);
            is_good.then_some(Ok(person))
        }
        Known::Bad(junk, VerifiedBy::LoadBalancer { key }) => {
            balancer.has_key(key).then(|| Err(junk.into()))
        }
        Known::Good(_, VerifiedBy::Issuer { .. }) | Known::Bad(_, VerifiedBy::Issuer { .. }) => {
            None
        }
    }
}
