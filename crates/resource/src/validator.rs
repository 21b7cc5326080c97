//! The validator: the issuers that are trusted, and what a request must present to pass.
//!
//! Not responsible for the answer to a request that is refused, nor for what a caller may do beyond
//! what is demanded.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::jws::{HeaderMemo, MAX_TOKEN_LEN};
use countersign_jose::{Header, KeySet, Timestamp, Unverified};
use countersign_oauth::text::printable;
use countersign_policy::Explanation;
use http::header::AUTHORIZATION;

use crate::alb::Balancer;
use crate::binding::{Binding, BindingSettings};
use crate::credentials::credentials;
use crate::demands::with_evidence;
use crate::introspection::{Introspector, is_jwt};
use crate::striped::Striped;
use crate::token_cache::{Digest, Junk, Known, TokenCache, VerifiedBy};
use crate::trust::{Trust, Trusted};
use crate::{
    AccessToken, Advice, Caller, Clock, Demands, DemandsBuilder, Error, FetchKeys,
    IntrospectionPolicy, KeyStatus, LoadBalancer, Presentation, Presented, Refused, Rejection,
    ResourceMetadata, SystemClock, TokenProfile,
};

/// The clocks of two well-kept machines differ by less.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

/// Bytes for tokens that are remembered.
const DEFAULT_CACHE: usize = 16 * 1024 * 1024;

/// Decides whether a request, or an access token alone, may pass at this API.
///
/// Cloning is cheap, and clones share the keys. Must be used inside a Tokio
/// runtime, because keys are fetched in a task of their own.
#[derive(Clone)]
pub struct Validator {
    inner: Arc<Inner>,
}

struct Inner {
    trusted: Vec<Trusted>,
    /// What is asked of every token, whatever the route.
    demands: Demands,
    advice: Advice,
    metadata: Option<ResourceMetadata>,
    leeway: Duration,
    binding: Binding,
    cache: Option<TokenCache>,
    headers: Striped<HeaderMemo>,
    introspector: Option<Arc<Introspector>>,
    balancer: Option<Balancer>,
    clock: Arc<dyn Clock>,
}

impl Validator {
    /// Begins a validator for tokens of this issuer (RFC 8414, section 2),
    /// exactly as it writes its own name.
    pub fn builder(issuer: impl Into<String>) -> ValidatorBuilder {
        ValidatorBuilder {
            first: Trust::issuer(issuer),
            others: Vec::new(),
            demands: Demands::builder(),
            advice: Advice::none(),
            resource: None,
            leeway: DEFAULT_LEEWAY,
            binding: BindingSettings::default(),
            balancer: None,
            cache: DEFAULT_CACHE,
            clock: None,
        }
    }

    /// Verifies a bearer token and checks it against every rule (RFC 9068,
    /// section 4), for those who have no more than the string.
    ///
    /// The checks go from cheap to expensive, and nothing is sent for a token
    /// that cannot be good: only a well-formed access token that claims a
    /// trusted issuer, and whose key is not known, can lead to a fetch, and that
    /// under a cooldown. Waits for at most one fetch of the keys.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] that says which rule the token breaks. A token that is
    /// bound to a key or a certificate (`cnf`) is refused: without the request,
    /// nobody can say whether it was stolen.
    pub async fn validate(&self, token: &str) -> Result<Caller, Rejection> {
        let (verified, now) = self.verified(token).await?;
        let binding = &self.inner.binding;
        binding.not_revoked(token, &verified, now).await?;
        let caller = as_bearer(verified)?;
        self.meets_at(now, &caller, None, &self.inner.demands)?;
        Ok(caller)
    }

