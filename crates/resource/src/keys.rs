//! The issuer's keys: kept while they are good, fetched when they are not.
//!
//! Who fetches, and over what, is behind [`FetchKeys`]; here is decided only
//! *when*. The rules, each of which has cost somebody an outage:
//!
//! - One fetch serves everyone who waits for it, however many.
//! - A token that names a key we do not hold may start one fetch; then a
//!   cooldown runs, by time alone, claimed before the fetch starts. A flood of
//!   junk therefore costs one fetch per cooldown, whatever the issuer answers.
//! - The periodic refresh has a budget of its own, which junk cannot use up.
//! - A failed fetch, or an answer without a usable key, never takes away the
//!   keys that are held; only their age does, in the end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_jose::{KeySet, SkippedKey, Timestamp};
use countersign_oauth::text::printable;
use countersign_oauth::{Error as OAuthError, FetchedKeys};
use tokio::sync::watch;

use crate::{Clock, Error, Rejection};

/// How long a token with an unknown key must wait for the next fetch.
pub(crate) const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(30);

/// The longest pause between two attempts to load keys that are missing or
/// due; the first pause is a second, and each failure doubles it.
pub(crate) const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Keys live this long when the issuer's `Cache-Control` does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60 * 60);

/// No `Cache-Control` makes us ask more often than this …
const SHORTEST_LIFE: Duration = Duration::from_secs(5 * 60);

/// … nor less often than this.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The future of [`FetchKeys::fetch`].
pub type FetchFuture<'a> =
    Pin<Box<dyn Future<Output = Result<FetchedKeys, OAuthError>> + Send + 'a>>;

/// Brings the issuer's keys.
///
/// Most users never need this: the default asks the issuer over HTTP. It is
/// there for tests without sockets, and for keys that come by another way.
pub trait FetchKeys: Send + Sync + 'static {
    /// Fetches the set once. The future must end by itself, in bounded time:
    /// requests wait for it. It is never called again before it has ended.
    fn fetch(&self) -> FetchFuture<'_>;
}

/// The keys of one issuer, as far as they are known.
pub(crate) struct KeyCache {
    fetcher: Box<dyn FetchKeys>,
    clock: Arc<dyn Clock>,
    longest_staleness: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The fetch under way; closed once it has ended.
    flight: Option<watch::Receiver<()>>,
    /// When (by the monotonic clock) an unknown key last claimed a fetch.
    unknown_key_claimed: Option<Duration>,
    /// Before this moment of the monotonic clock no load or refresh starts.
    load_not_before: Duration,
    failures_in_a_row: u32,
    last_error: Option<Arc<Error>>,
}

/// The last good set.
struct Held {
    keys: Arc<KeySet>,
    /// How long the issuer allows them to be kept, within our limits.
    life: Duration,
    fetched_at: Timestamp,
    /// The same moment by the monotonic clock.
    fetched_when: Duration,
}

impl Held {
    /// Time since the fetch, by whichever clock has moved further: the time of
    /// day may be set back, and the monotonic clock stands still while the
    /// machine sleeps. Neither may keep withdrawn keys alive.
    fn age(&self, clock: &dyn Clock) -> Duration {
        let by_monotonic = clock.monotonic().saturating_sub(self.fetched_when);
        clock.now().since(self.fetched_at).max(by_monotonic)
    }

    /// Early enough that newer keys are there before these have run out.
    fn is_due(&self, clock: &dyn Clock) -> bool {
        self.age(clock) >= self.life / 5 * 4
    }
}

/// A picture of the keys at one moment, for readiness checks and logs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyStatus {
    /// Whether a token could be verified now.
    pub ready: bool,
    /// When the keys in use were fetched.
    pub fetched_at: Option<Timestamp>,
    /// How many usable keys are held.
    pub keys: usize,
    /// Keys of the set that cannot be used, each as "kid: reason".
    pub skipped: Vec<String>,
    /// Why the last fetch failed, unless it succeeded.
    pub last_error: Option<Arc<Error>>,
}

impl KeyStatus {
    /// That there are no keys.
    pub(crate) fn none() -> Self {
        Self {
            ready: false,
            fetched_at: None,
            keys: 0,
            skipped: Vec::new(),
            last_error: None,
        }
    }
}

impl KeyCache {
    pub(crate) fn new(
        fetcher: Box<dyn FetchKeys>,
        clock: Arc<dyn Clock>,
        longest_staleness: Duration,
    ) -> Self {
        Self {
            fetcher,
            clock,
            longest_staleness,
            state: Mutex::default(),
        }
    }

