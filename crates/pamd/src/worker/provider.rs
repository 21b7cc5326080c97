//! What the authorization server publishes: metadata and keys, in memory and kept warm, so that no
//! login waits for them.
//!
//! Not responsible for anything that is about one person.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_client::probe::{Dated, ServerClock};
use countersign_client::{Clock, Timestamp, Transport};
use countersign_jose::crypto::ring;
use countersign_jose::{KeySet, Unverified, Verified};
use countersign_oauth::{Discovery, Error, IdToken, Issuer, KeysFlow, Metadata, Secret, id_token};

use super::flow::{Patience, drive};
use super::message::Known;

/// After this what is published is asked for again, whatever the server says.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// What a server published this long ago is used no more, also when it is away.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// After trouble it is asked again so soon.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);
/// An unknown key is looked for no more often than this: a stream of forged tokens must not become a
/// stream of requests.
const COOLDOWN: Duration = Duration::from_secs(10);

/// An authorization server.
pub(super) struct Provider {
    issuer: Issuer,
    published: Mutex<Option<Published>>,
}

struct Published {
    metadata: Metadata,
    keys: Arc<KeySet>,
    /// The key set as it was fetched.
    document: String,
    fetched_at: Timestamp,
    /// When a key was last looked for that nobody knew, by the monotonic clock.
    looked: Option<Duration>,
}

/// A clock and a network.
#[derive(Clone, Copy)]
pub(super) struct World<'w> {
    pub(super) transport: &'w dyn Transport,
    pub(super) clock: &'w dyn Clock,
}

impl Provider {
    /// Begins with what is known, if that is still good for something.
    pub(super) fn new(issuer: Issuer, known: Option<&Known>, now: Timestamp) -> Self {
        let published = known.and_then(|known| Published::from_known(known, &issuer));
        let published = published.filter(|one| one.is_usable(now));
        Self {
            issuer,
            published: Mutex::new(published),
        }
    }

    /// What the server publishes, fetched within `limit` where it is not known.
    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(super) fn metadata(&self, world: World<'_>, limit: Duration) -> Result<Metadata, Error> {
        // Whoever comes while it is being fetched waits, and does not fetch it again.
        let mut published = self.lock();
        let known = published.as_ref();
        if let Some(known) = known.filter(|known| known.is_usable(world.clock.now())) {
            return Ok(known.metadata.clone());
        }
        let fetched = self.fetch(world, limit)?;
        let metadata = fetched.metadata.clone();
        *published = Some(fetched);
        Ok(metadata)
    }

    /// Asks again if it is time; says what there is for the next worker if there is something new, what
    /// the server thinks the time is, and when to come back.
    pub(super) fn keep_warm(
        &self,
        world: World<'_>,
        limit: Duration,
    ) -> (Result<Option<(Known, ServerClock)>, Error>, Duration) {
        let now = world.clock.now();
        let age = self
            .lock()
            .as_ref()
            .map(|known| now.since(known.fetched_at));
        if let Some(left) = age.and_then(|age| FRESH.checked_sub(age)) {
            return (Ok(None), left.max(Duration::from_secs(1)));
        }
        // Without the lock: what is known is used meanwhile.
        let dated = Dated::new(world.transport, world.clock);
        let world = World {
            transport: &dated,
            ..world
        };
        match self.fetch(world, limit) {
            Ok(fetched) => {
                let known = fetched.to_known();
                *self.lock() = Some(fetched);
                (Ok(known.map(|known| (known, dated.server_clock()))), FRESH)
            }
            Err(error) => (Err(error), AFTER_TROUBLE),
        }
    }

    /// Checks an ID token in full. If its key is unknown, the keys are fetched once more, unless that was
    /// done a moment ago.
    pub(super) fn verify(
        &self,
        world: World<'_>,
        token: &Secret,
        expected: &id_token::Expected,
        limit: Duration,
    ) -> Result<Verified<IdToken>, Error> {
        let token = id_token::parse(token)?;
        let keys = self.lock().as_ref().map(|known| Arc::clone(&known.keys));
        let now = world.clock.now();
        let verify = |keys: &KeySet, token: &Unverified<'_, IdToken>| {
            id_token::verify(token, keys, expected, now)
        };
        let error = match keys.map(|keys| verify(&keys, &token)) {
            Some(Ok(verified)) => return Ok(verified),
            Some(Err(error)) if !error.may_be_stale_keys() || !self.may_look(world) => {
                return Err(error);
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let metadata = self.metadata(world, limit)?;
        let fetched = match fetch_keys(&metadata, world, limit) {
            Ok(fetched) => fetched,
            // That the key is unknown is the more useful thing to say.
            Err(other) => return Err(error.unwrap_or(other)),
        };
        if let Some(known) = self.lock().as_mut() {
            known.keys = Arc::clone(&fetched.0);
            known.document = fetched.1;
        }
        verify(&fetched.0, &token)
    }

    /// Whether an unknown key may be looked for now; if so, it counts.
    fn may_look(&self, world: World<'_>) -> bool {
        let now = world.clock.monotonic();
        let mut published = self.lock();
        let Some(known) = published.as_mut() else {
            return true;
        };
        let may = known.looked.is_none_or(|last| now >= last + COOLDOWN);
        if may {
            known.looked = Some(now);
        }
        may
    }

    fn fetch(&self, world: World<'_>, limit: Duration) -> Result<Published, Error> {
        let patience = Patience::begin(world.clock, limit);
        let mut discovery = Discovery::new(&self.issuer);
        let metadata = drive(&mut discovery, world, &patience)?;
        let fetched_at = world.clock.now();
        let (keys, document) = fetch_keys(&metadata, world, patience.left(world.clock))?;
        Ok(Published {
            metadata,
            keys,
            document,
            fetched_at,
            looked: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Published>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn fetch_keys(
    metadata: &Metadata,
    world: World<'_>,
    limit: Duration,
) -> Result<(Arc<KeySet>, String), Error> {
    let mut flow = KeysFlow::new(metadata, ring::provider())?;
    let fetched = drive(&mut flow, world, &Patience::begin(world.clock, limit))?;
    let document = String::from_utf8_lossy(&fetched.json).into_owned();
    Ok((Arc::new(fetched.keys), document))
}

impl Published {
    fn is_usable(&self, now: Timestamp) -> bool {
        // What was fetched in the future was fetched by a clock that has been set back since.
        self.fetched_at <= now && now.since(self.fetched_at) < STALE
    }

    fn from_known(known: &Known, issuer: &Issuer) -> Option<Self> {
        Some(Self {
            metadata: Metadata::from_json(known.metadata.as_bytes(), issuer).ok()?,
            keys: Arc::new(KeySet::from_json(known.keys.as_bytes(), ring::provider()).ok()?),
            document: known.keys.clone(),
            fetched_at: Timestamp::from_millis(known.fetched_at),
            looked: None,
        })
    }

    fn to_known(&self) -> Option<Known> {
        Some(Known {
            metadata: serde_json::to_string(&self.metadata).ok()?,
            keys: self.document.clone(),
            fetched_at: self.fetched_at.as_millis(),
        })
    }
}