    /// Finds the credentials of a request, verifies them, and compares them with
    /// what is demanded of every token and on this route.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] that says what is missing or wrong.
    pub async fn check(
        &self,
        request: &Presented<'_>,
        demands: &Demands,
    ) -> Result<Caller, Rejection> {
        if let Some(balancer) = &self.inner.balancer
            && let Some(text) = balancer.find(request)?
        {
            // One request is of one person.
            if request.headers.contains_key(AUTHORIZATION) {
                return Err(Rejection::SeveralCredentials);
            }
            let person = self.person(balancer, text).await?;
            let now = self.inner.clock.now();
            self.inner.binding.not_revoked(text, &person, now).await?;
            let caller = Caller::new(person, Presentation::LoadBalancer);
            self.meets_at(now, &caller, request.source, &self.inner.demands)?;
            self.meets_at(now, &caller, request.source, demands)?;
            return Ok(caller);
        }
        let found = credentials(request.headers, request.uri)?;
        let (token, now) = self.verified(found.token).await?;
        let binding = &self.inner.binding;
        binding.not_revoked(found.token, &token, now).await?;
        let proven = binding.prove(request, &found, token.confirmation(), now)?;
        let presentation = match proven.presentation {
            Presentation::Bearer if token.was_introspected() => Presentation::Introspected,
            other => other,
        };
        let caller = Caller::new(token, presentation);
        self.meets_at(now, &caller, request.source, &self.inner.demands)?;
        self.meets_at(now, &caller, request.source, demands)?;
        // Last, so that a request that fails burns no proof.
        let next_nonce = binding.use_up(proven, now).await?;
        Ok(caller.with_next_nonce(next_nonce))
    }

    /// A token whose signature and claims are good, and the time when that was
    /// found. Whether it is used by whom it was given to is a question to the
    /// request.
    async fn verified(&self, token: &str) -> Result<(Arc<AccessToken>, Timestamp), Rejection> {
        let Some(introspector) = &self.inner.introspector else {
            return self.verified_jwt(token).await;
        };
        if !is_jwt(token) {
            let verified = introspector.opaque(token).await?;
            return Ok((verified, self.inner.clock.now()));
        }
        let (verified, mut now) = self.verified_jwt(token).await?;
        // Only its own issuer is shown a token.
        if introspector.issuer() == verified.issuer() {
            introspector.still_good(token, &verified).await?;
            now = self.inner.clock.now();
        }
        Ok((verified, now))
    }

    async fn verified_jwt(&self, token: &str) -> Result<(Arc<AccessToken>, Timestamp), Rejection> {
        // Longer ones are refused unread, and not worth a digest.
        let cache = self.inner.cache.as_ref();
        let Some(cache) = cache.filter(|_| token.len() <= MAX_TOKEN_LEN) else {
            let verified = self.verify(token).await;
            return verified
                .map(|(token, _, now)| (token, now))
                .map_err(|(bad, _)| bad);
        };
        let digest = Digest::of(token);
        if let Some(verdict) = self.remembered(cache, &digest) {
            return verdict;
        }
        let epoch = cache.epoch();
        match self.verify(token).await {
            Ok((token, verified_by, now)) => {
                cache.keep(digest, Arc::clone(&token), verified_by, epoch, now);
                Ok((token, now))
            }
            Err((rejection, verified_by)) => {
                if let (Some(junk), Some(verified_by)) = (Junk::of(&rejection), verified_by) {
                    cache.keep_junk(digest, junk, verified_by);
                }
                Err(rejection)
            }
        }
    }

    /// What is known of a token that came before; nothing, when it has to be
    /// looked at again. Waits for nothing.
    fn remembered(
        &self,
        cache: &TokenCache,
        digest: &Digest,
    ) -> Option<Result<(Arc<AccessToken>, Timestamp), Rejection>> {
        match cache.get(digest)? {
            Known::Good(token, VerifiedBy::Issuer { trusted, keys }) => {
                let trusted = self.inner.trusted.get(trusted)?;
                let now = self.inner.clock.now();
                let is_good =
                    trusted.rules.is_current(&token, now) && trusted.keys.vouches(keys, now);
                is_good.then_some(Ok((token, now)))
            }
            Known::Bad(junk, VerifiedBy::Issuer { trusted, keys }) => {
                let trusted = self.inner.trusted.get(trusted)?;
                (trusted.keys.generation() == keys).then(|| Err(junk.into()))
            }
            Known::Good(_, VerifiedBy::LoadBalancer { .. })
            | Known::Bad(_, VerifiedBy::LoadBalancer { .. }) => None,
        }
    }

