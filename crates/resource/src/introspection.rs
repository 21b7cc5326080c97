//! Tokens about which their issuer is asked (RFC 7662): opaque ones, and JWTs
//! where a revocation has to be noticed soon.
//!
//! One request serves everyone who presents the same token at the same time,
//! and its answer is kept for a short while, good or bad. Junk costs a request
//! each, because nothing about an opaque token can be told without; so there
//! are never more than a few under way. An issuer that does not answer is left
//! alone for a growing pause, and meanwhile nobody is let in.
//!
//! Not responsible for what an answer must say; that is for the rules of the
//! token.

mod ask;
mod cache;
mod policy;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_jose::{Timestamp, crypto};
use countersign_oauth::{Error as OAuthError, Introspection};
use tokio::sync::{Semaphore, watch};

pub(crate) use ask::AskIssuer;
pub use ask::{AnswerFuture, IntrospectToken};
use cache::{Cache, Digest};
pub use policy::IntrospectionPolicy;

use crate::token::Rules;
use crate::{AccessToken, Clock, Error, Rejection};

/// How many questions are under way at once, at most.
const MAX_QUESTIONS: usize = 32;

/// The longest opaque token that is asked about.
const MAX_TOKEN: usize = 4096;

/// The longest pause between two questions to an issuer that does not answer;
/// the first is a second, and each failure doubles it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Asks one issuer about tokens, and remembers the answers for a while.
pub(crate) struct Introspector {
    issuer: Box<dyn IntrospectToken>,
    rules: Rules,
    clock: Arc<dyn Clock>,
    horizon: Duration,
    jwt_too: bool,
    /// Digests depend on it, so that nobody can choose where a token lies.
    key: [u8; 32],
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    cache: Cache,
    /// Before this moment of the monotonic clock nobody is asked.
    not_before: Duration,
    failures_in_a_row: u32,
}

/// What became of a question; shared by all who wait for it.
type Outcome = Result<Arc<Verdict>, Rejection>;
type Flight = watch::Receiver<Option<Outcome>>;

/// What the issuer said about a token.
#[derive(Debug)]
struct Verdict {
    active: bool,
    subject: Option<String>,
    /// The token, if the answer satisfies every rule of an opaque one.
    token: Result<Arc<AccessToken>, Rejection>,
}

impl Introspector {
    pub(crate) fn new(
        policy: &IntrospectionPolicy,
        issuer: Box<dyn IntrospectToken>,
        rules: Rules,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let mut key = [0; 32];
        crypto::aws_lc::provider()
            .fill_random(&mut key)
            .map_err(|error| Error::Random(error.into()))?;
        Ok(Self {
            issuer,
            rules,
            clock,
            horizon: policy.horizon,
            jwt_too: policy.jwt_too,
            key,
            slots: Arc::new(Semaphore::new(MAX_QUESTIONS)),
            state: Mutex::new(State {
                cache: Cache::new(policy.capacity),
                not_before: Duration::ZERO,
                failures_in_a_row: 0,
            }),
        })
    }

    /// Whom it asks.
    pub(crate) fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// An opaque token whose issuer says that it is good, and good for us.
    ///
    /// # Errors
    ///
    /// The rule that the answer breaks, or [`Rejection::IssuerUnavailable`].
    pub(crate) async fn opaque(
        self: &Arc<Self>,
        token: &str,
    ) -> Result<Arc<AccessToken>, Rejection> {
        if token.len() > MAX_TOKEN {
            return Err(Rejection::MalformedToken(
                countersign_jose::Error::TokenTooLarge {
                    length: token.len(),
                    limit: MAX_TOKEN,
                },
            ));
        }
        let verdict = self.verdict(token).await?;
        let token = verdict.token.clone()?;
        // The answer may be a minute old.
        let now = self.clock.now();
        if token.expires_at() <= now - self.rules.leeway {
            return Err(Rejection::Expired {
                ago: now.since(token.expires_at()),
            });
        }
        Ok(token)
    }

