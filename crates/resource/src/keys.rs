//! The issuer's keys: kept while they are good, fetched when they are not.
//!
//! Who fetches, and over what, is behind [`FetchKeys`]; here is decided only
//! *when*. The rules, each of which has cost somebody an outage:
//!
//! - One fetch serves everyone who waits for it, however many.
//! - A token that names a key we do not hold may start one fetch; then a
//!   cooldown runs, by time alone, claimed before the fetch starts. A flood of
//!   junk therefore costs one fetch per cooldown, whatever the issuer answers.
//! - A name that was asked for in vain waits longer each time, so that a token
//!   of a withdrawn key does not stand in the way of a new one.
//! - The periodic refresh has a budget of its own, which junk cannot use up. It
//!   needs no request to come, and missing keys are asked for without one, too:
//!   nobody sends requests to a service that is not ready.
//! - A failed fetch, or an answer without a usable key, never takes away the
//!   keys that are held; only their age does, in the end.

mod absent;
mod copies;
mod file;

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use absent::AbsentKeys;
use copies::Copies;
pub(crate) use copies::SharedKeys;
use countersign_jose::{KeySet, SkippedKey, Timestamp};
use countersign_oauth::text::printable;
use countersign_oauth::{Error as OAuthError, FetchedKeys};
use file::KeyFile;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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

/// The longest time that the background task does not look at the clock: the
/// time of day may have moved on while the machine slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(5 * 60);

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
    file: Option<KeyFile>,
    generation: AtomicU64,
    /// Counts the sets that lacked a key of the one before.
    withdrawals: AtomicU64,
    /// Until then the keys need no look: the milliseconds of the time of day …
    fresh_until: AtomicI64,
    /// … and of the monotonic clock.
    fresh_until_when: AtomicU64,
    /// Whether the background task runs.
    is_looked_after: Arc<AtomicBool>,
    copies: Copies,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The fetch under way; closed once it has ended.
    flight: Option<watch::Receiver<()>>,
    /// When (by the monotonic clock) an unknown key last claimed a fetch.
    unknown_key_claimed: Option<Duration>,
    absent: AbsentKeys,
    /// Before this moment of the monotonic clock no load or refresh starts.
    load_not_before: Duration,
    failures_in_a_row: u32,
    last_error: Option<Arc<Error>>,
    file_error: Option<Arc<Error>>,
    /// The task that refreshes the keys when no request does.
    background: Option<JoinHandle<()>>,
}

/// The last good set.
struct Held {
    keys: Arc<KeySet>,
    /// The document, to see whether the next one is another.
    json: Vec<u8>,
    /// How long the issuer allows them to be kept, within our limits.
    life: Duration,
    fetched_at: Timestamp,
    /// The same moment by the monotonic clock.
    fetched_when: Duration,
    /// The age at which they are fetched again.
    due: Duration,
}

impl Held {
    /// Time since the fetch, by whichever clock has moved further: the time of
    /// day may be set back, and the monotonic clock stands still while the
    /// machine sleeps. Neither may keep withdrawn keys alive.
    fn age(&self, clock: &dyn Clock) -> Duration {
        let by_monotonic = clock.monotonic().saturating_sub(self.fetched_when);
        clock.now().since(self.fetched_at).max(by_monotonic)
    }

    fn is_due(&self, clock: &dyn Clock) -> bool {
        self.age(clock) >= self.due
    }
}

/// Between four and four and a half fifths of a life: early enough that newer
/// keys are there before these have run out, and not for all replicas at once.
fn due(life: Duration) -> Duration {
    let chance = RandomState::new().hash_one(()) % 1000;
    let jitter = life.as_secs().saturating_mul(chance) / 10_000;
    life / 5 * 4 + Duration::from_secs(jitter)
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
    /// Changes whenever the keys do.
    pub generation: u64,
    /// Keys of the set that cannot be used, each as "kid: reason".
    pub skipped: Vec<String>,
    /// Why the last fetch failed, unless it succeeded.
    pub last_error: Option<Arc<Error>>,
    /// Why the file of the last good set could not be used or written.
    pub file_error: Option<Arc<Error>>,
}

impl KeyStatus {
    /// That there are no keys.
    pub(crate) fn none() -> Self {
        Self {
            ready: false,
            fetched_at: None,
            keys: 0,
            generation: 0,
            skipped: Vec::new(),
            last_error: None,
            file_error: None,
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
            file: None,
            generation: AtomicU64::new(0),
            withdrawals: AtomicU64::new(0),
            fresh_until: AtomicI64::new(i64::MIN),
            fresh_until_when: AtomicU64::new(0),
            is_looked_after: Arc::default(),
            copies: Copies::default(),
            state: Mutex::default(),
        }
    }