    /// Verifies a token, and says by which keys and when: by which keys also for
    /// one that they do not verify.
    async fn verify(
        &self,
        token: &str,
    ) -> Result<(Arc<AccessToken>, VerifiedBy, Timestamp), (Rejection, Option<VerifiedBy>)> {
        let unread = |rejection| (rejection, None);
        let of_token = |error| unread(Rejection::of_token(error));
        let headers = self.inner.headers.mine();
        let token = Unverified::<AccessToken>::parse_with(token, headers).map_err(of_token)?;
        // Not yet believed, only good enough to choose the keys and to refuse
        // early; it is compared again among the verified claims.
        let issuer = token.unverified_issuer().map_err(of_token)?;
        let (place, trusted) = self.trusted(issuer).map_err(unread)?;
        if !trusted.rules.shape.takes_type(token.header()) {
            let found = printable(token.header().typ().unwrap_or_default());
            return Err(unread(Rejection::WrongType { found }));
        }
        // Asked before the keys are: when they change in between, what they
        // verify is not kept for longer than until the next request.
        let (withdrawals, generation) = (trusted.keys.withdrawals(), trusted.keys.generation());
        let verified_by = |keys| VerifiedBy::Issuer {
            trusted: place,
            keys,
        };
        let keys = trusted
            .keys
            .holding(token.header().kid(), |keys| knows(keys, token.header()));
        let keys = keys.await.map_err(unread)?;
        let now = self.inner.clock.now();
        token
            .verify(&keys, &trusted.algorithms)
            .map_err(Rejection::of_token)
            .inspect(|_| token.remember_header(self.inner.headers.mine()))
            .and_then(|token| token.check(|_, claims| trusted.rules.check(claims, now)))
            .map(|token| (Arc::new(token.into_inner()), verified_by(withdrawals), now))
            .map_err(|rejection| (rejection, Some(verified_by(generation))))
    }

    /// The issuer that a token claims, and its place among those that are
    /// trusted.
    pub(crate) fn trusted(&self, issuer: &str) -> Result<(usize, &Trusted), Rejection> {
        let mut trusted = self.inner.trusted.iter().enumerate();
        trusted
            .find(|(_, trusted)| &*trusted.rules.issuer == issuer)
            .ok_or_else(|| {
                let known = self.inner.trusted.iter();
                let known: Vec<&str> = known.map(|trusted| &*trusted.rules.issuer).collect();
                Rejection::WrongIssuer {
                    expected: known.join(" "),
                    found: printable(issuer),
                }
            })
    }

    /// Compares a verified caller with demands, for handlers that ask for more
    /// than their route. `source` is where the request comes from, for policies
    /// that ask for a network.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] that says what is missing.
    pub fn meets(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        demands: &Demands,
    ) -> Result<(), Rejection> {
        self.meets_at(self.inner.clock.now(), caller, source, demands)
    }

    fn meets_at(
        &self,
        now: Timestamp,
        caller: &Caller,
        source: Option<IpAddr>,
        demands: &Demands,
    ) -> Result<(), Rejection> {
        demands.check(caller, source, now, self.inner.leeway)
    }