    /// Whether the issuer still holds a JWT for good that was verified already,
    /// if it is to be asked about those.
    ///
    /// # Errors
    ///
    /// [`Rejection::Revoked`], [`Rejection::IssuerUnavailable`].
    pub(crate) async fn still_good(
        self: &Arc<Self>,
        token: &str,
        claims: &AccessToken,
    ) -> Result<(), Rejection> {
        if !self.jwt_too {
            return Ok(());
        }
        let verdict = self.verdict(token).await?;
        // An answer about somebody else is not about this token.
        let same = verdict
            .subject
            .as_ref()
            .is_none_or(|subject| subject == claims.subject());
        if verdict.active && same {
            Ok(())
        } else {
            Err(Rejection::Revoked)
        }
    }

    async fn verdict(self: &Arc<Self>, token: &str) -> Outcome {
        let digest = crypto::aws_lc::provider().hmac_sha256(&self.key, token.as_bytes());
        let mut flight = {
            let mut state = self.state();
            let now = self.clock.monotonic();
            if let Some(verdict) = state.cache.get(&digest, now) {
                return Ok(verdict);
            }
            match state.cache.flight(&digest) {
                Some(flight) => flight,
                None => self.ask(&mut state, digest, token, now)?,
            }
        };
        // The sender speaks once; it is dropped without a word only when the
        // question ended by a panic.
        match flight
            .wait_for(Option::is_some)
            .await
            .map(|outcome| outcome.clone())
        {
            Ok(Some(outcome)) => outcome,
            _ => Err(unavailable(Duration::from_secs(1), None)),
        }
    }

    /// The question runs in a task of its own, because the request that asked
    /// it may be dropped by its client while others wait for the same answer.
    fn ask(
        self: &Arc<Self>,
        state: &mut State,
        digest: Digest,
        token: &str,
        now: Duration,
    ) -> Result<Flight, Rejection> {
        if now < state.not_before {
            return Err(unavailable(state.not_before.saturating_sub(now), None));
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Err(unavailable(Duration::from_secs(1), None));
        };
        let (tell, flight) = watch::channel(None);
        state.cache.begin(digest, flight.clone());
        let introspector = Arc::clone(self);
        let token = token.to_owned();
        tokio::spawn(async move {
            let answer = introspector.issuer.introspect(&token).await;
            drop(slot);
            let outcome = introspector.keep(&digest, answer);
            let _ = tell.send(Some(outcome));
        });
        Ok(flight)
    }

    fn keep(&self, digest: &Digest, answer: Result<Introspection, OAuthError>) -> Outcome {
        let (now, when) = (self.clock.now(), self.clock.monotonic());
        let mut state = self.state();
        match answer {
            Ok(answer) => {
                state.failures_in_a_row = 0;
                let token = self.rules.check_answer(&answer, now).map(Arc::new);
                let verdict = Arc::new(Verdict {
                    active: answer.active,
                    subject: answer.sub,
                    token,
                });
                let until = when.saturating_add(self.life_of(answer.exp, now));
                state.cache.keep(*digest, Arc::clone(&verdict), until, when);
                Ok(verdict)
            }
            Err(error) => {
                // One token that the issuer chokes on is no reason to leave the
                // others unanswered.
                let pause = if error.is_retryable() {
                    let pause = Duration::from_secs(1)
                        .saturating_mul(2_u32.saturating_pow(state.failures_in_a_row))
                        .max(error.retry_after().unwrap_or_default())
                        .min(LONGEST_PAUSE);
                    state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
                    state.not_before = when.saturating_add(pause);
                    pause
                } else {
                    LONGEST_PAUSE
                };
                state.cache.end(digest);
                Err(unavailable(
                    pause,
                    Some(Arc::new(Error::Introspection(error))),
                ))
            }
        }
    }

    /// How long an answer is kept: never past the end of the token.
    fn life_of(&self, exp: Option<Timestamp>, now: Timestamp) -> Duration {
        exp.map_or(self.horizon, |exp| exp.since(now).min(self.horizon))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(retry_after: Duration, cause: Option<Arc<Error>>) -> Rejection {
    Rejection::IssuerUnavailable { retry_after, cause }
}

/// Whether a token is one that says what it means: three parts, of which the
/// first begins like JSON. Everything else is its issuer's secret.
pub(crate) fn is_jwt(token: &str) -> bool {
    token.starts_with("eyJ") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl std::fmt::Debug for Introspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspector")
            .field("horizon", &self.horizon)
            .field("jwt_too", &self.jwt_too)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
