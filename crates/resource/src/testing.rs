//! A clock that only moves when it is told to, and an issuer without sockets.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_jose::{KeySet, Timestamp, crypto};
use countersign_oauth::{Endpoint, Error as OAuthError, TransportError};
use countersign_testkit::{Key, Signature};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::{Clock, FetchFuture, FetchKeys, FetchedKeys, Validator, ValidatorBuilder};

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// 2026-11-21T00:00:00Z.
pub(crate) const START: i64 = 1_795_219_200;

/// Shows the same time in every clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeClock(Arc<Mutex<Hands>>, Arc<Notify>);

#[derive(Debug, Default)]
struct Hands {
    /// By the monotonic clock.
    passed: Duration,
    set_back: Duration,
    asleep: Duration,
}

impl FakeClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.lock().unwrap().passed += by;
        self.1.notify_waiters();
    }

    /// Somebody sets the time of day back.
    pub(crate) fn set_back(&self, by: Duration) {
        self.0.lock().unwrap().set_back += by;
    }

    /// The machine sleeps; only the time of day goes on.
    pub(crate) fn sleep(&self, time: Duration) {
        self.0.lock().unwrap().asleep += time;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let hands = self.0.lock().unwrap();
        Timestamp::from_secs(START) + hands.passed + hands.asleep - hands.set_back
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().passed
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let until = self.monotonic() + time;
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let mut moved = std::pin::pin!(clock.1.notified());
                moved.as_mut().enable();
                if clock.monotonic() >= until {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// What the issuer answers, and how often it was asked.
#[derive(Clone)]
pub(crate) struct FakeIssuer(Arc<Script>);

struct Script {
    fetches: AtomicUsize,
    /// Answers to come, before `standing`.
    queue: Mutex<VecDeque<Answer>>,
    standing: Mutex<Answer>,
    /// A fetch ends only when it gets a permit.
    gate: Semaphore,
}

#[derive(Clone)]
pub(crate) enum Answer {
    Keys(Vec<u8>, Option<Duration>),
    Down,
}

impl FakeIssuer {
    /// An issuer that publishes these keys, without a word about their life.
    pub(crate) fn publishing(keys: &[&Key]) -> Self {
        Self(Arc::new(Script {
            fetches: AtomicUsize::new(0),
            queue: Mutex::default(),
            standing: Mutex::new(answer(keys, None)),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }))
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.0.standing.lock().unwrap() = answer;
    }

    pub(crate) fn answers_once(&self, answer: Answer) {
        self.0.queue.lock().unwrap().push_back(answer);
    }

    /// From now on a fetch waits for [`FakeIssuer::let_go`].
    pub(crate) fn hold(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn let_go(&self) {
        self.0.gate.add_permits(1);
    }

    pub(crate) fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }
}

/// A set of these keys with a `max-age`.
pub(crate) fn answer(keys: &[&Key], max_age: Option<Duration>) -> Answer {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    Answer::Keys(json!({ "keys": keys }).to_string().into_bytes(), max_age)
}

impl FetchKeys for FakeIssuer {
    fn fetch(&self) -> FetchFuture<'_> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            self.0.gate.acquire().await.unwrap().forget();
            let queued = self.0.queue.lock().unwrap().pop_front();
            match queued.unwrap_or_else(|| self.0.standing.lock().unwrap().clone()) {
                Answer::Keys(json, max_age) => {
                    let keys = KeySet::from_json(&json, crypto::aws_lc::provider());
                    let keys = keys.map_err(OAuthError::Keys)?;
                    Ok(FetchedKeys {
                        keys,
                        json,
                        max_age,
                        etag: None,
                    })
                }
                Answer::Down => Err(OAuthError::Transport {
                    endpoint: Endpoint::Keys,
                    source: TransportError::Timeout,
                }),
            }
        })
    }
}

/// A validator of that issuer at that time, to be refined and built.
pub(crate) fn validator(issuer: &FakeIssuer, clock: &FakeClock) -> ValidatorBuilder {
    Validator::builder(ISSUER)
        .audience(AUDIENCE)
        .key_fetcher(issuer.clone())
        .clock(clock.clone())
}

/// The claims of a token that passes at [`START`].
pub(crate) fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "cli", "jti": "t-1",
        "iat": START, "exp": START + 600, "scope": "openid profile",
    })
}

/// Those claims with some replaced, and removed where the value is null.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut claims = good_claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// A token over these claims, as RFC 9068 wants it.
pub(crate) fn signed(key: &Key, claims: &Value) -> String {
    key.sign(&json!({ "typ": "at+jwt" }), claims, Signature::Good)
}