    /// What the policy among `demands` says about this caller, rule by rule;
    /// nothing when there is no policy.
    pub fn explain<'d>(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        demands: &'d Demands,
    ) -> Option<Explanation<'d>> {
        let policy = demands.policy()?;
        let now = self.inner.clock.now();
        Some(with_evidence(caller, source, now, |evidence| {
            policy.explain(evidence)
        }))
    }

    /// Verifies this token anew when it comes next.
    pub fn forget(&self, token: &str) {
        if let Some(cache) = &self.inner.cache {
            cache.forget(&Digest::of(token));
        }
    }

    /// Verifies every token anew when it comes next. Whoever denies tokens by
    /// something else than the token itself does this.
    pub fn forget_all(&self) {
        if let Some(cache) = &self.inner.cache {
            cache.clear();
        }
    }

    #[cfg(test)]
    pub(crate) fn inner_cache(&self) -> &TokenCache {
        self.inner.cache.as_ref().expect("a cache")
    }

    /// How many tokens are remembered, and how many bytes are counted for them.
    pub fn remembered_tokens(&self) -> (usize, usize) {
        let cache = self.inner.cache.as_ref();
        cache.map_or((0, 0), TokenCache::size)
    }

    pub(crate) fn binding(&self) -> (&Binding, Timestamp) {
        (&self.inner.binding, self.inner.clock.now())
    }

    /// As [`meets`](Self::meets), for handlers that answer by themselves: the
    /// refusal is the whole answer.
    ///
    /// # Errors
    ///
    /// The [`Refused`] that says what is missing.
    pub fn demand(&self, caller: &Caller, demands: &Demands) -> Result<(), Refused> {
        let met = self.meets(caller, None, demands);
        met.map_err(|rejection| Refused::new(rejection, self.advice()))
    }

    /// The document about this API (RFC 9728), to be served at its
    /// [`path`](ResourceMetadata::path) without asking for a token; nothing,
    /// unless the builder was told the [`resource`](ValidatorBuilder::resource).
    pub fn metadata(&self) -> Option<&ResourceMetadata> {
        self.inner.metadata.as_ref()
    }

    /// The document about another resource (RFC 9728) behind this validator, for a service that is
    /// several of them; tokens for it come from these issuers. Whoever has such parts compares `aud`
    /// for each: the validator takes tokens for all of them.
    ///
    /// # Errors
    ///
    /// [`Error::Resource`], as for [`resource`](ValidatorBuilder::resource).
    pub fn metadata_of(&self, resource: &str, issuers: &[&str]) -> Result<ResourceMetadata, Error> {
        let mut metadata = ResourceMetadata::new(resource)?;
        metadata.issuers(issuers);
        if let Some(algorithms) = self.inner.advice.offers_dpop() {
            metadata.dpop_algorithms(algorithms);
        }
        Ok(metadata)
    }

    /// What every challenge says about this API; needed to answer a [`Rejection`].
    pub fn advice(&self) -> &Advice {
        &self.inner.advice
    }

    /// Fetches the keys of every issuer now, where there are none: a service
    /// that does this before it listens keeps its first caller from waiting.
    ///
    /// # Errors
    ///
    /// [`Rejection::KeysUnavailable`] when an issuer could not be reached; the
    /// others have been asked all the same. It is safe to listen: the keys are
    /// fetched again when a token comes.
    pub async fn load_keys(&self) -> Result<(), Rejection> {
        let mut outcome = Ok(());
        for trusted in &self.inner.trusted {
            let loaded = trusted.keys.holding(None, |_| true).await;
            outcome = outcome.and(loaded.map(|_| ()));
        }
        outcome
    }

    /// What is known of the keys of the first issuer, for a readiness check.
    pub fn key_status(&self) -> KeyStatus {
        let first = self.inner.trusted.first();
        // There is always one: `build` puts it there.
        first.map_or_else(KeyStatus::none, |trusted| trusted.keys.status())
    }

    /// What is known of the keys of each issuer, for a service that trusts several.
    pub fn key_statuses(&self) -> Vec<(&str, KeyStatus)> {
        let trusted = self.inner.trusted.iter();
        trusted
            .map(|trusted| (&*trusted.rules.issuer, trusted.keys.status()))
            .collect()
    }
}

/// A token that is bound to something is no bearer token, whatever it is bound to.
fn as_bearer(token: Arc<AccessToken>) -> Result<Caller, Rejection> {
    if token.confirmation().is_some() {
        return Err(Rejection::SenderConstrained);
    }
    let presentation = if token.was_introspected() {
        Presentation::Introspected
    } else {
        Presentation::Bearer
    };
    Ok(Caller::new(token, presentation))
}

/// Whether the set says anything about the key that a header names; if it does,
/// a newer set would say the same.
pub(crate) fn knows(keys: &KeySet, header: &Header) -> bool {
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
            .field("trusted", &self.inner.trusted)
            .field("demands", &self.inner.demands)
            .finish_non_exhaustive()
    }
}

/// A validator being put together; see [`Validator::builder`].
#[must_use]
pub struct ValidatorBuilder {
    first: Trust,
    others: Vec<Trust>,
    demands: DemandsBuilder,
    advice: Advice,
    resource: Option<String>,
    leeway: Duration,
    pub(crate) binding: BindingSettings,
    balancer: Option<LoadBalancer>,
    cache: usize,
    clock: Option<Arc<dyn Clock>>,
}