    /// The keys, once they hold what is `wanted`.
    ///
    /// Waits for at most one fetch. A token whose key is not in the set that
    /// this fetch brought is refused, so no request can wait for longer.
    ///
    /// # Errors
    ///
    /// [`Rejection::UnknownKey`] when there are keys but not the wanted one,
    /// [`Rejection::KeysUnavailable`] when there are none to trust.
    pub(crate) async fn holding(
        self: &Arc<Self>,
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, Rejection> {
        let mut flight = {
            let mut state = self.state();
            match self.usable(&state) {
                Some(keys) if wanted(&keys) => {
                    self.refresh_when_due(&mut state);
                    return Ok(keys);
                }
                Some(_) => state
                    .flight_under_way()
                    .or_else(|| self.fetch_for_unknown_key(&mut state))
                    .ok_or(Rejection::UnknownKey)?,
                None => match state.flight_under_way().or_else(|| self.load(&mut state)) {
                    Some(flight) => flight,
                    None => return Err(self.unavailable(&state)),
                },
            }
        };
        // The sender says nothing; it is dropped when the fetch has ended,
        // also when it ended by a panic.
        while flight.changed().await.is_ok() {}

        let state = self.state();
        match self.usable(&state) {
            Some(keys) if wanted(&keys) => Ok(keys),
            Some(_) => Err(Rejection::UnknownKey),
            None => Err(self.unavailable(&state)),
        }
    }

    pub(crate) fn status(&self) -> KeyStatus {
        let state = self.state();
        let keys = self.usable(&state);
        KeyStatus {
            ready: keys.is_some(),
            fetched_at: state.held.as_ref().map(|held| held.fetched_at),
            keys: keys.as_ref().map_or(0, |keys| keys.keys().len()),
            skipped: keys
                .iter()
                .flat_map(|keys| keys.skipped())
                .map(reason_to_skip)
                .collect(),
            last_error: state.last_error.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys, unless they are too old to be trusted.
    fn usable(&self, state: &State) -> Option<Arc<KeySet>> {
        let held = state.held.as_ref()?;
        let trusted = held.life.saturating_add(self.longest_staleness);
        (held.age(&*self.clock) < trusted).then(|| Arc::clone(&held.keys))
    }

    fn unavailable(&self, state: &State) -> Rejection {
        Rejection::KeysUnavailable {
            retry_after: state.load_not_before.saturating_sub(self.clock.monotonic()),
            cause: state.last_error.clone(),
        }
    }

    fn refresh_when_due(self: &Arc<Self>, state: &mut State) {
        let due = state
            .held
            .as_ref()
            .is_some_and(|held| held.is_due(&*self.clock));
        if due && state.flight_under_way().is_none() {
            // Nobody waits for it: the keys at hand are still good.
            let _ = self.load(state);
        }
    }

    /// Starts a fetch for a set that is missing or due, unless the last try
    /// was a moment ago.
    fn load(self: &Arc<Self>, state: &mut State) -> Option<watch::Receiver<()>> {
        let now = self.clock.monotonic();
        if now < state.load_not_before {
            return None;
        }
        let pause = Duration::from_secs(1)
            .saturating_mul(2_u32.saturating_pow(state.failures_in_a_row))
            .min(LONGEST_RETRY);
        state.load_not_before = now.saturating_add(pause);
        Some(self.start_fetch(state))
    }

    fn fetch_for_unknown_key(self: &Arc<Self>, state: &mut State) -> Option<watch::Receiver<()>> {
        let now = self.clock.monotonic();
        let cooling = state
            .unknown_key_claimed
            .is_some_and(|claimed| now < claimed.saturating_add(UNKNOWN_KEY_COOLDOWN));
        if cooling {
            return None;
        }
        state.unknown_key_claimed = Some(now);
        Some(self.start_fetch(state))
    }

    /// The fetch runs in a task of its own, because the request that asked for
    /// it may be dropped by its client while others wait for the same keys.
    fn start_fetch(self: &Arc<Self>, state: &mut State) -> watch::Receiver<()> {
        let (under_way, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            let _under_way = under_way;
            let outcome = cache.fetcher.fetch().await;
            cache.keep(outcome);
        });
        flight
    }

    fn keep(&self, outcome: Result<FetchedKeys, OAuthError>) {
        let outcome = match outcome {
            Ok(fetched) if fetched.keys.keys().is_empty() => Err(Error::NoUsableKey),
            Ok(fetched) => Ok(fetched),
            Err(error) => Err(Error::Fetch(error)),
        };
        let mut state = self.state();
        match outcome {
            Ok(fetched) => {
                let life = fetched.max_age.unwrap_or(DEFAULT_LIFE);
                state.held = Some(Held {
                    keys: Arc::new(fetched.keys),
                    life: life.clamp(SHORTEST_LIFE, LONGEST_LIFE),
                    fetched_at: self.clock.now(),
                    fetched_when: self.clock.monotonic(),
                });
                state.failures_in_a_row = 0;
                state.last_error = None;
            }
            Err(error) => {
                state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
                state.last_error = Some(Arc::new(error));
            }
        }
    }
}

fn reason_to_skip(key: &SkippedKey) -> String {
    match key.kid() {
        Some(kid) => format!("{}: {}", printable(kid), key.problem()),
        None => format!("number {} of the set: {}", key.index() + 1, key.problem()),
    }
}

impl State {
    fn flight_under_way(&self) -> Option<watch::Receiver<()>> {
        self.flight
            .clone()
            .filter(|flight| flight.has_changed().is_ok())
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
