//! A token when one is asked for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use countersign_oauth::DpopKey;
use url::Url;

use crate::refresh::{self, Since, Wait};
use crate::session::{BindingKey, Life};
use crate::{
    Clock, Context, Error, LoginRequired, OtherToken, Secret, Session, SessionName, Timestamp,
};
use crate::{api_nonces, early, failure};

/// The most nonces of APIs that one process keeps for the next.
const NONCES_KEPT: u32 = 64;

/// Good for any time at all.
const ANY: Duration = Duration::ZERO;

/// The tokens of one session, renewed when needed. Shared freely between threads.
#[derive(Debug)]
pub struct TokenSource {
    context: Context,
    name: SessionName,
    current: Mutex<Current>,
    /// Held while a token is renewed, so that one thread asks the server and the others wait.
    renewing: Mutex<()>,
    /// The key that the tokens are bound to, as it is kept and as it is used, once it has been used.
    key: Mutex<Option<(BindingKey, DpopKey)>>,
    /// How many nonces of APIs this process has kept for the next.
    nonces_kept: AtomicU32,
}

/// Header fields that authorize one request to an API.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Authorization {
    /// Names in lower case, and values, which are secrets.
    pub headers: Vec<(&'static str, Secret)>,
}

/// The session as last read, and how to tell its age when the time of day cannot be trusted.
#[derive(Debug)]
struct Current {
    session: Session,
    read_at: Timestamp,
    read_at_monotonic: Duration,
    /// No renewal before this, by the monotonic clock.
    rest_until: Duration,
}

/// Which of the two tokens is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Access,
    Id,
}

/// What there is of the token wanted.
enum AtHand {
    /// One that is good for as long as was asked for.
    Good(Secret),
    /// The same, but it is time that somebody got the next.
    Due(Secret),
    /// One that is good, but not for that long.
    Short(Secret),
    /// None that is good.
    Nothing,
}

impl AtHand {
    fn is_enough(&self) -> bool {
        matches!(self, Self::Good(_) | Self::Due(_))
    }

    fn token(self) -> Option<Secret> {
        match self {
            Self::Good(token) | Self::Due(token) | Self::Short(token) => Some(token),
            Self::Nothing => None,
        }
    }
}

impl TokenSource {
    /// The tokens of the session called `name`.
    ///
    /// Reads one file. No network, no lock, no thread.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] when there is none, [`Error::Storage`] when it cannot be read.
    pub fn open(context: &Context, name: &SessionName) -> Result<Self, Error> {
        let session = context.session(name)?.ok_or_else(|| no_session(name))?;
        Ok(Self {
            context: context.clone(),
            name: name.clone(),
            current: Mutex::new(Current::new(session, context.clock())),
            renewing: Mutex::new(()),
            key: Mutex::new(None),
            nonces_kept: AtomicU32::new(0),
        })
    }

    /// An access token that is good for at least `min_ttl` more, where the server says how long its
    /// tokens are good. More than half of that is not to be had: otherwise whoever asks for an hour
    /// of a ten-minute token would have every call renew it.
    ///
    /// When the kept one is good for that long, it is answered at once: no network, no lock between
    /// processes, no thread. Otherwise it is renewed, once, whoever else asks at the same time. If
    /// that fails for a reason that may pass, and the kept one is still good at all, it is answered.
    ///
    /// Shortly before it would have to be renewed, one of those who ask gets the next one, if the server
    /// answers within ten seconds; nobody waits for that one. How long before differs from session to
    /// session. A server that does not answer is then left alone for a while, by all processes.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] when only a person can help. Anything else may pass, and the session
    /// is kept.
    pub fn access_token(&self, min_ttl: Duration) -> Result<Secret, Error> {
        self.token(Kind::Access, min_ttl)
    }

    /// The ID token, on the same terms; `None` when the server issues none.
    pub fn id_token(&self, min_ttl: Duration) -> Result<Option<Secret>, Error> {
        if self.current().session.id_token().is_none() {
            return Ok(None);
        }
        self.token(Kind::Id, min_ttl).map(Some)
    }