impl ValidatorBuilder {
    /// Accepts tokens whose `aud` has this value (RFC 9068, section 4). Needed
    /// at least once; when given more than once, any of them will do.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.first = self.first.audience(audience);
        self
    }

    /// What the issuer's access tokens look like, if not as RFC 9068 has it.
    pub fn profile(mut self, profile: TokenProfile) -> Self {
        self.first = self.first.profile(profile);
        self
    }

    /// Takes the tokens of another issuer as well, by rules of its own.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.others.push(trust);
        self
    }

    /// Asks for this scope in every token; when given more than once, for all
    /// of them.
    pub fn required_scope(mut self, scope: impl Into<String>) -> Self {
        self.demands = self.demands.scope(scope);
        self
    }

    /// The URL that callers know this API by. It is an audience, and
    /// [`Validator::metadata`] is a document about it (RFC 9728) that every
    /// challenge points to.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        let resource = resource.into();
        self.resource = Some(resource.clone());
        self.audience(resource)
    }

    /// What this API says about itself when it refuses a request.
    pub fn advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    /// Lets challenges say that proofs with these algorithms do.
    pub(crate) fn offer_dpop(&mut self, algorithms: String) {
        self.advice = std::mem::take(&mut self.advice).dpop_algorithms(algorithms);
    }

    /// How far the issuers' clocks and ours may be apart: 60 seconds unless said
    /// otherwise, 300 at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How many bytes verified tokens may take that are remembered, so that a
    /// token that comes again costs a digest instead of a signature: 16 MiB
    /// unless said otherwise, which is some ten thousand tokens. With 0, none
    /// is remembered.
    pub fn token_cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// How long the first issuer's keys are trusted beyond their life while no newer ones can be
    /// fetched; see [`Trust::longest_staleness`].
    pub fn longest_staleness(mut self, staleness: Duration) -> Self {
        self.first = self.first.longest_staleness(staleness);
        self
    }

    /// Trusts these certificates (PEM, one or several) for TLS to the first
    /// issuer, besides those of the platform.
    pub fn add_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.first = self.first.add_ca_pem(pem);
        self
    }

    /// Keeps the first issuer's last good keys in this file; see
    /// [`Trust::key_file`].
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.first = self.first.key_file(path);
        self
    }

    /// Asks the first issuer about opaque tokens; see [`Trust::introspection`].
    pub fn introspection(mut self, policy: IntrospectionPolicy) -> Self {
        self.first = self.first.introspection(policy);
        self
    }

    /// Takes people whom this load balancer has signed in, by the header that it
    /// signs. A request with that header and a token is refused.
    pub fn load_balancer(mut self, balancer: LoadBalancer) -> Self {
        self.balancer = Some(balancer);
        self
    }

    /// Gets the first issuer's keys in another way than from its metadata.
    pub fn key_fetcher(mut self, fetcher: impl FetchKeys) -> Self {
        self.first = self.first.key_fetcher(fetcher);
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
    /// [`Error::Issuer`], [`Error::IssuerTwice`], [`Error::NoAudience`],
    /// [`Error::NoAlgorithm`], [`Error::Resource`], [`Error::Scope`], [`Error::Leeway`],
    /// [`Error::CaCertificate`] or [`Error::Tls`].
    pub fn build(self) -> Result<Validator, Error> {
        if self.leeway > LONGEST_LEEWAY {
            return Err(Error::Leeway(self.leeway.as_secs()));
        }
        let clock = self
            .clock
            .unwrap_or_else(|| Arc::new(SystemClock::default()));
        let mut introspector = None;
        let mut trusted: Vec<Trusted> = Vec::new();
        for trust in std::iter::once(self.first).chain(self.others) {
            let (trust, asks) = trust.build(self.leeway, &clock)?;
            if asks.is_some() && introspector.is_some() {
                return Err(Error::IntrospectionTwice);
            }
            introspector = introspector.or(asks);
            let issuer = &trust.rules.issuer;
            if trusted.iter().any(|other| other.rules.issuer == *issuer) {
                return Err(Error::IssuerTwice(issuer.to_string()));
            }
            trusted.push(trust);
        }
        let balancer = self.balancer;
        let balancer = balancer
            .map(|balancer| balancer.build(self.leeway, Arc::clone(&clock)))
            .transpose()?;
        let mut advice = self.advice;
        let metadata = match &self.resource {
            Some(resource) => {
                let mut metadata = ResourceMetadata::new(resource)?;
                let issuers: Vec<&str> = trusted.iter().map(|it| &*it.rules.issuer).collect();
                metadata.issuers(&issuers);
                if let Some(algorithms) = advice.offers_dpop() {
                    metadata.dpop_algorithms(algorithms);
                }
                advice = advice.or_metadata_at(metadata.url());
                Some(metadata)
            }
            None => None,
        };
        Ok(Validator {
            inner: Arc::new(Inner {
                trusted,
                introspector,
                balancer,
                demands: self.demands.build()?,
                advice,
                metadata,
                leeway: self.leeway,
                binding: Binding::new(self.binding, clock.now())?,
                cache: (self.cache > 0).then(|| TokenCache::new(self.cache)),
                headers: Striped::default(),
                clock,
            }),
        })
    }
}

impl fmt::Debug for ValidatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorBuilder")
            .field("first", &self.first)
            .field("others", &self.others)
            .field("demands", &self.demands)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

mod load_balancer;

#[cfg(test)]
mod tests;