    /// The same cache, with the last good set kept in a file. Reads it at once:
    /// what is in there and still young enough is trusted from the start.
    pub(crate) fn kept_in(mut self, path: PathBuf, issuer: String) -> Self {
        let file = KeyFile::new(path, issuer);
        let now = self.clock.now();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        match file.load(now) {
            Ok(None) => {}
            Ok(Some(kept)) => {
                let life = kept.life.clamp(SHORTEST_LIFE, LONGEST_LIFE);
                state.held = Some(Held {
                    keys: Arc::new(kept.keys),
                    json: kept.json,
                    life,
                    fetched_at: kept.fetched_at,
                    fetched_when: self.clock.monotonic(),
                    due: due(life),
                });
            }
            Err(error) => state.file_error = Some(Arc::new(Error::KeyFile(error))),
        }
        self.file = Some(file);
        self
    }

    /// A number that changes whenever the keys do: what could not be verified
    /// under another number may be good now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A number that changes whenever a key is withdrawn, for whoever keeps what
    /// it has verified: asked before the verification, told to
    /// [`KeyCache::vouches`] ever after.
    pub(crate) fn withdrawals(&self) -> u64 {
        self.withdrawals.load(Ordering::Acquire)
    }

    /// Whether what was verified when there were so many `withdrawals` may still
    /// be believed `now`: no key has been withdrawn since, and the keys are not
    /// too old to be trusted. Refreshes them when that is due, as a token that is
    /// verified does. Takes no lock while they are fresh.
    pub(crate) fn vouches(self: &Arc<Self>, withdrawals: u64, now: Timestamp) -> bool {
        if !self.is_fresh(now) {
            let mut state = self.state();
            if self.usable(&state).is_none() {
                return false;
            }
            self.refresh_when_due(&mut state);
        }
        withdrawals == self.withdrawals()
    }