    /// What to put into a request to the API: the access token on the terms of
    /// [`access_token`](Self::access_token) and, if it is bound to a key, the proof that goes with this
    /// one request (RFC 9449, section 7.1).
    ///
    /// `method` is the request's, in capitals; `url` its address, whose query and fragment are no part of
    /// the proof.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub fn authorization(
        &self,
        method: &str,
        url: &Url,
        min_ttl: Duration,
    ) -> Result<Authorization, Error> {
        let token = self.access_token(min_ttl)?;
        self.authorization_of(&token, self.is_bound(), method, url)
    }

    /// The same with a token that is not the session's own, but bound to its key if to any.
    ///
    /// # Errors
    /// When the key of the session cannot be read.
    pub fn authorization_with(
        &self,
        token: &OtherToken,
        method: &str,
        url: &Url,
    ) -> Result<Authorization, Error> {
        self.authorization_of(&token.token, token.is_bound(), method, url)
    }

    fn authorization_of(
        &self,
        token: &Secret,
        is_bound: bool,
        method: &str,
        url: &Url,
    ) -> Result<Authorization, Error> {
        let header = |scheme: &str| {
            let value = format!("{scheme} {}", token.expose());
            ("authorization", Secret::new(value))
        };
        let key = if is_bound { self.binding_key()? } else { None };
        let Some(key) = key else {
            return Ok(Authorization {
                headers: vec![header("Bearer")],
            });
        };
        let now = self.context.clock().now();
        let proof = key.proof(method, url, Some(token), now)?;
        Ok(Authorization {
            headers: vec![header("DPoP"), ("dpop", proof)],
        })
    }

    /// Takes the `DPoP-Nonce` of an answer from `url` for the proofs to come (RFC 9449, section 8.2).
    /// Answers whether it can be used: then a request that was refused for want of it (401 with
    /// `use_dpop_nonce`) is worth another try.
    ///
    /// # Errors
    /// When the key of the session cannot be read.
    pub fn take_dpop_nonce(&self, url: &Url, nonce: &str) -> Result<bool, Error> {
        let learned = self
            .binding_key()?
            .is_some_and(|key| key.learn(url, &api_nonces::answer(nonce)));
        // One that runs for days brings thousands, and is not the next one's only teacher.
        if learned && self.nonces_kept.fetch_add(1, Ordering::Relaxed) < NONCES_KEPT {
            api_nonces::keep(&self.context, &self.name, url, nonce);
        }
        Ok(learned)
    }

    /// The key that the tokens are bound to. It is read once, and then remembers the nonces it was
    /// given.
    pub(crate) fn binding_key(&self) -> Result<Option<DpopKey>, Error> {
        let Some(kept) = self.current().session.binding().cloned() else {
            return Ok(None);
        };
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            // Another login has another key.
            Some((of, key)) if *of == kept => Ok(Some(key.clone())),
            _ => {
                let key = kept.key()?;
                api_nonces::recall(&self.context, &self.name, &key);
                *known = Some((kept, key.clone()));
                Ok(Some(key))
            }
        }
    }

    /// Renews the session now, even if the access token is still good.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token), and whatever kept the renewal from succeeding.
    pub fn refresh(&self) -> Result<(), Error> {
        let since = Since::now(self.context.clock());
        let _one = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.session();
        let renewed = refresh::renew(&self.context, &self.name, since, &mut |found: &Session| {
            // Another process has just done what is asked for.
            found.access_token() != before.access_token()
        })?;
        self.adopt(renewed);
        Ok(())
    }

    /// The session as last read or renewed.
    pub fn session(&self) -> Session {
        self.current().session.clone()
    }

    /// Whether the access token is bound to a key of the session, as [`Session::is_bound`] says. Without
    /// the copy of the session that [`session`](Self::session) makes.
    pub fn is_bound(&self) -> bool {
        self.current().session.is_bound()
    }

    /// Whether there are other accounts beside it, as [`Session::has_others`] says. Without the copy.
    pub fn has_others(&self) -> bool {
        self.current().session.has_others()
    }

    /// Whether the session is of this client at this issuer: the tokens of another are not for here.
    /// Without the copy.
    pub fn is_for(&self, issuer: &str, client_id: &str) -> bool {
        let session = &self.current().session;
        session.issuer() == issuer && session.client_id() == client_id
    }

    /// The name of the session.
    pub fn name(&self) -> &SessionName {
        &self.name
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Held by whoever asks the server for a token of this session, so that the others wait.
    pub(crate) fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.renewing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, kind: Kind, min_ttl: Duration) -> Result<Secret, Error> {
        let clock = self.context.clock();
        let at_hand = self.current().at_hand(kind, min_ttl, clock);
        match at_hand {
            AtHand::Good(token) => Ok(token),
            AtHand::Due(token) => self.renewed_early(kind, min_ttl, token),
            AtHand::Short(_) | AtHand::Nothing => self.renewed(kind, min_ttl),
        }
    }

    /// The next token, if it is to be had quickly and nobody else is getting it; else the one at hand,
    /// which is as good as was asked for.
    fn renewed_early(
        &self,
        kind: Kind,
        min_ttl: Duration,
        at_hand: Secret,
    ) -> Result<Secret, Error> {
        let _one = match self.renewing.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(at_hand),
        };
        // Another thread may have been faster.
        let now = self.current().at_hand(kind, min_ttl, self.context.clock());
        match now {
            AtHand::Due(_) if !self.is_resting() => {
                self.renewed_or(Wait::No, kind, min_ttl, at_hand)
            }
            now => Ok(now.token().unwrap_or(at_hand)),
        }
    }

    /// The token of a session that has to be renewed for it.
    fn renewed(&self, kind: Kind, min_ttl: Duration) -> Result<Secret, Error> {
        let clock = self.context.clock();
        let since = Since::now(clock);
        let _one = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have renewed it while this one waited.
        let at_hand = self.current().at_hand(kind, min_ttl, clock);
        match at_hand {
            AtHand::Good(answer) | AtHand::Due(answer) => return Ok(answer),
            AtHand::Short(answer) if self.is_resting() => return Ok(answer),
            AtHand::Short(answer) => return self.renewed_or(Wait::Briefly, kind, min_ttl, answer),
            AtHand::Nothing => {}
        }
        let mut enough = |found: &Session| self.seen(found, kind, min_ttl).is_enough();
        let renewed = refresh::renew(&self.context, &self.name, since, &mut enough)?;
        self.adopt(renewed);
        // What the server has just issued is the best there is, even if it is good for less. It need not
        // issue an ID token again; then the old one stays, and once that has expired only a login brings
        // another.
        self.current()
            .good(kind, clock)
            .ok_or_else(|| Error::LoginRequired {
                session: self.name.to_string(),
                reason: LoginRequired::Expired,
            })
    }

    /// The token of the session once it is renewed, or the one at hand if that cannot be done soon. After a
    /// failure, nothing is tried for a while.
    fn renewed_or(
        &self,
        wait: Wait,
        kind: Kind,
        min_ttl: Duration,
        at_hand: Secret,
    ) -> Result<Secret, Error> {
        let mut enough = |found: &Session| match self.seen(found, kind, min_ttl) {
            AtHand::Good(_) => true,
            AtHand::Due(_) => wait == Wait::Briefly,
            AtHand::Short(_) | AtHand::Nothing => false,
        };
        let clock = self.context.clock();
        match refresh::renew_if_free(&self.context, &self.name, wait, &mut enough) {
            Ok(Some(session)) => {
                self.adopt(session);
                Ok(self.current().good(kind, clock).unwrap_or(at_hand))
            }
            Ok(None) => Ok(at_hand),
            Err(error) => {
                let mut current = self.current();
                let left = current.left(kind, clock).unwrap_or_default();
                current.rest_until = clock.monotonic() + failure::rest(left, &error);
                drop(current);
                // Somebody has ended the session, and that is no accident to bridge. But while a token is
                // as good as was asked for, it is given out by a process that starts now and reads it,
                // and so it is here.
                match error {
                    Error::LoginRequired {
                        reason: LoginRequired::NoSession,
                        ..
                    } => Err(error),
                    Error::LoginRequired {
                        reason: LoginRequired::Rejected,
                        ..
                    } if wait == Wait::Briefly => Err(error),
                    _ => Ok(at_hand),
                }
            }
        }
    }

    /// What there is of the token wanted in a session that was just read.
    fn seen(&self, found: &Session, kind: Kind, min_ttl: Duration) -> AtHand {
        let clock = self.context.clock();
        let current = self.current();
        if found.access_token() == current.session.access_token() {
            // The same token again: what this process knows of its age holds.
            return current.at_hand(kind, min_ttl, clock);
        }
        drop(current);
        Current::new(found.clone(), clock).at_hand(kind, min_ttl, clock)
    }

    fn is_resting(&self) -> bool {
        self.context.clock().monotonic() < self.current().rest_until
    }

    pub(crate) fn adopt(&self, session: Session) {
        *self.current() = Current::new(session, self.context.clock());
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // Every change replaces the whole value, so it is whole even after a panic.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn new(session: Session, clock: &dyn Clock) -> Self {
        Self {
            session,
            read_at: clock.now(),
            read_at_monotonic: clock.monotonic(),
            rest_until: Duration::ZERO,
        }
    }

    /// The token wanted, if there is one that is good at all.
    fn good(&self, kind: Kind, clock: &dyn Clock) -> Option<Secret> {
        self.at_hand(kind, ANY, clock).token()
    }

    fn at_hand(&self, kind: Kind, min_ttl: Duration, clock: &dyn Clock) -> AtHand {
        let Some(token) = self.token(kind) else {
            return AtHand::Nothing;
        };
        let token = || token.clone();
        let life = self.life(kind);
        let (Some(left), Some(life), Some(length)) =
            (self.left(kind, clock), life, life.and_then(Life::length))
        else {
            return AtHand::Good(token());
        };
        // More than half is not to be had.
        let wanted = min_ttl.min(length / 2);
        if left.is_zero() {
            AtHand::Nothing
        } else if left < wanted {
            AtHand::Short(token())
        } else if left < wanted + early::greatest_lead(length)
            && left < wanted + self.lead(kind, life)
        {
            AtHand::Due(token())
        } else {
            AtHand::Good(token())
        }
    }

    /// How much earlier than it would have to be the session is renewed for this token.
    fn lead(&self, kind: Kind, life: Life) -> Duration {
        let session = &self.session;
        // An ID token that the last renewal did not bring will not come with the next.
        let would_come = kind == Kind::Access || life.obtained_at() >= session.obtained_at();
        if would_come && session.renews_by_itself() {
            early::lead(session.access_token(), life)
        } else {
            Duration::ZERO
        }
    }

    /// How long the token wanted is still good; `None` when nobody knows.
    fn left(&self, kind: Kind, clock: &dyn Clock) -> Option<Duration> {
        let life = self.life(kind)?;
        let (by_day, when_read) = (life.left(clock.now())?, life.left(self.read_at)?);
        // Both clocks must agree that there is time left: the time of day may have been set back
        // since the session was read, and the monotonic clock may have stood still.
        let passed = clock.monotonic().saturating_sub(self.read_at_monotonic);
        Some(by_day.min(when_read.saturating_sub(passed)))
    }

    fn token(&self, kind: Kind) -> Option<&Secret> {
        match kind {
            Kind::Access => Some(self.session.access_token()),
            Kind::Id => self.session.id_token(),
        }
    }

    fn life(&self, kind: Kind) -> Option<Life> {
        match kind {
            Kind::Access => Some(self.session.access_token_life()),
            Kind::Id => self.session.id_token_life(),
        }
    }
}

fn no_session(name: &SessionName) -> Error {
    Error::LoginRequired {
        session: name.to_string(),
        reason: LoginRequired::NoSession,
    }
}
