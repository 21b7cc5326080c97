//! The keys of load balancers, each at an address of its own.
//!
//! Anybody can write the name of a key into a header. One fetch serves everyone
//! who waits for the same name, a name that is not there is remembered, and all
//! fetches together have a budget by time alone: so a flood of names costs a
//! few requests, and a key that really is new gets its turn.

use std::collections::HashMap;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_jose::{VerifyingKey, base64url, crypto};
use countersign_oauth::{HttpRequest, Issuer, TransportError};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;
use url::Url;

use super::header::KeyId;
use crate::http_client::{Connections, HttpClient};
use crate::{Clock, Error, Rejection};

/// How long a key is trusted after it was fetched.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a name that is not there is not asked for again.
const ABSENCE: Duration = Duration::from_secs(5 * 60);

const MAX_KEYS: usize = 64;
const MAX_ABSENT: usize = 1024;

/// The budget: so many fetches at once, and one more each time this passes.
const BURST: u32 = 4;
const REFILL: Duration = Duration::from_secs(10);

/// A key in PEM is 178 bytes.
const MAX_PEM: usize = 4096;

/// The bytes before the point in the `SubjectPublicKeyInfo` of a P-256 key (RFC
/// 5480, section 2): the algorithm and the curve.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The key in PEM, or nothing when there is none at that address.
pub(super) type PemFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, TransportError>> + Send + 'a>>;

/// Brings the document at an address.
pub(super) trait FetchPem: Send + Sync + 'static {
    fn fetch<'a>(&'a self, place: &'a str, kid: &'a str) -> PemFuture<'a>;
}

pub(super) struct AlbKeys {
    fetcher: Box<dyn FetchPem>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// A key is known by its place as well: two regions may use a name twice.
type Name = (String, KeyId);

/// A key that was fetched. The next fetch of the same name gives it another number, also when the key is
/// the same one, so that what this one has verified can be told from all else.
#[derive(Debug)]
pub(super) struct NumberedKey {
    key: VerifyingKey,
    number: u64,
}

impl NumberedKey {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Deref for NumberedKey {
    type Target = VerifyingKey;

    fn deref(&self) -> &VerifyingKey {
        &self.key
    }
}

#[derive(Default)]
struct State {
    keys: HashMap<Name, (Arc<NumberedKey>, Duration)>,
    /// How many keys have been fetched.
    fetched: u64,
    absent: HashMap<Name, Duration>,
    flights: HashMap<Name, watch::Receiver<Option<Outcome>>>,
    spent: u32,
    /// Since when `spent` has been counted down.
    since: Duration,
}

type Outcome = Result<Arc<NumberedKey>, Rejection>;

impl AlbKeys {
    pub(super) fn new(fetcher: Box<dyn FetchPem>, clock: Arc<dyn Clock>) -> Self {
        Self {
            fetcher,
            clock,
            state: Mutex::default(),
        }
    }

    /// The key of this name, at this place. Waits for at most one fetch.
    pub(super) async fn get(self: &Arc<Self>, place: &str, kid: KeyId) -> Outcome {
        let name = (place.to_owned(), kid);
        let mut flight = {
            let mut state = self.state();
            let now = self.clock.monotonic();
            if let Some((key, fetched)) = state.keys.get(&name)
                && now < fetched.saturating_add(LIFE)
            {
                return Ok(Arc::clone(key));
            }
            if state.absent.get(&name).is_some_and(|until| now < *until) {
                return Err(Rejection::UnknownKey);
            }
            let under_way = state.flights.get(&name);
            match under_way.filter(|flight| flight.has_changed().is_ok()) {
                Some(flight) => flight.clone(),
                None => self.start(&mut state, name, now)?,
            }
        };
        match flight
            .wait_for(Option::is_some)
            .await
            .map(|outcome| outcome.clone())
        {
            Ok(Some(outcome)) => outcome,
            _ => Err(unavailable(REFILL)),
        }
    }

    /// Whether the key of this number is here and within its life.
    pub(super) fn has(&self, number: u64) -> bool {
        let now = self.clock.monotonic();
        let state = self.state();
        let mut keys = state.keys.values();
        keys.any(|(key, fetched)| key.number == number && now < fetched.saturating_add(LIFE))
    }