    /// Whether the keys are neither too old nor due, by both clocks.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.as_millis() < self.fresh_until.load(Ordering::Acquire)
            && millis(self.clock.monotonic()) < self.fresh_until_when.load(Ordering::Acquire)
    }

    fn mark_fresh(&self, held: &Held) {
        let until = (held.fetched_at + held.due).as_millis();
        let until_when = millis(held.fetched_when.saturating_add(held.due));
        self.fresh_until.store(until, Ordering::Release);
        self.fresh_until_when.store(until_when, Ordering::Release);
    }

    /// The keys, once they hold what is `wanted`.
    ///
    /// `name` is the one that the wanted key has, if it has any. Waits for at
    /// most one fetch. A token whose key is not in the set that this fetch
    /// brought is refused, so no request can wait for longer.
    ///
    /// # Errors
    ///
    /// [`Rejection::UnknownKey`] when there are keys but not the wanted one,
    /// [`Rejection::KeysUnavailable`] when there are none to trust.
    pub(crate) async fn holding(
        self: &Arc<Self>,
        name: Option<&str>,
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<SharedKeys>, Rejection> {
        let mut flight = {
            // A request with a known key takes no lock that another thread takes.
            match self.copy() {
                Some(keys) if wanted(&keys) => return Ok(keys),
                _ => {}
            }
            let mut state = self.state();
            self.keep_fresh(&mut state);
            match self.usable(&state) {
                Some(keys) if wanted(&keys) => {
                    self.refresh_when_due(&mut state);
                    return Ok(self.make_copy(&state, keys));
                }
                Some(_) => state
                    .flight_under_way()
                    .or_else(|| self.fetch_for_unknown_key(name, &mut state))
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
            Some(keys) if wanted(&keys) => Ok(self.make_copy(&state, keys)),
            Some(_) => Err(Rejection::UnknownKey),
            None => Err(self.unavailable(&state)),
        }
    }

    /// The keys as this thread has them, unless there are others by now or it
    /// is time to look after them.
    fn copy(&self) -> Option<Arc<SharedKeys>> {
        if !self.is_looked_after.load(Ordering::Acquire) || !self.is_fresh(self.clock.now()) {
            return None;
        }
        self.copies.get(self.generation())
    }

    /// Keeps the keys for this thread. They are those of `state`, under whose
    /// lock the generation changes.
    fn make_copy(&self, _state: &State, keys: SharedKeys) -> Arc<SharedKeys> {
        self.copies.put(self.generation(), keys)
    }

    pub(crate) fn status(&self) -> KeyStatus {
        let state = self.state();
        let keys = self.usable(&state);
        KeyStatus {
            ready: keys.is_some(),
            fetched_at: state.held.as_ref().map(|held| held.fetched_at),
            keys: keys.as_ref().map_or(0, |keys| keys.keys().len()),
            generation: self.generation(),
            skipped: keys
                .iter()
                .flat_map(|keys| keys.skipped())
                .map(reason_to_skip)
                .collect(),
            last_error: state.last_error.clone(),
            file_error: state.file_error.clone(),
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

    fn fetch_for_unknown_key(
        self: &Arc<Self>,
        name: Option<&str>,
        state: &mut State,
    ) -> Option<watch::Receiver<()>> {
        let now = self.clock.monotonic();
        let cooling = state
            .unknown_key_claimed
            .is_some_and(|claimed| now < claimed.saturating_add(UNKNOWN_KEY_COOLDOWN));
        if cooling || name.is_some_and(|name| state.absent.must_wait(name, now)) {
            return None;
        }
        state.unknown_key_claimed = Some(now);
        if let Some(name) = name {
            state.absent.asked_for(name, now, UNKNOWN_KEY_COOLDOWN);
        }
        Some(self.start_fetch(state))
    }

    /// The fetch runs in a task of its own, because the request that asked for
    /// it may be dropped by its client while others wait for the same keys.
    fn start_fetch(self: &Arc<Self>, state: &mut State) -> watch::Receiver<()> {
        let (under_way, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = cache.fetcher.fetch().await;
            let kept = cache.keep(outcome);
            // Nobody waits for the disk.
            drop(under_way);
            if kept {
                cache.save().await;
            }
        });
        flight
    }

    /// Takes the keys over, if they are better than those at hand; whether they
    /// were.
    fn keep(&self, outcome: Result<FetchedKeys, OAuthError>) -> bool {
        let outcome = match outcome {
            Ok(fetched) if fetched.keys.keys().is_empty() => Err(Error::NoUsableKey),
            Ok(fetched) => Ok(fetched),
            Err(error) => Err(Error::Fetch(error)),
        };
        let mut state = self.state();
        match outcome {
            Ok(fetched) => {
                let life = fetched.max_age.unwrap_or(DEFAULT_LIFE);
                let life = life.clamp(SHORTEST_LIFE, LONGEST_LIFE);
                let keys = match state.held.take() {
                    Some(held) if held.json == fetched.json => held.keys,
                    older => {
                        state.absent.forget();
                        if older.is_some_and(|older| !fetched.keys.keeps(&older.keys)) {
                            self.withdrawals.fetch_add(1, Ordering::AcqRel);
                        }
                        self.generation.fetch_add(1, Ordering::AcqRel);
                        Arc::new(fetched.keys)
                    }
                };
                let held = Held {
                    keys,
                    json: fetched.json,
                    life,
                    fetched_at: self.clock.now(),
                    fetched_when: self.clock.monotonic(),
                    due: due(life),
                };
                self.mark_fresh(&held);
                state.held = Some(held);
                state.failures_in_a_row = 0;
                state.last_error = None;
                true
            }
            Err(error) => {
                state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
                state.last_error = Some(Arc::new(error));
                false
            }
        }
    }

    /// Writes the set at hand to the file, if there is one, on a thread that
    /// may wait for the disk.
    async fn save(self: &Arc<Self>) {
        if self.file.is_none() {
            return;
        }
        let cache = Arc::clone(self);
        let saved = tokio::task::spawn_blocking(move || {
            let (json, life, fetched_at) = match &cache.state().held {
                Some(held) => (held.json.clone(), held.life, held.fetched_at),
                None => return Ok(()),
            };
            let file = cache.file.as_ref();
            file.map_or(Ok(()), |file| file.save(&json, life, fetched_at))
        });
        // A runtime that is shutting down runs no more such threads.
        if let Ok(saved) = saved.await {
            let error = saved.err().map(|error| Arc::new(Error::KeyFile(error)));
            self.state().file_error = error;
        }
    }

    /// Starts the task that refreshes the keys when no request does, unless it
    /// runs. It does not keep the cache alive, and ends with it.
    fn keep_fresh(self: &Arc<Self>, state: &mut State) {
        // Not only the first time: a runtime that ended took its tasks along.
        if state
            .background
            .as_ref()
            .is_none_or(JoinHandle::is_finished)
        {
            let cache = Arc::downgrade(self);
            let clock = Arc::clone(&self.clock);
            let looks_after = LooksAfter::begin(&self.is_looked_after);
            state.background = Some(tokio::spawn(refresh(cache, clock, looks_after)));
        }
    }

    /// Starts a fetch, if one is due that nobody has asked for, and says how
    /// long there is nothing to do.
    fn look_after(self: &Arc<Self>) -> Duration {
        let mut state = self.state();
        let wait = match (&state.held, self.usable(&state)) {
            (Some(held), Some(_)) => held.due.saturating_sub(held.age(&*self.clock)),
            _ => Duration::ZERO,
        };
        if wait.is_zero() && state.flight_under_way().is_none() {
            // Nobody waits for it.
            let _ = self.load(&mut state);
        }
        let pause = state.load_not_before.saturating_sub(self.clock.monotonic());
        wait.max(pause).clamp(Duration::from_secs(1), LONGEST_SLEEP)
    }
}

/// Held by the background task; a runtime that ends drops it with the task.
struct LooksAfter(Arc<AtomicBool>);

impl LooksAfter {
    fn begin(is_looked_after: &Arc<AtomicBool>) -> Self {
        is_looked_after.store(true, Ordering::Release);
        Self(Arc::clone(is_looked_after))
    }
}

impl Drop for LooksAfter {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn refresh(cache: Weak<KeyCache>, clock: Arc<dyn Clock>, _looks_after: LooksAfter) {
    loop {
        // Not kept over the sleep: the keys end with the validator.
        let Some(wait) = cache.upgrade().map(|cache| cache.look_after()) else {
            return;
        };
        clock.sleep(wait).await;
    }
}

impl Drop for KeyCache {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(background) = &state.background {
            background.abort();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