    fn start(
        self: &Arc<Self>,
        state: &mut State,
        name: Name,
        now: Duration,
    ) -> Result<watch::Receiver<Option<Outcome>>, Rejection> {
        state.refill(now);
        if state.spent >= BURST {
            // The key may be good: this is no verdict about the person.
            return Err(unavailable(
                state.since.saturating_add(REFILL).saturating_sub(now),
            ));
        }
        state.spent += 1;
        let (tell, flight) = watch::channel(None);
        state.flights.insert(name.clone(), flight.clone());
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let (place, kid) = &name;
            let fetched = keys.fetcher.fetch(place, kid.as_str()).await;
            let outcome = keys.keep(name, fetched);
            let _ = tell.send(Some(outcome));
        });
        Ok(flight)
    }

    fn keep(&self, name: Name, fetched: Result<Option<Vec<u8>>, TransportError>) -> Outcome {
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.flights.remove(&name);
        let Ok(fetched) = fetched else {
            return Err(unavailable(REFILL));
        };
        let Some(key) = fetched.as_deref().and_then(from_pem) else {
            state.absent.retain(|_, until| now < *until);
            if state.absent.len() < MAX_ABSENT {
                state.absent.insert(name, now.saturating_add(ABSENCE));
            }
            return Err(Rejection::UnknownKey);
        };
        state.fetched += 1;
        let number = state.fetched;
        let key = Arc::new(NumberedKey { key, number });
        state.make_room(now);
        state.keys.insert(name, (Arc::clone(&key), now));
        Ok(key)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refill(&mut self, now: Duration) {
        if self.spent == 0 {
            self.since = now;
        }
        while self.spent > 0 && now.saturating_sub(self.since) >= REFILL {
            self.spent -= 1;
            self.since = self.since.saturating_add(REFILL);
        }
    }

    /// Drops what has ended, and the oldest key when there are too many.
    fn make_room(&mut self, now: Duration) {
        self.keys
            .retain(|_, (_, fetched)| now < fetched.saturating_add(LIFE));
        if self.keys.len() >= MAX_KEYS {
            let oldest = self.keys.iter().min_by_key(|(_, (_, fetched))| *fetched);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.keys.remove(&name);
            }
        }
    }
}

fn unavailable(retry_after: Duration) -> Rejection {
    Rejection::KeysUnavailable {
        retry_after,
        cause: None,
    }
}

/// A P-256 key in PEM, and nothing else.
fn from_pem(pem: &[u8]) -> Option<VerifyingKey> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    // The first byte of the point says that both coordinates follow.
    let point = der.strip_prefix(&P256_PREFIX)?.strip_prefix(&[4])?;
    let (x, y) = point.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
    let jwk = serde_json::json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256",
        "x": base64url::encode(x), "y": base64url::encode(y),
    });
    VerifyingKey::from_json(jwk.to_string().as_bytes(), crypto::aws_lc::provider()).ok()
}

/// Over HTTPS, from the server of AWS or the one that stands in for it.
pub(super) struct FetchFromAws {
    http: HttpClient,
    instead: Option<Url>,
}

impl FetchFromAws {
    pub(super) fn new(instead: Option<Url>) -> Result<Self, Error> {
        // Whether plain HTTP may be spoken follows from the server, as it does
        // for issuers.
        let server = match &instead {
            Some(url) => url.as_str(),
            None => "https://public-keys.auth.elb.amazonaws.com",
        };
        let server = Issuer::parse(server).map_err(Error::Issuer)?;
        let http = HttpClient::new(&server, &[], Connections::Closed)?;
        Ok(Self { http, instead })
    }

    async fn fetch(&self, place: &str, kid: &str) -> Result<Option<Vec<u8>>, TransportError> {
        let place = self.instead.as_ref().map_or(place, Url::as_str);
        let url = Url::parse(&format!("{}/{kid}", place.trim_end_matches('/')));
        let url = url.map_err(|error| TransportError::Malformed {
            reason: error.to_string(),
        })?;
        let response = self.http.send(&HttpRequest::get(url)).await?;
        match response.status {
            200 if response.body.len() <= MAX_PEM => Ok(Some(response.body)),
            // A bucket says 403 of what it does not hold.
            200 | 403 | 404 | 410 => Ok(None),
            _ => Err(TransportError::Closed),
        }
    }
}

impl FetchPem for FetchFromAws {
    fn fetch<'a>(&'a self, place: &'a str, kid: &'a str) -> PemFuture<'a> {
        Box::pin(self.fetch(place, kid))
    }
}
